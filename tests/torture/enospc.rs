//! A card that fills up while the ledger writes: what was acknowledged stays, with and without room.

use crate::engine::run_check;
use crate::util::{Model, Options, marks, remove_dir, shell};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

pub fn run(options: &Options) -> bool {
    let base = options.dir();
    remove_dir(&base);
    std::fs::create_dir_all(base.join("mnt")).unwrap();
    let image = format!("/dev/shm/printstation-enospc-{}.img", std::process::id());
    let mount = base.join("mnt");
    let shown = mount.display();
    shell(&format!(
        "truncate -s 160M {image} && mkfs.ext4 -F -q -b 4096 -m 0 -J size=4 {image} && mount -o loop,noatime {image} {shown} && mkdir {shown}/db"
    ))
    .unwrap();
    let good = fill(options, &base);
    shell(&format!("umount {shown}; rm -f {image}")).unwrap();
    remove_dir(&base);
    good
}

fn fill(options: &Options, base: &std::path::Path) -> bool {
    let mount = base.join("mnt");
    let shown = mount.display();
    let free = shell(&format!("df --output=avail -k {shown} | tail -1")).unwrap();
    let free: u64 = free.parse().unwrap();
    let filler = free - options.number("free", 6_000);
    shell(&format!("fallocate -l {filler}k {shown}/filler")).unwrap();
    let (db, reported) = (mount.join("db"), base.join("marks"));
    let mut child = Command::new(std::env::current_exe().unwrap())
        .args([
            "run", "writer", "--ops", "30000", "--putpct", "60", "--cap", "500", "--dir",
        ])
        .arg(&db)
        .stdout(std::fs::File::create(&reported).unwrap())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let start = Instant::now();
    while child.try_wait().unwrap().is_none() && start.elapsed() < Duration::from_secs(180) {
        std::thread::sleep(Duration::from_millis(20));
    }
    child.kill().unwrap();
    let said = child.wait_with_output().unwrap().stderr;
    let said = String::from_utf8_lossy(&said);
    let mut model = Model::default();
    for (tag, id) in marks(&std::fs::read(&reported).unwrap()) {
        model.mark(tag, id);
    }
    println!(
        "enospc: {} orders; the writer: {}",
        model.0.len(),
        said.lines().next().unwrap_or("ended")
    );
    let mut good = !model.0.is_empty();
    for phase in ["disk still full", "space freed", "again"] {
        if phase == "space freed" {
            std::fs::remove_file(mount.join("filler")).unwrap();
        }
        match run_check(options, &db, model.ids(), true) {
            Ok(report) => {
                let verdict = model.compare(&report);
                println!(
                    "RESULT enospc {phase}: opens, lost={} resurrected={} corrupt={}",
                    verdict.lost.len(),
                    verdict.resurrected.len(),
                    verdict.corrupt.len() + verdict.alien.len()
                );
                good &= verdict.is_good();
            }
            Err(error) => {
                println!("RESULT enospc {phase}: does not open: {error}");
                good &= phase == "disk still full";
            }
        }
    }
    good
}
