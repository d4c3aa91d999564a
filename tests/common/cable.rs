//! A cable between the station and an outside service that a test can pull.

use std::net::SocketAddr;
use tokio::io::copy_bidirectional;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;

/// Forwards TCP while it is plugged in; resets everything while it is not.
pub struct Cable {
    /// Where the station connects to.
    pub addr: SocketAddr,
    plugged: watch::Sender<bool>,
}

impl Cable {
    /// A cable to `to`, plugged in.
    pub async fn to(to: SocketAddr) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let addr = listener.local_addr().expect("its address");
        let (plugged, watching) = watch::channel(true);
        tokio::spawn(async move {
            while let Ok((inside, _)) = listener.accept().await {
                tokio::spawn(forward(inside, to, watching.clone()));
            }
        });
        Self { addr, plugged }
    }

    /// Pulls it: open connections are reset, new ones too.
    pub fn pull(&self) {
        self.plugged.send_replace(false);
    }

    /// Plugs it in again.
    pub fn plug(&self) {
        self.plugged.send_replace(true);
    }
}

async fn forward(mut inside: TcpStream, to: SocketAddr, mut plugged: watch::Receiver<bool>) {
    // A reset, not a polite end: that is what a pulled cable looks like after its time-out.
    let reset = |stream: &TcpStream| {
        rustix::net::sockopt::set_socket_linger(stream, Some(std::time::Duration::ZERO))
            .expect("linger");
    };
    reset(&inside);
    if !*plugged.borrow() {
        return;
    }
    let Ok(mut outside) = TcpStream::connect(to).await else {
        return;
    };
    reset(&outside);
    tokio::select! {
        _ = copy_bidirectional(&mut inside, &mut outside) => {}
        _ = plugged.wait_for(|plugged| !plugged) => {}
    }
}
