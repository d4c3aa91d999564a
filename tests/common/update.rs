//! For tests of the update: programs made by hand, an installed station, a release folder, and a
//! server that can be made toxic.

#![allow(
    dead_code,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::cast_possible_truncation,
    clippy::cast_possible_wrap,
    reason = "each test binary uses its own part; a test stops at the first surprise"
)]

use printstation::domain::{Moment, Mono, Timestamp};
use printstation::update::policy::Ask;
use printstation::update::release::{self, Changes, NewRelease, Role};
use printstation::update::slots::{self, Link, Slot, Slots};
use printstation::update::trial::Terms;
use printstation::update::version::{Version, own_target};
use printstation::update::{Ended, Settings, Step, UpdateError, Updater};
use std::io::{self, BufRead as _, BufReader, Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant, SystemTime};

/// A version.
pub fn version(text: &str) -> Version {
    text.parse().unwrap()
}

/// This machine's target.
pub fn target() -> &'static str {
    own_target().expect("tests run where updates are made for")
}

/// What a program does after it has said its line.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Then {
    /// Ends with this code.
    Exit(u8),
    /// Runs for ever.
    Hang,
}

/// A whole ELF program for this machine that says `says` and then does `then`. `padding` bytes that
/// do not pack make it as long as wanted.
pub fn program(says: &str, then: Then, padding: usize) -> Vec<u8> {
    let length = u32::try_from(says.len()).unwrap();
    let (machine, code): (u16, Vec<u8>) = if cfg!(target_arch = "x86_64") {
        // write(1, text, length); exit(code)
        let mut code = vec![
            0xb8, 1, 0, 0, 0, 0xbf, 1, 0, 0, 0, 0x48, 0x8d, 0x35, 19, 0, 0, 0, 0xba,
        ];
        code.extend(length.to_le_bytes());
        code.extend([0x0f, 0x05]);
        match then {
            Then::Exit(with) => {
                code.extend([0xb8, 60, 0, 0, 0, 0xbf, with, 0, 0, 0, 0x0f, 0x05]);
            }
            Then::Hang => code.extend([0xeb, 0xfe, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0]),
        }
        (62, code)
    } else if cfg!(target_arch = "aarch64") {
        let end = match then {
            Then::Exit(with) => [0xd280_0ba8, 0xd280_0000 | u32::from(with) << 5, 0xd400_0001],
            Then::Hang => [0x1400_0000, 0, 0],
        };
        let words = [
            0xd280_0808, // mov x8, #64 (write)
            0xd280_0020, // mov x0, #1
            0x1000_00c1, // adr x1, text
            0xd280_0002 | length << 5,
            0xd400_0001, // svc 0
        ];
        let all = words.iter().chain(&end);
        (183, all.flat_map(|word| word.to_le_bytes()).collect())
    } else {
        panic!("no program for this machine is known to the tests")
    };
    let mut body = code;
    body.extend(says.as_bytes());
    let mut noise = 0x9e37_79b9_7f4a_7c15u64;
    body.extend((0..padding).map(|_| {
        noise ^= noise << 13;
        noise ^= noise >> 7;
        noise ^= noise << 17;
        noise.to_le_bytes()[3]
    }));
    let (base, head) = (0x40_0000u64, 64 + 56u64);
    let mut elf = b"\x7fELF\x02\x01\x01\0\0\0\0\0\0\0\0\0".to_vec();
    elf.extend(2u16.to_le_bytes());
    elf.extend(machine.to_le_bytes());
    elf.extend(1u32.to_le_bytes());
    elf.extend((base + head).to_le_bytes());
    elf.extend(64u64.to_le_bytes());
    elf.extend(0u64.to_le_bytes());
    elf.extend(0u32.to_le_bytes());
    for half in [64u16, 56, 1, 0, 0, 0] {
        elf.extend(half.to_le_bytes());
    }
    // One segment: everything, readable and executable.
    elf.extend(1u32.to_le_bytes());
    elf.extend(5u32.to_le_bytes());
    let whole = head + body.len() as u64;
    for word in [0, base, base, whole, whole, 0x1000] {
        elf.extend(word.to_le_bytes());
    }
    elf.extend(body);
    elf
}

/// A release's program: says what `self-check` must say.
pub fn good_program(version: &str, padding: usize) -> Vec<u8> {
    program(&says(version), Then::Exit(0), padding)
}

/// What the self-check of a version says.
pub fn says(version: &str) -> String {
    format!("printstation {version} {}\n", target())
}

