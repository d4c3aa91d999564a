//! Scans as lines on standard input.
//!
//! A thread of its own reads: tokio's standard input would keep the runtime from stopping while a
//! read is waiting. The thread ends with the input or with the process.

use crate::trigger::TriggerEvent;
use crate::trigger::assembler::{Assembled, Assembler, End};
use std::io::Read;
use tokio::sync::mpsc;

/// Chunks between the thread and the task.
const CHUNKS: usize = 4;

/// Starts the reading thread.
pub(super) fn reader(
    mut input: impl Read + Send + 'static,
) -> std::io::Result<mpsc::Receiver<Vec<u8>>> {
    let (tx, rx) = mpsc::channel(CHUNKS);
    std::thread::Builder::new()
        .name("stdin".into())
        .spawn(move || {
            let mut bytes = [0; 1024];
            loop {
                match input.read(&mut bytes) {
                    Ok(0) => return,
                    Ok(n) => {
                        if tx.blocking_send(bytes[..n].to_vec()).is_err() {
                            return;
                        }
                    }
                    Err(error) if error.kind() == std::io::ErrorKind::Interrupted => {}
                    Err(error) => {
                        tracing::warn!(%error, "standard input cannot be read any more");
                        return;
                    }
                }
            }
        })?;
    Ok(rx)
}

/// Sends every line as a scan. The end of the input completes the last line.
pub(super) async fn lines(
    mut chunks: mpsc::Receiver<Vec<u8>>,
    scanner: String,
    tx: mpsc::Sender<TriggerEvent>,
) {
    let mut assembler = Assembler::new(End::Line);
    let mut out = Vec::new();
    while let Some(bytes) = chunks.recv().await {
        assembler.feed(&bytes, &mut out);
        if !send_all(&mut out, &scanner, &tx).await {
            return;
        }
    }
    out.extend(assembler.finish());
    send_all(&mut out, &scanner, &tx).await;
    tracing::info!(%scanner, "standard input has ended; the station goes on");
}

async fn send_all(
    out: &mut Vec<Assembled>,
    scanner: &str,
    tx: &mpsc::Sender<TriggerEvent>,
) -> bool {
    for assembled in out.drain(..) {
        let event = TriggerEvent {
            scanner: scanner.to_owned(),
            event: assembled.into(),
            reply: None,
        };
        if tx.send(event).await.is_err() {
            return false;
        }
    }
    true
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::scan::BadScan;
    use crate::trigger::Event;

    #[tokio::test]
    async fn lines_become_scans_and_the_end_completes_the_last() {
        let mut input = vec![b'9'; 100_000];
        input.extend_from_slice(b"\nWEB-1\r\n\nWEB-2");
        let (tx, mut rx) = mpsc::channel(16);
        lines(
            reader(std::io::Cursor::new(input)).unwrap(),
            "stdin".into(),
            tx,
        )
        .await;
        let mut events = Vec::new();
        while let Some(event) = rx.recv().await {
            events.push(event.event);
        }
        let scan = |text: &str| Event::Scanned(text.to_owned().try_into().unwrap());
        assert_eq!(
            events,
            [Event::Bad(BadScan::TooLong), scan("WEB-1"), scan("WEB-2")]
        );
    }
}
