//! Lines that lie: hostile answers, devices that stop, files.
//!
//! Real sockets, a real pty and a real FIFO; nothing here is a printer.

#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "a broken helper is a failed test"
)]

use printstation::domain::{Bitmap, Code, PrintOutcome, Proof, Timestamp};
use printstation::printer::{
    Connection, Job, Language, Limits, PageBytes, PrintReport, Printer, Settings, UsbDevice,
};
use printstation::sim::printer::{Machine, Options, Speaks};
use rustix::fs::{Mode, OFlags};
use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};
use std::io::{Read as _, Write as _};
use std::net::SocketAddr;
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpListener;
use tokio::sync::watch;

const PATIENCE: Duration = Duration::from_secs(30);

fn settings(connection: Connection, language: Language) -> Settings {
    let mut settings = Settings::new("label", connection);
    settings.language = language;
    settings.limits = Limits {
        status: Duration::from_millis(1000),
        progress: Duration::from_millis(800),
        confirm: Duration::from_millis(1500),
        fin: Duration::from_millis(500),
        ..Limits::default()
    };
    settings
}

fn tcp(addr: SocketAddr) -> Connection {
    Connection::Tcp {
        host: addr.ip().to_string(),
        port: addr.port(),
    }
}

fn page() -> Bitmap {
    let mut page = Bitmap::new_white(816, 1200);
    for y in 0..1200 {
        for x in (0..816).filter(|x| (x * 7 + y * 13) % 5 < 2) {
            page.set_black(x, y);
        }
    }
    page
}

fn job(order: &str) -> Job {
    Job {
        order: order.to_owned(),
        page: 2,
        of: 3,
        at: Timestamp(1_700_000_000_000),
        copies: 1,
        content: PageBytes::Picture(page()),
    }
}

async fn print(printer: &Printer) -> PrintReport {
    tokio::time::timeout(PATIENCE, printer.print(job("WEB-1"), || ()))
        .await
        .expect("print() ends by its own deadlines")
}

/// A peer that says `answer`, over and over if `forever`, and reads everything.
async fn talker(answer: Vec<u8>, forever: bool) -> (SocketAddr, watch::Receiver<u64>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let addr = listener.local_addr().unwrap();
    let (count, taken) = watch::channel(0);
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let (mut read, mut write) = stream.into_split();
            let answer = answer.clone();
            let talk = tokio::spawn(async move {
                while write.write_all(&answer).await.is_ok() && forever {}
                std::future::pending::<()>().await;
            });
            let mut buffer = [0; 16384];
            while let Ok(got @ 1..) = read.read(&mut buffer).await {
                count.send_modify(|count| *count += got as u64);
            }
            talk.abort();
        }
    });
    (addr, taken)
}

#[tokio::test]
async fn hostile_answers_are_no_answers_and_cost_no_more_than_silence() {
    for (what, answer, forever) in [
        ("1 MB of garbage", vec![0xa5; 1 << 20], false),
        ("garbage without an end", vec![b'~'; 4096], true),
        ("half a status line", b"\x02030,0,0,12".to_vec(), false),
        (
            "lines without flags",
            b"\x02\x03\r\n\x02\x03\r\n\x02\x03\r\n".to_vec(),
            false,
        ),
        ("an endless first line", vec![b'0'; 65536], true),
        (
            "no UTF-8",
            b"\x02\xff\xfe\x03\x02\xff\x03\x02\xff\x03".to_vec(),
            false,
        ),
    ] {
        let (addr, mut taken) = talker(answer, forever).await;
        let printer = Printer::open(settings(tcp(addr), Language::Zpl));
        let report = print(&printer).await;
        assert_eq!(
            report.outcome,
            PrintOutcome::Printed { proof: Proof::Sent },
            "{what}"
        );
        let all = taken.wait_for(|taken| *taken >= report.bytes);
        let all = tokio::time::timeout(PATIENCE, all).await;
        assert!(
            all.is_ok_and(|all| all.is_ok()),
            "{what}: the label was not taken"
        );
    }
}

#[tokio::test]
async fn a_peer_that_accepts_and_reads_nothing_leaves_the_label_in_doubt() {
    let socket = tokio::net::TcpSocket::new_v4().unwrap();
    socket.set_recv_buffer_size(4096).unwrap();
    socket.bind(SocketAddr::from(([127, 0, 0, 1], 0))).unwrap();
    let listener = socket.listen(4).unwrap();
    let printer = Printer::open(settings(
        tcp(listener.local_addr().unwrap()),
        Language::Escpos,
    ));
    let report = print(&printer).await;
    // Nothing was read; the socket buffers took it all, or a part. That proves nothing.
    match &report.outcome {
        PrintOutcome::InDoubt { bytes, .. } => assert!(*bytes > 0),
        // The clearing bytes already got stuck: then no byte of the label left.
        PrintOutcome::NotStarted { code, .. } => {
            assert_eq!(*code, Code::PrinterOffline);
            assert_eq!(report.first_byte, None);
        }
        PrintOutcome::Printed { .. } => panic!("{report:?}"),
    }
}

