//! Safetensors weights, streamed: one tensor in memory at a time beside the model itself.
//!
//! Headers are parsed by the `safetensors` crate; the data is read with plain file reads rather than a memory map,
//! since each byte is converted exactly once and a file that is cut short while it is read is then an error, not a
//! bus fault.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::fs::File;
use std::io::{Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

use safetensors::Dtype as StoredDtype;
use safetensors::tensor::{Metadata, TensorInfo};
use serde_json::{Map, Value, json};

use super::durable::{stream_durably, sync_folder};
use super::{HfError, pretty, write_durably};
use crate::config::{Architecture, ModelConfig};

/// The size in bytes above which weights are cut into shards: 5 GB, as readers expect.
pub const SHARD_BYTES: usize = 5_000_000_000;

const SINGLE: &str = "model.safetensors";
const INDEX: &str = "model.safetensors.index.json";
/// Headers of real models take some hundred kilobytes; a larger one than this is garbage read as a length.
const LARGEST_HEADER: u64 = 100_000_000;
/// Bytes read or written at once.
const CHUNK: usize = 1 << 20;

/// One safetensors file whose header has been read.
struct Shard {
    path: PathBuf,
    file: File,
    header: Metadata,
    /// Bytes before the data.
    start: u64,
}

impl Shard {
    fn open(path: PathBuf) -> Result<Self, HfError> {
        let error = |problem: String| HfError::Header { path: path.clone(), problem };
        let mut file = File::open(&path).map_err(HfError::io(&path, "opening"))?;
        let size = file.metadata().map_err(HfError::io(&path, "reading"))?.len();
        let mut length = [0; 8];
        if size < 8 {
            return Err(error(format!("it has {size} bytes")));
        }
        file.read_exact(&mut length).map_err(HfError::io(&path, "reading"))?;
        let length = u64::from_le_bytes(length);
        if length > LARGEST_HEADER || length > size - 8 {
            return Err(error(format!("a header of {length} bytes is announced in a file of {size} bytes")));
        }
        let mut text = vec![0; length as usize];
        file.read_exact(&mut text).map_err(HfError::io(&path, "reading"))?;
        let header: Metadata =
            serde_json::from_slice(&text).map_err(|problem| error(format!("its header: {problem}")))?;
        let whole = 8 + length + header.data_len() as u64;
        if whole != size {
            return Err(error(format!("it has {size} bytes, its header speaks of {whole}")));
        }
        Ok(Self { path, file, header, start: 8 + length })
    }

    /// The tensor `name` as f32.
    fn read(&mut self, name: &str, info: &TensorInfo) -> Result<Vec<f32>, HfError> {
        let (begin, end) = info.data_offsets;
        let convert: fn(&[u8], &mut Vec<f32>) = match info.dtype {
            StoredDtype::F32 => {
                |bytes, out| out.extend(bytes.as_chunks().0.iter().map(|b| f32::from_le_bytes(*b)))
            }
            StoredDtype::BF16 => |bytes, out| {
                let bits = bytes.as_chunks().0.iter().map(|b| u32::from(u16::from_le_bytes(*b)) << 16);
                out.extend(bits.map(f32::from_bits));
            },
            StoredDtype::F16 => |bytes, out| {
                out.extend(bytes.as_chunks().0.iter().map(|b| half::f16::from_le_bytes(*b).to_f32()));
            },
            found => {
                return Err(HfError::StoredAs { path: self.path.clone(), tensor: name.to_string(), found });
            }
        };
        let reading = |source| HfError::Io { path: self.path.clone(), doing: "reading", source };
        self.file.seek(SeekFrom::Start(self.start + begin as u64)).map_err(reading)?;
        let mut data = Vec::with_capacity(info.shape.iter().product());
        let mut buffer = vec![0; CHUNK.min(end - begin)];
        let mut left = end - begin;
        while left > 0 {
            let piece = &mut buffer[..left.min(CHUNK)];
            self.file.read_exact(piece).map_err(reading)?;
            convert(piece, &mut data);
            left -= piece.len();
        }
        Ok(data)
    }
}

/// What takes each tensor: its name, f32 data and shape.
pub type EachTensor<'a, E> = dyn FnMut(&str, Vec<f32>, &[usize]) -> Result<(), E> + 'a;

/// Reads the weights in `folder` and gives each of the config's parameters to `each` as (name, f32 data, shape), in
/// the order of [`ModelConfig::parameter_names_and_shapes`].
///
/// bf16 and f16 are widened. All names and shapes are checked before the first call. A tied `lm_head.weight` may be
/// in the files or not, and `rotary_emb.inv_freq` of old checkpoints is passed over. An error of `each` ends the
/// reading and is returned.
pub fn read_weights<E: From<HfError>>(
    folder: &Path,
    config: &ModelConfig,
    each: &mut EachTensor<'_, E>,
) -> Result<(), E> {
    let (named_by, mut shards) = open_shards(folder)?;
    let places = locate(&named_by, &shards, config)?;
    for Place { name, shape, stored, shard } in places {
        let shard = &mut shards[shard];
        if let Some(info) = shard.header.info(&stored).cloned() {
            let data = shard.read(&stored, &info)?;
            each(&name, data, &shape)?;
        }
    }
    Ok(())
}

/// Name, shape and numbers of a tensor that was read.
pub(super) type ReadTensor = (String, Vec<usize>, Vec<f32>);

/// All tensors of one file.
pub(super) fn read_file(path: &Path) -> Result<Vec<ReadTensor>, HfError> {
    let mut shard = Shard::open(path.to_path_buf())?;
    let infos = shard.header.tensors().into_iter().map(|(name, info)| (name, info.clone()));
    let infos: Vec<(String, TensorInfo)> = infos.collect();
    infos
        .into_iter()
        .map(|(name, info)| {
            let data = shard.read(&name, &info)?;
            Ok((name, info.shape, data))
        })
        .collect()
}

/// The files of the weights and the file that names them (itself, where there is one).
fn open_shards(folder: &Path) -> Result<(PathBuf, Vec<Shard>), HfError> {
    let single = folder.join(SINGLE);
    if single.is_file() {
        return Ok((single.clone(), vec![Shard::open(single)?]));
    }
    let index = folder.join(INDEX);
    if !index.is_file() {
        let hint = match folder.join("pytorch_model.bin").is_file() {
            true => "; pytorch_model.bin is not read: convert it with transformers' save_pretrained",
            false => "",
        };
        return Err(HfError::NoWeights { folder: folder.to_path_buf(), hint });
    }
    let error = |problem: String| HfError::Json { path: index.clone(), problem };
    let text = std::fs::read_to_string(&index).map_err(HfError::io(&index, "reading"))?;
    let parsed: Value =
        serde_json::from_str(&text).map_err(|problem| error(format!("not JSON: {problem}")))?;
    let map = parsed.get("weight_map").and_then(Value::as_object);
    let map = map.ok_or_else(|| {
        error("`weight_map` is missing: an object from tensor to file is right".to_string())
    })?;
    let mut names = BTreeSet::new();
    for (tensor, file) in map {
        match file.as_str() {
            Some(file) if !file.is_empty() && !file.contains(['/', '\\']) => names.insert(file),
            _ => {
                return Err(error(format!(
                    "`weight_map.{tensor}` is {file}: the name of a file beside it is right"
                )));
            }
        };
    }
    let shards = names.iter().map(|name| Shard::open(folder.join(name))).collect::<Result<Vec<_>, _>>()?;
    for (tensor, file) in map {
        let shard = shards
            .iter()
            .find(|shard| shard.path.file_name().and_then(|name| name.to_str()) == file.as_str());
        if shard.is_some_and(|shard| shard.header.info(tensor).is_none()) {
            return Err(error(format!("says that {file} holds `{tensor}`; it does not")));
        }
    }
    Ok((index, shards))
}

/// Where a parameter is.
struct Place {
    name: String,
    shape: Vec<usize>,
    /// Its name in the file.
    stored: String,
    /// Index of the file.
    shard: usize,
}

/// The name that a stored tensor has here: Nemotron-H comes as `backbone.` from its makers and as `model.` from others.
pub(super) fn known_name(stored: &str, config: &ModelConfig) -> String {
    match stored.strip_prefix("model.") {
        Some(rest) if config.architecture == Architecture::NemotronH => format!("backbone.{rest}"),
        _ => stored.to_owned(),
    }
}

/// For each parameter, the shard that holds it; an error where the files and the config disagree.
fn locate(named_by: &Path, shards: &[Shard], config: &ModelConfig) -> Result<Vec<Place>, HfError> {
    let mut found: BTreeMap<String, (usize, Vec<usize>)> = BTreeMap::new();
    let mut stored_names: BTreeMap<String, String> = BTreeMap::new();
    for (place, shard) in shards.iter().enumerate() {
        for (stored, info) in shard.header.tensors() {
            let name = known_name(&stored, config);
            found.insert(name.clone(), (place, info.shape.clone()));
            stored_names.insert(name, stored);
        }
    }
    let shape_error = |place: usize, tensor: &str, expected: Vec<usize>, shape: Vec<usize>| HfError::Shape {
        path: shards[place].path.clone(),
        tensor: tensor.to_string(),
        expected,
        found: shape,
    };
    let mut places = Vec::new();
    for (name, expected) in config.parameter_names_and_shapes() {
        match found.remove(&name) {
            None => {
                return Err(HfError::Missing { path: named_by.to_path_buf(), tensor: name, shape: expected });
            }
            Some((place, shape)) if shape != expected => {
                return Err(shape_error(place, &name, expected, shape));
            }
            Some((shard, _)) => {
                let stored = stored_names.remove(&name).unwrap_or_else(|| name.clone());
                places.push(Place { name, shape: expected, stored, shard });
            }
        }
    }
    if config.tie_word_embeddings
        && let Some((place, shape)) = found.remove("lm_head.weight")
        && shape != [config.vocab_size, config.hidden_size]
    {
        return Err(shape_error(place, "lm_head.weight", vec![config.vocab_size, config.hidden_size], shape));
    }
    found.retain(|name, _| !name.ends_with("rotary_emb.inv_freq"));
    match found.into_iter().next() {
        None => Ok(places),
        Some((tensor, (place, shape))) => {
            let class = config.architecture.class_name();
            Err(HfError::Extra { path: shards[place].path.clone(), tensor, shape, class })
        }
    }
}

/// Name, shape, numbers.
pub(super) type Tensor<'a> = (String, Vec<usize>, &'a [f32]);

