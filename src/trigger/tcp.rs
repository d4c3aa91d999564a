//! Scanners on TCP: those that dial us, and those that we dial.

use crate::trigger::assembler::Assembler;
use crate::trigger::{Event, ReplyHandle, Scanner, TriggerEvent, Writer};
use std::sync::Arc;
use std::time::Duration;
use tokio::io::AsyncReadExt as _;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Mutex, mpsc};
use tokio::task::JoinSet;

/// Connections that one listening scanner takes at a time.
pub const MAX_CLIENTS: usize = 4;
/// Deadline of one dial.
const DIAL: Duration = Duration::from_secs(5);
/// Between two dials: the first pause, doubled up to the longest.
const FIRST_PAUSE: Duration = Duration::from_millis(250);
const LONGEST_PAUSE: Duration = Duration::from_secs(10);
/// After a failed accept (out of file handles): do not spin.
const ACCEPT_PAUSE: Duration = Duration::from_millis(200);

/// Takes up to [`MAX_CLIENTS`] connections, for ever.
pub(super) async fn listen(
    listener: TcpListener,
    scanner: Scanner,
    tx: mpsc::Sender<TriggerEvent>,
) {
    let scanner = Arc::new(scanner);
    let mut clients = JoinSet::new();
    loop {
        let accepted = tokio::select! {
            accepted = listener.accept() => accepted,
            Some(_) = clients.join_next() => continue,
        };
        match accepted {
            Ok((stream, peer)) => {
                while clients.try_join_next().is_some() {}
                if clients.len() >= MAX_CLIENTS {
                    tracing::warn!(scanner = %scanner.name, %peer, "too many connections; this one is closed");
                    continue;
                }
                let (scanner, tx) = (scanner.clone(), tx.clone());
                clients.spawn(async move {
                    let why = serve(stream, &scanner, &tx).await;
                    tracing::debug!(scanner = %scanner.name, %peer, why, "scanner connection ended");
                });
            }
            Err(error) => {
                tracing::warn!(scanner = %scanner.name, %error, "cannot take a scanner connection");
                tokio::time::sleep(ACCEPT_PAUSE).await;
            }
        }
    }
}

/// Dials the scanner, for ever.
pub(super) async fn dial(
    host: String,
    port: u16,
    scanner: Scanner,
    tx: mpsc::Sender<TriggerEvent>,
) {
    let mut pause = FIRST_PAUSE;
    let mut lost_was_said = false;
    loop {
        let dialled = tokio::time::timeout(DIAL, TcpStream::connect((host.as_str(), port))).await;
        let why = match dialled {
            Ok(Ok(stream)) => {
                pause = FIRST_PAUSE;
                lost_was_said = false;
                if send(&tx, &scanner, Event::Connected, None).await.is_err() {
                    return;
                }
                serve(stream, &scanner, &tx).await
            }
            Ok(Err(error)) => error.to_string(),
            Err(_) => "it does not answer".to_owned(),
        };
        if !std::mem::replace(&mut lost_was_said, true)
            && send(&tx, &scanner, Event::Lost { why }, None)
                .await
                .is_err()
        {
            return;
        }
        tokio::time::sleep(pause).await;
        pause = (pause * 2).min(LONGEST_PAUSE);
    }
}

/// Reads one connection to its end; returns why it ended.
async fn serve(stream: TcpStream, scanner: &Scanner, tx: &mpsc::Sender<TriggerEvent>) -> String {
    if let Err(error) = keep_alive(&stream) {
        tracing::debug!(scanner = %scanner.name, %error, "no keep-alive on this connection");
    }
    let (mut reader, writer) = stream.into_split();
    let reply = ReplyHandle {
        writer: Arc::new(Mutex::new(Writer::Tcp(writer))),
        ok: scanner.ok.clone().into(),
        error: scanner.error.clone().into(),
    };
    let mut assembler = Assembler::new(scanner.end);
    let mut bytes = [0; 1024];
    let mut out = Vec::new();
    loop {
        let patience = assembler.patience();
        let read = reader.read(&mut bytes);
        let read = match patience {
            // The read is polled first: what has arrived is never discarded for lateness.
            Some(patience) => tokio::time::timeout(patience, read).await,
            None => Ok(read.await),
        };
        let ended = match read {
            Ok(Ok(0)) => Some("the scanner closed the connection".to_owned()),
            Ok(Ok(n)) => {
                assembler.feed(&bytes[..n], &mut out);
                None
            }
            Ok(Err(error)) => Some(error.to_string()),
            Err(_) => {
                out.extend(assembler.silence());
                None
            }
        };
        if ended.is_some() {
            out.extend(assembler.finish());
        }
        for assembled in out.drain(..) {
            if send(tx, scanner, assembled.into(), Some(&reply))
                .await
                .is_err()
            {
                return "the station stops".to_owned();
            }
        }
        if let Some(why) = ended {
            return why;
        }
    }
}

