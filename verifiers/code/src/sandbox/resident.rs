//! One instance that has loaded a program once, and starts every request from there.
//!
//! What loading has made of the memory is kept as the pages that differ from the guest's own image, which is what a new instance
//! starts with. Putting an instance back, or making another like it, takes those pages and not the loading again; and all
//! instances of an image are the same to the byte, so that a request costs the same fuel in each.

use super::engine::{LOOK, Sandbox};
use super::limits::Limits;
use super::pages::{PAGE, PageScanner};
use super::pair::{Used, stop};
use super::state::{Role, State, Stop};
use rlvr_wasm::Random;
use std::sync::Arc;
use wasmtime::{Global, Instance, Memory, Store, Val};

/// Pages that a request may write and the instance is still put back rather than made anew.
const MOST_PAGES: usize = 8192;

/// The side of a store that a resident is; the other stays empty.
const ROLE: Role = Role::Solution;

/// A memory, as what differs from the guest's own image.
pub(crate) struct Image {
    /// Bytes of the whole memory.
    length: usize,
    /// Numbers of the pages that differ, in order.
    pages: Vec<u32>,
    /// Their contents, one after the other.
    bytes: Vec<u8>,
}

impl Image {
    /// What a page holds; none for one that differs from the guest's image no more than by being past its end.
    fn page(&self, number: usize) -> Option<&[u8]> {
        let at = self.pages.binary_search(&u32::try_from(number).ok()?).ok()?;
        self.bytes.get(at * PAGE..(at + 1) * PAGE)
    }
}

/// An instance, made when it is first needed.
pub(crate) struct Resident {
    sandbox: Arc<Sandbox>,
    image: Option<Arc<Image>>,
    scanner: Option<PageScanner>,
    live: Option<Live>,
}

struct Live {
    store: Store<State>,
    memory: Memory,
    stack_pointer: Option<(Global, Val)>,
}

impl Resident {
    /// An instance that starts as this image says, or as the guest was booted.
    pub fn new(sandbox: Arc<Sandbox>, image: Option<Arc<Image>>) -> Self {
        let scanner = sandbox.keeps_instances().then(PageScanner::new).flatten();
        Resident { sandbox, image, scanner, live: None }
    }

    /// Sends a message and returns the answer, or why there is none, and what it took. Random numbers come from `seed`.
    /// The instance stays as the message leaves it.
    pub fn ask(&mut self, limits: Limits, seed: [u8; 32], message: Vec<u8>) -> (Result<Vec<u8>, Stop>, Used) {
        let answer = self.answer(limits, seed, message);
        let Some(live) = &self.live else { return (answer, Used::default()) };
        let state = live.store.data();
        let fuel = state.fuel.saturating_sub(live.store.get_fuel().unwrap_or(0));
        let peak = state.peak.max(self.length());
        (answer, Used { fuel, peak_bytes: peak as u64 })
    }

    fn answer(&mut self, limits: Limits, seed: [u8; 32], message: Vec<u8>) -> Result<Vec<u8>, Stop> {
        if self.live.is_none() {
            self.live = Some(self.instance(limits)?);
        }
        let Some(Live { store, .. }) = &mut self.live else {
            return Err(Stop::Host("there is no instance".into()));
        };
        store.data_mut().clear(limits);
        store.set_fuel(limits.fuel()).map_err(stop)?;
        store.set_epoch_deadline(LOOK);
        let length = message.len() as u32;
        let state = store.data_mut();
        state.active = ROLE;
        let side = state.side();
        side.random = Random::new(seed);
        side.inbox = message;
        let control =
            side.control.clone().ok_or_else(|| Stop::Host("the guest answers no messages".into()))?;
        let answered = control.call(&mut *store, length).map_err(stop)?;
        match store.data_mut().side().outbox.take() {
            Some(answer) if answered == 0 => Ok(answer),
            _ => Err(Stop::Trap("the guest gave no answer".into())),
        }
    }

    /// What the memory has become.
    ///
    /// # Errors
    /// When there is no instance.
    pub fn freeze(&mut self) -> Result<Image, Stop> {
        let Some(live) = &self.live else { return Err(Stop::Host("there is no instance".into())) };
        let (memory, base) = (live.memory.data(&live.store), self.sandbox.image());
        let private = self.scanner.as_mut().and_then(|scanner| scanner.private(memory));
        let mut image = Image { length: memory.len(), pages: Vec::new(), bytes: Vec::new() };
        let whole = 0..memory.len();
        for at in private.unwrap_or_else(|| vec![whole]).into_iter().flat_map(|r| r.step_by(PAGE)) {
            let page = &memory[at..at + PAGE];
            let same = base.get(at..at + PAGE).map_or_else(|| page.iter().all(|b| *b == 0), |b| b == page);
            if !same {
                image.pages.push((at / PAGE) as u32);
                image.bytes.extend_from_slice(page);
            }
        }
        Ok(image)
    }

    /// Puts the instance back to the image, or drops it where that cannot be.
    pub fn put_back(&mut self) {
        if self.restored().is_none() {
            self.live = None;
        }
    }

    /// Drops the instance: the next request starts in a new one.
    pub fn drop_instance(&mut self) {
        self.live = None;
    }

    fn length(&self) -> usize {
        self.image.as_ref().map_or(self.sandbox.image().len(), |image| image.length)
    }

    fn restored(&mut self) -> Option<()> {
        let (length, base) = (self.length(), self.sandbox.image());
        let Live { store, memory, stack_pointer } = self.live.as_mut()?;
        let data = memory.data_mut(&mut *store);
        let private = self.scanner.as_mut()?.private(data)?;
        let most = MOST_PAGES + self.image.as_ref().map_or(0, |image| image.pages.len());
        if data.len() != length || private.iter().map(|r| r.len() / PAGE).sum::<usize>() > most {
            return None;
        }
        for at in private.into_iter().flat_map(|r| r.step_by(PAGE)) {
            let page = &mut data[at..at + PAGE];
            match self.image.as_ref().and_then(|image| image.page(at / PAGE)).or(base.get(at..at + PAGE)) {
                Some(from) => page.copy_from_slice(from),
                None => page.fill(0),
            }
        }
        if let Some((global, value)) = stack_pointer {
            global.set(&mut *store, *value).ok()?;
        }
        Some(())
    }

    /// A new instance with the image's pages.
    fn instance(&self, limits: Limits) -> Result<Live, Stop> {
        let mut store = self.sandbox.store(limits);
        let host = |error: &dyn std::fmt::Display| Stop::Host(error.to_string());
        let instance: Instance = self.sandbox.instantiate(&mut store, ROLE).map_err(|e| host(&e))?;
        let memory = store.data().sides[ROLE as usize].memory;
        let memory = memory.ok_or_else(|| Stop::Host("the guest exports no memory".into()))?;
        if let Some(image) = &self.image {
            let more = image.length.saturating_sub(memory.data_size(&store));
            let more = (more as u64).div_ceil(memory.page_size(&store));
            if more > 0 {
                memory.grow(&mut store, more).map_err(stop)?;
            }
            let data = memory.data_mut(&mut store);
            for (number, bytes) in image.pages.iter().zip(image.bytes.chunks_exact(PAGE)) {
                let at = *number as usize * PAGE;
                data[at..at + PAGE].copy_from_slice(bytes);
            }
        }
        let stack_pointer = instance.get_global(&mut store, "__stack_pointer").map(|global| {
            let value = global.get(&mut store);
            (global, value)
        });
        Ok(Live { store, memory, stack_pointer })
    }
}
