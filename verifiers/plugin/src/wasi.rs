//! What a component may import: WASI 0.2 as far as the start of a language runtime, its clocks, random numbers and output need it.
//! Every other function of WASI is there and traps when it is called; any import but WASI's is refused.
//!
//! Nothing here waits: time is fuel. The clock moves a nanosecond with each unit of fuel, and what a component sleeps is taken off
//! its fuel, as the wait would be off a time limit.

use crate::state::{State, Stop};
use wasmtime::component::types::ComponentItem;
use wasmtime::component::{
    Component, ComponentType, Lift, Linker, LinkerInstance, Lower, Resource, ResourceType,
};
use wasmtime::{Engine, Error, Result, StoreContextMut};

/// Nanoseconds since 1970 at which every call starts: 2025-01-01.
const START: u64 = 1_735_689_600_000_000_000;

/// Bytes that are written or asked for at once at most.
const MOST_BYTES: u64 = 1 << 20;

/// Fuel for a random byte, about what it costs to make one.
const RANDOM_PRICE: u64 = 16;

struct Input;
struct Stream;
struct IoError;

/// The instant, on the monotonic clock, at which it is ready.
struct Pollable(u64);

#[derive(ComponentType, Lift, Lower)]
#[component(variant)]
enum StreamError {
    #[component(name = "last-operation-failed")]
    #[allow(dead_code, reason = "a case of the type that does not occur")]
    LastOperationFailed(Resource<IoError>),
    #[component(name = "closed")]
    Closed,
}

#[derive(ComponentType, Lift, Lower)]
#[component(record)]
struct Datetime {
    seconds: u64,
    nanoseconds: u32,
}

type Context<'a> = StoreContextMut<'a, State>;
type Read = std::result::Result<Vec<u8>, StreamError>;
type Count = std::result::Result<u64, StreamError>;
type Written = std::result::Result<(), StreamError>;

/// Defines every import of the component.
///
/// # Errors
/// An import that is not WASI 0.2, by its name.
pub(crate) fn define(linker: &mut Linker<State>, component: &Component, engine: &Engine) -> Result<()> {
    for (name, item) in component.component_type().imports(engine) {
        let (ComponentItem::ComponentInstance(items), Some(interface)) = (item.ty, interface(name)) else {
            return Err(Error::msg(format!("it imports `{name}`, and a verifier has nothing but WASI 0.2")));
        };
        // under the name of the component's own 0.2.x, which is the one that is looked for
        let mut instance = linker.instance(name)?;
        functions(&mut instance, interface)?;
        for (item, found) in items.exports(engine) {
            match found.ty {
                ComponentItem::Resource(_) => resource(&mut instance, item)?,
                ComponentItem::ComponentFunc(_) => {
                    let what = format!("`{name}#{item}` was called, which a verifier does not have");
                    // fails for a function that is defined above, which stays as it is
                    let _ = instance.func_new(item, move |_, _, _, _| Err(Error::msg(what.clone())));
                }
                _ => {}
            }
        }
    }
    Ok(())
}

/// The functions of an interface that do something.
fn functions(instance: &mut LinkerInstance<'_, State>, interface: &str) -> Result<()> {
    match interface {
        "io/poll" => poll(instance),
        "io/streams" => streams(instance),
        "clocks/monotonic-clock" => monotonic_clock(instance),
        "clocks/wall-clock" => wall_clock(instance),
        "random/random" => random(instance, ""),
        "random/insecure" => random(instance, "insecure-"),
        "random/insecure-seed" => instance.func_wrap("insecure-seed", |mut store, ()| {
            Ok(((random_u64(&mut store), random_u64(&mut store)),))
        }),
        "cli/environment" => environment(instance),
        "cli/exit" => exit(instance),
        "cli/stdin" => instance.func_wrap("get-stdin", |store, ()| Ok((own(store, Input)?,))),
        "cli/stdout" => instance.func_wrap("get-stdout", |store, ()| Ok((own(store, Stream)?,))),
        "cli/stderr" => instance.func_wrap("get-stderr", |store, ()| Ok((own(store, Stream)?,))),
        "cli/terminal-stdin" => no_terminal(instance, "get-terminal-stdin"),
        "cli/terminal-stdout" => no_terminal(instance, "get-terminal-stdout"),
        "cli/terminal-stderr" => no_terminal(instance, "get-terminal-stderr"),
        "filesystem/preopens" => {
            instance.func_wrap("get-directories", |_, ()| Ok((Vec::<(Resource<()>, String)>::new(),)))
        }
        _ => Ok(()),
    }
}