/// A scanner that lost power says nothing: without this its connection would be held for ever.
fn keep_alive(stream: &TcpStream) -> Result<(), rustix::io::Errno> {
    use rustix::net::sockopt;
    sockopt::set_socket_keepalive(stream, true)?;
    sockopt::set_tcp_keepidle(stream, Duration::from_secs(30))?;
    sockopt::set_tcp_keepintvl(stream, Duration::from_secs(10))?;
    sockopt::set_tcp_keepcnt(stream, 3)
}

async fn send(
    tx: &mpsc::Sender<TriggerEvent>,
    scanner: &Scanner,
    event: Event,
    reply: Option<&ReplyHandle>,
) -> Result<(), mpsc::error::SendError<TriggerEvent>> {
    tx.send(TriggerEvent {
        scanner: scanner.name.clone(),
        event,
        reply: reply.cloned(),
    })
    .await
}

#[cfg(test)]
mod tests {
    use crate::domain::scan::BadScan;
    use crate::trigger::{
        Connection, End, Event, Scanner, Settings, TriggerEvent, Triggers, spawn,
    };
    use std::net::SocketAddr;
    use std::time::Duration;
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
    use tokio::net::{TcpListener, TcpStream};
    use tokio::sync::mpsc;

    const DEADLINE: Duration = Duration::from_secs(20);

    fn scanner(connection: Connection) -> Scanner {
        Scanner {
            name: "bench".into(),
            connection,
            end: End::Suffix,
            ok: b"\x07".to_vec(),
            error: b"!!".to_vec(),
        }
    }

    async fn start(connection: Connection) -> (Triggers, mpsc::Receiver<TriggerEvent>) {
        let (tx, rx) = mpsc::channel(16);
        let settings = Settings {
            scanners: vec![scanner(connection)],
        };
        (spawn(settings, tx).await.unwrap(), rx)
    }

    async fn listening() -> (Triggers, mpsc::Receiver<TriggerEvent>, SocketAddr) {
        let (triggers, rx) = start(Connection::Listen("127.0.0.1:0".parse().unwrap())).await;
        let address = triggers.scanners[0].listen.unwrap();
        (triggers, rx, address)
    }

    async fn next(rx: &mut mpsc::Receiver<TriggerEvent>) -> TriggerEvent {
        tokio::time::timeout(DEADLINE, rx.recv())
            .await
            .expect("an event within the deadline")
            .expect("the channel is open")
    }

    fn scanned(text: &str) -> Event {
        Event::Scanned(text.to_owned().try_into().unwrap())
    }

    async fn within<T>(work: impl Future<Output = T>) -> T {
        tokio::time::timeout(DEADLINE, work).await.expect("in time")
    }

    #[tokio::test]
    async fn an_address_in_use_is_named() {
        let taken = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = taken.local_addr().unwrap();
        let (tx, _rx) = mpsc::channel(1);
        let settings = Settings {
            scanners: vec![scanner(Connection::Listen(address))],
        };
        let error = spawn(settings, tx).await.unwrap_err().to_string();
        assert!(
            error.contains("bench") && error.contains(&address.to_string()),
            "{error}"
        );
    }

    #[tokio::test]
    async fn broken_off_and_hostile_input_is_told_and_the_connection_goes_on() {
        let (_triggers, mut rx, address) = listening().await;
        let mut client = TcpStream::connect(address).await.unwrap();
        client.write_all(b"WEB-1").await.unwrap();
        assert_eq!(next(&mut rx).await.event, Event::Incomplete);
        client.write_all(b"\xff\r").await.unwrap();
        assert_eq!(next(&mut rx).await.event, Event::Bad(BadScan::Unprintable));
        client.write_all(&vec![b'x'; 1 << 20]).await.unwrap();
        assert_eq!(next(&mut rx).await.event, Event::Bad(BadScan::TooLong));
        client.write_all(b"\nWEB-2\n").await.unwrap();
        assert_eq!(next(&mut rx).await.event, scanned("WEB-2"));
        client.write_all(b"WEB-3").await.unwrap();
        drop(client);
        assert_eq!(next(&mut rx).await.event, Event::Incomplete);
    }

