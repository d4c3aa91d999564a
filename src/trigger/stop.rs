//! Ends threads that wait for a device: a file handle that becomes readable, for ever.

use rustix::event::{EventfdFlags, PollFd, PollFlags, Timespec, eventfd, poll};
use rustix::io::Errno;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::Arc;
use std::time::Duration;

/// Dropping it stops every thread that holds its [`Stop`].
#[derive(Debug)]
pub(super) struct Stopper(Arc<OwnedFd>);

/// Becomes readable when it is time to stop.
#[derive(Clone, Debug)]
pub(super) struct Stop(Arc<OwnedFd>);

impl Stopper {
    pub(super) fn new() -> std::io::Result<Self> {
        Ok(Self(Arc::new(eventfd(0, EventfdFlags::CLOEXEC)?)))
    }

    pub(super) fn stop(&self) -> Stop {
        Stop(Arc::clone(&self.0))
    }
}

impl Drop for Stopper {
    fn drop(&mut self) {
        if let Err(error) = rustix::io::write(&self.0, &1_u64.to_ne_bytes()) {
            tracing::error!(%error, "threads of devices cannot be stopped");
        }
    }
}

/// Why a wait ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Woken {
    /// The device has something (or is gone: reading it says so).
    Device,
    /// Nothing came in time.
    Time,
    /// It is time to stop.
    Stop,
}

impl Stop {
    /// Waits for the device at most so long; without a device it just waits. `None`: for ever.
    ///
    /// What is there already is never reported as lateness: the kernel looks at the device once more
    /// when the time is over.
    pub(super) fn wait(
        &self,
        device: Option<BorrowedFd<'_>>,
        patience: Option<Duration>,
    ) -> std::io::Result<Woken> {
        let mut patience = patience;
        loop {
            let mut fds = vec![PollFd::from_borrowed_fd(self.0.as_fd(), PollFlags::IN)];
            fds.extend(device.map(|fd| PollFd::from_borrowed_fd(fd, PollFlags::IN)));
            let limit = patience.and_then(|p| Timespec::try_from(p).ok());
            match poll(&mut fds, limit.as_ref()) {
                Ok(_) if !fds[0].revents().is_empty() => return Ok(Woken::Stop),
                Ok(0) => return Ok(Woken::Time),
                Ok(_) => return Ok(Woken::Device),
                // The process was stopped or traced: what has come meanwhile counts first.
                Err(Errno::INTR) => patience = patience.map(|_| Duration::ZERO),
                Err(error) => return Err(error.into()),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_dropped_stopper_wakes_whoever_waits() {
        let stopper = Stopper::new().unwrap();
        let stop = stopper.stop();
        assert_eq!(
            stop.wait(None, Some(Duration::from_millis(1))).unwrap(),
            Woken::Time
        );
        let (reader, writer) = rustix::pipe::pipe().unwrap();
        rustix::io::write(&writer, b"x").unwrap();
        assert_eq!(
            stop.wait(Some(reader.as_fd()), Some(Duration::ZERO))
                .unwrap(),
            Woken::Device
        );
        let waiting = std::thread::spawn({
            let stop = stop.clone();
            move || stop.wait(None, None).unwrap()
        });
        drop(stopper);
        assert_eq!(waiting.join().unwrap(), Woken::Stop);
        assert_eq!(stop.wait(Some(reader.as_fd()), None).unwrap(), Woken::Stop);
    }
}
