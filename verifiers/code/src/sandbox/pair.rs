//! Two instances of the guest in one store, kept from check to check: the solution's and that of the tests.

use super::engine::{LOOK, Sandbox, SandboxError};
use super::limits::Limits;
use super::pages::PageScanner;
use super::state::{Role, State, Stop};
use rlvr_wasm::Random;
use std::sync::Arc;
use wasmtime::{Global, Instance, Store, Trap, Val};

/// Written pages up to which an instance is put back rather than dropped: bounds the memory of a waiting worker.
const MOST_PAGES: usize = 4096;

/// What a check used.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Used {
    /// Fuel units of both instances.
    pub fuel: u64,
    /// Bytes of the larger of the two memories.
    pub peak_bytes: u64,
}

/// The two instances of a worker.
pub struct Pair {
    sandbox: Arc<Sandbox>,
    scanner: Option<PageScanner>,
    live: Option<Live>,
}

struct Live {
    store: Store<State>,
    instances: [Option<Kept>; 2],
}

struct Kept {
    stack_pointer: Option<(Global, Val)>,
    /// Whether it has run since it was made or put back.
    touched: bool,
}

impl Pair {
    /// A pair that is made when it is first used.
    pub fn new(sandbox: Arc<Sandbox>) -> Self {
        let scanner = sandbox.keeps_instances().then(PageScanner::new).flatten();
        Pair { sandbox, scanner, live: None }
    }

    /// A pair that has new instances in each check, as where the kernel cannot say which pages were written.
    pub fn fresh(sandbox: Arc<Sandbox>) -> Self {
        Pair { sandbox, scanner: None, live: None }
    }

    /// Starts a check under `limits`; random numbers of the two instances come from the two seeds.
    ///
    /// # Errors
    /// When wasmtime has no memory for instances.
    pub fn begin(&mut self, limits: Limits, seeds: [[u8; 32]; 2]) -> Result<(), SandboxError> {
        let live = self
            .live
            .get_or_insert_with(|| Live { store: self.sandbox.store(limits), instances: [None, None] });
        live.store.data_mut().clear(limits);
        live.store.set_fuel(limits.fuel())?;
        for (side, seed) in live.store.data_mut().sides.iter_mut().zip(seeds) {
            side.random = Random::new(seed);
        }
        Ok(())
    }

    /// Sends a message of the host to an instance and returns its answer. After `backstop` seconds of processor time, the guest is
    /// stopped.
    ///
    /// # Errors
    /// Why it was stopped.
    pub fn control(&mut self, role: Role, message: Vec<u8>) -> Result<Vec<u8>, Stop> {
        let live = self.live.as_mut().ok_or_else(|| Stop::Host("no check has begun".into()))?;
        let store = &mut live.store;
        let kept = match &mut live.instances[role as usize] {
            Some(kept) => kept,
            place => {
                let left = store.get_fuel().map_err(stop)?;
                let instance =
                    self.sandbox.instantiate(store, role).map_err(|e| Stop::Host(e.to_string()))?;
                store.set_fuel(left).map_err(stop)?;
                place.insert(Kept::new(&instance, store))
            }
        };
        kept.touched = true;
        store.set_epoch_deadline(LOOK);
        let length = message.len() as u32;
        let state = store.data_mut();
        (state.active, state.depth, state.deadline) = (role, 0, None);
        let side = state.side();
        (side.inbox, side.outbox) = (message, None);
        let control =
            side.control.clone().ok_or_else(|| Stop::Host("the guest answers no messages".into()))?;
        let answered = control.call(&mut *store, length).map_err(stop)?;
        match store.data_mut().sides[role as usize].outbox.take() {
            Some(answer) if answered == 0 => Ok(answer),
            _ => Err(Stop::Trap("the guest gave no answer".into())),
        }
    }

    /// Standard input of the solution from now on.
    pub fn set_stdin(&mut self, bytes: &[u8]) {
        if let Some(live) = &mut self.live {
            let side = &mut live.store.data_mut().sides[Role::Solution as usize];
            (side.stdin, side.stdin_at) = (bytes.to_vec(), 0);
        }
    }