/// How the server treats the next answers.
#[derive(Clone, Debug, Default)]
pub struct Toxic {
    /// Breaks off after so many bytes of a body, so many times.
    pub cut: Option<(usize, u32)>,
    /// Turns this byte of a body over.
    pub flip: Option<usize>,
    /// Stops sending after so many bytes and keeps the connection.
    pub stall: Option<usize>,
    /// Announces so many bytes more than there are.
    pub longer: i64,
    /// Sends more than was announced, and no length.
    pub endless: bool,
    /// Answers ranges with the whole.
    pub deaf: bool,
    /// Answers ranges from another place, as if it were the right one, so many times.
    pub lie: u32,
    /// Sends to `/moved/…` first.
    pub redirect: bool,
    /// Answers with this status.
    pub status: Option<u16>,
}

/// A static web server with moods. Moods are for archives only, except `status`.
pub struct Server {
    pub url: String,
    pub toxic: Arc<Mutex<Toxic>>,
    /// Bytes of archives' bodies that were sent.
    pub sent: Arc<AtomicU64>,
    /// First lines of requests.
    pub asked: Arc<Mutex<Vec<String>>>,
}

impl Server {
    pub fn start(dir: &Path) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let server = Self {
            url: format!("http://{}/channel.json", listener.local_addr().unwrap()),
            toxic: Arc::default(),
            sent: Arc::default(),
            asked: Arc::default(),
        };
        let (dir, toxic) = (dir.to_owned(), Arc::clone(&server.toxic));
        let (sent, asked) = (Arc::clone(&server.sent), Arc::clone(&server.asked));
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let (dir, toxic) = (dir.clone(), Arc::clone(&toxic));
                let (sent, asked) = (Arc::clone(&sent), Arc::clone(&asked));
                // A client that goes away is what some tests are about.
                std::thread::spawn(move || drop(answer(stream, &dir, &toxic, &sent, &asked)));
            }
        });
        server
    }

    pub fn mood(&self, toxic: Toxic) {
        *self.toxic.lock().unwrap() = toxic;
        self.sent.store(0, Ordering::SeqCst);
        self.asked.lock().unwrap().clear();
    }
}

fn answer(
    mut stream: TcpStream,
    dir: &Path,
    toxic: &Mutex<Toxic>,
    sent: &AtomicU64,
    asked: &Mutex<Vec<String>>,
) -> io::Result<()> {
    let mut reader = BufReader::new(stream.try_clone()?);
    let mut first = String::new();
    reader.read_line(&mut first)?;
    let mut range = None;
    loop {
        let mut line = String::new();
        if reader.read_line(&mut line)? == 0 || line == "\r\n" {
            break;
        }
        if let Some(from) = line.to_ascii_lowercase().strip_prefix("range: bytes=") {
            range = from.trim().trim_end_matches('-').parse::<usize>().ok();
        }
    }
    let path = first.split(' ').nth(1).unwrap_or("/").to_owned();
    asked.lock().unwrap().push(path.clone());
    let is_archive = path.ends_with(".tar.gz");
    let mood = {
        let mut toxic = toxic.lock().unwrap();
        let now = toxic.clone();
        if is_archive {
            if let Some((_, times)) = &mut toxic.cut {
                *times = times.saturating_sub(1);
            }
            if toxic.cut.is_some_and(|(_, times)| times == 0) {
                toxic.cut = None;
            }
            if range.is_some_and(|from| from > 0) {
                toxic.lie = toxic.lie.saturating_sub(1);
            }
        }
        if is_archive || now.status.is_some() {
            now
        } else {
            Toxic::default()
        }
    };
    if let Some(status) = mood.status {
        write!(
            stream,
            "HTTP/1.1 {status} No\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"
        )?;
        return Ok(());
    }
    if mood.redirect && !path.starts_with("/moved/") {
        write!(
            stream,
            "HTTP/1.1 302 Found\r\nLocation: /moved{path}\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"
        )?;
        return Ok(());
    }
    let name = path.trim_start_matches("/moved").trim_start_matches('/');
    let Ok(whole) = std::fs::read(dir.join(name)) else {
        write!(
            stream,
            "HTTP/1.1 404 No\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"
        )?;
        return Ok(());
    };
    let mut body = whole.clone();
    if let Some(at) = mood.flip {
        body[at] ^= 0x55;
    }
    let from = range.filter(|from| !mood.deaf && *from < body.len());
    let part = match from {
        Some(from) if from > 0 && mood.lie > 0 => {
            let wrong = from / 2;
            body[wrong..wrong + (body.len() - from)].to_vec()
        }
        Some(from) => body[from..].to_vec(),
        None => body,
    };
    let status = if from.is_some() {
        "206 Partial Content"
    } else {
        "200 OK"
    };
    write!(stream, "HTTP/1.1 {status}\r\nConnection: close\r\n")?;
    if mood.endless {
        write!(stream, "\r\n")?;
    } else {
        let length = part.len() as i64 + mood.longer;
        write!(stream, "Content-Length: {length}\r\n\r\n")?;
    }
    let mut stop = part.len();
    if let Some((after, _)) = mood.cut {
        stop = stop.min(after);
    }
    if let Some(after) = mood.stall {
        stop = stop.min(after);
    }
    for piece in part[..stop].chunks(1000) {
        stream.write_all(piece)?;
        if is_archive {
            sent.fetch_add(piece.len() as u64, Ordering::SeqCst);
        }
    }
    if mood.endless {
        // More than any limit, less than for ever.
        for _ in 0..100_000 {
            stream.write_all(&[7; 1000])?;
        }
    }
    if mood.stall.is_some() {
        // Until the other side has had enough.
        drop(stream.read(&mut [0; 1]));
    }
    Ok(())
}

