//! The epoch of an engine: a backstop by wall time for guests, which their fuel should have stopped long before.

use std::time::Duration;
use wasmtime::Engine;

/// How often the epoch moves on.
pub const TICK: Duration = Duration::from_millis(50);

/// Moves the epoch on for as long as the engine lives.
pub fn start(engine: &Engine) {
    let weak = engine.weak();
    std::thread::spawn(move || {
        while let Some(engine) = weak.upgrade() {
            engine.increment_epoch();
            drop(engine);
            std::thread::sleep(TICK);
        }
    });
}

/// The ticks in so many seconds, rounded up.
pub fn ticks(seconds: f64) -> u64 {
    (seconds / TICK.as_secs_f64()).ceil() as u64
}
