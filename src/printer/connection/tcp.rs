//! Raw TCP ("port 9100"): one connection per page.

use super::ioctl;
use std::io;
use std::time::Duration;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::time::timeout;

/// Most unasked bytes thrown away at once.
const MOST_UNASKED: usize = 64 * 1024;

/// An open connection.
#[derive(Debug)]
pub(in crate::printer) struct TcpLine(TcpStream);

impl TcpLine {
    /// Connects, name look-up included.
    pub async fn open(host: &str, port: u16, budget: Duration) -> Result<Self, String> {
        let stream = match timeout(budget, TcpStream::connect((host, port))).await {
            Ok(Ok(stream)) => stream,
            Ok(Err(error)) => return Err(format!("{host}:{port}: {error}")),
            Err(_) => return Err(format!("{host}:{port}: no connection within {budget:?}")),
        };
        // Queries are a few bytes and wait for their answer: without this each costs 40 ms.
        if let Err(error) = stream.set_nodelay(true) {
            return Err(format!("{host}:{port}: {error}"));
        }
        Ok(Self(stream))
    }

    pub(super) async fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.write(bytes).await
    }

    pub(super) async fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.0.read(buffer).await
    }

    pub(super) async fn end(&mut self) -> io::Result<()> {
        self.0.shutdown().await
    }

    pub(super) fn reset_on_close(&self) {
        if let Err(error) = self.0.set_zero_linger() {
            tracing::debug!(%error, "the line closes in order instead of by reset");
        }
    }

    pub(super) fn pending(&self) -> u64 {
        ioctl::unacknowledged(&self.0).unwrap_or(0)
    }

    pub(super) fn trouble(&self) -> Option<String> {
        match self.0.take_error() {
            Ok(None) => None,
            Ok(Some(error)) | Err(error) => Some(error.to_string()),
        }
    }

    /// False when the peer has closed or reset.
    pub(super) fn discard_input(&mut self) -> bool {
        let mut buffer = [0; 4096];
        let mut discarded = 0;
        while discarded < MOST_UNASKED {
            match self.0.try_read(&mut buffer) {
                Ok(0) => return false,
                Ok(count) => discarded += count,
                Err(error) => return error.kind() == io::ErrorKind::WouldBlock,
            }
        }
        true
    }
}
