//! wasmtime asks before a memory or table grows; the host's bounds answer.

use outlayer_guest::{Stop, fuel, prepare::meter::SUPPLY_TABLE};
use wasmtime::{Error, ResourceLimiter, Result};

use crate::state::{Counter, State};

/// How many bytes a page of a memory has.
const PAGE_BYTES: usize = 64 << 10;

impl State {
    /// Notes that a guest is ended by a limit on what its instances have.
    fn noting_refusal(&mut self, answer: std::result::Result<bool, Stop>) -> Result<bool> {
        self.cut_short |= matches!(answer, Err(Stop::Limit { .. }));
        Ok(answer?)
    }
}

impl ResourceLimiter for State {
    fn memory_growing(
        &mut self,
        current: usize,
        desired: usize,
        maximum: Option<usize>,
    ) -> Result<bool> {
        let answer = self.host.bounds.grow_memory(current, desired, maximum);
        let grows = self.noting_refusal(answer)?;
        // What a memory has from the beginning is not growth. Modules that count pay by themselves.
        if grows && current > 0 && matches!(self.counter, Counter::Store) {
            let pages = (desired.saturating_sub(current) / PAGE_BYTES) as u64;
            self.owed = self.owed.saturating_add(pages.saturating_mul(fuel::MEMORY_GROW_PAGE));
        }
        Ok(grows)
    }

    fn memory_grow_failed(&mut self, error: Error) -> Result<()> {
        Ok(self.host.bounds.growth_failed(error)?)
    }

    fn table_growing(
        &mut self,
        current: usize,
        desired: usize,
        maximum: Option<usize>,
    ) -> Result<bool> {
        if let Counter::Component(account) = &mut self.counter
            && maximum == Some(SUPPLY_TABLE)
            && desired > current
        {
            return Ok(account.next_bit());
        }
        let answer = self.host.bounds.grow_table(current, desired, maximum);
        self.noting_refusal(answer)
    }

    fn table_grow_failed(&mut self, error: Error) -> Result<()> {
        Ok(self.host.bounds.growth_failed(error)?)
    }

    fn instances(&self) -> usize {
        if self.reads_counters {
            // The guest has ended.
            return usize::MAX;
        }
        // One more holds the counters of a component.
        let own = usize::from(matches!(self.counter, Counter::Component(_)));
        (self.host.bounds.instances() as usize).saturating_add(own)
    }
}
