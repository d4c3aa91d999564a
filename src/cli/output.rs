//! Files for people: sheets and pictures. Whole or not at all, readable like any other file of theirs.

use super::Failure;
use std::io::Write as _;
use std::path::Path;

/// Writes a file; `-` is standard output.
pub(super) fn write(path: &Path, bytes: &[u8]) -> Result<(), Failure> {
    let written = if path.as_os_str() == "-" {
        let mut out = std::io::stdout().lock();
        out.write_all(bytes).and_then(|()| out.flush())
    } else {
        replace(path, bytes)
    };
    written.map_err(|cause| Failure::cannot(format!("{} cannot be written", path.display()), cause))
}

/// Unlike the station's own files these need no fsync and no private mode, only wholeness.
fn replace(path: &Path, bytes: &[u8]) -> std::io::Result<()> {
    let mut name = path.as_os_str().to_owned();
    name.push(format!(".{}.new", std::process::id()));
    let new = Path::new(&name);
    let written = std::fs::File::create(new)
        .and_then(|mut file| file.write_all(bytes))
        .and_then(|()| std::fs::rename(new, path));
    if written.is_err() && new.exists() {
        // The reason why it could not be written is the one worth telling.
        let _ = std::fs::remove_file(new);
    }
    written
}
