//! The whole host surface of a guest: a virtual clock, seeded random numbers, standard input and bounded output, and messages
//! between the two instances. Everything else that WASI names says no.
//!
//! Nothing here waits: time is fuel. What a guest sleeps is taken off its fuel, as the wait would be off a time limit; so is what
//! the host does for it, by the byte.

use super::limits::FUEL_PER_SECOND;
use super::state::{MOST_DEPTH, MOST_MESSAGE, State, Stop};
use wasmtime::{Caller, Error, ExternType, Linker, Memory, Module, Result, Val};

const WASI: &str = "wasi_snapshot_preview1";
const OURS: &str = "rlvr";

// WASI error numbers
const OK: i32 = 0;
const EBADF: i32 = 8;
const EFAULT: i32 = 21;
const EINVAL: i32 = 28;
const ENOENT: i32 = 44;
const ESPIPE: i32 = 70;

/// Fuel of a byte that the host moves for a guest.
const FUEL_PER_BYTE: u64 = 8;

/// Fuel of a random byte: hashing is the dearest thing that the host does.
const FUEL_PER_RANDOM_BYTE: u64 = 256;

/// Fuel of a call from one instance to the other, besides its bytes.
const FUEL_PER_CALL: u64 = 2000;

/// What `call` answers where there is no answer, and where calls are nested too deeply.
const NO_ANSWER: i32 = -1;
const TOO_DEEP: i32 = -2;

/// Nanoseconds since 1970 at which every check starts: 2025-01-01.
const START: u64 = 1_735_689_600_000_000_000;

/// Defines every import of the guest.
///
/// # Errors
/// When the module imports a name twice, or what is no function.
pub(crate) fn define(linker: &mut Linker<State>, module: &Module) -> Result<()> {
    messages(linker)?;
    clocks(linker)?;
    files(linker)?;
    linker.func_wrap(WASI, "random_get", random_get)?;
    linker.func_wrap(WASI, "proc_exit", |code: i32| -> Result<()> { Err(Error::new(Stop::Exit(code))) })?;
    linker.func_wrap(WASI, "sched_yield", || OK)?;
    for name in ["environ_sizes_get", "args_sizes_get"] {
        linker.func_wrap(WASI, name, |mut caller: Caller<'_, State>, count: i32, bytes: i32| {
            put(&mut caller, count, &[0; 4]) | put(&mut caller, bytes, &[0; 4])
        })?;
    }
    for name in ["environ_get", "args_get"] {
        linker.func_wrap(WASI, name, |_: i32, _: i32| OK)?;
    }
    for import in module.imports() {
        if let (WASI, ExternType::Func(ty)) = (import.module(), import.ty()) {
            let no = if import.name().starts_with("path_") { ENOENT } else { EBADF };
            // fails for a name that is defined above, which stays as it is
            let _ = linker.func_new(WASI, import.name(), ty, move |_, _, results| {
                results.iter_mut().for_each(|r| *r = Val::I32(no));
                Ok(())
            });
        }
    }
    Ok(())
}

fn memory(caller: &Caller<'_, State>) -> Result<Memory> {
    let state = caller.data();
    state.sides[state.active as usize].memory.ok_or_else(|| Error::msg("a guest called before it was made"))
}

/// Writes into the guest's memory.
fn put(caller: &mut Caller<'_, State>, at: i32, bytes: &[u8]) -> i32 {
    match memory(caller).map(|m| m.write(caller, at as u32 as usize, bytes)) {
        Ok(Ok(())) => OK,
        _ => EFAULT,
    }
}

fn get<const N: usize>(caller: &Caller<'_, State>, at: usize) -> Option<[u8; N]> {
    let data = memory(caller).ok()?.data(caller);
    data.get(at..at.checked_add(N)?)?.try_into().ok()
}

/// Takes fuel for what the host is about to do.
fn pay(caller: &mut Caller<'_, State>, fuel: u64) -> Result<()> {
    let left = caller.get_fuel()?;
    caller.set_fuel(left.saturating_sub(fuel))?;
    if fuel >= left { Err(Error::new(Stop::Fuel)) } else { Ok(()) }
}

fn pay_for_bytes(caller: &mut Caller<'_, State>, bytes: usize) -> Result<()> {
    pay(caller, bytes as u64 * FUEL_PER_BYTE)
}

// ---- messages ----

