//! The two questions to the kernel that have no safe wrapper.
//!
//! The only unsafe code of this room: both calls read one `int` into memory that we own.
#![expect(
    unsafe_code,
    reason = "rustix has no safe wrapper for SIOCOUTQ and LPGETSTATUS"
)]

use rustix::ioctl::{Getter, Opcode, ioctl};
use std::ffi::c_int;
use std::os::fd::AsFd;

/// `SIOCOUTQ` (`linux/sockios.h`; the number of `TIOCOUTQ`): bytes sent and not acknowledged.
const SIOCOUTQ: Opcode = 0x5411;
/// `LPGETSTATUS` (`linux/lp.h`): the status byte of the USB printer class.
const LPGETSTATUS: Opcode = 0x060b;

/// Bytes of a TCP socket that the peer has not acknowledged.
pub(super) fn unacknowledged(socket: impl AsFd) -> Option<u64> {
    // SAFETY: SIOCOUTQ writes one int; the getter owns one.
    let count = unsafe { ioctl(socket, Getter::<SIOCOUTQ, c_int>::new()) }.ok()?;
    u64::try_from(count).ok()
}

/// The printer class status byte. Blocks for up to 5 s when the device does not answer.
pub(super) fn printer_status(device: impl AsFd) -> Option<u8> {
    // SAFETY: LPGETSTATUS writes one int; the getter owns one. Other devices refuse with ENOTTY.
    let status = unsafe { ioctl(device, Getter::<LPGETSTATUS, c_int>::new()) }.ok()?;
    u8::try_from(status & 0xff).ok()
}