/// Writes `tensors` as f32 to one file or to shards, then removes the weights of an earlier write.
pub(super) fn write_weights<'a>(
    folder: &Path,
    config: &ModelConfig,
    tensors: impl Iterator<Item = Tensor<'a>>,
    shard_bytes: usize,
) -> Result<(), HfError> {
    let tensors = in_order(folder, config, tensors)?;
    let shards = cut(tensors, shard_bytes);
    let mut kept = BTreeSet::new();
    if let [only] = shards.as_slice() {
        write_file(&folder.join(SINGLE), only)?;
        kept.insert(SINGLE.to_string());
    } else {
        let mut weight_map = Map::new();
        let mut total = 0;
        for (number, shard) in shards.iter().enumerate() {
            let name = format!("model-{:05}-of-{:05}.safetensors", number + 1, shards.len());
            write_file(&folder.join(&name), shard)?;
            for (tensor, _, data) in shard {
                total += size_of_val(*data);
                weight_map.insert(tensor.clone(), json!(name));
            }
            kept.insert(name);
        }
        let index = json!({ "metadata": { "total_size": total }, "weight_map": weight_map });
        write_durably(&folder.join(INDEX), pretty(&index).as_bytes())?;
        kept.insert(INDEX.to_string());
    }
    remove_others(folder, &kept)
}