#[tokio::test]
async fn a_host_that_does_not_exist_is_offline() {
    let connection = Connection::parse("tcp://printer.invalid:9100").unwrap();
    let report = print(&Printer::open(settings(connection, Language::Zpl))).await;
    assert!(matches!(
        report.outcome,
        PrintOutcome::NotStarted {
            code: Code::PrinterOffline,
            ..
        }
    ));
}

/// A raw pty: the slave is the printer's device, the master is the printer.
fn pty() -> (OwnedFd, PathBuf, OwnedFd) {
    let master = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY).unwrap();
    grantpt(&master).unwrap();
    unlockpt(&master).unwrap();
    let path = PathBuf::from(ptsname(&master, Vec::new()).unwrap().to_str().unwrap());
    // Kept open: a pty without a user hangs up.
    let slave = rustix::fs::open(&path, OFlags::RDWR | OFlags::NOCTTY, Mode::empty()).unwrap();
    let mut raw = rustix::termios::tcgetattr(&slave).unwrap();
    raw.make_raw();
    rustix::termios::tcsetattr(&slave, rustix::termios::OptionalActions::Now, &raw).unwrap();
    (master, path, slave)
}

fn usb(path: &Path) -> Connection {
    Connection::Usb(UsbDevice::Path(path.to_owned()))
}

#[tokio::test]
async fn a_printer_on_a_device_prints_answers_and_confirms() {
    for (speaks, language, proof) in [
        (Speaks::Zpl, Language::Zpl, Proof::Confirmed),
        (Speaks::Escpos, Language::Escpos, Proof::Accepted),
        (Speaks::Epl, Language::Epl, Proof::Accepted),
        (Speaks::Tspl, Language::Tspl, Proof::Accepted),
    ] {
        for is_serial in [false, true] {
            device_prints(speaks, language, proof, is_serial).await;
        }
    }
}

async fn device_prints(speaks: Speaks, language: Language, proof: Proof, is_serial: bool) {
    {
        let (master, path, slave) = pty();
        let machine = Arc::new(Mutex::new(Machine::new(Options {
            width_dots: 816,
            ..Options::new("pty", speaks)
        })));
        let device = Arc::clone(&machine);
        let thread = std::thread::spawn(move || {
            let mut master = std::fs::File::from(master);
            let mut buffer = [0; 4096];
            while let Ok(count @ 1..) = master.read(&mut buffer) {
                let (_, answers) = device.lock().unwrap().feed(&buffer[..count], Timestamp(0));
                master.write_all(&answers).unwrap();
            }
        });
        let connection = if is_serial {
            Connection::parse(&format!("serial:{}?baud=115200", path.display())).unwrap()
        } else {
            usb(&path)
        };
        let printer = Printer::open(settings(connection, language));
        let report = print(&printer).await;
        assert_eq!(
            report.outcome,
            PrintOutcome::Printed { proof },
            "{language:?} {is_serial}"
        );
        {
            let machine = machine.lock().unwrap();
            assert_eq!(machine.labels().len(), 1);
            assert!(machine.labels()[0].image == page(), "{language:?}");
        }
        drop(slave); // the last user gone: the reader ends
        thread.join().unwrap();
    }
}

#[tokio::test]
async fn a_device_that_stops_reading_leaves_the_label_in_doubt_and_blocks_nobody() {
    let (master, path, _slave) = pty();
    let printer = Printer::open(settings(usb(&path), Language::Zpl));
    let mut ticks = 0;
    let report = {
        let printing = print(&printer);
        tokio::pin!(printing);
        loop {
            tokio::select! {
                report = &mut printing => break report,
                () = tokio::time::sleep(Duration::from_millis(10)) => ticks += 1,
            }
        }
    };
    assert!(
        matches!(report.outcome, PrintOutcome::InDoubt { bytes: 1.., .. }),
        "{report:?}"
    );
    assert!(ticks > 5, "the executor stood still");
    drop(master);
}

