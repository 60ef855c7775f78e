//! Interrupts running guests now and then, so that the host can look at their deadlines.

use std::{thread, time::Duration};

use wasmtime::Engine;

/// A guest whose deadline is over runs on for about this long.
const TICK: Duration = Duration::from_millis(20);

/// Moves the engine's epoch on until the engine is gone. Where the host gives no thread for it,
/// guests are not interrupted, and a warning says so.
pub(super) fn start(engine: &Engine) {
    let engine = engine.weak();
    let ticks = move || {
        loop {
            thread::sleep(TICK);
            match engine.upgrade() {
                Some(engine) => engine.increment_epoch(),
                None => return,
            }
        }
    };
    if let Err(error) = thread::Builder::new().name("epochs".to_owned()).spawn(ticks) {
        tracing::warn!(%error, "no thread for interruptions: guests end at their fuel alone");
    }
}
