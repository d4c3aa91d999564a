//! A clock that is years off shows as TLS certificates that are over or not valid yet.
//!
//! The fixtures are a throw-away key that protects nothing and two self-signed certificates of it
//! for 127.0.0.1: one of 2001, one of 2090.

use super::*;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer};
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener};
use std::sync::Arc;

const KEY: &[u8] = include_bytes!("../fixtures/tls/no-secret.key.der");
const EXPIRED: &[u8] = include_bytes!("../fixtures/tls/expired.crt.der");
const EARLY: &[u8] = include_bytes!("../fixtures/tls/early.crt.der");

/// Accepts connections with this certificate, on a thread of its own, for as long as the test.
fn serve(certificate: &'static [u8]) -> SocketAddr {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = rustls::ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(
            vec![CertificateDer::from(certificate)],
            PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(KEY)),
        )
        .unwrap();
    let config = Arc::new(config);
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let addr = listener.local_addr().unwrap();
    std::thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            let mut stream = stream;
            let mut tls = rustls::ServerConnection::new(Arc::clone(&config)).unwrap();
            // Until the client has seen the certificate and hung up.
            while tls.complete_io(&mut stream).is_ok() && tls.is_handshaking() {}
            let _ = stream.flush();
            let _ = stream.read(&mut [0; 64]);
        }
    });
    addr
}

#[tokio::test]
async fn a_clock_that_is_years_off_is_told_as_such_and_not_as_an_error_of_the_service() {
    for certificate in [EXPIRED, EARLY] {
        let addr = serve(certificate);
        let client = CartonCloud::new(Settings {
            base_url: format!("https://{addr}"),
            tenant_id: "6f1d2c3b-5a49-4e8d-9c70-1b2a3c4d5e6f".into(),
            client_id: "id".into(),
            client_secret: "secret".into(),
            requests_per_minute: 12_000,
            request_timeout: Duration::from_secs(20),
        })
        .unwrap();
        let result = client.order("00000000-0000-4000-8000-000000000000", Priority::Scan);
        assert_refused(result.await, Code::ClockNotSet, "certificate");
    }
}
