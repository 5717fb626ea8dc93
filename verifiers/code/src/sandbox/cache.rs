//! The guest's native code, compiled once per machine and kept in a private folder.
//!
//! The file's name is a hash of everything that the code depends on, so that another version, flag or processor has another file.
//! Its last bytes are a hash of the rest: a damaged file is noticed and made again. It is written beside its place and renamed,
//! so that two processes may race. The folder must belong to the user and be closed to others, since what is in it is run.

use sha2::{Digest, Sha256};
use std::fs::{self, File};
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};
use twox_hash::XxHash3_64;

const MARK: &[u8; 8] = b"rlvrcode";

/// Where compiled guests are kept: `$RLVR_CACHE`, else `rlvr` in `$XDG_CACHE_HOME` or `~/.cache`.
pub(super) fn folder() -> Option<PathBuf> {
    let set = |name: &str| std::env::var_os(name).filter(|v| !v.is_empty()).map(PathBuf::from);
    set("RLVR_CACHE")
        .or_else(|| set("XDG_CACHE_HOME").map(|home| home.join("rlvr")))
        .or_else(|| set("HOME").map(|home| home.join(".cache/rlvr")))
}

/// Makes the folder, and says whether it is private: the user's own and closed to all others.
///
/// # Errors
/// When it cannot be made, or is open to others.
pub(super) fn make_private(folder: &Path) -> io::Result<()> {
    use std::os::unix::fs::{DirBuilderExt, MetadataExt};
    if let Some(parent) = folder.parent() {
        fs::create_dir_all(parent)?;
    }
    match fs::DirBuilder::new().mode(0o700).create(folder) {
        Err(error) if error.kind() != io::ErrorKind::AlreadyExists => return Err(error),
        _ => {}
    }
    let found = fs::symlink_metadata(folder)?;
    let own = found.uid() == rustix::process::geteuid().as_raw();
    if !found.is_dir() || !own || found.mode() & 0o022 != 0 {
        return Err(io::Error::new(
            io::ErrorKind::PermissionDenied,
            format!(
                "{} is not a folder that only this user may write; remove it, or set RLVR_CACHE",
                folder.display()
            ),
        ));
    }
    let whole = fs::canonicalize(folder)?;
    match whole.ancestors().skip(1).find(|above| !is_safe(above)) {
        None => Ok(()),
        Some(above) => Err(io::Error::new(
            io::ErrorKind::PermissionDenied,
            format!("others may replace what is in {}; set RLVR_CACHE to another folder", above.display()),
        )),
    }
}

/// Whether no other user may rename or replace what this user has in a folder: closed to others, or sticky.
fn is_safe(folder: &Path) -> bool {
    use std::os::unix::fs::MetadataExt;
    let Ok(found) = fs::metadata(folder) else { return false };
    let owner = found.uid();
    let trusted = owner == 0 || owner == rustix::process::geteuid().as_raw();
    trusted && (found.mode() & 0o022 == 0 || found.mode() & 0o1000 != 0)
}

/// The name of the file for these parts, each of which the code depends on.
pub(super) fn file_name(parts: &[&[u8]]) -> String {
    let mut hash = Sha256::new();
    for part in parts {
        hash.update((part.len() as u64).to_le_bytes());
        hash.update(part);
    }
    let name: String = hash.finalize()[..16].iter().map(|b| format!("{b:02x}")).collect();
    format!("python-{name}.cwasm")
}

/// Whether the file is there and whole.
pub(super) fn is_whole(path: &Path) -> bool {
    let read = || -> io::Result<bool> {
        let mut file = File::open(path)?;
        let length = file.metadata()?.len();
        let Some(body) = length.checked_sub(16) else { return Ok(false) };
        let (mut hash, mut left, mut buffer) = (XxHash3_64::with_seed(0), body, vec![0; 1 << 20]);
        while left > 0 {
            let n = buffer.len().min(left as usize);
            file.read_exact(&mut buffer[..n])?;
            std::hash::Hasher::write(&mut hash, &buffer[..n]);
            left -= n as u64;
        }
        let mut tail = [0; 16];
        file.read_exact(&mut tail)?;
        Ok(tail[..8] == *MARK && tail[8..] == std::hash::Hasher::finish(&hash).to_le_bytes())
    };
    read().unwrap_or(false)
}

/// Writes the file whole or not at all.
///
/// # Errors
/// When the disk refuses.
pub(super) fn write(path: &Path, code: &[u8]) -> io::Result<()> {
    let folder = path.parent().unwrap_or(Path::new("."));
    let mut file = tempfile::NamedTempFile::new_in(folder)?;
    file.write_all(code)?;
    file.write_all(MARK)?;
    file.write_all(&XxHash3_64::oneshot(code).to_le_bytes())?;
    file.persist(path).map_err(|e| e.error)?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt;

    #[test]
    fn a_file_that_was_cut_or_changed_is_not_whole() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("code");
        assert!(!is_whole(&path));
        write(&path, &[5; 100_000]).unwrap();
        assert!(is_whole(&path));
        let bytes = fs::read(&path).unwrap();
        fs::write(&path, &bytes[..bytes.len() - 1]).unwrap();
        assert!(!is_whole(&path));
        let mut changed = bytes.clone();
        changed[50_000] ^= 1;
        fs::write(&path, &changed).unwrap();
        assert!(!is_whole(&path));
        fs::write(&path, b"short").unwrap();
        assert!(!is_whole(&path));
    }

    #[test]
    fn the_name_depends_on_every_part_and_on_where_parts_end() {
        assert_ne!(file_name(&[b"ab", b"c"]), file_name(&[b"a", b"bc"]));
        assert_ne!(file_name(&[b"a"]), file_name(&[b"b"]));
    }

    #[test]
    fn a_folder_that_others_may_write_is_refused() {
        let outer = tempfile::tempdir().unwrap();
        let folder = outer.path().join("deep/rlvr");
        make_private(&folder).unwrap();
        assert_eq!(fs::metadata(&folder).unwrap().permissions().mode() & 0o777, 0o700);
        fs::set_permissions(&folder, fs::Permissions::from_mode(0o777)).unwrap();
        assert!(make_private(&folder).unwrap_err().to_string().contains("RLVR_CACHE"));
        fs::set_permissions(&folder, fs::Permissions::from_mode(0o700)).unwrap();
        fs::set_permissions(outer.path(), fs::Permissions::from_mode(0o777)).unwrap();
        assert!(make_private(&folder).unwrap_err().to_string().contains("others may replace"));
        fs::set_permissions(outer.path(), fs::Permissions::from_mode(0o1777)).unwrap();
        make_private(&folder).unwrap();
    }
}
