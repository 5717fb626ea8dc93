//! Adapters in PEFT's format: `adapter_config.json` and `adapter_model.safetensors`, whose tensors are named
//! `base_model.model.PROJECTION.lora_A.weight` after the modules of transformers.
//!
//! Which projections have an adapter is told by the tensors, so that every way of choosing them in PEFT is read. A setting that would
//! change what the adapters compute, and that is not supported here, is refused by its name.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use serde_json::{Map, Value, json};

use super::weights::{Tensor, known_name, read_file, write_file};
use super::{HfError, pretty, write_durably};
use crate::config::{Architecture, ModelConfig};
use crate::lora::{Adapter, LoraConfig, LoraTargets, names};

const CONFIG: &str = "adapter_config.json";
const WEIGHTS: &str = "adapter_model.safetensors";
const PREFIX: &str = "base_model.model.";

/// Fields that do not change what a given set of tensors computes.
const PASSED_OVER: [&str; 19] = [
    "auto_mapping",
    "base_model_name_or_path",
    "exclude_modules",
    "inference_mode",
    "layers_pattern",
    "layers_to_transform",
    "lora_dropout",
    "megatron_core",
    "peft_type",
    "peft_version",
    "qalora_group_size",
    "r",
    "lora_alpha",
    "revision",
    "runtime_config",
    "target_modules",
    "task_type",
    "use_rslora",
    "init_lora_weights",
];

fn json_error(path: &Path, problem: impl Into<String>) -> HfError {
    HfError::Json { path: path.to_path_buf(), problem: problem.into() }
}

fn read_config(folder: &Path) -> Result<(PathBuf, Map<String, Value>), HfError> {
    let path = folder.join(CONFIG);
    let text = std::fs::read_to_string(&path).map_err(HfError::io(&path, "reading"))?;
    let fields =
        serde_json::from_str(&text).map_err(|e| json_error(&path, format!("not a JSON object: {e}")))?;
    Ok((path, fields))
}

/// The folder of the base that an adapter's folder names; none for a folder that holds no adapter. A relative path is looked for
/// from the working directory, as PEFT does, then beside the adapter.
///
/// # Errors
/// When the adapter's config cannot be read or names no folder that there is.
pub fn adapter_base(folder: &Path) -> Result<Option<PathBuf>, HfError> {
    if !folder.join(CONFIG).is_file() {
        return Ok(None);
    }
    let (path, fields) = read_config(folder)?;
    let remedy =
        "give the base's folder as the model and this folder as its adapter (--model BASE --adapter FOLDER)";
    let Some(base) = fields.get("base_model_name_or_path").and_then(Value::as_str) else {
        return Err(json_error(&path, format!("`base_model_name_or_path` names no base; {remedy}")));
    };
    let places = [PathBuf::from(base), folder.join(base)];
    match places.into_iter().find(|place| place.join("config.json").is_file()) {
        Some(place) => Ok(Some(place)),
        None => Err(json_error(
            &path,
            format!("`base_model_name_or_path` is \"{base}\", which is no model's folder here; {remedy}"),
        )),
    }
}

/// Reads an adapter's folder for a base of this config.
///
/// # Errors
/// When a file cannot be read, a setting is not supported, or a tensor does not fit the base.
pub(crate) fn read_adapter(
    folder: &Path,
    config: &ModelConfig,
) -> Result<(LoraConfig, Vec<Adapter>), HfError> {
    let (path, fields) = read_config(folder)?;
    let mut lora = read_settings(&path, &fields)?;
    let path = folder.join(WEIGHTS);
    let wrong = |tensor: &str, problem: String| HfError::Adapter {
        path: path.clone(),
        tensor: tensor.to_owned(),
        problem,
    };
    let mut found: BTreeMap<String, (String, Vec<usize>, Vec<f32>)> = BTreeMap::new();
    for (stored, shape, data) in read_file(&path)? {
        let name = known_name(stored.strip_prefix(PREFIX).unwrap_or(&stored), config);
        found.insert(name, (stored, shape, data));
    }
    let mut adapters = Vec::new();
    let mut targets: Vec<String> = Vec::new();
    for projection in config.projections() {
        let shapes = [[lora.rank, projection.inputs], [projection.outputs, lora.rank]];
        let mut take = |name: &String, expected: [usize; 2]| match found.remove(name) {
            Some((stored, shape, _)) if shape != expected => Err(wrong(
                &stored,
                format!("has shape {shape:?}; {expected:?} is right for this base and rank"),
            )),
            Some((_, _, data)) => Ok(Some(data)),
            None => Ok(None),
        };
        let [name_a, name_b] = names(&projection.name);
        match (take(&name_a, shapes[0])?, take(&name_b, shapes[1])?) {
            (Some(a), Some(b)) => {
                if !targets.iter().any(|target| target == projection.target()) {
                    targets.push(projection.target().to_owned());
                }
                adapters.push(Adapter { projection, a, b });
            }
            (None, None) => {}
            (Some(_), None) => return Err(wrong(&name_b, "is missing beside its A".into())),
            (None, Some(_)) => return Err(wrong(&name_a, "is missing beside its B".into())),
        }
    }
    if let Some((stored, shape, _)) = found.into_values().next() {
        let class = config.architecture.class_name();
        let problem = format!(
            "{shape:?} belongs to no projection within the blocks of this {class}; adapters of other modules are not supported"
        );
        return Err(wrong(&stored, problem));
    }
    if adapters.is_empty() {
        return Err(wrong("*.lora_A.weight", "is missing: the file holds no adapter".into()));
    }
    lora.targets = LoraTargets::Named(targets);
    Ok((lora, adapters))
}