fn messages(linker: &mut Linker<State>) -> Result<()> {
    linker.func_wrap(OURS, "take", |mut caller: Caller<'_, State>, to: i32| -> Result<()> {
        let bytes = std::mem::take(&mut caller.data_mut().side().inbox);
        match put(&mut caller, to, &bytes) {
            OK => Ok(()),
            _ => Err(Error::new(Stop::Trap("a message does not fit its buffer".into()))),
        }
    })?;
    linker.func_wrap(
        OURS,
        "give",
        |mut caller: Caller<'_, State>, from: i32, length: i32| -> Result<()> {
            pay_for_bytes(&mut caller, length as u32 as usize)?;
            let bytes = message(&caller, from, length)?;
            caller.data_mut().side().outbox = Some(bytes);
            Ok(())
        },
    )?;
    linker.func_wrap(OURS, "call", call)?;
    Ok(())
}

fn message(caller: &Caller<'_, State>, from: i32, length: i32) -> Result<Vec<u8>> {
    let (from, length) = (from as u32 as usize, length as u32 as usize);
    let data = memory(caller)?.data(caller);
    let bytes = data.get(from..from.saturating_add(length)).filter(|_| length <= MOST_MESSAGE);
    bytes.map(<[u8]>::to_vec).ok_or_else(|| Error::new(Stop::Trap("a message is out of bounds".into())))
}

/// Sends a message to the other instance; the length of its answer, which waits in the inbox, or why there is none.
fn call(mut caller: Caller<'_, State>, from: i32, length: i32) -> Result<i32> {
    pay(&mut caller, FUEL_PER_CALL)?;
    pay_for_bytes(&mut caller, length as u32 as usize)?;
    let bytes = message(&caller, from, length)?;
    let state = caller.data_mut();
    let here = state.active;
    let dispatch = state.sides[here.other() as usize].dispatch.clone();
    if state.depth >= MOST_DEPTH {
        return Ok(TOO_DEEP);
    }
    let Some(dispatch) = dispatch else { return Ok(NO_ANSWER) };
    let length = bytes.len() as u32;
    state.sides[here.other() as usize].inbox = bytes;
    (state.active, state.depth) = (here.other(), state.depth + 1);
    let answered = dispatch.call(&mut caller, length)?;
    let state = caller.data_mut();
    (state.active, state.depth) = (here, state.depth - 1);
    let answer = state.sides[here.other() as usize].outbox.take();
    match answer {
        Some(answer) if answered == 0 => {
            let length = answer.len() as i32;
            state.side().inbox = answer;
            Ok(length)
        }
        _ => Ok(NO_ANSWER),
    }
}

// ---- clocks and random numbers ----

fn nanoseconds(fuel: u64) -> u64 {
    (u128::from(fuel) * 1_000_000_000 / u128::from(FUEL_PER_SECOND)) as u64
}

/// Nanoseconds since the check began, by fuel; sleeping is part of it.
fn elapsed(caller: &Caller<'_, State>) -> Result<u64> {
    Ok(nanoseconds(caller.data().fuel.saturating_sub(caller.get_fuel()?)))
}

fn clocks(linker: &mut Linker<State>) -> Result<()> {
    linker.func_wrap(WASI, "clock_time_get", |mut caller: Caller<'_, State>, id: i32, _: i64, to: i32| {
        let now = elapsed(&caller)? + if id == 0 { START } else { 1_000_000_000 };
        Ok::<i32, Error>(put(&mut caller, to, &now.to_le_bytes()))
    })?;
    linker.func_wrap(WASI, "clock_res_get", |mut caller: Caller<'_, State>, _: i32, to: i32| {
        put(&mut caller, to, &1u64.to_le_bytes())
    })?;
    linker.func_wrap(WASI, "poll_oneoff", poll_oneoff)?;
    Ok(())
}

/// Sleeping: the first subscription's time passes at once and is paid in fuel.
fn poll_oneoff(mut caller: Caller<'_, State>, from: i32, to: i32, count: i32, done: i32) -> Result<i32> {
    let Some(subscription) = get::<48>(&caller, from as u32 as usize).filter(|_| count > 0) else {
        return Ok(EINVAL);
    };
    let field = |at: usize| u64::from_le_bytes(std::array::from_fn(|i| subscription[at + i]));
    if subscription[8] == 0 {
        let (clock, timeout, absolute) = (field(16) as u32, field(24), subscription[40] & 1 == 1);
        let now = elapsed(&caller)? + if clock == 0 { START } else { 1_000_000_000 };
        let wait = if absolute { timeout.saturating_sub(now) } else { timeout };
        let price = u128::from(wait) * u128::from(FUEL_PER_SECOND) / 1_000_000_000;
        pay(&mut caller, price.try_into().unwrap_or(u64::MAX))?;
        caller.data_mut().slept += wait;
    }
    let mut event = [0; 32];
    event[..8].copy_from_slice(&subscription[..8]);
    event[10] = subscription[8];
    Ok(put(&mut caller, to, &event) | put(&mut caller, done, &1u32.to_le_bytes()))
}

