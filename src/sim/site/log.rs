//! Books on disk: files of JSON lines that survive a kill, and say so before anybody is told.

use serde::Serialize;
use std::fs::{File, OpenOptions};
use std::io::{self, Read, Seek, Write};
use std::path::Path;

/// One file of lines, or nothing at all for a simulator that remembers only in memory.
#[derive(Debug, Default)]
pub(crate) struct Log {
    file: Option<File>,
    closed: bool,
}

impl Log {
    /// Opens (or makes) `dir/name` for this process alone; the lines that are in it.
    pub(crate) fn open(dir: Option<&Path>, name: &str) -> io::Result<(Self, Vec<String>)> {
        let Some(dir) = dir else {
            return Ok((Self::default(), Vec::new()));
        };
        std::fs::create_dir_all(dir)?;
        let mut file = append(&dir.join(name))?;
        lock(&file, dir)?;
        let lines = whole_lines(&mut file)?;
        // The name of a new file must survive as well as what is in it.
        File::open(dir)?.sync_all()?;
        let log = Self {
            file: Some(file),
            closed: false,
        };
        Ok((log, lines))
    }

    /// Writes a line; with `durably` it is on the disk when this returns.
    pub(crate) fn write(&mut self, line: &impl Serialize, durably: bool) -> io::Result<()> {
        if self.closed {
            return Err(io::Error::other("the simulator was stopped"));
        }
        if let Some(file) = &mut self.file {
            write_line(file, line)?;
            if durably {
                file.sync_data()?;
            }
        }
        Ok(())
    }

    /// Forgets every line.
    pub(crate) fn clear(&mut self) -> io::Result<()> {
        match &mut self.file {
            Some(file) => file.set_len(0).and_then(|()| file.sync_data()),
            None => Ok(()),
        }
    }

    /// Nothing is written any more, whatever is still under way.
    pub(crate) fn close(&mut self) {
        self.closed = true;
        self.file = None;
    }
}

pub(crate) fn append(path: &Path) -> io::Result<File> {
    OpenOptions::new()
        .read(true)
        .append(true)
        .create(true)
        .open(path)
}

/// Two simulators on one state directory would each sell what the other sold.
pub(crate) fn lock(file: &File, dir: &Path) -> io::Result<()> {
    rustix::fs::flock(file, rustix::fs::FlockOperation::NonBlockingLockExclusive).map_err(|e| {
        io::Error::other(format!(
            "{} belongs to a simulator that is running: {e}",
            dir.display()
        ))
    })
}

pub(crate) fn write_line(file: &mut File, line: &impl Serialize) -> io::Result<()> {
    let mut text = serde_json::to_vec(line).map_err(io::Error::other)?;
    text.push(b'\n');
    // One write: a kill leaves the line whole or torn at its end, never mixed with another. A line
    // that did not fit on the disk is taken back, or the next one would be glued to it.
    let before = file.metadata()?.len();
    file.write_all(&text)
        .or_else(|error| file.set_len(before).and(Err(error)))
}

/// The lines of a file; a last line without its end was torn by a kill before anybody was told of
/// it, and is cut off.
pub(crate) fn whole_lines(file: &mut File) -> io::Result<Vec<String>> {
    let mut text = String::new();
    file.rewind()?;
    file.read_to_string(&mut text)?;
    let whole = text.rfind('\n').map_or(0, |end| end + 1);
    if whole < text.len() {
        file.set_len(u64::try_from(whole).map_err(io::Error::other)?)?;
    }
    Ok(text[..whole].lines().map(str::to_owned).collect())
}