/// Both clocks, with the wall clock set by the test.
pub struct TestClock {
    started: Instant,
    pub wall: Mutex<Option<Timestamp>>,
}

impl TestClock {
    #[expect(clippy::disallowed_methods, reason = "tests read the clock")]
    pub fn new() -> Self {
        Self {
            started: Instant::now(),
            wall: Mutex::new(None),
        }
    }

    #[expect(clippy::disallowed_methods, reason = "tests read the clock")]
    pub fn now(&self) -> Moment {
        let since = SystemTime::now()
            .duration_since(SystemTime::UNIX_EPOCH)
            .unwrap();
        let wall = Timestamp(i64::try_from(since.as_millis()).unwrap());
        Moment {
            wall: self.wall.lock().unwrap().unwrap_or(wall),
            mono: Mono(u64::try_from(self.started.elapsed().as_millis()).unwrap()),
        }
    }
}

/// What the restarted station does, as a shell script that begins with the slot guard.
pub const PROVES_ITSELF: &str =
    "guard && cp \"$ROOT/current/VERSION\" \"$STATE/confirmed\" && rm -f \"$STATE/trial\"";
/// Starts three times and never becomes ready.
pub const CRASHES: &str = "guard && guard && guard";

/// An installed station, keys, and a release folder with its server.
pub struct World {
    pub dir: tempfile::TempDir,
    pub server: Server,
    pub clock: TestClock,
}

impl World {
    /// 1.0.0 in slot a.
    pub fn new() -> Self {
        let dir = tempfile::Builder::new()
            .prefix("ps-update-")
            .tempdir()
            .unwrap();
        let root = dir.path().join("opt");
        std::fs::create_dir_all(root.join("slots/a")).unwrap();
        std::fs::create_dir_all(dir.path().join("state/update")).unwrap();
        std::fs::create_dir_all(dir.path().join("out")).unwrap();
        put(
            &root.join("slots/a/printstation"),
            &good_program("1.0.0", 0),
        );
        slots::seal(&root.join("slots/a"), &version("1.0.0")).unwrap();
        Slots::at(&root).point(Link::Current, Slot::A).unwrap();
        for (name, role) in [("root", Role::Root), ("one", Role::Release)] {
            release::make_key(&dir.path().join("private"), name, role).unwrap();
        }
        let world = Self {
            server: Server::start(&dir.path().join("out")),
            clock: TestClock::new(),
            dir,
        };
        world.believe(&["root", "one"]);
        world.station_does(PROVES_ITSELF);
        world
    }

    pub fn path(&self, below: &str) -> PathBuf {
        self.dir.path().join(below)
    }

    pub fn slots(&self) -> Slots {
        Slots::at(&self.path("opt"))
    }

    /// The station believes these keys from the start.
    pub fn believe(&self, names: &[&str]) {
        let keys = self.path("keys");
        drop(std::fs::remove_dir_all(&keys));
        std::fs::create_dir(&keys).unwrap();
        for name in names {
            let file = format!("{name}.pub");
            std::fs::copy(self.path("private").join(&file), keys.join(&file)).unwrap();
        }
    }

    pub fn private(&self, name: &str) -> Vec<zipsign_api::SigningKey> {
        release::read_keys(&[self.path("private").join(format!("{name}.key"))]).unwrap()
    }

