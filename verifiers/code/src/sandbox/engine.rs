//! The engine: its settings, the compiled guest, and the one pristine instance that all others are put back from.

use super::limits::Limits;
use super::pages::PageScanner;
use super::state::{Role, State, Stop};
use super::{guest, surface};
use rlvr_wasm::{cache, epoch};
use std::hash::{DefaultHasher, Hash, Hasher};
use std::path::Path;
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};
use wasmtime::{
    Config, Engine, Instance, InstancePre, Linker, Memory, Module, OperatorCost, OptLevel, Store,
    UpdateDeadline, WasmBacktraceDetails,
};

/// Bytes of native stack that a guest may use; the threads that run guests have more.
const WASM_STACK: usize = 64 << 20;

/// Bytes of stack of a thread that runs guests.
pub(crate) const THREAD_STACK: usize = WASM_STACK + (8 << 20);

/// Epochs after which a guest is interrupted to look at the processor time that it has taken.
pub(super) const LOOK: u64 = 5;

/// Processor time that this thread has had, so that other work on the machine does not count; elapsed time where the system does not
/// say.
fn processor_time() -> Duration {
    static START: OnceLock<Instant> = OnceLock::new();
    let told = std::fs::read_to_string("/proc/thread-self/schedstat").ok();
    let nanoseconds = told.and_then(|line| line.split_whitespace().next()?.parse().ok());
    nanoseconds.map_or_else(|| START.get_or_init(Instant::now).elapsed(), Duration::from_nanos)
}

/// Whether the request under way has taken more than its share. Its time begins with the first look.
fn look(state: &mut State) -> Result<(), Stop> {
    let backstop = Duration::try_from_secs_f64(state.limits.backstop).unwrap_or(Duration::MAX);
    let now = processor_time();
    let deadline = *state.deadline.get_or_insert_with(|| now.saturating_add(backstop));
    if now < deadline { Ok(()) } else { Err(Stop::Backstop) }
}

/// Why there is no sandbox.
#[derive(Debug, thiserror::Error)]
pub enum SandboxError {
    /// The guest in the binary is damaged, or wasmtime refuses it.
    #[error("the Python sandbox cannot start: {0}")]
    Guest(String),
}

impl From<wasmtime::Error> for SandboxError {
    fn from(error: wasmtime::Error) -> Self {
        SandboxError::Guest(format!("{error:#}"))
    }
}

/// The compiled guest, shared by all workers.
pub struct Sandbox {
    engine: Engine,
    pre: InstancePre<State>,
    /// An instance that never runs: its memory is the image.
    image: (Store<State>, Memory),
    keeps: bool,
}

/// Fuel of a byte that is copied or filled at once: as much as the time that it takes, and no less than native Python's.
const FUEL_PER_COPIED_BYTE: u8 = 4;

fn config() -> Config {
    let mut cost = OperatorCost::new();
    cost.variable.memory_copy_per_byte = FUEL_PER_COPIED_BYTE;
    cost.variable.memory_fill_per_byte = FUEL_PER_COPIED_BYTE;
    let mut config = Config::new();
    config
        .consume_fuel(true)
        .operator_cost(cost)
        .epoch_interruption(true)
        .max_wasm_stack(WASM_STACK)
        .async_stack_size(THREAD_STACK)
        .cranelift_opt_level(OptLevel::Speed)
        .cranelift_nan_canonicalization(true)
        .wasm_backtrace_details(WasmBacktraceDetails::Disable)
        .generate_address_map(false)
        .memory_init_cow(true)
        .memory_guaranteed_dense_image_size(256 << 20);
    config
}

impl Sandbox {
    /// Compiles the guest, or loads what was compiled before. `progress` is told before the compilation, which takes seconds,
    /// and when what was compiled cannot be kept.
    ///
    /// # Errors
    /// When the guest is damaged or wasmtime cannot run here.
    pub fn open(progress: &dyn Fn(&str)) -> Result<Arc<Sandbox>, SandboxError> {
        Self::open_in(cache::folder().as_deref(), progress)
    }

    /// As [`Sandbox::open`], with the folder of compiled guests; without one, nothing is kept.
    ///
    /// # Errors
    /// As [`Sandbox::open`].
    pub fn open_in(folder: Option<&Path>, progress: &dyn Fn(&str)) -> Result<Arc<Sandbox>, SandboxError> {
        let engine = Engine::new(&config())?;
        let module = compiled(&engine, folder, &Source::GUEST, progress)?;
        let mut linker = Linker::new(&engine);
        surface::define(&mut linker, &module)?;
        let pre = linker.instantiate_pre(&module)?;
        let mut store = Store::new(&engine, State::new(Limits::default()));
        let instance = pre.instantiate(&mut store)?;
        let memory = memory_of(&instance, &mut store)?;
        epoch::start(&engine);
        let keeps = PageScanner::new().is_some();
        Ok(Arc::new(Sandbox { engine, pre, image: (store, memory), keeps }))
    }

