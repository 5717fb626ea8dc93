//! The committed guest: a snapshot of a booted CPython, compressed, with the hash that `guest/build.sh` reproduces.

use sha2::{Digest, Sha256};

/// SHA-256 of the compressed snapshot, in hex: what `guest/python.wasm.zst.sha256` says.
pub const GUEST_SHA256: &str = include_str!("../../guest/python.wasm.zst.sha256").split_at(64).0;

static COMPRESSED: &[u8] = include_bytes!("../../guest/python.wasm.zst");

/// The snapshot as a wasm module.
///
/// # Errors
/// When the file in the binary is not the one that the hash names.
pub(super) fn module() -> Result<Vec<u8>, String> {
    let hash: String = Sha256::digest(COMPRESSED).iter().map(|b| format!("{b:02x}")).collect();
    if hash != GUEST_SHA256 {
        return Err(format!("the guest in this binary has the SHA-256 {hash}, not {GUEST_SHA256}"));
    }
    zstd::decode_all(COMPRESSED).map_err(|e| format!("the guest in this binary cannot be unpacked: {e}"))
}
