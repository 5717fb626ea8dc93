//! An optimiser's moments as a safetensors file, `optimizer.safetensors` of a checkpoint.
//!
//! The moments are twice the size of the model, so that they are written straight from the optimiser's own slices and
//! read straight back into them: beyond those, one tensor's bytes are held while writing and one block while reading.

use std::borrow::Cow;
use std::collections::HashSet;
use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};

use safetensors::SafeTensorError;
use safetensors::tensor::{Dtype, Metadata, View};

/// Why an optimiser's file could not be written or read.
#[derive(Debug, thiserror::Error)]
pub enum OptimizerFileError {
    /// The file system's error.
    #[error("{}: {source}", path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// What the file system said.
        source: io::Error,
    },
    /// The file is no safetensors file, or the tensors cannot be written as one.
    #[error("{}: not a safetensors file of an optimiser: {reason}", path.display())]
    Malformed {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        reason: String,
    },
    /// The file's tensors are not those of the optimiser.
    #[error("{}: tensor `{tensor}`: expected {expected}, found {found}; the checkpoint belongs to another model or optimiser", path.display())]
    Mismatch {
        /// The file.
        path: PathBuf,
        /// The tensor's name.
        tensor: String,
        /// Type and shape that the optimiser has, or "no such tensor".
        expected: String,
        /// Type and shape in the file, or "no such tensor".
        found: String,
    },
}

struct Moments<'a> {
    shape: &'a [usize],
    values: &'a [f32],
}

impl View for Moments<'_> {
    fn dtype(&self) -> Dtype {
        Dtype::F32
    }

    fn shape(&self) -> &[usize] {
        self.shape
    }

    fn data(&self) -> Cow<'_, [u8]> {
        Cow::Owned(self.values.iter().flat_map(|value| value.to_le_bytes()).collect())
    }

    fn data_len(&self) -> usize {
        size_of_val(self.values)
    }
}

/// Writes tensors `(name, shape, values)`, f32 in row-major order, to a safetensors file, sorted by name.
///
/// # Errors
/// Two tensors of one name, values that do not fill their shape, and the file system's errors.
pub fn write_optimizer(
    path: &Path,
    tensors: &[(String, Vec<usize>, &[f32])],
) -> Result<(), OptimizerFileError> {
    let malformed = |reason: String| OptimizerFileError::Malformed { path: path.to_path_buf(), reason };
    let mut names = HashSet::new();
    for (name, shape, values) in tensors {
        if !names.insert(name) {
            return Err(malformed(format!("two tensors are named `{name}`")));
        }
        if shape.iter().product::<usize>() != values.len() {
            let found = values.len();
            return Err(malformed(format!("tensor `{name}` of shape {shape:?} was given {found} values")));
        }
    }
    let views = tensors.iter().map(|(name, shape, values)| (name, Moments { shape, values }));
    safetensors::serialize_to_file(views, None, path).map_err(|error| match error {
        SafeTensorError::IoError(source) => OptimizerFileError::Io { path: path.to_path_buf(), source },
        other => malformed(other.to_string()),
    })
}

