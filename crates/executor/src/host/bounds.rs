//! Linear memory and tables, in all.

use outlayer_protocol::{Limit, ResourceLimits};
use wasmtime::ResourceLimiter;

use crate::{fault::Fault, prepare::stack::ALARM_TABLE, verdict::Stop};

/// Counts the memory and the table elements of all instances against the request's limits.
///
/// Growing within the module's own maximum but beyond the request's limit ends the execution with `LimitExceeded`, at
/// instantiation as later. Growing beyond the module's own maximum gives the guest -1, as the specification
/// says. Memory that the host cannot give is a fault, never a -1: that would be a difference between hosts.
pub(crate) struct Bounds {
    memory_limit: u64,
    memory_bytes: u64,
    table_limit: u32,
    table_elements: u64,
    instances: u32,
    /// The last request was beyond the guest's own maximum, so its failure is no fault of the host.
    beyond_maximum: bool,
}

impl Bounds {
    pub(super) fn new(limits: &ResourceLimits) -> Self {
        Self {
            memory_limit: limits.memory_bytes,
            memory_bytes: 0,
            table_limit: limits.table_elements,
            table_elements: 0,
            instances: limits.instances,
            beyond_maximum: false,
        }
    }

    /// Whether so many bytes could lie in the guest's memory at all.
    pub(crate) fn admit(&self, bytes: u64) -> Result<(), Stop> {
        if bytes > self.memory_limit {
            return Err(Stop::limit(Limit::MemoryBytes, self.memory_limit));
        }
        Ok(())
    }

    fn grown(
        &mut self,
        total: u64,
        (current, desired, maximum): (usize, usize, Option<usize>),
        limit: u64,
    ) -> Option<Result<u64, ()>> {
        self.beyond_maximum = maximum.is_some_and(|maximum| desired > maximum);
        if self.beyond_maximum {
            return None;
        }
        let total = total.saturating_add(desired.saturating_sub(current) as u64);
        Some(if total > limit { Err(()) } else { Ok(total) })
    }

    fn failed(&self, error: &wasmtime::Error) -> wasmtime::Result<()> {
        if self.beyond_maximum {
            Ok(())
        } else {
            Err(Stop::Fault(Fault::HostMemory(format!("{error:#}"))).into())
        }
    }
}

impl ResourceLimiter for Bounds {
    fn memory_growing(
        &mut self,
        current: usize,
        desired: usize,
        maximum: Option<usize>,
    ) -> wasmtime::Result<bool> {
        match self.grown(self.memory_bytes, (current, desired, maximum), self.memory_limit) {
            None => Ok(false),
            Some(Ok(total)) => {
                self.memory_bytes = total;
                Ok(true)
            }
            Some(Err(())) => Err(Stop::limit(Limit::MemoryBytes, self.memory_limit).into()),
        }
    }

    fn memory_grow_failed(&mut self, error: wasmtime::Error) -> wasmtime::Result<()> {
        self.failed(&error)
    }

    fn table_growing(
        &mut self,
        current: usize,
        desired: usize,
        maximum: Option<usize>,
    ) -> wasmtime::Result<bool> {
        if maximum == Some(ALARM_TABLE) && desired > current {
            return Err(Stop::StackOverflow.into());
        }
        match self.grown(self.table_elements, (current, desired, maximum), self.table_limit.into())
        {
            None => Ok(false),
            Some(Ok(total)) => {
                self.table_elements = total;
                Ok(true)
            }
            Some(Err(())) => Err(Stop::limit(Limit::TableElements, self.table_limit).into()),
        }
    }

    fn instances(&self) -> usize {
        self.instances as usize
    }

    fn table_grow_failed(&mut self, error: wasmtime::Error) -> wasmtime::Result<()> {
        self.failed(&error)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fault(answer: wasmtime::Result<()>) -> bool {
        let error = answer.unwrap_err();
        matches!(error.downcast_ref(), Some(Stop::Fault(Fault::HostMemory(_))))
    }

    #[test]
    fn what_the_host_cannot_give_is_no_verdict_and_no_answer_to_the_guest() {
        let mut bounds = Bounds::new(&ResourceLimits::default());
        let failed = || wasmtime::Error::msg("the system has no memory left");
        assert!(bounds.memory_growing(0, 1 << 16, None).unwrap());
        assert!(fault(bounds.memory_grow_failed(failed())));
        assert!(bounds.table_growing(0, 10, Some(20)).unwrap());
        assert!(fault(bounds.table_grow_failed(failed())));
        // What the guest's own maximum forbids, it is told.
        assert!(!bounds.table_growing(10, 30, Some(20)).unwrap());
        assert!(bounds.table_grow_failed(failed()).is_ok());
        assert!(!bounds.memory_growing(1 << 16, 1 << 20, Some(1 << 17)).unwrap());
        assert!(bounds.memory_grow_failed(failed()).is_ok());
    }
}
