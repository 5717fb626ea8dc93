//! Files that are whole or absent, whatever happens while they are written.
//!
//! A process may be killed and a disk may fill at any moment. So bytes go to a temporary file beside the target,
//! reach the disk, and only then take the target's name; the last good file stays until that rename.

use std::fs::File;
use std::io::{BufWriter, Write};
use std::path::{Path, PathBuf};

use super::HfError;

/// Writes `bytes` to `path` through `path.partial`, fsync and rename.
pub fn write_durably(path: &Path, bytes: &[u8]) -> Result<(), HfError> {
    stream_durably(path, |out| out.write_all(bytes))
}

/// As [`write_durably`], for contents that are produced piece by piece.
pub(super) fn stream_durably(
    path: &Path,
    fill: impl FnOnce(&mut BufWriter<File>) -> std::io::Result<()>,
) -> Result<(), HfError> {
    let mut partial = path.as_os_str().to_owned();
    partial.push(".partial");
    let partial = PathBuf::from(partial);
    let written = (|| {
        let mut out = BufWriter::with_capacity(1 << 20, File::create(&partial)?);
        fill(&mut out)?;
        out.into_inner().map_err(std::io::IntoInnerError::into_error)?.sync_all()?;
        std::fs::rename(&partial, path)
    })();
    if let Err(source) = written {
        // What is half written is of no use, and on a full disk its space is wanted; the error to report is the first.
        let _ = std::fs::remove_file(&partial);
        return Err(HfError::Io { path: path.to_path_buf(), doing: "writing", source });
    }
    sync_folder(path)
}

/// Makes a rename or a removal in `path`'s folder last through a crash of the machine.
pub(super) fn sync_folder(path: &Path) -> Result<(), HfError> {
    if cfg!(not(unix)) {
        // Elsewhere a folder cannot be opened, and the file system keeps the order of renames itself.
        return Ok(());
    }
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    File::open(folder).and_then(|opened| opened.sync_all()).map_err(HfError::io(folder, "syncing the folder"))
}
