//! Native code of guests, compiled once per machine and kept in a private folder.
//!
//! The file's name is a hash of everything that the code depends on, so that another version, flag or processor has another file.
//! Its last bytes are a hash of the rest: a damaged file is noticed and made again. It is written beside its place and renamed,
//! so that two processes may race. Folder and file must belong to the user and be closed to others, since what is in them is run.
//!
//! Pages of zeros, of which a guest's memory has many, are holes, which neither disk nor hash has to read.

use sha2::{Digest, Sha256};
use std::fs::{self, File};
use std::hash::Hasher;
use std::io;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use twox_hash::XxHash3_64;

const MARK: &[u8; 8] = b"rlvrcode";

/// Where compiled guests are kept: `$RLVR_CACHE`, else `rlvr` in `$XDG_CACHE_HOME` or `~/.cache`.
pub fn folder() -> Option<PathBuf> {
    let set = |name: &str| std::env::var_os(name).filter(|v| !v.is_empty()).map(PathBuf::from);
    set("RLVR_CACHE")
        .or_else(|| set("XDG_CACHE_HOME").map(|home| home.join("rlvr")))
        .or_else(|| set("HOME").map(|home| home.join(".cache/rlvr")))
}

/// Makes the folder, and says whether it is private: the user's own and closed to all others, as are the folders above it.
///
/// # Errors
/// When it cannot be made, or others may write it or replace it.
pub fn make_private(folder: &Path) -> io::Result<()> {
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

/// The name of the file of a `kind` of guest for these parts, each of which the code depends on.
pub fn file_name(kind: &str, parts: &[&[u8]]) -> String {
    let mut hash = Sha256::new();
    for part in parts {
        hash.update((part.len() as u64).to_le_bytes());
        hash.update(part);
    }
    let name: String = hash.finalize()[..16].iter().map(|b| format!("{b:02x}")).collect();
    format!("{kind}-{name}.cwasm")
}

/// The file at `path`, if it is there, this user's own, and whole.
pub fn open_whole(path: &Path) -> Option<File> {
    use std::os::unix::fs::MetadataExt;
    let file = File::open(path).ok()?;
    let found = file.metadata().ok()?;
    let own = found.uid() == rustix::process::geteuid().as_raw() && found.mode() & 0o022 == 0;
    if !found.is_file() || !own {
        return None;
    }
    let body = found.len().checked_sub(TAIL)?;
    let mut tail = [0; TAIL as usize];
    file.read_exact_at(&mut tail, body).ok()?;
    (tail == mark(hash_of(&file, body).ok()?)).then_some(file)
}

/// Writes the file whole or not at all. Pages of zeros become holes.
///
/// # Errors
/// When the disk refuses.
pub fn write(path: &Path, code: &[u8]) -> io::Result<()> {
    let folder = path.parent().unwrap_or(Path::new("."));
    let file = tempfile::NamedTempFile::new_in(folder)?;
    let mut hash = PageHash::new(code.len() as u64);
    for (i, page) in code.chunks(PAGE).enumerate() {
        let at = (i * PAGE) as u64;
        if hash.add(at, page) {
            file.as_file().write_all_at(page, at)?;
        }
    }
    file.as_file().write_all_at(&mark(hash.finish()), code.len() as u64)?;
    file.persist(path).map_err(|e| e.error)?;
    Ok(())
}

/// Bytes at the end of a file: the mark and the hash.
const TAIL: u64 = 16;

fn mark(hash: u64) -> [u8; TAIL as usize] {
    let mut tail = [0; TAIL as usize];
    tail[..8].copy_from_slice(MARK);
    tail[8..].copy_from_slice(&hash.to_le_bytes());
    tail
}

/// Bytes of a page that is hashed, or left out if it is all zeros.
const PAGE: usize = 4096;

/// The hash of a file's length and of those of its pages that are not all zeros, each with its place.
struct PageHash(XxHash3_64);

impl PageHash {
    fn new(length: u64) -> Self {
        let mut hash = XxHash3_64::with_seed(0);
        hash.write(&length.to_le_bytes());
        PageHash(hash)
    }

    /// Adds the page that stands at `at`; whether it is more than zeros.
    fn add(&mut self, at: u64, page: &[u8]) -> bool {
        let counts = page.iter().any(|byte| *byte != 0);
        if counts {
            self.0.write(&at.to_le_bytes());
            self.0.write(page);
        }
        counts
    }

    fn finish(&self) -> u64 {
        self.0.finish()
    }
}

/// The hash of the first `length` bytes. Holes are zeros and need not be read.
fn hash_of(file: &File, length: u64) -> io::Result<u64> {
    use rustix::fs::{SeekFrom, seek};
    let (mut hash, mut buffer) = (PageHash::new(length), vec![0; 64 * PAGE]);
    let mut at = 0;
    while at < length {
        at = match seek(file, SeekFrom::Data(at)) {
            Ok(start) => start / PAGE as u64 * PAGE as u64,
            Err(rustix::io::Errno::NXIO) => break,
            // a file system without holes
            Err(_) => at,
        };
        let end = seek(file, SeekFrom::Hole(at)).unwrap_or(length).clamp(at + 1, length);
        let end = end.next_multiple_of(PAGE as u64).min(length);
        while at < end {
            let n = buffer.len().min((end - at) as usize);
            file.read_exact_at(&mut buffer[..n], at)?;
            for page in buffer[..n].chunks(PAGE) {
                hash.add(at, page);
                at += page.len() as u64;
            }
        }
    }
    Ok(hash.finish())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt;

    #[test]
    fn a_file_that_was_cut_or_changed_is_not_whole() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("code");
        let is_whole = |path| open_whole(path).is_some();
        assert!(!is_whole(&path));
        let mut code = vec![5; 300_000];
        code[20_000..200_000].fill(0);
        write(&path, &code).unwrap();
        assert!(is_whole(&path));
        let bytes = fs::read(&path).unwrap();
        assert_eq!(bytes[..code.len()], code);
        let damages: [fn(&mut Vec<u8>); 7] = [
            |b| b.truncate(b.len() - 1),
            |b| b[1000] ^= 1,
            |b| b[100_000] = 1, // in a hole
            |b| b[9000..9100].fill(0),
            |b| b[..4096].fill(0),
            |b| b.extend([0; 16]),
            |b| drop(b.drain(40_000..44_096)), // a hole that is a page shorter
        ];
        for (i, damage) in damages.into_iter().enumerate() {
            let mut changed = bytes.clone();
            damage(&mut changed);
            fs::write(&path, &changed).unwrap();
            assert!(!is_whole(&path), "damage {i}");
        }
        fs::write(&path, b"short").unwrap();
        assert!(!is_whole(&path));
        // without holes it is the same file
        fs::write(&path, &bytes).unwrap();
        assert!(is_whole(&path));
    }

    #[test]
    fn a_file_that_others_may_write_or_own_is_not_taken() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("code");
        write(&path, &[5; 10_000]).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o620)).unwrap();
        assert!(open_whole(&path).is_none());
        fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).unwrap();
        assert!(open_whole(&path).is_some());
        if rustix::process::geteuid().is_root() {
            std::os::unix::fs::chown(&path, Some(12345), None).unwrap();
            assert!(open_whole(&path).is_none());
            let own = folder.path().join("own");
            make_private(&own).unwrap();
            std::os::unix::fs::chown(&own, Some(12345), None).unwrap();
            assert!(make_private(&own).is_err());
        } else {
            eprintln!("skipped: only root can give a file away");
        }
    }

    #[test]
    fn the_name_depends_on_every_part_and_on_where_parts_end() {
        assert_ne!(file_name("python", &[b"ab", b"c"]), file_name("python", &[b"a", b"bc"]));
        assert_ne!(file_name("python", &[b"a"]), file_name("python", &[b"b"]));
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