fn random_get(mut caller: Caller<'_, State>, to: i32, length: i32) -> Result<i32> {
    pay(&mut caller, u64::from(length as u32) * FUEL_PER_RANDOM_BYTE)?;
    let memory = memory(&caller)?;
    let (data, state) = memory.data_and_store_mut(&mut caller);
    let (to, length) = (to as u32 as usize, length as u32 as usize);
    Ok(match data.get_mut(to..to.saturating_add(length)) {
        Some(bytes) => {
            state.side().random.fill(bytes);
            OK
        }
        None => EFAULT,
    })
}

// ---- standard input and output ----

fn files(linker: &mut Linker<State>) -> Result<()> {
    linker.func_wrap(WASI, "fd_write", fd_write)?;
    linker.func_wrap(WASI, "fd_read", fd_read)?;
    linker.func_wrap(WASI, "fd_seek", |fd: i32, _: i64, _: i32, _: i32| match fd {
        0..=2 => ESPIPE,
        _ => EBADF,
    })?;
    linker.func_wrap(WASI, "fd_fdstat_get", |mut caller: Caller<'_, State>, fd: i32, to: i32| {
        // no regular file, no terminal: a pipe, as far as WASI has a word for it
        if (0..=2).contains(&fd) { put(&mut caller, to, &[0; 24]) } else { EBADF }
    })?;
    linker.func_wrap(WASI, "fd_filestat_get", |mut caller: Caller<'_, State>, fd: i32, to: i32| {
        if (0..=2).contains(&fd) { put(&mut caller, to, &[0; 64]) } else { EBADF }
    })?;
    Ok(())
}

/// The buffers of a read or write as `(address, length)`; at most 1,024.
fn buffers(caller: &Caller<'_, State>, at: i32, count: i32) -> Option<Vec<(usize, usize)>> {
    let half = |b: &[u8; 8], i: usize| u32::from_le_bytes(std::array::from_fn(|j| b[i + j])) as usize;
    (0..(count as u32 as usize).min(1024))
        .map(|i| get::<8>(caller, at as u32 as usize + 8 * i).map(|b| (half(&b, 0), half(&b, 4))))
        .collect()
}

fn fd_write(mut caller: Caller<'_, State>, fd: i32, at: i32, count: i32, done: i32) -> Result<i32> {
    if fd != 1 && fd != 2 {
        return Ok(EBADF);
    }
    let Some(buffers) = buffers(&caller, at, count) else { return Ok(EFAULT) };
    pay_for_bytes(&mut caller, buffers.iter().map(|(_, length)| length).sum())?;
    let memory = memory(&caller)?;
    let mut total = 0;
    for (from, length) in buffers {
        let (data, state) = memory.data_and_store_mut(&mut caller);
        let Some(bytes) = data.get(from..from.saturating_add(length)) else { return Ok(EFAULT) };
        state.written += length as u64;
        if state.written > state.limits.output {
            return Err(Error::new(Stop::Output));
        }
        if fd == 1 {
            state.sides[state.active as usize].stdout.extend_from_slice(bytes);
        }
        total += length as u32;
    }
    Ok(put(&mut caller, done, &total.to_le_bytes()))
}

fn fd_read(mut caller: Caller<'_, State>, fd: i32, at: i32, count: i32, done: i32) -> Result<i32> {
    if fd != 0 {
        return Ok(EBADF);
    }
    let Some(buffers) = buffers(&caller, at, count) else { return Ok(EFAULT) };
    let side = caller.data_mut().side();
    let left = side.stdin.len() - side.stdin_at;
    pay_for_bytes(&mut caller, buffers.iter().map(|(_, length)| length).sum::<usize>().min(left))?;
    let memory = memory(&caller)?;
    let mut total = 0;
    for (to, length) in buffers {
        let (data, state) = memory.data_and_store_mut(&mut caller);
        let side = &mut state.sides[state.active as usize];
        let length = length.min(side.stdin.len() - side.stdin_at);
        let Some(bytes) = data.get_mut(to..to.saturating_add(length)) else { return Ok(EFAULT) };
        bytes.copy_from_slice(&side.stdin[side.stdin_at..side.stdin_at + length]);
        side.stdin_at += length;
        total += length as u32;
    }
    Ok(put(&mut caller, done, &total.to_le_bytes()))
}