/// `cli/stdout` of `wasi:cli/stdout@0.2.3`.
fn interface(import: &str) -> Option<&str> {
    let (name, version) = import.strip_prefix("wasi:")?.split_once('@')?;
    version.starts_with("0.2.").then_some(name)
}

// ---- resources ----

/// A resource by its name, which means the same in every interface that uses it. Of those that are not named here none can be made.
fn resource(instance: &mut LinkerInstance<'_, State>, name: &str) -> Result<()> {
    fn host<R: 'static>(instance: &mut LinkerInstance<'_, State>, name: &str) -> Result<()> {
        instance.resource(name, ResourceType::host::<R>(), |mut store, index| {
            store.data_mut().table.delete(Resource::<R>::new_own(index))?;
            Ok(())
        })
    }
    match name {
        "error" => host::<IoError>(instance, name),
        "pollable" => host::<Pollable>(instance, name),
        "input-stream" => host::<Input>(instance, name),
        "output-stream" => host::<Stream>(instance, name),
        _ => host::<()>(instance, name),
    }
}

fn own<R: Send + 'static>(mut store: Context<'_>, resource: R) -> Result<Resource<R>> {
    Ok(store.data_mut().table.push(resource)?)
}

// ---- clocks and polling ----

/// Nanoseconds since the call began, and a second: a monotonic clock never says 0.
fn now(store: &Context<'_>) -> Result<u64> {
    Ok(1_000_000_000 + store.data().fuel.saturating_sub(store.get_fuel()?))
}

/// Takes fuel for what the host does.
fn pay(store: &mut Context<'_>, price: u64) -> Result<()> {
    let left = store.get_fuel()?.checked_sub(price);
    store.set_fuel(left.unwrap_or(0))?;
    left.map(drop).ok_or_else(|| Error::new(Stop::Fuel))
}

/// Lets the clock reach an instant.
fn sleep_until(store: &mut Context<'_>, instant: u64) -> Result<()> {
    let wait = instant.saturating_sub(now(store)?);
    pay(store, wait)
}

fn monotonic_clock(instance: &mut LinkerInstance<'_, State>) -> Result<()> {
    instance.func_wrap("now", |store, ()| Ok((now(&store)?,)))?;
    instance.func_wrap("resolution", |_, ()| Ok((1u64,)))?;
    instance
        .func_wrap("subscribe-instant", |store, (instant,): (u64,)| Ok((own(store, Pollable(instant))?,)))?;
    instance.func_wrap("subscribe-duration", |store, (wait,): (u64,)| {
        let instant = now(&store)?.saturating_add(wait);
        Ok((own(store, Pollable(instant))?,))
    })
}

fn wall_clock(instance: &mut LinkerInstance<'_, State>) -> Result<()> {
    let datetime = |n: u64| Datetime { seconds: n / 1_000_000_000, nanoseconds: (n % 1_000_000_000) as u32 };
    instance.func_wrap("now", move |store, ()| Ok((datetime(START.saturating_add(now(&store)?)),)))?;
    instance.func_wrap("resolution", move |_, ()| Ok((datetime(1),)))
}

fn poll(instance: &mut LinkerInstance<'_, State>) -> Result<()> {
    instance.func_wrap("[method]pollable.ready", |store, (this,): (Resource<Pollable>,)| {
        Ok((store.data().table.get(&this)?.0 <= now(&store)?,))
    })?;
    instance.func_wrap("[method]pollable.block", |mut store, (this,): (Resource<Pollable>,)| {
        let instant = store.data().table.get(&this)?.0;
        sleep_until(&mut store, instant)
    })?;
    instance.func_wrap("poll", |mut store, (all,): (Vec<Resource<Pollable>>,)| {
        let table = &store.data().table;
        let instants = all.iter().map(|p| Ok(table.get(p)?.0)).collect::<Result<Vec<u64>>>()?;
        let first = *instants.iter().min().ok_or_else(|| Error::msg("a poll of nothing"))?;
        sleep_until(&mut store, first)?;
        let now = now(&store)?;
        let ready = (0u32..).zip(instants).filter(|(_, instant)| *instant <= now).map(|(i, _)| i);
        Ok((ready.collect::<Vec<u32>>(),))
    })
}

