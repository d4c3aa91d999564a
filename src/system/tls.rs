//! Why a secure connection was refused, for people.
//!
//! rustls says it in the error's text only (reqwest hides the type), so the text of the whole chain
//! is read; the words are those of rustls 0.23 and its platform verifier, and a test makes real
//! handshakes fail. Pure: what the clock is worth is passed in.

use crate::system::clock::Trust;

/// What is wrong with the connection.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum TlsTrouble {
    /// The certificate's dates do not fit, and our clock is not to be believed.
    ClockNotSet,
    /// The certificate is past its end.
    Expired,
    /// The certificate is not valid yet although our clock is set.
    NotYetValid,
    /// Nobody we trust has signed it: often a proxy that looks inside, or a private CA.
    UnknownIssuer,
    /// It belongs to another name.
    WrongName,
    /// This machine has no certificates to check against.
    NoRoots,
    /// The certificate was called back.
    Revoked,
    /// The other side does not speak TLS at all: a hotel's page, a proxy, a wrong port.
    NotTls,
    /// Both sides know TLS, but no common version or cipher.
    NoCommonWay,
    /// Something else about the certificate.
    BadCertificate,
}

/// An error and its causes on one line, outermost first.
pub fn chain(error: &(dyn std::error::Error + 'static)) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    // A chain that goes round would never end; no honest one is this long.
    for _ in 0..32 {
        let Some(next) = cause else { break };
        text.push_str(": ");
        text.push_str(&next.to_string());
        cause = next.source();
    }
    text
}

/// Reads the chain's text. `None`: the trouble is not TLS's.
pub fn read(chain: &str, clock: &Trust) -> Option<TlsTrouble> {
    let text = chain.to_lowercase();
    let says = |words: &[&str]| words.iter().any(|word| text.contains(word));
    let by_clock = |trouble: TlsTrouble| {
        if clock.may_judge_certificates() {
            trouble
        } else {
            TlsTrouble::ClockNotSet
        }
    };
    if says(&[
        "no ca certificates were loaded",
        "no native root",
        "norootsfound",
    ]) {
        return Some(TlsTrouble::NoRoots);
    }
    if says(&["not valid yet", "notvalidyet"]) {
        return Some(by_clock(TlsTrouble::NotYetValid));
    }
    if says(&[
        "certificate expired",
        "peer certificate: expired",
        "certificateexpired",
    ]) {
        return Some(by_clock(TlsTrouble::Expired));
    }
    if says(&[
        "unknownissuer",
        "unknown issuer",
        "causedasendentity",
        "unknownca",
    ]) {
        return Some(TlsTrouble::UnknownIssuer);
    }
    if says(&[
        "not valid for name",
        "notvalidforname",
        "not valid for any names",
    ]) {
        return Some(TlsTrouble::WrongName);
    }
    if says(&["certificate: revoked", "certificaterevoked"]) {
        return Some(TlsTrouble::Revoked);
    }
    if says(&["invalidcontenttype", "received corrupt message"]) {
        return Some(TlsTrouble::NotTls);
    }
    if says(&[
        "peer is incompatible",
        "protocolversion",
        "handshakefailure",
        "insufficientsecurity",
    ]) {
        return Some(TlsTrouble::NoCommonWay);
    }
    says(&[
        "invalid peer certificate",
        "peer sent no certificates",
        "badcertificate",
    ])
    .then_some(TlsTrouble::BadCertificate)
}

impl TlsTrouble {
    /// What happened.
    pub fn what(&self) -> &'static str {
        match self {
            Self::ClockNotSet => "this bench's clock is not set, so no certificate can be judged",
            Self::Expired => "the other side's certificate has expired",
            Self::NotYetValid => "the other side's certificate is not valid yet",
            Self::UnknownIssuer => {
                "nobody this bench trusts has signed the other side's certificate"
            }
            Self::WrongName => "the certificate belongs to another name than the one asked for",
            Self::NoRoots => "this machine has no certificates to check others against",
            Self::Revoked => "the other side's certificate was called back by who issued it",
            Self::NotTls => "something that does not speak TLS answered",
            Self::NoCommonWay => "both sides found no common version or cipher of TLS",
            Self::BadCertificate => "the other side's certificate cannot be used",
        }
    }

    /// What somebody can do.
    pub fn fix(&self) -> &'static str {
        match self {
            Self::ClockNotSet => {
                "let it reach a time server (UDP 123), or set the time: timedatectl set-time. It goes on \
                 by itself then"
            }
            Self::Expired => {
                "tell whoever runs that server; if others reach it, see who answers here: openssl \
                 s_client -connect HOST:443"
            }
            Self::NotYetValid => "compare `date` with a watch, then tell whoever runs that server",
            Self::UnknownIssuer => {
                "a proxy that looks into connections: have it leave this address alone, or put its CA \
                 into /usr/local/share/ca-certificates/NAME.crt and run update-ca-certificates"
            }
            Self::WrongName => {
                "check base_url for a slip; a hotel's or guest network's page also does this"
            }
            Self::NoRoots => "apt-get install ca-certificates",
            Self::Revoked => "do not go on; tell whoever runs that server",
            Self::NotTls => {
                "check base_url (https, port), and whether the network wants a log-in page first"
            }
            Self::NoCommonWay => "an old proxy or server: it must speak TLS 1.2 or newer",
            Self::BadCertificate => "tell whoever runs that server, with the log's line",
        }
    }

    /// Waiting helps: the clock will be set. Everything else needs a hand.
    pub fn heals_by_itself(&self) -> bool {
        *self == Self::ClockNotSet
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(text: &str, clock: &Trust, expected: Option<TlsTrouble>) {
        assert_eq!(read(text, clock), expected, "{text}");
    }

    #[test]
    fn dates_are_not_judged_by_a_clock_that_is_not_set() {
        let early = "error sending request: client error (Connect): invalid peer certificate: certificate not \
                     valid yet: verification time 3600 (UNIX), but certificate is not valid before 1780000000";
        check(early, &Trust::NotSet, Some(TlsTrouble::ClockNotSet));
        check(early, &Trust::Unproven, Some(TlsTrouble::ClockNotSet));
        check(early, &Trust::Synchronised, Some(TlsTrouble::NotYetValid));
        let late = "invalid peer certificate: certificate expired: verification time 99 (UNIX)";
        check(late, &Trust::NotSet, Some(TlsTrouble::ClockNotSet));
        check(late, &Trust::Synchronised, Some(TlsTrouble::Expired));
    }

    #[test]
    fn what_is_not_about_tls_is_left_alone() {
        for text in [
            "client error (Connect): tcp connect error: Connection refused (os error 111)",
            "dns error: failed to lookup address information",
            "operation timed out",
            "",
        ] {
            check(text, &Trust::NotSet, None);
        }
    }

    #[test]
    fn the_words_of_rustls_are_known() {
        use rustls::{CertificateError, Error, InvalidMessage, PeerIncompatible};
        let all = [
            (CertificateError::UnknownIssuer, TlsTrouble::UnknownIssuer),
            (CertificateError::NotValidForName, TlsTrouble::WrongName),
            (CertificateError::Expired, TlsTrouble::Expired),
            (CertificateError::NotValidYet, TlsTrouble::NotYetValid),
            (CertificateError::Revoked, TlsTrouble::Revoked),
            (CertificateError::BadEncoding, TlsTrouble::BadCertificate),
        ];
        for (error, expected) in all {
            let text = chain(&Error::InvalidCertificate(error));
            check(&text, &Trust::Synchronised, Some(expected));
        }
        for (error, expected) in [
            (
                Error::InvalidMessage(InvalidMessage::InvalidContentType),
                TlsTrouble::NotTls,
            ),
            (
                Error::PeerIncompatible(PeerIncompatible::ServerDoesNotSupportTls12Or13),
                TlsTrouble::NoCommonWay,
            ),
            (
                Error::AlertReceived(rustls::AlertDescription::ProtocolVersion),
                TlsTrouble::NoCommonWay,
            ),
            (Error::NoCertificatesPresented, TlsTrouble::BadCertificate),
            (
                Error::General("No CA certificates were loaded from the system".to_owned()),
                TlsTrouble::NoRoots,
            ),
        ] {
            check(&chain(&error), &Trust::Synchronised, Some(expected));
        }
    }

    /// A listener that answers in plain HTTP: what a guest network's page does.
    #[test]
    fn a_server_without_tls_is_told_apart_from_a_bad_certificate() {
        use std::io::{Read as _, Write as _};
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let server = std::thread::spawn(move || {
            let (mut stream, _) = listener.accept().unwrap();
            let mut hello = [0; 16];
            stream.read_exact(&mut hello).unwrap();
            stream.write_all(b"HTTP/1.1 302 Found\r\n\r\n").unwrap();
        });
        let provider = std::sync::Arc::new(rustls::crypto::ring::default_provider());
        let config = rustls::ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_root_certificates(rustls::RootCertStore::empty())
            .with_no_client_auth();
        let name = rustls::pki_types::ServerName::try_from("example.test").unwrap();
        let mut tls = rustls::ClientConnection::new(std::sync::Arc::new(config), name).unwrap();
        let mut stream = std::net::TcpStream::connect(address).unwrap();
        let mut failure = None;
        while failure.is_none() {
            failure = tls.complete_io(&mut stream).err();
        }
        server.join().unwrap();
        let text = chain(&failure.unwrap());
        check(&text, &Trust::Synchronised, Some(TlsTrouble::NotTls));
    }

    #[test]
    fn every_trouble_says_what_happened_and_what_to_do() {
        use TlsTrouble::*;
        let all = [
            ClockNotSet,
            Expired,
            NotYetValid,
            UnknownIssuer,
            WrongName,
            NoRoots,
            Revoked,
            NotTls,
            NoCommonWay,
            BadCertificate,
        ];
        let mut whats: Vec<&str> = all.iter().map(TlsTrouble::what).collect();
        assert!(all.iter().all(|t| t.fix().len() > 20));
        whats.sort_unstable();
        whats.dedup();
        assert_eq!(whats.len(), all.len());
    }
}
