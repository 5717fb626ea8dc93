//! Model folders on disk: what is read, what is refused, and that a write never leaves half a file.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use rlvr_model::config::{Dtype, ModelConfig};
use rlvr_model::hf::{GenerationConfig, HfError, SHARD_BYTES, read_weights, write_durably, write_folder};
use safetensors::SafeTensors;
use safetensors::tensor::{Dtype as StoredDtype, TensorView};
use serde_json::{Value, json};

type Tensors = BTreeMap<String, (Vec<usize>, Vec<f32>)>;

fn fixture(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/fixtures/llama").join(name)
}

fn small(tied: bool) -> ModelConfig {
    let fields = json!({ "vocab_size": 11, "hidden_size": 8, "intermediate_size": 12, "num_hidden_layers": 2,
                         "num_attention_heads": 2, "num_key_value_heads": 1, "max_position_embeddings": 32,
                         "tie_word_embeddings": tied });
    ModelConfig::from_json(fields.as_object().unwrap()).unwrap()
}

/// Every parameter of `config` with numbers that differ from each other.
fn tensors_of(config: &ModelConfig) -> Tensors {
    let mut next = 0.0;
    let mut fill = |shape: &[usize]| {
        let size: usize = shape.iter().product();
        (0..size)
            .map(|_| {
                next += 0.25;
                next
            })
            .collect::<Vec<f32>>()
    };
    config
        .parameter_names_and_shapes()
        .into_iter()
        .map(|(name, shape)| {
            let data = fill(&shape);
            (name, (shape, data))
        })
        .collect()
}

/// Writes a safetensors file with the `safetensors` crate, so that our reader meets files that are not ours.
fn store(path: &Path, tensors: &Tensors) {
    let bytes: BTreeMap<&String, Vec<u8>> = tensors
        .iter()
        .map(|(name, (_, data))| (name, data.iter().flat_map(|x| x.to_le_bytes()).collect()))
        .collect();
    let views = tensors.iter().map(|(name, (shape, _))| {
        (name.clone(), TensorView::new(StoredDtype::F32, shape.clone(), &bytes[name]).unwrap())
    });
    std::fs::write(path, safetensors::serialize(views, None).unwrap()).unwrap();
}

fn read(folder: &Path, config: &ModelConfig) -> Result<Tensors, HfError> {
    let mut tensors = Tensors::new();
    read_weights::<HfError>(folder, config, &mut |name, data, shape| {
        tensors.insert(name.to_string(), (shape.to_vec(), data));
        Ok(())
    })?;
    Ok(tensors)
}

fn write(folder: &Path, config: &ModelConfig, tensors: &Tensors, shard_bytes: usize) -> Result<(), HfError> {
    let list = tensors.iter().map(|(name, (shape, data))| (name.clone(), shape.clone(), data.as_slice()));
    write_folder(folder, config, list, &GenerationConfig::of_model(config), shard_bytes)
}

fn names(folder: &Path) -> Vec<String> {
    let mut names: Vec<String> = std::fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    names.sort();
    names
}

#[test]
fn weights_in_half_precision_and_in_shards_are_widened_exactly() {
    for (name, dtype) in [("sharded_bf16", Dtype::Bf16), ("old_config_f16", Dtype::F16)] {
        let config = ModelConfig::read(&fixture(name)).unwrap();
        assert_eq!(config.dtype, dtype);
        let found = read(&fixture(name), &config).unwrap();
        assert_eq!(found.len(), config.parameter_names_and_shapes().len());
        for entry in std::fs::read_dir(fixture(name)).unwrap() {
            let path = entry.unwrap().path();
            let file = path.file_name().unwrap().to_str().unwrap();
            if !(file.starts_with("model") && file.ends_with(".safetensors")) {
                continue;
            }
            // candle widens on its own.
            for (tensor, value) in candle_core::safetensors::load(&path, &candle_core::Device::Cpu).unwrap() {
                let value = value.to_dtype(candle_core::DType::F32).unwrap().flatten_all().unwrap();
                assert_eq!(found[&tensor].1, value.to_vec1::<f32>().unwrap(), "{tensor}");
            }
        }
    }
}

