//! A disk whose power can be cut: a file system of which every block write and flush is logged, and
//! what a prefix of that log leaves behind.

use crate::fuselog::{self, Ent};
use crate::util::{Options, Rng, remove_dir, shell};
use std::collections::BTreeSet;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

/// What survives of the writes after the last completed flush: all, none, a random half of the 4 KiB
/// or of the 512-byte pieces.
pub const MODELS: [&str; 4] = ["through", "cache-lost", "subset-4k", "subset-512"];
const BLOCK: usize = 4096;
/// Blocks of a group: few, so that a small disk has a second one, and in it the copy of the superblock that a
/// card's file system has many of.
const GROUP: u32 = 8192;

pub fn must(command: &str) -> String {
    shell(command).unwrap()
}

/// Mounts a disk whose power was cut. One that does not mount (its superblock is two sectors, and the power went
/// between them) is repaired first, as a Pi does at every start (`fsck.repair=yes`); whether it was is said.
pub fn mount_as_at_boot(image: &Path, at: &Path) -> Result<bool, String> {
    let (from, to) = (image.display(), at.display());
    let mount = format!("mount -t ext4 -o loop,noatime {from} {to}");
    let Err(first) = shell(&mount) else {
        return Ok(false);
    };
    // From the copy of the superblock that each second group of blocks has. 1 and 2: repaired.
    shell(&format!(
        "e2fsck -fy -B 4096 -b {GROUP} {from} 2>&1; [ $? -le 2 ] && {mount}"
    ))
    .map(|_| true)
    .map_err(|second| format!("{first}; repaired: {second}"))
}

/// Runs in a directory with mount points, and one in memory for images.
pub fn in_rooms(options: &Options, work: impl FnOnce(&Path, &Path) -> bool) -> bool {
    let base = options.dir();
    remove_dir(&base);
    for dir in ["fuse", "mnt", "mnt2"] {
        std::fs::create_dir_all(base.join(dir)).unwrap();
    }
    let memory = PathBuf::from(format!(
        "/dev/shm/printstation-torture-{}",
        std::process::id()
    ));
    std::fs::create_dir_all(&memory).unwrap();
    let good = work(&base, &memory);
    remove_dir(&memory);
    remove_dir(&base);
    good
}

/// An empty file system of so many MiB.
pub fn blank(memory: &Path, mib: u64) -> Vec<u8> {
    let size = usize::try_from(mib << 20).unwrap();
    let image = memory.join("mkfs.img");
    must(&format!(
        "truncate -s {size} {0} && mkfs.ext4 -F -q -b 4096 -g {GROUP} -J size=4 -E lazy_itable_init=0,lazy_journal_init=0 {0}",
        image.display()
    ));
    let bytes = std::fs::read(&image).unwrap();
    std::fs::remove_file(&image).unwrap();
    bytes
}

/// A mounted file system that logs what reaches its disk.
pub struct Logged {
    base: PathBuf,
    pub log: fuselog::Shared,
    session: fuser::BackgroundSession,
    device: String,
}

impl Logged {
    /// With this content, at `base/mnt`.
    pub fn mount(base: &Path, disk: Vec<u8>) -> Self {
        let shown = base.display();
        let log = Arc::new(Mutex::new(fuselog::Log {
            disk,
            ents: Vec::new(),
            t0: Instant::now(),
        }));
        let session = fuselog::mount(&base.join("fuse"), log.clone());
        let device = must(&format!("losetup -f --show {shown}/fuse/disk"));
        must(&format!("mount -t ext4 -o noatime {device} {shown}/mnt"));
        Self {
            base: base.to_owned(),
            log,
            session,
            device,
        }
    }

    pub fn at(&self) -> PathBuf {
        self.base.join("mnt")
    }

    /// Everything so far is on the disk and in the log; how long that is.
    pub fn settled(&self) -> usize {
        must(&format!("sync -f {}", self.at().display()));
        self.log.lock().unwrap().ents.len()
    }

