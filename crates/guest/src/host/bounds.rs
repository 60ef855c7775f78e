//! How much linear memory and how many table elements a guest has and may have.

use std::error::Error;

use outlayer_protocol::{Limit, ResourceLimits};

use crate::{fault::Fault, prepare::meter::ALARM_TABLE, stop::Stop};

/// Counts the memory and the table elements of all instances against the request's limits.
///
/// What a guest has from the beginning must be within the request's limits; an execution whose
/// guest has more ends with `LimitExceeded`. Growing beyond the request's limit later, or beyond
/// the module's own maximum, gives the guest -1, as the specification says. Memory that the host
/// cannot provide is a fault and never a -1, which would make a difference between hosts.
///
/// An engine asks before each growth, and says when one that was allowed has failed. Sizes are in
/// bytes for memories and in elements for tables; `maximum` is the module's own.
pub struct Bounds {
    memory_limit: u64,
    memory_bytes: u64,
    table_limit: u32,
    table_elements: u64,
    instances: u32,
    /// All instances exist.
    running: bool,
    /// The last growth was refused, so its failure is no fault of the host.
    refused: bool,
}

impl Bounds {
    /// The bounds of a guest that has nothing yet.
    pub fn new(limits: &ResourceLimits) -> Self {
        Self {
            memory_limit: limits.memory_bytes,
            memory_bytes: 0,
            table_limit: limits.table_elements,
            table_elements: 0,
            instances: limits.instances,
            running: false,
            refused: false,
        }
    }

    /// Checks that this many bytes could lie in the guest's memory at all.
    ///
    /// # Errors
    /// [`Stop::Limit`].
    pub fn admit(&self, bytes: u64) -> Result<(), Stop> {
        if bytes > self.memory_limit {
            return Err(Stop::limit(Limit::MemoryBytes, self.memory_limit));
        }
        Ok(())
    }

    /// All instances of the guest exist: what is empty until now grows.
    ///
    /// While they are made, a memory or table that is empty is taken for one that comes into being.
    pub fn run(&mut self) {
        self.running = true;
    }

    /// How many instances the guest may have.
    pub fn instances(&self) -> u32 {
        self.instances
    }

    /// Whether a memory may grow from `current` to `desired` bytes. When not, the guest is told -1.
    ///
    /// # Errors
    /// [`Stop::Limit`] when the request's limit forbids a memory that comes into being.
    pub fn grow_memory(
        &mut self,
        current: usize,
        desired: usize,
        maximum: Option<usize>,
    ) -> Result<bool, Stop> {
        self.refused = maximum.is_some_and(|maximum| desired > maximum);
        if self.refused {
            return Ok(false);
        }
        let total = self.memory_bytes.saturating_add(desired.saturating_sub(current) as u64);
        if total > self.memory_limit {
            return self.refuse(current, Stop::limit(Limit::MemoryBytes, self.memory_limit));
        }
        self.memory_bytes = total;
        Ok(true)
    }

    /// Whether a table may grow from `current` to `desired` elements. When not, the guest is told
    /// -1.
    ///
    /// # Errors
    /// [`Stop::Limit`] when the request's limit forbids a table that comes into being.
    /// [`Stop::StackOverflow`] when the table is the one by which stack metering tells of an
    /// overflow, and is to grow by one element. It never grows by more, but the guest pays for
    /// asking.
    pub fn grow_table(
        &mut self,
        current: usize,
        desired: usize,
        maximum: Option<usize>,
    ) -> Result<bool, Stop> {
        let is_alarm = maximum == Some(ALARM_TABLE) && desired > current;
        if is_alarm && desired - current == 1 {
            return Err(Stop::StackOverflow);
        }
        self.refused = is_alarm || maximum.is_some_and(|maximum| desired > maximum);
        if self.refused {
            return Ok(false);
        }
        let total = self.table_elements.saturating_add(desired.saturating_sub(current) as u64);
        if total > self.table_limit.into() {
            return self.refuse(current, Stop::limit(Limit::TableElements, self.table_limit));
        }
        self.table_elements = total;
        Ok(true)
    }

    /// Answers growth beyond the request's limit.
    fn refuse(&mut self, current: usize, limit: Stop) -> Result<bool, Stop> {
        if current == 0 && !self.running {
            return Err(limit);
        }
        self.refused = true;
        Ok(false)
    }

    /// The last growth that was asked for has failed, as `error` tells.
    ///
    /// # Errors
    /// [`Fault::HostMemory`], unless it had been refused.
    pub fn growth_failed(
        &self,
        error: impl Into<Box<dyn Error + Send + Sync>>,
    ) -> Result<(), Stop> {
        if self.refused { Ok(()) } else { Err(Fault::host_memory(error).into()) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn is_fault(answer: &Result<(), Stop>) -> bool {
        matches!(answer, Err(Stop::Fault(Fault::HostMemory(_))))
    }

    #[test]
    fn what_the_host_cannot_give_is_no_verdict_and_no_answer_to_the_guest() {
        let mut bounds = Bounds::new(&ResourceLimits::default());
        let error = "the system has no memory left";
        assert!(bounds.grow_memory(0, 1 << 16, None).unwrap());
        assert!(is_fault(&bounds.growth_failed(error)));
        assert!(bounds.grow_table(0, 10, Some(20)).unwrap());
        assert!(is_fault(&bounds.growth_failed(error)));
        // What the guest's own maximum forbids, it is told.
        assert!(!bounds.grow_table(10, 30, Some(20)).unwrap());
        assert!(bounds.growth_failed(error).is_ok());
        assert!(!bounds.grow_memory(1 << 16, 1 << 20, Some(1 << 17)).unwrap());
        assert!(bounds.growth_failed(error).is_ok());
        // And what the request's limit forbids.
        assert!(!bounds.grow_memory(1 << 16, 1 << 40, None).unwrap());
        assert!(bounds.growth_failed(error).is_ok());
    }

    #[test]
    fn what_is_there_from_the_beginning_is_within_the_limit_and_growth_is_refused() {
        let limits = ResourceLimits { memory_bytes: 1 << 20, ..ResourceLimits::default() };
        let exceeded = Some((Limit::MemoryBytes, 1 << 20));
        let grow = |bounds: &mut Bounds, from, to| match bounds.grow_memory(from, to, None) {
            Ok(grows) => (grows, None),
            Err(Stop::Limit { which, limit }) => (false, Some((which, limit))),
            Err(_) => panic!("neither an answer nor a limit"),
        };
        let mut bounds = Bounds::new(&limits);
        assert_eq!(grow(&mut bounds, 0, 2 << 20), (false, exceeded));
        assert_eq!(grow(&mut bounds, 0, 0), (true, None));
        bounds.run();
        assert_eq!(grow(&mut bounds, 0, 2 << 20), (false, None));
        assert_eq!(grow(&mut bounds, 0, 1 << 20), (true, None));
        assert_eq!(grow(&mut bounds, 1 << 20, (1 << 20) + 1), (false, None));
    }
}