/// The tensors in the config's order, each there once and with its shape.
fn in_order<'a>(
    folder: &Path,
    config: &ModelConfig,
    tensors: impl Iterator<Item = Tensor<'a>>,
) -> Result<Vec<Tensor<'a>>, HfError> {
    let error = |problem: String| HfError::Tensors { folder: folder.to_path_buf(), problem };
    let mut given = BTreeMap::new();
    for (name, shape, data) in tensors {
        if data.len() != shape.iter().product::<usize>() {
            return Err(error(format!("`{name}` {shape:?} comes with {} numbers", data.len())));
        }
        if given.contains_key(&name) {
            return Err(error(format!("`{name}` is given twice")));
        }
        given.insert(name, (shape, data));
    }
    let mut ordered = Vec::with_capacity(given.len());
    for (name, expected) in config.parameter_names_and_shapes() {
        match given.remove(&name) {
            None => return Err(error(format!("`{name}` {expected:?} is missing"))),
            Some((shape, _)) if shape != expected => {
                return Err(error(format!("`{name}` is {shape:?}, the config gives it {expected:?}")));
            }
            Some((shape, data)) => ordered.push((name, shape, data)),
        }
    }
    match given.into_keys().next() {
        None => Ok(ordered),
        Some(name) => Err(error(format!("`{name}` is no part of the model"))),
    }
}

