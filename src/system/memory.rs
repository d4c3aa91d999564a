//! Memory as the kernel counts it.

/// Whether memory of this process, and of those it starts, may be in pages of 2 MiB. For a service that is
/// idle most of the day they are waste: sled clears 21 MiB of counters of which it uses a few, each thread's
/// heap begins with such a page (measured on arm64, where Debian has them on: 24 of 38 MiB).
///
/// Call before the first thread. A kernel without such pages refuses, and has nothing to switch off.
pub fn no_huge_pages() {
    let _ = rustix::thread::disable_transparent_huge_pages(true);
}