    /// What the solution has written to standard output since this was last asked.
    pub fn take_stdout(&mut self) -> Vec<u8> {
        self.live
            .as_mut()
            .map(|live| std::mem::take(&mut live.store.data_mut().sides[Role::Solution as usize].stdout))
            .unwrap_or_default()
    }

    /// What the check has used so far.
    pub fn used(&self) -> Used {
        let Some(live) = &self.live else { return Used::default() };
        let state = live.store.data();
        let fuel = state.fuel.saturating_sub(live.store.get_fuel().unwrap_or(0));
        Used { fuel, peak_bytes: state.peak.max(self.sandbox.image().len()) as u64 }
    }

    /// The memory of an instance as the check has left it, for tests that look for what must not be there.
    pub fn memory(&self, role: Role) -> Option<&[u8]> {
        let live = self.live.as_ref()?;
        Some(live.store.data().sides[role as usize].memory?.data(&live.store))
    }

    /// Bytes of memory that both instances keep for themselves between checks; none where the kernel does not say.
    pub fn private_bytes(&mut self) -> Option<u64> {
        let scanner = self.scanner.as_mut()?;
        let Some(live) = &self.live else { return Some(0) };
        let memories = live.store.data().sides.iter().filter_map(|side| side.memory);
        memories.map(|memory| scanner.written(memory.data(&live.store))).sum()
    }

    /// Makes the solution's instance as new, in the middle of a check.
    ///
    /// # Errors
    /// When a new store cannot be set up.
    pub fn renew_solution(&mut self) -> Result<(), SandboxError> {
        if self.put_back(Role::Solution) {
            return Ok(());
        }
        // the store goes, and with it all that it counts; carry over what the check has used
        let Some(old) = self.live.take() else { return Ok(()) };
        let (left, state) = (old.store.get_fuel()?, old.store.into_data());
        let mut store = self.sandbox.store(state.limits);
        store.set_fuel(left)?;
        let data = store.data_mut();
        (data.fuel, data.slept, data.written, data.peak) =
            (state.fuel, state.slept, state.written, state.peak);
        for (new, old) in data.sides.iter_mut().zip(state.sides) {
            new.random = old.random;
        }
        self.live = Some(Live { store, instances: [None, None] });
        Ok(())
    }

    /// Ends a check: both instances as new, or dropped where they cannot be.
    pub fn end(&mut self) {
        if !(self.put_back(Role::Solution) && self.put_back(Role::Tests)) {
            self.live = None;
        }
    }

    /// Drops both instances: the next check starts in new ones.
    pub fn drop_instances(&mut self) {
        self.live = None;
    }

    fn put_back(&mut self, role: Role) -> bool {
        let Some(live) = &mut self.live else { return true };
        let Some(kept) = live.instances[role as usize].as_mut().filter(|k| k.touched) else { return true };
        let Some(scanner) = &mut self.scanner else { return false };
        let store = &mut live.store;
        let Some(memory) = store.data().sides[role as usize].memory else { return false };
        if scanner.restore(memory.data_mut(&mut *store), self.sandbox.image(), MOST_PAGES).is_none() {
            return false;
        }
        if let Some((global, value)) = &kept.stack_pointer
            && global.set(&mut *store, *value).is_err()
        {
            return false;
        }
        kept.touched = false;
        true
    }
}

impl Kept {
    fn new(instance: &Instance, store: &mut Store<State>) -> Self {
        let stack_pointer = instance.get_global(&mut *store, "__stack_pointer").map(|global| {
            let value = global.get(&mut *store);
            (global, value)
        });
        Kept { stack_pointer, touched: false }
    }
}

/// Why wasmtime ended a call.
pub(super) fn stop(error: wasmtime::Error) -> Stop {
    if let Some(stop) = error.downcast_ref::<Stop>() {
        return stop.clone();
    }
    match error.downcast_ref::<Trap>() {
        Some(Trap::OutOfFuel) => Stop::Fuel,
        Some(trap) => Stop::Trap(trap.to_string()),
        None => Stop::Host(format!("{error:#}")),
    }
}