    #[tokio::test]
    async fn four_clients_have_an_assembler_each_and_a_fifth_is_closed() {
        let (_triggers, mut rx, address) = listening().await;
        let mut clients = Vec::new();
        for n in 0..4 {
            let mut client = TcpStream::connect(address).await.unwrap();
            client
                .write_all(format!("IN-{n}\r").as_bytes())
                .await
                .unwrap();
            assert_eq!(next(&mut rx).await.event, scanned(&format!("IN-{n}")));
            clients.push(client);
        }
        let mut fifth = TcpStream::connect(address).await.unwrap();
        let closed = within(fifth.read(&mut [0; 8])).await;
        assert!(matches!(closed, Ok(0) | Err(_)), "{closed:?}");
        // Halves of two lines that arrive in turns do not mix.
        clients[0].write_all(b"A").await.unwrap();
        clients[1].write_all(b"B1\r").await.unwrap();
        assert_eq!(next(&mut rx).await.event, scanned("B1"));
        clients[0].write_all(b"1\r").await.unwrap();
        let after = next(&mut rx).await.event;
        assert!(
            after == scanned("A1") || after == Event::Incomplete,
            "{after:?}"
        );
        // A place that becomes free is given away again.
        clients.clear();
        within(async {
            loop {
                let mut client = TcpStream::connect(address).await.unwrap();
                let _ = client.write_all(b"LATE\r").await;
                let heard = tokio::time::timeout(Duration::from_millis(100), rx.recv()).await;
                if matches!(&heard, Ok(Some(e)) if e.event == scanned("LATE")) {
                    break;
                }
            }
        })
        .await;
    }

    #[tokio::test]
    async fn the_scanner_hears_its_beep_and_a_gone_scanner_hurts_nobody() {
        let (_triggers, mut rx, address) = listening().await;
        let mut client = TcpStream::connect(address).await.unwrap();
        client.write_all(b"WEB-1\r").await.unwrap();
        let reply = next(&mut rx).await.reply.unwrap();
        reply.ok().await.unwrap();
        reply.error().await.unwrap();
        let mut heard = [0; 3];
        within(client.read_exact(&mut heard)).await.unwrap();
        assert_eq!(&heard, b"\x07!!");
        drop(client);
        within(async {
            while reply.error().await.is_ok() {
                tokio::task::yield_now().await;
            }
        })
        .await;
    }

    #[tokio::test]
    async fn a_scanner_that_we_dial_is_found_again_after_it_was_away() {
        let reserved = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = reserved.local_addr().unwrap();
        drop(reserved);
        let (_triggers, mut rx) = start(Connection::Dial {
            host: address.ip().to_string(),
            port: address.port(),
        })
        .await;
        assert!(matches!(next(&mut rx).await.event, Event::Lost { .. }));
        let device = TcpListener::bind(address).await.unwrap();
        for round in 0..2 {
            let (mut stream, _) = within(device.accept()).await.unwrap();
            assert_eq!(next(&mut rx).await.event, Event::Connected);
            stream
                .write_all(format!("R-{round}\r\n").as_bytes())
                .await
                .unwrap();
            assert_eq!(next(&mut rx).await.event, scanned(&format!("R-{round}")));
            drop(stream);
            assert!(matches!(next(&mut rx).await.event, Event::Lost { .. }));
        }
    }

    #[tokio::test]
    async fn a_slow_station_slows_the_scanner_down_and_loses_nothing() {
        let (_triggers, mut rx, address) = listening().await;
        let mut client = TcpStream::connect(address).await.unwrap();
        let lines: String = (0..500).map(|n| format!("N-{n}\r\n")).collect();
        client.write_all(lines.as_bytes()).await.unwrap();
        for n in 0..500 {
            assert_eq!(next(&mut rx).await.event, scanned(&format!("N-{n}")));
        }
    }

    #[tokio::test]
    async fn dropping_the_triggers_stops_listening() {
        let (triggers, _rx, address) = listening().await;
        drop(triggers);
        within(async {
            while TcpStream::connect(address).await.is_ok() {
                tokio::task::yield_now().await;
            }
        })
        .await;
    }
}
