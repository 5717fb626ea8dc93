//! The engine of all components, and a component from its file: read, compiled once per machine, checked against the WIT package,
//! and ready to be instantiated.

use crate::bindings::PluginPre;
use crate::limits::Limits;
use crate::state::State;
use crate::wasi;
use rlvr_wasm::{cache, epoch};
use sha2::{Digest, Sha256};
use std::hash::{DefaultHasher, Hash, Hasher};
use std::path::{Path, PathBuf};
use std::sync::OnceLock;
use std::time::Instant;
use wasmtime::component::{Component, Linker};
use wasmtime::{Config, Engine, OptLevel, Store, WasmBacktraceDetails};

/// Bytes of native stack that a component may use.
const WASM_STACK: usize = 4 << 20;

/// Bytes of the stack that calls are made on: threads of a verifier pool have less.
pub(crate) const STACK: usize = WASM_STACK + (1 << 20);

/// What components export.
const INTERFACE: &str = "rlvr:verifier/verifier";

/// The version of [`crate::WIT`].
const VERSION: &str = "0.1.0";

/// Bytes of a component from which on its compilation is announced.
const LARGE: usize = 1 << 20;

/// Why a file is no verifier. Each says the file, and what would be right.
#[derive(Debug, thiserror::Error)]
#[error("{}: {problem}", file.display())]
pub(crate) struct LoadError {
    /// The file.
    pub file: PathBuf,
    /// What is wrong, and what would be right.
    pub problem: String,
}

/// A component that can be instantiated.
pub(crate) struct Plugin {
    pre: PluginPre<State>,
    /// SHA-256 of the file.
    pub hash: [u8; 32],
}

impl Plugin {
    /// Loads the file; `progress` is told before a compilation that takes seconds, and when what was compiled cannot be kept.
    ///
    /// # Errors
    /// A file that cannot be read, is no component, or is not made for the WIT package.
    pub fn load(path: &Path, progress: &dyn Fn(&str)) -> Result<Plugin, LoadError> {
        let wrong = |problem: String| LoadError { file: path.to_owned(), problem };
        let bytes = std::fs::read(path).map_err(|e| {
            wrong(format!(
                "{e}; the path of a wasm component is right, from the folder of the file that names it"
            ))
        })?;
        check_kind(&bytes).map_err(wrong)?;
        let engine = engine().map_err(|e| wrong(e.clone()))?;
        let hash: [u8; 32] = Sha256::digest(&bytes).into();
        let component = compiled(engine, &bytes, &hash, progress)
            .map_err(|e| wrong(format!("is no valid component: {e:#}; build it anew")))?;
        check_exports(&component, engine).map_err(wrong)?;
        let refused = |e: wasmtime::Error| wrong(format!("cannot be a verifier: {e:#}; {}", remedy()));
        let mut linker = Linker::new(engine);
        wasi::define(&mut linker, &component, engine).map_err(refused)?;
        let pre = linker.instantiate_pre(&component).and_then(PluginPre::new).map_err(refused)?;
        Ok(Plugin { pre, hash })
    }

    /// A store for one call.
    ///
    /// # Errors
    /// When the engine has no fuel, which it always has.
    pub fn store(&self, limits: &Limits, seed: [u8; 32]) -> wasmtime::Result<Store<State>> {
        let mut store = Store::new(self.pre.engine(), State::new(limits, seed));
        store.limiter(|state| state);
        store.set_fuel(limits.fuel)?;
        store.epoch_deadline_trap();
        store.set_epoch_deadline(epoch::ticks(limits.backstop));
        Ok(store)
    }

    /// A new instance in the store.
    ///
    /// # Errors
    /// What its start runs into.
    pub fn instantiate(&self, store: &mut Store<State>) -> wasmtime::Result<crate::bindings::Plugin> {
        self.pre.instantiate(store)
    }
}

fn config() -> Config {
    let mut config = Config::new();
    config
        .wasm_component_model(true)
        .concurrency_support(false)
        .consume_fuel(true)
        .epoch_interruption(true)
        .max_wasm_stack(WASM_STACK)
        .async_stack_size(STACK)
        .cranelift_opt_level(OptLevel::Speed)
        .cranelift_nan_canonicalization(true)
        .wasm_relaxed_simd(false)
        .wasm_backtrace_details(WasmBacktraceDetails::Disable)
        .generate_address_map(false)
        .memory_init_cow(true)
        .memory_guaranteed_dense_image_size(256 << 20);
    config
}

