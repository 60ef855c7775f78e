//! wasmtime asks before a memory or table grows; the host's bounds answer.

use wasmtime::{Error, ResourceLimiter, Result};

use crate::state::State;

impl ResourceLimiter for State {
    fn memory_growing(
        &mut self,
        current: usize,
        desired: usize,
        maximum: Option<usize>,
    ) -> Result<bool> {
        Ok(self.host.bounds.grow_memory(current, desired, maximum)?)
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
        Ok(self.host.bounds.grow_table(current, desired, maximum)?)
    }

    fn table_grow_failed(&mut self, error: Error) -> Result<()> {
        Ok(self.host.bounds.growth_failed(error)?)
    }

    fn instances(&self) -> usize {
        self.host.bounds.instances() as usize
    }
}