/// Cuts a list of tensors where the next one would take a shard above `shard_bytes`.
fn cut(tensors: Vec<Tensor<'_>>, shard_bytes: usize) -> Vec<Vec<Tensor<'_>>> {
    let mut shards: Vec<Vec<Tensor<'_>>> = Vec::new();
    let mut room = 0;
    for tensor in tensors {
        let size = size_of_val(tensor.2);
        match shards.last_mut() {
            Some(shard) if size <= room => {
                room -= size;
                shard.push(tensor);
            }
            _ => {
                room = shard_bytes.saturating_sub(size);
                shards.push(vec![tensor]);
            }
        }
    }
    shards
}

/// Writes one safetensors file; `"format": "pt"` is what transformers asks for before it opens one.
pub(super) fn write_file(path: &Path, tensors: &[Tensor<'_>]) -> Result<(), HfError> {
    let mut offset = 0;
    let mut infos = Vec::with_capacity(tensors.len());
    for (name, shape, data) in tensors {
        let end = offset + size_of_val(*data);
        let info = TensorInfo { dtype: StoredDtype::F32, shape: shape.clone(), data_offsets: (offset, end) };
        infos.push((name.clone(), info));
        offset = end;
    }
    let error = |problem: String| HfError::Header { path: path.to_path_buf(), problem };
    let format = HashMap::from([("format".to_string(), "pt".to_string())]);
    let header = Metadata::new(Some(format), infos).map_err(|problem| error(problem.to_string()))?;
    let mut header = serde_json::to_vec(&header).map_err(|problem| error(problem.to_string()))?;
    // The data starts at a multiple of 8 bytes, padded with spaces, as the format asks.
    header.resize(header.len().next_multiple_of(8), b' ');
    stream_durably(path, |out| {
        out.write_all(&(header.len() as u64).to_le_bytes())?;
        out.write_all(&header)?;
        let mut bytes = Vec::with_capacity(CHUNK);
        for (_, _, data) in tensors {
            for piece in data.chunks(CHUNK / 4) {
                bytes.clear();
                bytes.extend(piece.iter().flat_map(|number| number.to_le_bytes()));
                out.write_all(&bytes)?;
            }
        }
        Ok(())
    })
}

/// Removes weights that are not in `kept`: a reader that finds both layouts would take the older one.
fn remove_others(folder: &Path, kept: &BTreeSet<String>) -> Result<(), HfError> {
    for entry in std::fs::read_dir(folder).map_err(HfError::io(folder, "listing"))? {
        let entry = entry.map_err(HfError::io(folder, "listing"))?;
        let name = entry.file_name().to_string_lossy().into_owned();
        let shard = name.starts_with("model-") && name.ends_with(".safetensors");
        if (shard || name == SINGLE || name == INDEX) && !kept.contains(&name) {
            std::fs::remove_file(entry.path()).map_err(HfError::io(&entry.path(), "removing"))?;
        }
    }
    sync_folder(&folder.join(SINGLE))
}