#[tokio::test]
async fn a_device_that_is_unplugged_is_offline_and_mid_label_in_doubt() {
    let report = print(&Printer::open(settings(
        usb(Path::new("/nonexistent/lp0")),
        Language::Zpl,
    )))
    .await;
    assert!(matches!(
        report.outcome,
        PrintOutcome::NotStarted {
            code: Code::PrinterOffline,
            ..
        }
    ));

    let (master, path, _slave) = pty();
    let printer = Printer::open(settings(usb(&path), Language::Zpl));
    let thread = std::thread::spawn(move || {
        let mut master = std::fs::File::from(master);
        let mut buffer = [0; 1024];
        let mut taken = 0;
        while taken < 8000 {
            taken += master.read(&mut buffer).unwrap_or(0);
        }
    });
    let report = print(&printer).await;
    thread.join().unwrap();
    assert!(
        matches!(report.outcome, PrintOutcome::InDoubt { bytes: 1.., .. }),
        "{report:?}"
    );
}

#[tokio::test]
async fn a_fifo_takes_a_label_without_a_back_channel() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("lp0");
    rustix::fs::mknodat(
        rustix::fs::CWD,
        &path,
        rustix::fs::FileType::Fifo,
        Mode::RUSR | Mode::WUSR,
        0,
    )
    .unwrap();
    let printer = Printer::open(settings(usb(&path), Language::Zpl));
    // Nobody reads it: nothing starts.
    let report = print(&printer).await;
    assert!(matches!(
        report.outcome,
        PrintOutcome::NotStarted {
            code: Code::PrinterOffline,
            ..
        }
    ));

    let reader_path = path.clone();
    let (ready, is_ready) = tokio::sync::oneshot::channel();
    let reader = std::thread::spawn(move || {
        let flags = OFlags::RDONLY | OFlags::NONBLOCK;
        let fd = rustix::fs::open(&reader_path, flags, Mode::empty()).unwrap();
        ready.send(()).unwrap();
        rustix::fs::fcntl_setfl(&fd, OFlags::empty()).unwrap();
        let mut file = std::fs::File::from(fd);
        let mut bytes = Vec::new();
        let mut buffer = [0; 4096];
        while !bytes.ends_with(b"^XZ\n") {
            match file.read(&mut buffer) {
                Ok(0) => std::thread::yield_now(), // no writer yet
                Ok(count) => bytes.extend_from_slice(&buffer[..count]),
                Err(error) => panic!("{error}"),
            }
        }
        bytes
    });
    is_ready.await.unwrap();
    let report = print(&printer).await;
    assert_eq!(
        report.outcome,
        PrintOutcome::Printed { proof: Proof::Sent },
        "{report:?}"
    );
    assert!(reader.join().unwrap().len() as u64 >= report.bytes);
}

#[tokio::test]
async fn a_file_printer_writes_one_named_file_per_page_and_nothing_outside() {
    let dir = tempfile::tempdir().unwrap();
    let labels = dir.path().join("labels");
    let printer = Printer::open(settings(Connection::File(labels.clone()), Language::Auto));
    let report = printer.print(job("../../etc/x"), || ()).await;
    assert_eq!(
        report.outcome,
        PrintOutcome::Printed {
            proof: Proof::Confirmed
        }
    );
    let report = printer.print(job("WEB-7"), || ()).await;
    assert_eq!(
        report.outcome,
        PrintOutcome::Printed {
            proof: Proof::Confirmed
        }
    );
    let raw = Job {
        content: PageBytes::Raw {
            language: Language::Zpl,
            bytes: b"^XA^XZ".to_vec(),
        },
        ..job("WEB-8")
    };
    printer.print(raw, || ()).await;
    let mut names: Vec<String> = std::fs::read_dir(&labels)
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    names.sort();
    assert_eq!(
        names,
        [
            "1700000000000-WEB-7-2of3.png",
            "1700000000000-WEB-8-2of3.zpl",
            "1700000000000-_._.__etc_x-2of3.png",
        ]
    );
    assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 1);
    let picture = image::open(labels.join("1700000000000-WEB-7-2of3.png"))
        .unwrap()
        .to_luma8();
    let page = page();
    assert!(
        picture
            .enumerate_pixels()
            .all(|(x, y, p)| (p.0[0] == 0) == page.is_black(x, y))
    );
}

#[tokio::test]
async fn a_file_printer_without_its_directory_does_not_start() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("file");
    std::fs::File::create(&file).unwrap();
    let printer = Printer::open(settings(
        Connection::File(file.join("below")),
        Language::Png,
    ));
    assert!(!printer.status().await.ready);
    let report = print(&printer).await;
    assert!(
        matches!(report.outcome, PrintOutcome::NotStarted { .. }),
        "{report:?}"
    );
}
