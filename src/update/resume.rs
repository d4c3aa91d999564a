//! Where the bytes of a download belong that goes on where it stopped: known only after their first piece,
//! when the length of the answer was announced.

use std::fs::File;
use std::io::{self, Read as _, Seek as _, SeekFrom, Write};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

/// The length of an answer is not known.
pub(super) const UNKNOWN: u64 = u64::MAX;
/// So many bytes are put on the card at a time.
const KEPT: u64 = 1 << 20;

/// A file that a download goes on with. What arrives is put on the card piece by piece, so that a power cut
/// costs no more than the last one.
pub(super) struct Resume {
    file: File,
    size: u64,
    had: u64,
    first: Vec<u8>,
    begun: bool,
    /// Bytes written and not yet on the card.
    unkept: u64,
    announced: Arc<AtomicU64>,
}

impl Resume {
    /// A file of `size` bytes in the end, of which `had` are there. `announced`: the length of the answer,
    /// or [`UNKNOWN`], before the second piece of it is written.
    pub(super) fn new(file: File, size: u64, had: u64, announced: Arc<AtomicU64>) -> Self {
        Self {
            file,
            size,
            had,
            first: Vec::new(),
            begun: false,
            unkept: 0,
            announced,
        }
    }

    /// Decides where the body belongs, and writes its first piece there.
    pub(super) fn begin(&mut self) -> io::Result<()> {
        if self.begun || self.first.is_empty() {
            return Ok(());
        }
        self.begun = true;
        let from = match self.announced.load(Ordering::Relaxed) {
            // The range was not heard: the whole body comes again.
            total if total == self.size => 0,
            // No length: a whole body begins as the file does.
            UNKNOWN if self.had > 0 && self.begins_like_the_file()? => 0,
            _ => self.had,
        };
        self.file.set_len(from)?;
        self.file.seek(SeekFrom::Start(from))?;
        let first = std::mem::take(&mut self.first);
        self.put(&first)
    }

    fn put(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.file.write_all(bytes)?;
        self.unkept += bytes.len() as u64;
        if self.unkept >= KEPT {
            self.file.sync_all()?;
            self.unkept = 0;
        }
        Ok(())
    }

    fn begins_like_the_file(&mut self) -> io::Result<bool> {
        let mut head = [0; 16];
        self.file.seek(SeekFrom::Start(0))?;
        let got = self.file.read(&mut head)?;
        Ok(self.first.starts_with(&head[..got]))
    }
}

impl Write for Resume {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if self.begun {
            self.put(bytes)?;
        } else if self.first.is_empty() {
            self.first.extend_from_slice(bytes);
        } else {
            self.begin()?;
            self.put(bytes)?;
        }
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        self.file.flush()
    }
}
