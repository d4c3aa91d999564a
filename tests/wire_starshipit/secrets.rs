//! P9: a key is in no log, error or debug output, even when the service sends it back to us.

use super::raw::Raw;
use super::*;
use std::io;
use std::sync::{Arc, Mutex};
use tracing_subscriber::fmt::MakeWriter;

const KEYS: [&str; 2] = ["the-api-key-7", "the-subscription-key-8"];

#[derive(Clone, Default)]
struct Sink(Arc<Mutex<Vec<u8>>>);

impl io::Write for Sink {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }
    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl<'a> MakeWriter<'a> for Sink {
    type Writer = Sink;
    fn make_writer(&'a self) -> Sink {
        self.clone()
    }
}

#[track_caller]
fn assert_clean(what: &str, text: &str) {
    for key in KEYS {
        assert!(!text.contains(key), "{what} holds a key: {text}");
    }
}

#[tokio::test]
async fn keys_are_in_no_log_error_or_debug_output() {
    let sink = Sink::default();
    let subscriber = tracing_subscriber::fmt()
        .with_max_level(tracing::Level::TRACE)
        .with_writer(sink.clone())
        .finish();
    // This test's runtime has one thread: everything below is logged here.
    let _guard = tracing::subscriber::set_default(subscriber);

    let echo = format!(
        "Invalid API key {} or subscription key {}",
        KEYS[0], KEYS[1]
    );
    let bodies = [
        format!(
            r#"{{"success": false, "errors": [{{"message": "{echo}", "details": "{echo}"}}]}}"#
        ),
        format!(r#"{{"statusCode": 401, "message": "{echo}"}}"#),
        format!(r#"{{"statusCode": 500, "message": "{echo}"}}"#),
        format!(r#"{{"errors": ["{echo}"]"#),
        format!("<html>{echo}</html>"),
    ];
    let main = AccountName::from("main");
    let mut refusals = 0;
    for body in bodies {
        for status in ["200 OK", "401 Unauthorized", "500 Oops"] {
            let reply = format!(
                "HTTP/1.1 {status}\r\nX-Echo: {echo}\r\nContent-Length: {}\r\nConnection: close\r\n\r\n{body}",
                body.len()
            );
            let server = Raw::start(reply).await;
            let client = server.client();
            assert_clean("Debug of the client", &format!("{client:?} {client:#?}"));
            let printed = client.print(&main, 5, false, None, Priority::Scan).await;
            let failure = printed.unwrap_err();
            assert_clean("the failure", &format!("{failure:?}"));
            refusals += usize::from(format!("{failure:?}").contains("[key]"));
            let found = client
                .find(std::slice::from_ref(&main), "SO-1", ALL, Priority::Scan)
                .await;
            assert_clean("the find", &format!("{found:?}"));
            // The request itself did carry them.
            assert!(server.requests()[0].contains(KEYS[0]));
        }
    }
    assert!(refusals >= 3, "the echoes were not even read");
    let settings = settings("http://127.0.0.1:1".into(), &[("main", KEYS[0], KEYS[1])]);
    assert_clean("Debug of the settings", &format!("{settings:?}"));
    let closed = Starshipit::new(settings).unwrap();
    let failure = closed.print(&main, 5, false, None, Priority::Scan).await;
    assert_clean("a connection failure", &format!("{failure:?}"));

    let log = String::from_utf8(sink.0.lock().unwrap().clone()).unwrap();
    assert!(log.contains("starshipit call"), "nothing was logged");
    assert_clean("the log", &log);
}