/// Reads the tensors `(name, shape, place)` from a safetensors file into their places, bit for bit as written.
///
/// # Errors
/// A file that is not safetensors, a tensor that is missing, left over, of another type or another shape, and the file
/// system's errors. After an error some places may hold the file's values already.
pub fn read_optimizer(
    path: &Path,
    into: &mut [(String, Vec<usize>, &mut [f32])],
) -> Result<(), OptimizerFileError> {
    let io = |source| OptimizerFileError::Io { path: path.to_path_buf(), source };
    let malformed = |reason: String| OptimizerFileError::Malformed { path: path.to_path_buf(), reason };
    let mismatch = |tensor: &str, expected: String, found: String| OptimizerFileError::Mismatch {
        path: path.to_path_buf(),
        tensor: tensor.to_string(),
        expected,
        found,
    };

    let mut file = File::open(path).map_err(io)?;
    let length = file.metadata().map_err(io)?.len();
    let mut prefix = [0; 8];
    file.read_exact(&mut prefix).map_err(io)?;
    let header_length = u64::from_le_bytes(prefix);
    let data_start = header_length.checked_add(8).filter(|start| *start <= length);
    let data_start = data_start.ok_or_else(|| {
        malformed(format!("it is {length} bytes long but announces a header of {header_length} bytes"))
    })?;
    let mut header = vec![0; header_length as usize];
    file.read_exact(&mut header).map_err(io)?;
    let header: Metadata = serde_json::from_slice(&header).map_err(|error| malformed(error.to_string()))?;
    if data_start + header.data_len() as u64 != length {
        let expected = data_start + header.data_len() as u64;
        return Err(malformed(format!("it is {length} bytes long, its header says {expected}")));
    }

    let wanted: HashSet<&str> = into.iter().map(|(name, _, _)| name.as_str()).collect();
    if let Some(name) = header.offset_keys().into_iter().find(|name| !wanted.contains(name.as_str())) {
        return Err(mismatch(&name, "no such tensor".into(), "one in the file".into()));
    }
    let mut buffer = vec![0; 1 << 20];
    for (name, shape, place) in into {
        let expected = format!("F32 {shape:?}");
        let info =
            header.info(name).ok_or_else(|| mismatch(name, expected.clone(), "no such tensor".into()))?;
        if info.dtype != Dtype::F32 || info.shape != *shape || shape.iter().product::<usize>() != place.len()
        {
            return Err(mismatch(name, expected, format!("{:?} {:?}", info.dtype, info.shape)));
        }
        file.seek(SeekFrom::Start(data_start + info.data_offsets.0 as u64)).map_err(io)?;
        for block in place.chunks_mut(buffer.len() / 4) {
            let bytes = &mut buffer[..block.len() * 4];
            file.read_exact(bytes).map_err(io)?;
            for (value, bytes) in block.iter_mut().zip(bytes.as_chunks::<4>().0) {
                *value = f32::from_le_bytes(*bytes);
            }
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn values(count: usize) -> Vec<f32> {
        // Every bit pattern must survive, NaN payloads, infinities and subnormals among them.
        (0..count as u32).map(|i| f32::from_bits(i.wrapping_mul(0x9E37_79B9))).collect()
    }

    #[test]
    fn moments_come_back_bit_for_bit_and_as_safetensors_reads_them() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("optimizer.safetensors");
        let (m, v) = (values(300_000), values(7)); // longer than one block, and a scalar's neighbour
        let tensors =
            [("m.layer".to_string(), vec![600, 500], &m[..]), ("v.norm".to_string(), vec![7], &v[..])];
        write_optimizer(&path, &tensors).unwrap();

        let (mut m2, mut v2) = (vec![0.0; m.len()], vec![0.0; v.len()]);
        let mut places = [
            ("v.norm".to_string(), vec![7], &mut v2[..]),
            ("m.layer".to_string(), vec![600, 500], &mut m2[..]),
        ];
        read_optimizer(&path, &mut places).unwrap();
        let bits = |values: &[f32]| values.iter().map(|value| value.to_bits()).collect::<Vec<_>>();
        assert_eq!(bits(&m), bits(&m2));
        assert_eq!(bits(&v), bits(&v2));

        let bytes = std::fs::read(&path).unwrap();
        let independent = safetensors::SafeTensors::deserialize(&bytes).unwrap();
        assert_eq!(independent.tensor("m.layer").unwrap().shape(), [600, 500]);
        let expected: Vec<u8> = v.iter().flat_map(|value| value.to_le_bytes()).collect();
        assert_eq!(independent.tensor("v.norm").unwrap().data(), expected);
    }

    #[test]
    fn a_file_of_another_optimiser_is_refused_by_name() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("optimizer.safetensors");
        write_optimizer(&path, &[("a".to_string(), vec![2, 3], &[0.0; 6])]).unwrap();
        let read = |name: &str, shape: &[usize]| {
            let mut place = vec![0.0; shape.iter().product()];
            let mut places = [(name.to_string(), shape.to_vec(), &mut place[..])];
            read_optimizer(&path, &mut places).unwrap_err().to_string()
        };
        let shape = read("a", &[3, 2]);
        assert!(shape.contains("`a`: expected F32 [3, 2], found F32 [2, 3]"), "{shape}");
        let missing = read("b", &[6]);
        assert!(missing.contains("`a`: expected no such tensor"), "{missing}");
        let mut two = ([0.0; 6], [0.0; 1]);
        let mut places =
            [("a".to_string(), vec![2, 3], &mut two.0[..]), ("c".to_string(), vec![1], &mut two.1[..])];
        let error = read_optimizer(&path, &mut places).unwrap_err().to_string();
        assert!(error.contains("`c`: expected F32 [1], found no such tensor"), "{error}");
    }

    #[test]
    fn a_file_cut_short_or_overlong_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("optimizer.safetensors");
        write_optimizer(&path, &[("a".to_string(), vec![4], &[1.0; 4])]).unwrap();
        let whole = std::fs::read(&path).unwrap();
        for length in [0, 7, 8, 20, whole.len() - 1, whole.len() + 1] {
            let mut bytes = whole.clone();
            bytes.resize(length, 0);
            std::fs::write(&path, &bytes).unwrap();
            let mut place = [0.0; 4];
            let result = read_optimizer(&path, &mut [("a".to_string(), vec![4], &mut place[..])]);
            assert!(result.is_err(), "{length} of {} bytes were read", whole.len());
        }
    }

    #[test]
    fn tensors_that_are_no_set_of_moments_are_not_written() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("optimizer.safetensors");
        let error = write_optimizer(&path, &[("a".to_string(), vec![2], &[1.0; 3])]).unwrap_err();
        assert!(error.to_string().contains("`a` of shape [2] was given 3 values"), "{error}");
        let twice = [("a".to_string(), vec![1], &[1.0][..]), ("a".to_string(), vec![1], &[2.0][..])];
        assert!(
            write_optimizer(&path, &twice).unwrap_err().to_string().contains("two tensors are named `a`")
        );
        assert!(!path.exists());
    }
}
