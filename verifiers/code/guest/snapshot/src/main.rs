//! Boots the Python guest and writes its memory into the module: `rlvr-code-snapshot GUEST.wasm SNAPSHOT.wasm.zst`.
//!
//! The guest boots with no files, a clock that stands still and random numbers that are all zero, so that the same module gives the
//! same snapshot. Run by `build.sh`; kept out of the workspace, so that rlvr does not depend on the snapshotting library.

use std::error::Error;
use std::future::Future;
use std::pin::pin;
use std::task::{Context, Poll, Waker};
use wasmtime::{Caller, Config, Engine, ExternType, Instance, Linker, Module, Store, Val};
use wasmtime_wizer::{InstanceState, SnapshotVal, ValType, Wizer};

/// Nanoseconds since 1970 at boot.
const NOW: u64 = 1_735_689_600_000_000_000;

fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [from, to] = arguments.as_slice() else {
        return Err("usage: rlvr-code-snapshot GUEST.wasm SNAPSHOT.wasm.zst".into());
    };
    let wasm = std::fs::read(from)?;
    // a thread with room for CPython's recursion
    let booted = std::thread::Builder::new().stack_size(32 << 20).spawn(move || snapshot(&wasm))?;
    let module = booted.join().map_err(|_| "the boot thread panicked")??;
    let compressed = zstd::bulk::compress(&module, 19)?;
    println!("{} bytes, compressed {} bytes", module.len(), compressed.len());
    std::fs::write(to, compressed)?;
    Ok(())
}

fn snapshot(wasm: &[u8]) -> wasmtime::Result<Vec<u8>> {
    let mut wizer = Wizer::new();
    wizer.init_func("rlvr_boot");
    let (context, instrumented) = wizer.instrument(wasm)?;
    let mut config = Config::new();
    config.max_wasm_stack(16 << 20).async_stack_size(17 << 20);
    let engine = Engine::new(&config)?;
    let module = Module::new(&engine, &instrumented)?;
    let mut store = Store::new(&engine, ());
    let instance = linker(&engine, &module)?.instantiate(&mut store, &module)?;
    for name in ["_initialize", "rlvr_boot"] {
        instance.get_typed_func::<(), ()>(&mut store, name)?.call(&mut store, ())?;
    }
    finished(wizer.snapshot(&context, &mut Booted { store, instance }))
}

/// The result of a future that never waits.
fn finished<T>(future: impl Future<Output = T>) -> T {
    match pin!(future).poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(value) => value,
        Poll::Pending => unreachable!("a snapshot reads memory and waits for nothing"),
    }
}

fn linker(engine: &Engine, module: &Module) -> wasmtime::Result<Linker<()>> {
    const WASI: &str = "wasi_snapshot_preview1";
    let mut linker = Linker::new(engine);
    fn put(caller: &mut Caller<'_, ()>, at: i32, bytes: &[u8]) -> i32 {
        let memory = caller.get_export("memory").and_then(|e| e.into_memory());
        memory.map_or(21, |m| if m.write(caller, at as u32 as usize, bytes).is_ok() { 0 } else { 21 })
    }
    linker.func_wrap(WASI, "clock_time_get", |mut c: Caller<'_, ()>, _: i32, _: i64, to: i32| {
        put(&mut c, to, &NOW.to_le_bytes())
    })?;
    linker.func_wrap(WASI, "clock_res_get", |mut c: Caller<'_, ()>, _: i32, to: i32| {
        put(&mut c, to, &1u64.to_le_bytes())
    })?;
    linker.func_wrap(WASI, "random_get", |mut c: Caller<'_, ()>, to: i32, length: i32| {
        put(&mut c, to, &vec![0; length as u32 as usize])
    })?;
    for name in ["environ_sizes_get", "args_sizes_get"] {
        linker.func_wrap(WASI, name, |mut c: Caller<'_, ()>, count: i32, bytes: i32| {
            put(&mut c, count, &[0; 4]) | put(&mut c, bytes, &[0; 4])
        })?;
    }
    for name in ["environ_get", "args_get"] {
        linker.func_wrap(WASI, name, |_: i32, _: i32| 0)?;
    }
    // standard streams are there; what is written to them while booting is an error message
    linker.func_wrap(WASI, "fd_fdstat_get", |mut c: Caller<'_, ()>, fd: i32, to: i32| {
        if (0..=2).contains(&fd) { put(&mut c, to, &[0; 24]) } else { 8 }
    })?;
    linker.func_wrap(WASI, "fd_filestat_get", |mut c: Caller<'_, ()>, fd: i32, to: i32| {
        if (0..=2).contains(&fd) { put(&mut c, to, &[0; 64]) } else { 8 }
    })?;
    linker.func_wrap(WASI, "fd_seek", |_: i32, _: i64, _: i32, _: i32| 70)?;
    linker.func_wrap(WASI, "fd_write", |mut c: Caller<'_, ()>, _: i32, at: i32, count: i32, done: i32| {
        let memory = c.get_export("memory").and_then(|e| e.into_memory());
        let data = memory.map(|m| m.data(&c).to_vec()).unwrap_or_default();
        let word = |at: usize| u32::from_le_bytes(std::array::from_fn(|i| data[at + i]));
        let mut total = 0;
        for i in 0..count as usize {
            let (from, length) = (word(at as usize + 8 * i) as usize, word(at as usize + 8 * i + 4));
            eprint!("{}", String::from_utf8_lossy(&data[from..from + length as usize]));
            total += length;
        }
        put(&mut c, done, &total.to_le_bytes())
    })?;
    for import in module.imports() {
        if let ExternType::Func(ty) = import.ty() {
            // fails for what is defined above, which stays as it is
            let _ = linker.func_new(import.module(), import.name(), ty, |_, _, results| {
                results.iter_mut().for_each(|r| *r = Val::I32(8));
                Ok(())
            });
        }
    }
    Ok(linker)
}

struct Booted {
    store: Store<()>,
    instance: Instance,
}

impl InstanceState for Booted {
    async fn global_get(&mut self, name: &str, _: ValType) -> SnapshotVal {
        let global = self.instance.get_global(&mut self.store, name);
        match global.map(|g| g.get(&mut self.store)) {
            Some(Val::I32(x)) => SnapshotVal::I32(x),
            Some(Val::I64(x)) => SnapshotVal::I64(x),
            Some(Val::F32(x)) => SnapshotVal::F32(x),
            Some(Val::F64(x)) => SnapshotVal::F64(x),
            other => panic!("global {name} is {other:?}"),
        }
    }

    async fn memory_contents(&mut self, name: &str, contents: impl FnOnce(&[u8]) + Send) {
        let memory = self.instance.get_memory(&mut self.store, name).expect("wizer names a memory that is there");
        contents(memory.data(&self.store))
    }
}