/// The engine of this process.
fn engine() -> Result<&'static Engine, &'static String> {
    static ENGINE: OnceLock<Result<Engine, String>> = OnceLock::new();
    let start = || {
        let engine = Engine::new(&config()).map_err(|e| format!("wasmtime cannot run here: {e:#}"))?;
        epoch::start(&engine);
        Ok(engine)
    };
    ENGINE.get_or_init(start).as_ref()
}

fn remedy() -> String {
    format!("build it for the world `rlvr:verifier/plugin@{VERSION}`, as docs/wasm-verifiers.md shows")
}

/// Tells a component from other files by its first bytes.
fn check_kind(bytes: &[u8]) -> Result<(), String> {
    match bytes.get(..8) {
        Some(b"\0asm\x0d\0\x01\0") => Ok(()),
        Some(b"\0asm\x01\0\0\0") => Err(
            "is a core wasm module, and a component is right; `wasm-tools component embed` and `wasm-tools component new` make one of it, as docs/wasm-verifiers.md shows"
                .into(),
        ),
        Some([b'\0', b'a', b's', b'm', ..]) => Err(format!("is wasm of an unknown version; {}", remedy())),
        _ => Err(format!("is no wasm; {}", remedy())),
    }
}

fn check_exports(component: &Component, engine: &Engine) -> Result<(), String> {
    let ty = component.component_type();
    let names: Vec<&str> = ty.exports(engine).map(|(name, _)| name).collect();
    // versions 0.1.x are compatible
    let mut versions =
        names.iter().filter_map(|name| name.strip_prefix(INTERFACE)?.strip_prefix('@')).peekable();
    if versions.peek().is_none() {
        let exports = if names.is_empty() { "nothing".into() } else { format!("`{}`", names.join("`, `")) };
        return Err(format!("exports {exports} and not `{INTERFACE}@{VERSION}`; {}", remedy()));
    }
    match versions.clone().any(|version| version.starts_with("0.1.")) {
        true => Ok(()),
        false => {
            let version = versions.next().unwrap_or_default();
            Err(format!("is made for `{INTERFACE}@{version}`, and this program has {VERSION}; {}", remedy()))
        }
    }
}

/// The component's native code: from the cache where it is there and whole, else compiled and kept.
fn compiled(
    engine: &Engine,
    bytes: &[u8],
    hash: &[u8; 32],
    progress: &dyn Fn(&str),
) -> wasmtime::Result<Component> {
    let folder = cache::folder().filter(|folder| match cache::make_private(folder) {
        Ok(()) => true,
        Err(error) => {
            progress(&format!("the compiled verifier cannot be kept: {error}"));
            false
        }
    });
    let path = folder.map(|folder| folder.join(cache_name(engine, hash)));
    if let Some(component) = path.as_deref().and_then(|path| kept(engine, path)) {
        return Ok(component);
    }
    let start = Instant::now();
    if bytes.len() >= LARGE {
        progress("compiling the wasm verifier for this machine, once");
    }
    let code = engine.precompile_component(bytes)?;
    if bytes.len() >= LARGE {
        progress(&format!("compiled the wasm verifier in {:.1} s", start.elapsed().as_secs_f64()));
    }
    if let Some(path) = path {
        match cache::write(&path, &code) {
            Ok(()) => {
                if let Some(component) = kept(engine, &path) {
                    return Ok(component);
                }
            }
            Err(error) => {
                progress(&format!("{}: the compiled verifier cannot be kept: {error}", path.display()));
            }
        }
    }
    // SAFETY: the bytes are what `precompile_component` of this very engine has just returned.
    unsafe { Component::deserialize(engine, &code) }
}

fn kept(engine: &Engine, path: &Path) -> Option<Component> {
    cache::open_whole(path)?;
    // SAFETY: the file and its folder are this user's own and closed to others, its name is the hash of all that the code depends
    // on, and its content was just found whole; wasmtime checks its own version and settings besides.
    unsafe { Component::deserialize_file(engine, path) }.ok()
}

fn cache_name(engine: &Engine, hash: &[u8; 32]) -> String {
    let mut hasher = DefaultHasher::new();
    engine.precompile_compatibility_hash().hash(&mut hasher);
    let settings = hasher.finish().to_le_bytes();
    cache::file_name("component", &[hash, env!("CARGO_PKG_VERSION").as_bytes(), &settings])
}