/// The rank and the scale, after every other field was seen to be without effect.
fn read_settings(path: &Path, fields: &Map<String, Value>) -> Result<LoraConfig, HfError> {
    let wrong = |field: &str, right: &str| {
        let found = fields.get(field).map_or("missing".to_owned(), Value::to_string);
        json_error(path, format!("`{field}` is {found}; {right}"))
    };
    if fields.get("peft_type").and_then(Value::as_str) != Some("LORA") {
        return Err(wrong("peft_type", "\"LORA\" is supported"));
    }
    for (field, value) in fields.iter().filter(|(field, _)| !PASSED_OVER.contains(&field.as_str())) {
        let inactive = match value {
            Value::Null | Value::Bool(false) => true,
            Value::String(text) => text == "none" || text.is_empty(),
            Value::Array(items) => items.is_empty(),
            Value::Object(items) => items.is_empty(),
            Value::Bool(true) | Value::Number(_) => false,
        };
        if !inactive {
            return Err(wrong(
                field,
                "it is not supported, and without it the adapters would compute something else",
            ));
        }
    }
    // the others begin with a base whose weights they change
    let plain = [Value::Null, json!(true), json!(false), json!("gaussian"), json!("orthogonal")];
    if fields.get("init_lora_weights").is_some_and(|init| !plain.contains(init)) {
        return Err(wrong(
            "init_lora_weights",
            "true, false, \"gaussian\" and \"orthogonal\", which leave the base as it is, are supported",
        ));
    }
    let rank = fields.get("r").and_then(Value::as_u64).filter(|rank| *rank > 0);
    let alpha = fields.get("lora_alpha").and_then(Value::as_f64).filter(|alpha| alpha.is_finite());
    let rslora = match fields.get("use_rslora") {
        None | Some(Value::Null) => false,
        Some(Value::Bool(rslora)) => *rslora,
        Some(_) => return Err(wrong("use_rslora", "true or false is right")),
    };
    Ok(LoraConfig {
        rank: rank.ok_or_else(|| wrong("r", "a whole number of 1 or more is right"))? as usize,
        alpha: alpha.ok_or_else(|| wrong("lora_alpha", "a number is right"))?,
        targets: LoraTargets::default(),
        rslora,
    })
}

/// Writes an adapter's folder; `tensors` are named as the model's parameters.
///
/// # Errors
/// When a file cannot be written.
pub(crate) fn write_adapter(
    folder: &Path,
    config: &ModelConfig,
    lora: &LoraConfig,
    base: &Path,
    mut tensors: Vec<Tensor<'_>>,
) -> Result<(), HfError> {
    std::fs::create_dir_all(folder).map_err(HfError::io(folder, "making the folder"))?;
    let targets = match &lora.targets {
        LoraTargets::AllLinear => config.lora_targets(),
        LoraTargets::Named(names) => names.clone(),
    };
    for (name, _, _) in &mut tensors {
        *name = format!("{PREFIX}{}", module_name(name, config));
    }
    write_file(&folder.join(WEIGHTS), &tensors)?;
    let alpha = if lora.alpha.fract() == 0.0 { json!(lora.alpha as i64) } else { json!(lora.alpha) };
    let fields = json!({
        "alpha_pattern": {},
        "auto_mapping": null,
        "base_model_name_or_path": base.display().to_string(),
        "bias": "none",
        "fan_in_fan_out": false,
        "inference_mode": true,
        "init_lora_weights": true,
        "lora_alpha": alpha,
        "lora_dropout": 0.0,
        "modules_to_save": null,
        "peft_type": "LORA",
        "r": lora.rank,
        "rank_pattern": {},
        "revision": null,
        "target_modules": targets,
        "task_type": "CAUSAL_LM",
        "use_dora": false,
        "use_rslora": lora.rslora,
    });
    write_durably(&folder.join(CONFIG), pretty(&fields).as_bytes())
}

/// What transformers calls in memory what a checkpoint names `name`.
fn module_name(name: &str, config: &ModelConfig) -> String {
    match name.strip_prefix("backbone.") {
        Some(rest) if config.architecture == Architecture::NemotronH => format!("model.{rest}"),
        _ => name.to_owned(),
    }
}