    /// Whether instances are kept and put back (Linux 6.7 and later), or made anew for each check.
    pub fn keeps_instances(&self) -> bool {
        self.keeps
    }

    pub(super) fn store(&self, limits: Limits) -> Store<State> {
        let mut store = Store::new(&self.engine, State::new(limits));
        store.limiter(|state| state);
        store.epoch_deadline_callback(|mut store| {
            look(store.data_mut())?;
            Ok(UpdateDeadline::Continue(LOOK))
        });
        store
    }

    pub(super) fn instantiate(&self, store: &mut Store<State>, role: Role) -> Result<Instance, SandboxError> {
        store.set_epoch_deadline(u64::MAX / 2);
        let instance = self.pre.instantiate(&mut *store)?;
        let memory = memory_of(&instance, store)?;
        let dispatch = instance.get_typed_func(&mut *store, "rlvr_dispatch")?;
        let control = instance.get_typed_func(&mut *store, "rlvr_control")?;
        let side = &mut store.data_mut().sides[role as usize];
        (side.memory, side.dispatch, side.control) = (Some(memory), Some(dispatch), Some(control));
        Ok(instance)
    }

    /// The memory of a guest that has not run.
    pub(super) fn image(&self) -> &[u8] {
        self.image.1.data(&self.image.0)
    }
}

fn memory_of(instance: &Instance, store: &mut Store<State>) -> Result<Memory, SandboxError> {
    instance
        .get_memory(store, "memory")
        .ok_or_else(|| SandboxError::Guest("the guest exports no memory".into()))
}

/// What is compiled.
struct Source {
    /// Names the module in the cache.
    hash: &'static str,
    /// The module, which is only asked for when it must be compiled.
    module: fn() -> Result<Vec<u8>, String>,
}

impl Source {
    const GUEST: Source = Source { hash: guest::GUEST_SHA256, module: guest::module };
}

/// Native code: from the folder where it is there and whole, else compiled and kept.
fn compiled(
    engine: &Engine,
    folder: Option<&Path>,
    source: &Source,
    progress: &dyn Fn(&str),
) -> Result<Module, SandboxError> {
    let folder = folder.and_then(|folder| match cache::make_private(folder) {
        Ok(()) => Some(folder),
        Err(error) => {
            progress(&format!("the compiled Python guest cannot be kept: {error}"));
            None
        }
    });
    let path = folder.map(|folder| folder.join(cache_name(engine, source)));
    if let Some(module) = path.as_deref().and_then(|path| load(engine, path)) {
        return Ok(module);
    }
    let start = Instant::now();
    progress("compiling the Python guest for this machine, once; this takes a few seconds");
    let code = engine.precompile_module(&(source.module)().map_err(SandboxError::Guest)?)?;
    progress(&format!("compiled the Python guest in {:.1} s", start.elapsed().as_secs_f64()));
    if let Some(path) = path {
        match cache::write(&path, &code) {
            Ok(()) => {
                if let Some(module) = load(engine, &path) {
                    return Ok(module);
                }
            }
            Err(error) => {
                progress(&format!("{}: the compiled Python guest cannot be kept: {error}", path.display()));
            }
        }
    }
    // SAFETY: the bytes are what `precompile_module` of this very engine has just returned.
    Ok(unsafe { Module::deserialize(engine, &code) }?)
}

fn load(engine: &Engine, path: &Path) -> Option<Module> {
    let file = cache::open_whole(path)?;
    // SAFETY: this is the open file whose content was just found whole; it and its folder are this user's own and closed to
    // others, and its name is the hash of all that the code depends on. wasmtime checks its own version and settings besides.
    unsafe { Module::deserialize_open_file(engine, file) }.ok()
}

fn cache_name(engine: &Engine, source: &Source) -> String {
    let mut hasher = DefaultHasher::new();
    engine.precompile_compatibility_hash().hash(&mut hasher);
    let (version, settings) = (env!("CARGO_PKG_VERSION"), hasher.finish().to_le_bytes());
    cache::file_name("python", &[source.hash.as_bytes(), version.as_bytes(), &settings])
}

#[cfg(test)]
mod tests;