    /// Unmounts, and gives what was logged until then.
    pub fn finish(self) -> Vec<(u64, Ent)> {
        let end = self.log.lock().unwrap().ents.len();
        let shown = self.base.display();
        must(&format!("umount {shown}/mnt && losetup -d {}", self.device));
        // The loop device lets go of its file a little later.
        let backing = format!(
            "/sys/block/{}/loop/backing_file",
            self.device.trim_start_matches("/dev/")
        );
        for _ in 0..500 {
            if !Path::new(&backing).exists() {
                break;
            }
            std::thread::sleep(Duration::from_millis(20));
        }
        std::thread::sleep(Duration::from_millis(200));
        if let Err(error) = self.session.umount_and_join() {
            eprintln!("fuse: {error}");
            if let Err(error) = shell(&format!("umount -l {shown}/fuse")) {
                eprintln!("{error}");
            }
        }
        let mut entries = std::mem::take(&mut self.log.lock().unwrap().ents);
        entries.truncate(end);
        entries
    }
}

/// A log, followed up to some point.
pub struct Replay<'a> {
    entries: &'a [(u64, Ent)],
    disk: Disk,
    pending: Vec<usize>,
    at: usize,
}

impl<'a> Replay<'a> {
    pub fn new(start: Vec<u8>, entries: &'a [(u64, Ent)]) -> Self {
        Self {
            entries,
            disk: Disk::new(start),
            pending: Vec::new(),
            at: 0,
        }
    }

    /// On to the first `cut` entries.
    pub fn advance(&mut self, cut: usize, mut mark: impl FnMut(u8, u64)) {
        for (i, (_, entry)) in self.entries.iter().enumerate().take(cut).skip(self.at) {
            match entry {
                Ent::W(..) => self.pending.push(i),
                Ent::F => {
                    for i in self.pending.drain(..) {
                        if let Ent::W(offset, data) = &self.entries[i].1 {
                            self.disk.write(*offset, data);
                        }
                    }
                }
                Ent::M(tag, id) => mark(*tag, *id),
            }
        }
        self.at = self.at.max(cut);
    }

    /// What the disk holds when the power goes here, under one of [`MODELS`].
    pub fn cut(&self, mode: usize, rng: &mut Rng, image: &Path) {
        let unit = match mode {
            2 => BLOCK,
            3 => 512,
            _ => usize::MAX,
        };
        let mut late = Vec::new();
        for i in self.pending.iter().filter(|_| mode != 1) {
            if let Ent::W(offset, data) = &self.entries[*i].1 {
                for (j, piece) in data.chunks(unit.min(data.len().max(1))).enumerate() {
                    if mode == 0 || rng.below(2) == 0 {
                        let at = if mode == 0 { 0 } else { j * unit };
                        late.push((offset + at as u64, piece));
                    }
                }
            }
        }
        self.disk.save(image, &late);
    }
}

/// A disk's content, and which of its blocks are not zero.
struct Disk {
    bytes: Vec<u8>,
    touched: BTreeSet<usize>,
}

impl Disk {
    fn new(bytes: Vec<u8>) -> Self {
        let touched = bytes
            .chunks(BLOCK)
            .enumerate()
            .filter(|(_, block)| block.iter().any(|b| *b != 0))
            .map(|(i, _)| i)
            .collect();
        Self { bytes, touched }
    }

    fn write(&mut self, offset: u64, data: &[u8]) {
        let at = usize::try_from(offset).unwrap();
        self.bytes[at..at + data.len()].copy_from_slice(data);
        self.touched
            .extend(at / BLOCK..(at + data.len()).div_ceil(BLOCK));
    }

    fn save(&self, path: &Path, late: &[(u64, &[u8])]) {
        if path.exists() {
            std::fs::remove_file(path).unwrap();
        }
        let file = std::fs::File::create_new(path).unwrap();
        file.set_len(self.bytes.len() as u64).unwrap();
        for block in &self.touched {
            let at = block * BLOCK;
            file.write_all_at(&self.bytes[at..at + BLOCK], at as u64)
                .unwrap();
        }
        for (offset, data) in late {
            file.write_all_at(data, *offset).unwrap();
        }
    }
}
