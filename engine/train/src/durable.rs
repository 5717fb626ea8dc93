//! Files that are there whole or not at all.
//!
//! A run may be killed between any two instructions, and the machine may lose power. What a run must find again is
//! therefore written beside its place, flushed to the disk, and renamed into place: a reader sees the old file or the
//! new one, never half of one. Checkpoints, the ledger, `summary.json` and the trimmed `metrics.jsonl` go through here.

use std::ffi::OsString;
use std::fs::{self, File};
use std::io::{self, BufWriter, Read, Write};
use std::path::{Path, PathBuf};

use sha2::{Digest, Sha256};

/// Writes `path` by `fill`, through a temporary file in the same folder, flushed to disk and renamed into place.
///
/// # Errors
/// Those of `fill` and of the file system; `path` is then as it was before, and the temporary file is gone.
pub fn write<E: From<io::Error>>(
    path: &Path,
    fill: impl FnOnce(&mut BufWriter<File>) -> Result<(), E>,
) -> Result<(), E> {
    let partial = partial_path(path);
    let written = (|| {
        let mut writer = BufWriter::with_capacity(1 << 20, File::create(&partial)?);
        fill(&mut writer)?;
        let file = writer.into_inner().map_err(io::IntoInnerError::into_error)?;
        file.sync_all()?;
        fs::rename(&partial, path)?;
        sync_parent(path)?;
        Ok(())
    })();
    if written.is_err() {
        let _ = fs::remove_file(&partial); // Nothing to add to the error that is on its way.
    }
    written
}

/// Writes `bytes` to `path` as [`write()`] does.
///
/// # Errors
/// Those of the file system.
pub fn write_bytes(path: &Path, bytes: &[u8]) -> io::Result<()> {
    write(path, |writer| writer.write_all(bytes))
}

/// Where a file or folder is made before it is renamed to `path`: the same name followed by `.partial-` and the
/// process id.
pub fn partial_path(path: &Path) -> PathBuf {
    let mut name = path.file_name().map_or_else(OsString::new, OsString::from);
    name.push(format!(".partial-{}", std::process::id()));
    path.with_file_name(name)
}

/// Removes what [`write()`] left in a folder when its process was killed; none if there is no such folder. No other process
/// may be writing to it.
///
/// # Errors
/// Those of the file system.
pub fn remove_partials(folder: &Path) -> io::Result<()> {
    let entries = match fs::read_dir(folder) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        entries => entries?,
    };
    for entry in entries {
        let entry = entry?;
        if entry.file_type()?.is_file() && entry.file_name().to_string_lossy().contains(".partial-") {
            fs::remove_file(entry.path())?;
        }
    }
    Ok(())
}

/// Flushes a file's contents, or a folder's list of names, to the disk.
///
/// # Errors
/// Those of the file system.
pub fn sync(path: &Path) -> io::Result<()> {
    // Folders cannot be opened on Windows, where a rename is made durable by the file system's own journal.
    if cfg!(windows) && path.is_dir() {
        return Ok(());
    }
    File::open(path)?.sync_all()
}

/// Flushes the list of names of the folder that holds `path`, which makes a rename to `path` last.
///
/// # Errors
/// Those of the file system.
pub fn sync_parent(path: &Path) -> io::Result<()> {
    match path.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => sync(parent),
        _ => sync(Path::new(".")),
    }
}

/// The SHA-256 of a file's contents in lower-case hexadecimal, and its length in bytes. Reads a megabyte at a time.
///
/// # Errors
/// Those of the file system.
pub fn sha256(path: &Path) -> io::Result<(String, u64)> {
    let mut file = File::open(path)?;
    let mut hasher = Sha256::new();
    let mut buffer = vec![0; 1 << 20];
    let mut bytes = 0;
    loop {
        let read = match file.read(&mut buffer) {
            Ok(0) => break,
            Ok(read) => read,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            Err(error) => return Err(error),
        };
        hasher.update(&buffer[..read]);
        bytes += read as u64;
    }
    let hexadecimal = hasher.finalize().iter().map(|byte| format!("{byte:02x}")).collect();
    Ok((hexadecimal, bytes))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_digest_of_a_file_is_the_standards_own_example() {
        // FIPS 180-2, appendix B.1 ("abc") and B.3 (a million times "a", longer than one read).
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("message");
        fs::write(&path, "abc").unwrap();
        let abc = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";
        assert_eq!(sha256(&path).unwrap(), (abc.to_string(), 3));
        fs::write(&path, "a".repeat(1_000_000)).unwrap();
        let million = "cdc76e5c9914fb9281a1c7e284d73e67f1809a48a497200e046d39ccc7112cd0";
        assert_eq!(sha256(&path).unwrap(), (million.to_string(), 1_000_000));
    }

    #[test]
    fn a_write_that_fails_leaves_the_old_file_and_no_other() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("summary.json");
        write_bytes(&path, b"old").unwrap();
        let failed: io::Result<()> = write(&path, |writer| {
            writer.write_all(b"half of the new")?;
            writer.flush()?;
            Err(io::Error::other("the writer's own failure"))
        });
        assert_eq!(failed.unwrap_err().to_string(), "the writer's own failure");
        assert_eq!(fs::read(&path).unwrap(), b"old");
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1);
        write_bytes(&path, b"new").unwrap();
        assert_eq!(fs::read(&path).unwrap(), b"new");
    }
}