#[test]
fn a_folder_written_whole_or_in_shards_reads_back_bit_for_bit() {
    let config = small(false);
    let tensors = tensors_of(&config);
    let folder = tempfile::tempdir().unwrap();
    let target = folder.path().join("made/on/the/way");

    write(&target, &config, &tensors, SHARD_BYTES).unwrap();
    assert_eq!(names(&target), ["config.json", "generation_config.json", "model.safetensors"]);
    assert_eq!(read(&target, &config).unwrap(), tensors);
    assert_eq!(ModelConfig::read(&target).unwrap(), config);

    // Then sharded over it: what is left of the first write must not be what a reader takes.
    write(&target, &config, &tensors, 600).unwrap();
    let shards: Vec<String> = names(&target).into_iter().filter(|name| name.starts_with("model-")).collect();
    assert!(shards.len() > 2, "{shards:?}");
    assert_eq!(names(&target).len(), shards.len() + 3, "config, generation config and index");
    assert_eq!(read(&target, &config).unwrap(), tensors);
    let index: Value =
        serde_json::from_slice(&std::fs::read(target.join("model.safetensors.index.json")).unwrap()).unwrap();
    assert_eq!(index["metadata"]["total_size"], config.parameters() * 4);
    for shard in &shards {
        let bytes = std::fs::read(target.join(shard)).unwrap();
        let file = SafeTensors::deserialize(&bytes).unwrap();
        let sizes: Vec<usize> = file.iter().map(|(_, tensor)| tensor.data().len()).collect();
        assert!(sizes.len() == 1 || sizes.iter().sum::<usize>() <= 600, "{shard}: {sizes:?}");
        for (tensor, _) in file.iter() {
            assert_eq!(index["weight_map"][tensor], shard.as_str());
        }
        let (header, meta) = SafeTensors::read_metadata(&bytes).unwrap();
        assert!(header % 8 == 0 && meta.metadata().as_ref().unwrap()["format"] == "pt");
    }

    // And whole again.
    write(&target, &config, &tensors, SHARD_BYTES).unwrap();
    assert_eq!(names(&target), ["config.json", "generation_config.json", "model.safetensors"]);
}

#[test]
fn a_tied_output_matrix_may_be_stored_or_not() {
    let config = small(true);
    let mut tensors = tensors_of(&config);
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("model.safetensors");
    store(&path, &tensors);
    assert_eq!(read(folder.path(), &config).unwrap(), tensors);
    let mut stored = tensors.clone();
    stored.insert("lm_head.weight".to_string(), tensors["model.embed_tokens.weight"].clone());
    stored.insert("model.layers.0.self_attn.rotary_emb.inv_freq".to_string(), (vec![2], vec![1.0, 0.1]));
    store(&path, &stored);
    assert_eq!(read(folder.path(), &config).unwrap(), tensors);

    tensors.insert("lm_head.weight".to_string(), (vec![3], vec![0.0; 3]));
    store(&path, &tensors);
    let message = read(folder.path(), &config).unwrap_err().to_string();
    assert!(
        message.contains("lm_head.weight") && message.contains("[3]") && message.contains("[11, 8]"),
        "{message}"
    );
}

#[test]
fn a_missing_extra_or_misshapen_tensor_is_named_with_file_and_shapes() {
    let config = small(false);
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("model.safetensors");
    let refusal = |change: &dyn Fn(&mut Tensors)| {
        let mut tensors = tensors_of(&config);
        change(&mut tensors);
        store(&path, &tensors);
        let message = read(folder.path(), &config).unwrap_err().to_string();
        assert!(message.contains("model.safetensors"), "{message}");
        message
    };
    let message = refusal(&|tensors| {
        tensors.remove("model.layers.1.mlp.up_proj.weight");
    });
    assert!(message.contains("`model.layers.1.mlp.up_proj.weight` [12, 8] is missing"), "{message}");
    let message = refusal(&|tensors| {
        tensors.insert("model.layers.1.self_attn.q_proj.bias".to_string(), (vec![8], vec![0.0; 8]));
    });
    assert!(message.contains("`model.layers.1.self_attn.q_proj.bias` [8]"), "{message}");
    let message = refusal(&|tensors| {
        tensors.insert("model.norm.weight".to_string(), (vec![2, 4], vec![0.0; 8]));
    });
    assert!(message.contains("`model.norm.weight` has shape [2, 4]") && message.contains("[8]"), "{message}");
}

#[test]
fn a_file_cut_short_or_of_another_kind_is_refused_before_any_tensor_is_given() {
    let config = small(false);
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("model.safetensors");
    store(&path, &tensors_of(&config));
    let whole = std::fs::read(&path).unwrap();
    let cases: [&[u8]; 5] = [
        &whole[..whole.len() - 4],
        &whole[..20],
        b"",
        b"not a safetensors file",
        &[&whole[..], b"tail"].concat(),
    ];
    for bytes in cases {
        std::fs::write(&path, bytes).unwrap();
        let mut given = 0;
        let result = read_weights::<HfError>(folder.path(), &config, &mut |_, _, _| {
            given += 1;
            Ok(())
        });
        assert!(matches!(result, Err(HfError::Header { .. })), "{result:?}");
        assert_eq!(given, 0);
    }
    std::fs::write(
        &path,
        safetensors::serialize(
            [("model.norm.weight", TensorView::new(StoredDtype::I64, vec![8], &[0; 64]).unwrap())],
            None,
        )
        .unwrap(),
    )
    .unwrap();
    assert!(matches!(read(folder.path(), &config), Err(HfError::Missing { .. })));
}

#[test]
fn an_integer_tensor_is_refused_by_name() {
    let config = small(false);
    let tensors = tensors_of(&config);
    let bytes: BTreeMap<&String, Vec<u8>> =
        tensors.iter().map(|(name, (_, data))| (name, vec![0; data.len() * 4])).collect();
    let views = tensors.iter().map(|(name, (shape, _))| {
        (name.clone(), TensorView::new(StoredDtype::I32, shape.clone(), &bytes[name]).unwrap())
    });
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("model.safetensors");
    std::fs::write(path, safetensors::serialize(views, None).unwrap()).unwrap();
    let message = read(folder.path(), &config).unwrap_err().to_string();
    assert!(message.contains("model.embed_tokens.weight") && message.contains("I32"), "{message}");
}