// ---- streams: input has ended, output is kept ----

fn streams(instance: &mut LinkerInstance<'_, State>) -> Result<()> {
    for name in ["read", "blocking-read"] {
        let name = format!("[method]input-stream.{name}");
        instance.func_wrap(&name, |_, _: (Resource<Input>, u64)| Ok((Read::Err(StreamError::Closed),)))?;
    }
    for name in ["skip", "blocking-skip"] {
        let name = format!("[method]input-stream.{name}");
        instance.func_wrap(&name, |_, _: (Resource<Input>, u64)| Ok((Count::Err(StreamError::Closed),)))?;
    }
    instance.func_wrap("[method]input-stream.subscribe", |store, _: (Resource<Input>,)| {
        Ok((own(store, Pollable(0))?,))
    })?;
    instance.func_wrap("[method]output-stream.subscribe", |store, _: (Resource<Stream>,)| {
        Ok((own(store, Pollable(0))?,))
    })?;
    instance.func_wrap("[method]output-stream.check-write", |_, _: (Resource<Stream>,)| {
        Ok((Count::Ok(MOST_BYTES),))
    })?;
    for name in ["write", "blocking-write-and-flush"] {
        let name = format!("[method]output-stream.{name}");
        instance.func_wrap(&name, |mut store, (_, bytes): (Resource<Stream>, Vec<u8>)| {
            pay(&mut store, bytes.len() as u64)?;
            store.data_mut().output.write(&bytes);
            Ok((Written::Ok(()),))
        })?;
    }
    for name in ["flush", "blocking-flush"] {
        let name = format!("[method]output-stream.{name}");
        instance.func_wrap(&name, |_, _: (Resource<Stream>,)| Ok((Written::Ok(()),)))?;
    }
    Ok(())
}

// ---- random numbers ----

fn random_u64(store: &mut Context<'_>) -> u64 {
    let mut bytes = [0; 8];
    store.data_mut().random.fill(&mut bytes);
    u64::from_le_bytes(bytes)
}

fn random(instance: &mut LinkerInstance<'_, State>, kind: &str) -> Result<()> {
    instance.func_wrap(&format!("get-{kind}random-bytes"), |mut store, (length,): (u64,)| {
        if length > MOST_BYTES {
            return Err(Error::msg(format!("{length} random bytes at once; {MOST_BYTES} are the most")));
        }
        pay(&mut store, length * RANDOM_PRICE)?;
        let mut bytes = vec![0; length as usize];
        store.data_mut().random.fill(&mut bytes);
        Ok((bytes,))
    })?;
    instance.func_wrap(&format!("get-{kind}random-u64"), |mut store, ()| Ok((random_u64(&mut store),)))
}

// ---- the process ----

fn environment(instance: &mut LinkerInstance<'_, State>) -> Result<()> {
    instance.func_wrap("get-environment", |_, ()| Ok((Vec::<(String, String)>::new(),)))?;
    instance.func_wrap("get-arguments", |_, ()| Ok((Vec::<String>::new(),)))?;
    instance.func_wrap("initial-cwd", |_, ()| Ok((None::<String>,)))
}

fn exit(instance: &mut LinkerInstance<'_, State>) -> Result<()> {
    type Status = std::result::Result<(), ()>;
    instance.func_wrap("exit", |_, (status,): (Status,)| -> Result<()> {
        Err(Error::new(Stop::Exit(i32::from(status.is_err()))))
    })
}

fn no_terminal(instance: &mut LinkerInstance<'_, State>, name: &str) -> Result<()> {
    instance.func_wrap(name, |_, ()| Ok((None::<Resource<()>>,)))
}