    /// Adds a release with this program, signed by `key`.
    pub fn release_program(&self, number: &str, program: &[u8], key: &str) {
        let file = self.path(&format!("program-{number}"));
        put(&file, program);
        let new = NewRelease {
            version: version(number),
            programs: vec![(target().to_owned(), file)],
            min_from: None,
            rollout_hours: 0,
            mandatory: false,
        };
        self.publish(Some(&new), &self.changes(), key);
    }

    /// Adds a good release.
    pub fn release(&self, number: &str) {
        self.release_program(number, &good_program(number, 200_000), "one");
    }

    pub fn changes(&self) -> Changes {
        Changes {
            life: Duration::from_secs(30 * 86_400),
            ..Changes::default()
        }
    }

    pub fn publish(&self, new: Option<&NewRelease>, changes: &Changes, key: &str) {
        release::publish_channel(
            &self.path("out"),
            &self.private(key),
            new,
            changes,
            self.clock.now().wall,
        )
        .unwrap();
    }

    pub fn archive(&self, number: &str) -> PathBuf {
        self.path("out")
            .join(format!("printstation-{number}-{}.tar.gz", target()))
    }

    /// What happens when the station is restarted.
    pub fn station_does(&self, what: &str) {
        let guard = concat!(env!("CARGO_MANIFEST_DIR"), "/systemd/slot-guard");
        let script = format!(
            "#!/bin/sh\nset -e\nROOT={root:?}\nSTATE={state:?}\nguard() {{ sh {guard:?} --root \"$ROOT\" --state \"$STATE\" 2>>{log:?}; }}\n{what}\n",
            root = self.path("opt"),
            state = self.path("state/update"),
            log = self.path("guard.log"),
        );
        put(&self.path("restart"), script.as_bytes());
    }

    pub fn settings(&self) -> Settings {
        let mut settings = Settings::installed(&self.path("state"), "bench-1");
        settings.root = self.path("opt");
        settings.keys = self.path("keys");
        settings.url = Some(self.server.url.clone());
        settings.restart = vec![
            "/bin/sh".to_owned(),
            self.path("restart").display().to_string(),
        ];
        settings.terms = Terms {
            soak_ms: 0,
            deadline_ms: 0,
            ..Terms::default()
        };
        settings.margin = Duration::from_secs(2);
        settings.limits.silence = Duration::from_millis(500);
        settings.limits.pause = Duration::ZERO;
        settings.patience = Duration::from_secs(20);
        settings.volatile_ok = true;
        settings
    }

    pub fn apply_with(
        &self,
        settings: Settings,
        ask: &Ask,
        reached: &dyn Fn(Step) -> io::Result<()>,
    ) -> Result<Ended, UpdateError> {
        let now = || self.clock.now();
        Updater::new(settings, &now, reached).apply(ask)
    }

    pub fn apply(&self) -> Result<Ended, UpdateError> {
        self.apply_with(self.settings(), &Ask::default(), &|_| Ok(()))
    }

    pub fn rollback(&self) -> Result<Ended, UpdateError> {
        let now = || self.clock.now();
        Updater::new(self.settings(), &now, &|_| Ok(())).rollback()
    }

    pub fn status(&self) -> serde_json::Value {
        let now = || self.clock.now();
        Updater::new(self.settings(), &now, &|_| Ok(()))
            .status()
            .unwrap()
    }

    /// The version that a start of the station would start, after its guard.
    pub fn starts(&self) -> Version {
        let guard = concat!(env!("CARGO_MANIFEST_DIR"), "/systemd/slot-guard");
        let out = std::process::Command::new("sh")
            .arg(guard)
            .arg("--root")
            .arg(self.path("opt"))
            .arg("--state")
            .arg(self.path("state/update"))
            .output()
            .unwrap();
        assert!(out.status.success(), "{out:?}");
        self.sane();
        let program = self.path("opt/current/printstation");
        let said = std::process::Command::new(program).output().unwrap();
        let said = String::from_utf8(said.stdout).unwrap();
        let number = said.split(' ').nth(1).unwrap_or_else(|| panic!("{said:?}"));
        version(number)
    }

    /// `current` is whole, and `previous`, where it is, as well.
    pub fn sane(&self) {
        let slots = self.slots();
        let current = slots.read(Link::Current).unwrap().expect("current");
        slots.check(current).unwrap();
        if let Some(previous) = slots.read(Link::Previous).unwrap() {
            slots.check(previous).unwrap();
        }
    }
}

/// Writes a file of a test.
#[expect(clippy::disallowed_methods, reason = "tests need no durability")]
pub fn put(path: &Path, bytes: &[u8]) {
    std::fs::write(path, bytes).unwrap();
}
