//! A FUSE file system with two files. `disk` backs a loop device; every write and flush that the block
//! layer sends it is logged in order (what dm-log-writes does, on a kernel without device-mapper).
//! `mark` puts the writer's acknowledgements into the same log.

use fuser::{
    BackgroundSession, BsdFileFlags, Config, Errno, FileAttr, FileHandle, FileType, Filesystem,
    FopenFlags, Generation, INodeNo, LockOwner, MountOption, OpenFlags, ReplyAttr, ReplyData,
    ReplyEmpty, ReplyEntry, ReplyOpen, ReplyWrite, Request, TimeOrNow, WriteFlags,
};
use std::ffi::OsStr;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant, UNIX_EPOCH};

pub enum Ent {
    W(u64, Vec<u8>),
    F,
    M(u8, u64),
}
pub struct Log {
    pub disk: Vec<u8>,
    pub ents: Vec<(u64, Ent)>,
    pub t0: Instant,
}
pub type Shared = Arc<Mutex<Log>>;

pub struct Fs(pub Shared);
const TTL: Duration = Duration::from_secs(60);

impl Fs {
    fn attr(&self, ino: u64) -> FileAttr {
        let size = match ino {
            2 => self.0.lock().unwrap().disk.len() as u64,
            3 => 9,
            _ => 0,
        };
        FileAttr {
            ino: INodeNo(ino),
            size,
            blocks: size / 512,
            atime: UNIX_EPOCH,
            mtime: UNIX_EPOCH,
            ctime: UNIX_EPOCH,
            crtime: UNIX_EPOCH,
            kind: if ino == 1 {
                FileType::Directory
            } else {
                FileType::RegularFile
            },
            perm: if ino == 1 { 0o755 } else { 0o644 },
            nlink: 1,
            uid: 0,
            gid: 0,
            rdev: 0,
            flags: 0,
            blksize: 4096,
        }
    }
}
impl Filesystem for Fs {
    fn lookup(&self, _r: &Request, _p: INodeNo, name: &OsStr, reply: ReplyEntry) {
        match name.to_str() {
            Some("disk") => reply.entry(&TTL, &self.attr(2), Generation(0)),
            Some("mark") => reply.entry(&TTL, &self.attr(3), Generation(0)),
            _ => reply.error(Errno::ENOENT),
        }
    }
    fn getattr(&self, _r: &Request, ino: INodeNo, _fh: Option<FileHandle>, reply: ReplyAttr) {
        reply.attr(&TTL, &self.attr(ino.0))
    }
    fn setattr(
        &self,
        _r: &Request,
        ino: INodeNo,
        _m: Option<u32>,
        _u: Option<u32>,
        _g: Option<u32>,
        _s: Option<u64>,
        _a: Option<TimeOrNow>,
        _mt: Option<TimeOrNow>,
        _c: Option<std::time::SystemTime>,
        _fh: Option<FileHandle>,
        _cr: Option<std::time::SystemTime>,
        _ch: Option<std::time::SystemTime>,
        _b: Option<std::time::SystemTime>,
        _f: Option<BsdFileFlags>,
        reply: ReplyAttr,
    ) {
        reply.attr(&TTL, &self.attr(ino.0))
    }
    fn open(&self, _r: &Request, ino: INodeNo, _f: OpenFlags, reply: ReplyOpen) {
        reply.opened(FileHandle(ino.0), FopenFlags::FOPEN_DIRECT_IO)
    }
    fn read(
        &self,
        _r: &Request,
        ino: INodeNo,
        _fh: FileHandle,
        off: u64,
        size: u32,
        _f: OpenFlags,
        _l: Option<LockOwner>,
        reply: ReplyData,
    ) {
        if ino.0 != 2 {
            return reply.data(&[0; 9]);
        }
        let g = self.0.lock().unwrap();
        let (a, n) = (off as usize, g.disk.len());
        reply.data(&g.disk[a.min(n)..(a + size as usize).min(n)])
    }
    fn write(
        &self,
        _r: &Request,
        ino: INodeNo,
        _fh: FileHandle,
        off: u64,
        data: &[u8],
        _wf: WriteFlags,
        _f: OpenFlags,
        _l: Option<LockOwner>,
        reply: ReplyWrite,
    ) {
        let mut g = self.0.lock().unwrap();
        let t = g.t0.elapsed().as_micros() as u64;
        if ino.0 == 2 {
            let a = off as usize;
            if a + data.len() > g.disk.len() {
                return reply.error(Errno::EFBIG);
            }
            g.disk[a..a + data.len()].copy_from_slice(data);
            g.ents.push((t, Ent::W(off, data.to_vec())));
        } else if data.len() == 9 {
            g.ents.push((
                t,
                Ent::M(data[0], u64::from_le_bytes(data[1..].try_into().unwrap())),
            ));
        }
        reply.written(data.len() as u32)
    }
    fn flush(&self, _r: &Request, _i: INodeNo, _fh: FileHandle, _l: LockOwner, reply: ReplyEmpty) {
        reply.ok()
    }
    fn fsync(&self, _r: &Request, _i: INodeNo, _fh: FileHandle, _d: bool, reply: ReplyEmpty) {
        let mut g = self.0.lock().unwrap();
        let t = g.t0.elapsed().as_micros() as u64;
        g.ents.push((t, Ent::F));
        reply.ok()
    }
    fn fallocate(
        &self,
        _r: &Request,
        _i: INodeNo,
        _fh: FileHandle,
        _o: u64,
        _l: u64,
        _m: i32,
        reply: ReplyEmpty,
    ) {
        reply.error(Errno::EOPNOTSUPP)
    }
}

pub fn mount(at: &std::path::Path, log: Shared) -> BackgroundSession {
    let mut c = Config::default();
    c.mount_options.push(MountOption::FSName("torture".into()));
    c.n_threads = Some(1);
    fuser::spawn_mount(Fs(log), at, &c).expect("fuse mount")
}
