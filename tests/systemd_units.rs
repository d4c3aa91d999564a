//! The units under `systemd/`: systemd itself accepts them, nothing of them is more exposed than it
//! need be, and they keep what the rest of the program counts on.
//!
//! Where systemd's tools are missing the checks by them are skipped, loudly; the others never are.

#![expect(
    clippy::unwrap_used,
    clippy::disallowed_methods,
    clippy::print_stdout,
    reason = "a test fails where the ground gives way under it, and says what it skips"
)]

use std::path::{Path, PathBuf};
use std::process::{Command, Output};

/// Highest exposure of any unit, in tenths.
const EXPOSURE: &str = "20";
const PROGRAM: &str = "/opt/printstation/current/printstation";
const GUARD: &str = "/opt/printstation/guard";

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("systemd")
}

fn units(ending: &str) -> Vec<(String, String)> {
    let mut all: Vec<(String, String)> = std::fs::read_dir(folder())
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.extension().is_some_and(|e| e == ending))
        .map(|path| {
            let name = path.file_name().unwrap().to_string_lossy().into_owned();
            (name, std::fs::read_to_string(path).unwrap())
        })
        .collect();
    all.sort();
    assert!(!all.is_empty(), "no .{ending} in systemd/");
    all
}

fn unit(name: &str) -> String {
    std::fs::read_to_string(folder().join(name)).unwrap()
}

/// Every value that a unit gives a key, in order.
fn values<'a>(unit: &'a str, key: &str) -> Vec<&'a str> {
    unit.lines()
        .filter_map(|line| line.strip_prefix(key)?.strip_prefix('='))
        .collect()
}

fn seconds(unit: &str, key: &str) -> u64 {
    values(unit, key)[0].parse().unwrap()
}

/// Runs a tool; None (and a loud word) where the machine has not got it.
fn tool(name: &str, arguments: &[&str], files: &[PathBuf]) -> Option<Output> {
    match Command::new(name).args(arguments).args(files).output() {
        Ok(output) => Some(output),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
            println!("SKIPPED: this machine has no {name}");
            None
        }
        Err(error) => panic!("{name}: {error}"),
    }
}

fn said(output: &Output) -> String {
    let both = [&output.stdout[..], &output.stderr[..]].concat();
    String::from_utf8_lossy(&both).into_owned()
}

/// The units as `systemd-analyze verify` can read them where nothing is installed: their programs
/// are stood in for, everything else is as it ships.
fn stood_in(dir: &Path, change: impl Fn(String) -> String) -> Vec<PathBuf> {
    let mut files = Vec::new();
    for (name, text) in [units("service"), units("timer")].concat() {
        let text = change(
            text.replace(PROGRAM, "/bin/true")
                .replace(GUARD, "/bin/true"),
        );
        let path = dir.join(name);
        std::fs::write(&path, text).unwrap();
        files.push(path);
    }
    files
}

#[test]
fn systemd_reads_every_unit_without_a_word() {
    let dir = tempfile::tempdir().unwrap();
    let verify = ["verify", "--man=no"];
    let wrong = stood_in(dir.path(), |text| text.replace("TasksMax", "TaskMax"));
    let Some(output) = tool("systemd-analyze", &verify, &wrong) else {
        return;
    };
    assert!(
        said(&output).contains("TaskMax"),
        "a misspelt key is not seen"
    );
    let right = stood_in(dir.path(), |text| text);
    let output = tool("systemd-analyze", &verify, &right).unwrap();
    let about_ours: Vec<String> = said(&output)
        .lines()
        .filter(|line| line.contains("printstation"))
        .map(str::to_owned)
        .collect();
    assert!(about_ours.is_empty(), "{about_ours:#?}");
    assert!(output.status.success(), "{}", said(&output));
}

#[test]
fn no_unit_is_more_exposed_than_2_0() {
    let dir = tempfile::tempdir().unwrap();
    let threshold = format!("--threshold={EXPOSURE}");
    let security = ["security", "--no-pager", "--offline=true", &threshold];
    let bare = dir.path().join("bare.service");
    std::fs::write(&bare, "[Service]\nExecStart=/bin/true\nUser=printstation\n").unwrap();
    let Some(output) = tool("systemd-analyze", &security, &[bare]) else {
        return;
    };
    assert!(!output.status.success(), "a unit without hardening passes");
    for (name, _) in units("service") {
        let output = tool("systemd-analyze", &security, &[folder().join(&name)]).unwrap();
        let text = said(&output);
        println!("{}", text.lines().last().unwrap_or_default());
        assert!(output.status.success(), "{name}: {text}");
    }
}

#[test]
fn the_station_prints_without_a_network_and_never_gives_up() {
    let station = unit("printstation.service");
    assert!(
        !station
            .lines()
            .any(|l| !l.starts_with('#') && l.contains("network-online"))
    );
    assert_eq!(values(&station, "StartLimitIntervalSec"), ["0"]);
    assert_eq!(values(&station, "Restart"), ["always"]);
    let hopeless: Vec<&str> = values(&station, "RestartPreventExitStatus")[0]
        .split(' ')
        .collect();
    assert!(
        hopeless.contains(&"78"),
        "a bad configuration is retried for ever"
    );
    assert_eq!(values(&station, "Type"), ["notify"]);
    assert!(seconds(&station, "WatchdogSec") >= 10);
}