#[test]
fn an_index_that_points_astray_is_refused() {
    let config = small(false);
    let folder = tempfile::tempdir().unwrap();
    store(&folder.path().join("model-00001-of-00001.safetensors"), &tensors_of(&config));
    let refusal = |index: &str| {
        std::fs::write(folder.path().join("model.safetensors.index.json"), index).unwrap();
        read(folder.path(), &config).unwrap_err().to_string()
    };
    let message = refusal(r#"{"weight_map": {"model.norm.weight": "model-00002-of-00002.safetensors"}}"#);
    assert!(message.contains("model-00002-of-00002.safetensors"), "{message}");
    let message = refusal(r#"{"weight_map": {"model.norm.weight": "../elsewhere.safetensors"}}"#);
    assert!(message.contains("weight_map.model.norm.weight") && message.contains("elsewhere"), "{message}");
    let message = refusal(r#"{"weight_map": {"nowhere": "model-00001-of-00001.safetensors"}}"#);
    assert!(message.contains("`nowhere`"), "{message}");
    assert!(refusal("{}").contains("`weight_map` is missing"));
    assert!(refusal("{").contains("not JSON"));
}

#[test]
fn a_folder_without_safetensors_says_what_is_there_instead() {
    let folder = tempfile::tempdir().unwrap();
    let message = read(folder.path(), &small(false)).unwrap_err().to_string();
    assert!(message.contains("no model.safetensors"), "{message}");
    std::fs::write(folder.path().join("pytorch_model.bin"), b"").unwrap();
    let message = read(folder.path(), &small(false)).unwrap_err().to_string();
    assert!(message.contains("pytorch_model.bin"), "{message}");
}

#[test]
fn tensors_that_are_not_the_models_are_not_written() {
    let config = small(false);
    let folder = tempfile::tempdir().unwrap();
    for (change, shown) in [
        (
            Box::new(|t: &mut Tensors| drop(t.remove("lm_head.weight"))) as Box<dyn Fn(&mut Tensors)>,
            "lm_head.weight",
        ),
        (Box::new(|t: &mut Tensors| drop(t.insert("more".into(), (vec![1], vec![0.0])))), "more"),
        (
            Box::new(|t: &mut Tensors| drop(t.insert("model.norm.weight".into(), (vec![8], vec![0.0])))),
            "1 numbers",
        ),
        (Box::new(|t: &mut Tensors| drop(t.insert("model.norm.weight".into(), (vec![1], vec![0.0])))), "[8]"),
    ] {
        let mut tensors = tensors_of(&config);
        change(&mut tensors);
        let message = write(folder.path(), &config, &tensors, SHARD_BYTES).unwrap_err().to_string();
        assert!(message.contains(shown), "{message}");
        assert_eq!(names(folder.path()), [""; 0]);
    }
}

#[test]
fn a_write_that_fails_names_the_file_and_leaves_the_last_good_one() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("config.json");
    write_durably(&path, b"good").unwrap();
    // A folder in the way of the temporary file stands for a disk that refuses.
    std::fs::create_dir(folder.path().join("config.json.partial")).unwrap();
    let message = write_durably(&path, b"newer").unwrap_err().to_string();
    assert!(message.contains("config.json") && message.contains("writing"), "{message}");
    assert_eq!(std::fs::read(&path).unwrap(), b"good");
}

#[test]
fn generation_settings_travel_unchanged_and_the_models_ids_fill_the_gaps() {
    let config = ModelConfig::read(&fixture("untied_mha")).unwrap();
    let folder = tempfile::tempdir().unwrap();
    let of_model = GenerationConfig::read(folder.path(), &config).unwrap();
    assert_eq!((of_model.bos_token_id, of_model.eos_token_id.as_slice()), (Some(1), &[2, 7][..]));

    let path = folder.path().join("generation_config.json");
    std::fs::write(
        &path,
        r#"{"eos_token_id": [9, 5], "temperature": 0.6, "do_sample": true, "new": {"a": 1}}"#,
    )
    .unwrap();
    let read = GenerationConfig::read(folder.path(), &config).unwrap();
    assert_eq!((read.bos_token_id, read.eos_token_id.as_slice()), (Some(1), &[9, 5][..]));
    read.write(folder.path()).unwrap();
    assert_eq!(GenerationConfig::read(folder.path(), &config).unwrap(), read);
    let written: Value = serde_json::from_slice(&std::fs::read(&path).unwrap()).unwrap();
    assert_eq!(
        written,
        json!({ "bos_token_id": 1, "eos_token_id": [9, 5], "temperature": 0.6, "do_sample": true,
                                "new": { "a": 1 } })
    );

    std::fs::write(&path, r#"{"eos_token_id": "</s>"}"#).unwrap();
    let message = GenerationConfig::read(folder.path(), &config).unwrap_err().to_string();
    assert!(message.contains("generation_config.json: `eos_token_id` is \"</s>\""), "{message}");
}
