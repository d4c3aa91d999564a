//! A cable between the station and an outside service that a test can pull, squeeze and cut.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;

/// What a cable does with what it is given.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Line {
    /// Everything passes.
    Plugged,
    /// Every connection is reset, new ones too.
    Pulled,
    /// Connections are taken and nothing moves: no answer, no error.
    BlackHole,
    /// Requests arrive; the first byte of a reply resets the connection.
    NoReplies,
}

/// Forwards TCP as its line is set.
pub struct Cable {
    /// Where the station connects to.
    pub addr: SocketAddr,
    line: watch::Sender<Line>,
    shears: Arc<Mutex<Shears>>,
}

/// Cuts one connection after so many bytes of what the station sends.
#[derive(Debug, Default)]
struct Shears {
    after: Option<u64>,
    longest: u64,
}

impl Cable {
    /// A cable to `to`, plugged in.
    pub async fn to(to: SocketAddr) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let addr = listener.local_addr().expect("its address");
        let (line, watching) = watch::channel(Line::Plugged);
        let shears = Arc::new(Mutex::new(Shears::default()));
        let shared = Arc::clone(&shears);
        tokio::spawn(async move {
            while let Ok((inside, _)) = listener.accept().await {
                let shears = Arc::clone(&shared);
                tokio::spawn(forward(inside, to, watching.clone(), shears));
            }
        });
        Self { addr, line, shears }
    }

    /// Plugs it in again.
    pub fn plug(&self) {
        self.set(Line::Plugged);
    }

    /// What it does from now on.
    pub fn set(&self, line: Line) {
        self.line.send_replace(line);
    }

    /// Resets one connection, once, when the station has sent `bytes` on it.
    pub fn cut_after(&self, bytes: u64) {
        self.lock().after = Some(bytes);
    }

    /// Most bytes that the station sent on one connection.
    pub fn longest(&self) -> u64 {
        self.lock().longest
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Shears> {
        self.shears.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The connection is to be reset.
struct Reset;

async fn forward(
    mut inside: TcpStream,
    to: SocketAddr,
    line: watch::Receiver<Line>,
    shears: Arc<Mutex<Shears>>,
) {
    // A reset, not a polite end: that is what a pulled cable looks like after its time-out.
    let linger = |stream: &TcpStream, how: Option<std::time::Duration>| {
        let _ = rustix::net::sockopt::set_socket_linger(stream, how);
    };
    linger(&inside, Some(std::time::Duration::ZERO));
    if pass(&mut line.clone()).await.is_err() {
        return;
    }
    let Ok(mut outside) = TcpStream::connect(to).await else {
        return;
    };
    linger(&outside, Some(std::time::Duration::ZERO));
    let ended = {
        let (from_inside, to_inside) = inside.split();
        let (from_outside, to_outside) = outside.split();
        let mut watching = line.clone();
        let pulled = async move {
            // An idle connection is reset, too.
            drop(watching.wait_for(|line| *line == Line::Pulled).await);
            Err::<(), Reset>(Reset)
        };
        let pumps = async {
            tokio::try_join!(
                pump(from_inside, to_outside, line.clone(), Some(&shears)),
                pump(from_outside, to_inside, line.clone(), None),
            )
            .map(|_| ())
        };
        tokio::select! {
            ended = pumps => ended,
            ended = pulled => ended,
        }
    };
    if ended.is_ok() {
        linger(&inside, None);
        linger(&outside, None);
    }
}

/// Waits until something may pass.
async fn pass(line: &mut watch::Receiver<Line>) -> Result<Line, Reset> {
    let now = line
        .wait_for(|line| *line != Line::BlackHole)
        .await
        .map_err(|_| Reset)?;
    if *now == Line::Pulled {
        Err(Reset)
    } else {
        Ok(*now)
    }
}

/// One direction; `shears`: it is the station's.
async fn pump(
    mut from: tokio::net::tcp::ReadHalf<'_>,
    mut to: tokio::net::tcp::WriteHalf<'_>,
    mut line: watch::Receiver<Line>,
    shears: Option<&Mutex<Shears>>,
) -> Result<(), Reset> {
    let mut buffer = vec![0; 16 * 1024];
    let mut sent = 0_u64;
    loop {
        pass(&mut line).await?;
        let count = from.read(&mut buffer).await.map_err(|_| Reset)?;
        let now = pass(&mut line).await?;
        if count == 0 {
            return to.shutdown().await.map_err(|_| Reset);
        }
        if shears.is_none() && now == Line::NoReplies {
            return Err(Reset);
        }
        let mut passing = &buffer[..count];
        let mut cut = false;
        if let Some(shears) = shears {
            let mut shears = shears.lock().unwrap_or_else(PoisonError::into_inner);
            let until = sent + u64::try_from(count).unwrap_or_default();
            if let Some(after) = shears.after.filter(|after| *after < until) {
                let left = usize::try_from(after.saturating_sub(sent)).unwrap_or_default();
                passing = &buffer[..left.min(count)];
                shears.after = None;
                cut = true;
            }
            sent = until;
            shears.longest = shears.longest.max(sent);
        }
        to.write_all(passing).await.map_err(|_| Reset)?;
        if cut {
            return Err(Reset);
        }
    }
}