#[test]
fn a_stop_has_longer_than_the_drain_and_the_closing_of_the_ledger() {
    // GRACE of runtime::service, WEB_GRACE, and the steps of Ledger::close.
    let service = include_str!("../src/runtime/service.rs");
    let grace = "const GRACE: Duration = Duration::from_secs(75);";
    assert!(
        service.contains(grace),
        "the drain takes another time: TimeoutStopSec, too?"
    );
    let station = unit("printstation.service");
    assert!(seconds(&station, "TimeoutStopSec") >= 75 + 2 + 4 * 15);
    // The worker goes with the station: SIGTERM is for the main process alone.
    assert_eq!(values(&station, "KillMode"), ["mixed"]);
}

#[test]
fn the_station_reaches_its_devices_and_its_board() {
    let station = unit("printstation.service");
    let groups = values(&station, "SupplementaryGroups")[0];
    assert_eq!(groups, "gpio input lp dialout");
    // rppal reads /proc/cpuinfo.
    assert_eq!(values(&station, "ProcSubset"), ["all"]);
    assert_eq!(values(&station, "PrivateDevices"), ["no"]);
    let devices = values(&station, "DeviceAllow");
    // rppal opens gpiochip0, 1, 2… and stops at the first that it may not open.
    assert!(devices.contains(&"char-gpiochip rw"));
    for device in [
        "char-usb rw",
        "char-input r",
        "char-ttyUSB rw",
        "char-ttyACM rw",
    ] {
        assert!(devices.contains(&device), "{device}");
    }
    // A path would be dropped when the printer is not there at the start.
    assert!(
        !devices
            .iter()
            .any(|d| d.starts_with("/dev/usb") || d.contains("usblp"))
    );
}

#[test]
fn memory_ends_the_worker_not_the_station() {
    let station = unit("printstation.service");
    assert_eq!(values(&station, "MemoryMax"), ["256M"]);
    assert_eq!(values(&station, "OOMPolicy"), ["continue"]);
}

#[test]
fn the_update_has_no_capability_and_the_station_cannot_write_its_own_program() {
    let update = unit("printstation-update.service");
    assert_eq!(values(&update, "CapabilityBoundingSet"), [""]);
    assert_eq!(
        values(&update, "ReadWritePaths"),
        ["/opt/printstation /var/lib/printstation/update"]
    );
    let station = unit("printstation.service");
    assert_eq!(values(&station, "User"), ["printstation"]);
    assert_eq!(values(&station, "ProtectSystem"), ["strict"]);
    assert_eq!(values(&station, "ReadWritePaths"), Vec::<&str>::new());
}

#[test]
fn udev_rules_name_and_tag_and_give_nobody_a_right_but_to_scales() {
    let rules = unit("70-printstation.rules");
    // The system gives hidraw devices to root alone: the makers of scales are the one exception.
    let scales = |line: &str| {
        line.starts_with("SUBSYSTEM==\"hidraw\", ATTRS{idVendor}==\"")
            && line.contains(" GROUP=\"input\", MODE=\"0640\",")
    };
    let rules = rules.lines().filter(|line| !line.starts_with('#'));
    assert_eq!(rules.clone().filter(|line| scales(line)).count(), 1);
    for line in rules.filter(|line| !scales(line)) {
        for word in ["MODE", "OWNER", "GROUP", "RUN", "PROGRAM", "IMPORT"] {
            assert!(
                !line.contains(&format!("{word}=")) && !line.contains(&format!("{word}+=")),
                "{line}"
            );
        }
    }
}

#[test]
fn users_and_folders_are_made_as_the_units_need_them() {
    let dir = tempfile::tempdir().unwrap();
    let root = dir.path().join("root");
    std::fs::create_dir_all(root.join("etc")).unwrap();
    let at = format!("--root={}", root.display());
    // It wants a name that ends in .conf.
    let users = dir.path().join("printstation.conf");
    std::fs::copy(folder().join("printstation.sysusers"), &users).unwrap();
    let Some(output) = tool("systemd-sysusers", &[&at], &[users]) else {
        return;
    };
    if !output.status.success() {
        println!(
            "SKIPPED: systemd-sysusers cannot work here: {}",
            said(&output)
        );
        return;
    }
    let passwd = std::fs::read_to_string(root.join("etc/passwd")).unwrap();
    assert!(passwd.contains("printstation:x:"), "{passwd}");
    assert!(passwd.contains("nologin"), "{passwd}");
    let folders = folder().join("printstation.tmpfiles");
    let Some(output) = tool("systemd-tmpfiles", &[&at, "--create"], &[folders]) else {
        return;
    };
    if !output.status.success() {
        println!(
            "SKIPPED: folders cannot be given to others here (not root?): {}",
            said(&output)
        );
        return;
    }
    use std::os::unix::fs::PermissionsExt as _;
    for (path, mode) in [
        ("etc/printstation", 0o2750),
        ("etc/printstation/credentials", 0o700),
        ("var/lib/printstation", 0o750),
        ("var/lib/printstation/update", 0o770),
        ("opt/printstation/slots/b", 0o755),
    ] {
        let found = std::fs::metadata(root.join(path))
            .unwrap()
            .permissions()
            .mode()
            & 0o7777;
        assert_eq!(found, mode, "{path}: {found:o}");
    }
}
