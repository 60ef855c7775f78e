//! Compiles code before anybody asks for it: what was published or named in the contract last.
//!
//! Nobody pays for it, and anybody may name code. So it is done while no request is executed, the
//! next request ends it, and an hour has a bound in bytes.

use std::{collections::VecDeque, sync::Arc, time::Duration};

use outlayer_client::At;
use outlayer_guest::{Code, Fault, Job, SnapshotError, prepare};
use outlayer_protocol::{CodeRef, Compute, ExecutionContext, GuestKind, Hash32, ResourceLimits};
use tokio::time::Instant;

use super::{services::Services, stage::execute::ExecutionPlace};

/// How many polls for blocks come between two looks at what was published.
const POLLS: u32 = 20;
/// How often code is tried that requests have pushed aside.
const TRIES: u32 = 3;
/// How much code waits at the most. The contract lists no more at once.
const MOST_WAITING: usize = 32;
const HOUR: Duration = Duration::from_secs(3_600);

/// Watches what is published until it is dropped.
pub(super) async fn watch(services: Arc<Services>) {
    let pause = services.config.poll_interval.saturating_mul(POLLS);
    let mut allowance = Allowance::new(services.config.ahead_bytes_per_hour, Instant::now());
    let mut waiting: VecDeque<(CodeRef, u32)> = VecDeque::new();
    let mut next = 0;
    loop {
        match services.contract.recent_code(next, At::Final).await {
            Ok(found) => {
                next = found.next;
                waiting.extend(found.code.into_iter().map(|code| (code, TRIES)));
                waiting.drain(..waiting.len().saturating_sub(MOST_WAITING));
            }
            Err(error) => tracing::debug!(%error, "what was published last cannot be read"),
        }
        while services.pool.is_idle()
            && let Some((code, tries)) = waiting.pop_front()
        {
            let is_done = one(&services, &code, &mut allowance).await;
            if !is_done && tries > 0 {
                waiting.push_front((code, tries - 1));
                break;
            }
        }
        tokio::time::sleep(pause).await;
    }
}

/// The bytes that may be compiled.
struct Allowance {
    most: u64,
    left: u64,
    since: Instant,
}

impl Allowance {
    fn new(most: u64, now: Instant) -> Self {
        Self { most, left: most, since: now }
    }

    /// Takes so many bytes, if they are there. They are all there again after an hour.
    fn take(&mut self, bytes: u64, now: Instant) -> bool {
        if now.duration_since(self.since) >= HOUR {
            (self.left, self.since) = (self.most, now);
        }
        let left = self.left.checked_sub(bytes);
        self.left = left.unwrap_or(self.left);
        left.is_some()
    }

    /// Gives back what was taken and not used.
    fn give_back(&mut self, bytes: u64) {
        self.left = self.left.saturating_add(bytes).min(self.most);
    }
}

/// Loads and compiles one piece of code. Whether there is nothing left to do about it.
async fn one(services: &Arc<Services>, code: &CodeRef, allowance: &mut Allowance) -> bool {
    let hash = code.hash;
    // Nobody knows how long it is before all of it is here, and that it is the code.
    let most = u64::from(prepare::MAX_MODULE_BYTES).min(allowance.most);
    if !allowance.take(most, Instant::now()) {
        tracing::info!(code = %hash, "enough code was compiled ahead in this hour");
        return true;
    }
    let bytes = match services.codes.load(code, &services.contract, At::Final).await {
        Ok(bytes) => bytes,
        Err(error) => {
            tracing::info!(code = %hash, %error, "published code cannot be loaded");
            return true;
        }
    };
    let length = bytes.len() as u64;
    allowance.give_back(most.saturating_sub(length));
    if prepare::detect(&bytes) == Some(GuestKind::Near) {
        tracing::debug!(code = %hash, "a NEAR contract is compiled when it is asked for");
        return true;
    }
    let Some(place) = services.pool.idle_place() else {
        return false;
    };
    let began = Instant::now();
    let compiled = compile(services, place, hash, bytes).await;
    let took = began.elapsed();
    match compiled {
        Ok(()) => tracing::info!(code = %hash, bytes = length, ?took, "compiled ahead"),
        Err(Fault::Deadline(_)) => {
            tracing::debug!(code = %hash, ?took, "a request needs the place");
            return false;
        }
        Err(error) => tracing::info!(code = %hash, %error, "published code is not compiled"),
    }
    true
}

/// Executes the code without any fuel, which compiles it and no more.
async fn compile(
    services: &Arc<Services>,
    place: ExecutionPlace,
    hash: Hash32,
    bytes: Arc<Vec<u8>>,
) -> Result<(), Fault> {
    let engine = Arc::clone(&services.config.engine);
    let contract_id = services.contract.id().clone();
    let is_wanted = place.is_wanted();
    let run = move || {
        let limits = ResourceLimits {
            compute: Compute::Fuel(0),
            max_module_bytes: prepare::MAX_MODULE_BYTES,
            ..ResourceLimits::default()
        };
        let context = ExecutionContext::of_no_request(contract_id);
        let job = Job::new(Code::hashed(hash, &bytes), &limits, &context);
        let mut nothing = |_: &[u8]| Err(SnapshotError("nothing is executed".to_owned()));
        let execution = engine.execute_until(&job, &mut nothing, &is_wanted).map(drop);
        drop(place);
        execution
    };
    tokio::task::spawn_blocking(run).await.unwrap_or_else(|error| Err(Fault::engine(error)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_hour_has_a_bound_in_bytes() {
        let began = Instant::now();
        let mut allowance = Allowance::new(10, began);
        assert!(allowance.take(6, began));
        assert!(!allowance.take(6, began));
        assert!(allowance.take(4, began));
        allowance.give_back(3);
        assert!(!allowance.take(4, began));
        assert!(allowance.take(3, began));
        assert!(allowance.take(10, began + HOUR));
        assert!(!allowance.take(1, began + HOUR));
    }
}
