//! The built binary with what stands on a bench: a serial scanner on a pty, two TCP scanners with two
//! packers, refusals on paper, and devices that are not there.

#![expect(
    clippy::disallowed_methods,
    clippy::expect_used,
    reason = "tests read the clock and stop at the first surprise"
)]

#[path = "common/process.rs"]
#[expect(dead_code, reason = "each test binary uses its own part")]
mod process;

use process::{PATIENCE, Process, World, client};
use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};
use serde_json::{Value, json};
use std::io::{BufRead as _, BufReader, Write as _};
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

async fn status(station: &Process) -> Value {
    let web = station.ready["web"].as_str().expect("web");
    let answer = client().get(format!("{web}/api/status")).send().await;
    answer.expect("answer").json().await.expect("json")
}

/// Waits until the status shows it.
async fn until(station: &Process, what: &str, so: impl Fn(&Value) -> bool) -> Value {
    let deadline = Instant::now() + PATIENCE;
    loop {
        let status = status(station).await;
        if so(&status) {
            return status;
        }
        assert!(Instant::now() < deadline, "{what}: {status}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

/// Every barcode on the printed pages of `dir`, once `wanted` is among them.
async fn paper(dir: &Path, wanted: &str) -> Vec<String> {
    let deadline = Instant::now() + PATIENCE;
    loop {
        let read: Vec<String> = pngs(dir).iter().flat_map(|png| codes(png)).collect();
        if read.iter().any(|code| code == wanted) {
            return read;
        }
        assert!(Instant::now() < deadline, "{wanted} not in {read:?}");
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
}

fn pngs(dir: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(dir).into_iter().flatten().flatten() {
        let path = entry.path();
        if path.is_dir() {
            found.extend(pngs(&path));
        } else if path.extension().is_some_and(|e| e == "png") {
            found.push(path);
        }
    }
    found
}

fn codes(png: &Path) -> Vec<String> {
    let picture = image::open(png).expect("a PNG").into_luma8();
    let (width, height) = picture.dimensions();
    // rxing says "nothing found" as an error.
    rxing::helpers::detect_multiple_in_luma(picture.into_raw(), width, height)
        .map(|all| all.iter().map(|code| code.getText().to_owned()).collect())
        .unwrap_or_default()
}

fn member<'a>(status: &'a Value, list: &str, name: &str) -> &'a Value {
    let list = status[list].as_array().expect("a list");
    list.iter().find(|d| d["name"] == name).expect("is listed")
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn devices_that_are_not_there_are_named_and_nothing_else_stops() {
    let world = World::new(
        &[],
        r#"
[[scanners]]
name = "wedge"
connection = "evdev:usb-no-such-scanner-event-kbd"
[[scanners]]
name = "port"
connection = "serial:/dev/no-such-port?baud=9600"
[[buttons]]
name = "dispatch"
gpio = 17
[[buttons]]
name = "pedal"
evdev = "usb-no-such-pedal"
key = "KEY_ENTER"
[lamp]
green = 22
"#,
    );
    world
        .order(json!({ "number": "WEB-1", "parcels": [1.2] }))
        .await;
    let station = world.run();
    let (_, reply) = world.scan(&station, "WEB-1", Some("30s")).await;
    assert_eq!(reply["outcome"], "printed", "{reply}");
    let missing = |s: &Value, list: &str, name: &str| member(s, list, name)["state"] == "missing";
    let status = until(&station, "all missing", |s| {
        missing(s, "scanners", "wedge")
            && missing(s, "scanners", "port")
            && missing(s, "buttons", "dispatch")
            && missing(s, "buttons", "pedal")
            && missing(s, "lights", "lamp.green")
    })
    .await;
    let why = member(&status, "scanners", "wedge")["detail"]
        .as_str()
        .expect("why");
    assert!(why.contains("plugged in"), "{why}");
    // The verb for ExecStopPost= says so as well, and is content where nothing is configured.
    let off = |config: &Path| {
        Command::new(env!("CARGO_BIN_EXE_printstation"))
            .args(["lights", "off", "--config"])
            .arg(config)
            .output()
            .expect("it runs")
    };
    let told = off(&world.config);
    assert_eq!(told.status.code(), Some(1));
    assert!(
        String::from_utf8_lossy(&told.stderr).contains("pins"),
        "{told:?}"
    );
    assert_eq!(off(&World::new(&[], "").config).status.code(), Some(0));
    assert_eq!(station.stop(), Some(0));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_serial_scanner_prints_beeps_and_may_be_pulled_out() {
    let dir = tempfile::tempdir().expect("temp dir");
    let link = dir.path().join("scanner");
    let extra = format!(
        "[[scanners]]\nname = \"port\"\nconnection = \"serial:{}?baud=9600\"\nok = \"\\u0007\"\nerror = \"F\"\n",
        link.display()
    );
    let world = World::new(&[], &extra);
    world
        .order(json!({ "number": "WEB-1", "parcels": [1.2] }))
        .await;
    let station = world.run();
    let plug = || {
        let master = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY).expect("pty");
        grantpt(&master).expect("grant");
        unlockpt(&master).expect("unlock");
        let name = ptsname(&master, Vec::new())
            .expect("name")
            .into_string()
            .expect("utf-8");
        drop(std::fs::remove_file(&link));
        std::os::unix::fs::symlink(name, &link).expect("link");
        master
    };
    let port_is =
        |state: &'static str| move |s: &Value| member(s, "scanners", "port")["state"] == state;
    let scanner = plug();
    until(&station, "it is read", port_is("reading")).await;
    rustix::io::write(&scanner, b"WEB-1\r\n").expect("write");
    let beep = tokio::task::spawn_blocking(move || {
        let mut byte = [0; 1];
        let n = rustix::io::read(&scanner, &mut byte).expect("a beep");
        (scanner, byte[..n].to_vec())
    });
    let (scanner, beep) = tokio::time::timeout(PATIENCE, beep)
        .await
        .expect("in time")
        .expect("read");
    assert_eq!(beep, [7]);
    rustix::io::write(&scanner, b"WEB-").expect("write");
    std::fs::remove_file(&link).expect("unlink");
    drop(scanner);
    until(&station, "it is missed", port_is("missing")).await;
    let scanner = plug();
    until(&station, "it is read again", port_is("reading")).await;
    rustix::io::write(&scanner, b"NOBODY-1\r").expect("write");
    let beep = tokio::task::spawn_blocking(move || {
        let mut byte = [0; 1];
        let n = rustix::io::read(&scanner, &mut byte).expect("a beep");
        byte[..n].to_vec()
    });
    // Accepted first; what the packer hears is the first word.
    let beep = tokio::time::timeout(PATIENCE, beep)
        .await
        .expect("in time")
        .expect("read");
    assert_eq!(beep, [7]);
    until(&station, "nothing waits", |s| s["waiting"] == 0).await;
    assert_eq!(world.sales().await.len(), 1);
}

/// A TCP scanner at work: sends a code, hears one byte for it.
struct Scanner(BufReader<TcpStream>);

impl Scanner {
    fn at(station: &Process, n: usize) -> Self {
        let listen = station.ready["scanners"][n]["listen"]
            .as_str()
            .expect("listen");
        let stream = TcpStream::connect(listen).expect("connect");
        stream.set_read_timeout(Some(PATIENCE)).expect("timeout");
        Self(BufReader::new(stream))
    }

    fn scan(&mut self, code: &str) -> char {
        let stream = self.0.get_mut();
        stream
            .write_all(format!("{code}\r").as_bytes())
            .expect("write");
        let heard = self.0.fill_buf().expect("a beep")[0];
        self.0.consume(1);
        char::from(heard)
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_packers_at_one_bench_never_reach_each_others_order_and_refusals_are_on_paper() {
    let out = tempfile::tempdir().expect("temp dir");
    let extra = ["left", "right"]
        .map(|name| {
            format!("[[scanners]]\nname = \"{name}\"\nconnection = \"tcp-listen://127.0.0.1:0\"\nok = \"+\"\nerror = \"-\"\n")
        })
        .concat();
    let world = World::new(
        &["--out", out.path().to_str().expect("utf-8")],
        &format!("[signal]\nticket = true\nprinter = \"label\"\n{extra}"),
    );
    for number in ["ANN-1", "BOB-1"] {
        world
            .order(json!({ "number": number, "parcels": [1.2] }))
            .await;
    }
    let station = world.run();
    let (mut left, mut right) = (Scanner::at(&station, 0), Scanner::at(&station, 1));
    assert_eq!(left.scan("PSTEST.USER-ann"), '+');
    assert_eq!(right.scan("PSTEST.USER-bob"), '+');
    assert_eq!((left.scan("ANN-1"), right.scan("BOB-1")), ('+', '+'));
    let deadline = Instant::now() + PATIENCE;
    while ledger(&station).await.1 < 2 {
        assert!(Instant::now() < deadline, "two labels are printed");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    // Bob reprints: his own order, although Ann was there before and after him.
    assert_eq!(left.scan("PSTEST.NO"), '-');
    assert_eq!(right.scan("PSTEST.REPRINT"), '+');
    assert_eq!(right.scan("PSTEST.REASON-torn"), '+');
    let deadline = Instant::now() + PATIENCE;
    loop {
        let (orders, _) = ledger(&station).await;
        let deeds = |number: &str| {
            let order = orders
                .iter()
                .find(|o| o["order"] == number)
                .expect("in the ledger");
            order["deeds"].to_string()
        };
        if deeds("BOB-1").contains("torn") {
            assert!(deeds("BOB-1").contains("bob"), "{}", deeds("BOB-1"));
            assert!(!deeds("ANN-1").contains("reprint"), "{}", deeds("ANN-1"));
            break;
        }
        assert!(Instant::now() < deadline, "{}", deeds("BOB-1"));
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    // Refused on paper, with a barcode to go on with.
    tokio::time::sleep(Duration::from_millis(1600)).await;
    assert_eq!(left.scan("ANN-1"), '-');
    let read = paper(out.path(), "PSTEST.REPRINT").await;
    assert!(read.contains(&"PSTEST.NEXT-PARCEL".to_owned()), "{read:?}");
    // A test label and the hand-over list.
    assert_eq!(left.scan("PSTEST.TEST"), '+');
    paper(out.path(), "PSTEST.TEST").await;
    let pages = pngs(out.path()).len();
    assert_eq!(left.scan("PSTEST.CLOSE-DAY"), '-');
    assert_eq!(left.scan("PSTEST.YES"), '+');
    let deadline = Instant::now() + PATIENCE;
    // The question's ticket and the list itself.
    while pngs(out.path()).len() < pages + 2 {
        assert!(Instant::now() < deadline, "no hand-over list");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    assert_eq!(world.sales().await.len(), 2);
}

/// The ledger's orders, and how many of them are printed.
async fn ledger(station: &Process) -> (Vec<Value>, usize) {
    let web = station.ready["web"].as_str().expect("web");
    let answer = client().get(format!("{web}/api/orders")).send().await;
    let text = answer.expect("answer").text().await.expect("text");
    let orders: Vec<Value> = text
        .lines()
        .map(|l| serde_json::from_str(l).expect("json"))
        .collect();
    let printed = orders.iter().filter(|o| o["state"] == "printed").count();
    (orders, printed)
}

/// What a USB scale says: at rest, in grams.
fn grams(weight: u16) -> [u8; 6] {
    let [low, high] = weight.to_le_bytes();
    [3, 4, 2, 0, low, high]
}

/// Scans until the label is out: a repeat within `scan.repeat_window` is the same act.
async fn printed_when_scanned_again(world: &World, station: &Process, number: &str) {
    let deadline = Instant::now() + PATIENCE;
    loop {
        let (_, reply) = world.scan(station, number, Some("30s")).await;
        if reply["outcome"] == "printed" {
            return;
        }
        assert!(Instant::now() < deadline, "{reply}");
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_scale_gives_an_order_its_weight_and_is_never_waited_for() {
    let dir = tempfile::tempdir().expect("temp dir");
    let hid = dir.path().join("hidraw9");
    let world = World::new(
        &[],
        &format!("[scale]\nhid = {:?}\n", hid.display().to_string()),
    );
    for number in ["WEB-1", "WEB-2", "WEB-3"] {
        world
            .order(json!({ "number": number, "parcels": [null] }))
            .await;
    }
    let station = world.run();
    let scale = |status: &Value| status["scale"].clone();
    until(&station, "it is missed", |s| scale(s)["state"] == "missing").await;
    // Without it the order is asked about at once.
    let (_, reply) = world.scan(&station, "WEB-1", Some("30s")).await;
    assert_eq!(
        (&reply["outcome"], &reply["code"]),
        (&json!("question"), &json!("weight-missing"))
    );
    let mode = rustix::fs::Mode::RUSR | rustix::fs::Mode::WUSR;
    let fifo = rustix::fs::FileType::Fifo;
    rustix::fs::mknodat(rustix::fs::CWD, &hid, fifo, mode, 0).expect("a pipe");
    // Read and write, so that opening it waits for nobody.
    let scales = std::fs::OpenOptions::new()
        .read(true)
        .write(true)
        .open(&hid)
        .expect("pipe");
    until(&station, "it is read", |s| scale(s)["state"] == "reading").await;
    rustix::io::write(&scales, &grams(2340)).expect("write");
    until(&station, "it shows", |s| scale(s)["kg"] == 2.34).await;
    printed_when_scanned_again(&world, &station, "WEB-1").await;
    // The parcel still lies there: its weight is not the next one's.
    let (_, reply) = world.scan(&station, "WEB-2", Some("30s")).await;
    assert_eq!(reply["code"], "weight-missing", "{reply}");
    rustix::io::write(&scales, &grams(0)).expect("write");
    until(&station, "it is empty", |s| scale(s)["kg"] == 0.0).await;
    rustix::io::write(&scales, &[3, 3, 2, 0, 9, 9]).expect("write");
    until(&station, "it moves", |s| scale(s)["kg"].is_null()).await;
    let (_, reply) = world.scan(&station, "WEB-3", Some("30s")).await;
    assert_eq!(reply["code"], "weight-missing", "{reply}");
    rustix::io::write(&scales, &grams(2341)).expect("write");
    until(&station, "it shows", |s| scale(s)["kg"] == 2.341).await;
    // Starshipit sells nothing without a weight.
    printed_when_scanned_again(&world, &station, "WEB-2").await;
    assert_eq!(world.sales().await.len(), 2);
    std::fs::remove_file(&hid).expect("unlink");
    drop(scales);
    assert_eq!(station.stop(), Some(0));
}
