//! What executions share: a number of children, and an amount of memory.

use std::{
    collections::VecDeque,
    sync::{Condvar, Mutex, MutexGuard, PoisonError},
};

/// Room for so many executions with so much memory. Whoever does not fit waits, first come, first
/// served: a large request is not passed by an endless row of small ones.
pub(crate) struct Budget {
    free: Mutex<Free>,
    changed: Condvar,
    memory_bytes: u64,
}

struct Free {
    /// Below 0 while executions go on whose place was lent.
    places: isize,
    memory_bytes: u64,
    /// Who waits, in order.
    waiting: VecDeque<u64>,
    next: u64,
}

/// More memory than there is in all.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "the execution may take {needed} bytes of this host's memory, \
     which has {budget} for all executions"
)]
pub(crate) struct TooLarge {
    needed: u64,
    budget: u64,
}

impl Budget {
    /// Room for `places` executions with `memory_bytes` together.
    pub(crate) fn new(places: usize, memory_bytes: u64) -> Self {
        let places = isize::try_from(places).unwrap_or(isize::MAX);
        let free = Free { places, memory_bytes, waiting: VecDeque::new(), next: 0 };
        Self { free: Mutex::new(free), changed: Condvar::new(), memory_bytes }
    }

    /// Waits until an execution with so much memory fits, and sets both aside for it.
    ///
    /// # Errors
    /// [`TooLarge`] when it never will.
    pub(crate) fn reserve(&self, memory_bytes: u64) -> Result<Reserved<'_>, TooLarge> {
        if memory_bytes > self.memory_bytes {
            return Err(TooLarge { needed: memory_bytes, budget: self.memory_bytes });
        }
        let mut free = self.lock();
        let ticket = free.next;
        free.next += 1;
        free.waiting.push_back(ticket);
        while free.waiting.front() != Some(&ticket)
            || free.places <= 0
            || free.memory_bytes < memory_bytes
        {
            free = self.changed.wait(free).unwrap_or_else(PoisonError::into_inner);
        }
        free.waiting.pop_front();
        free.places -= 1;
        free.memory_bytes -= memory_bytes;
        drop(free);
        // The next in the row may fit too.
        self.changed.notify_all();
        Ok(Reserved { budget: self, memory_bytes })
    }

    fn lock(&self) -> MutexGuard<'_, Free> {
        self.free.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What is set aside for one execution, until this is dropped.
pub(crate) struct Reserved<'a> {
    budget: &'a Budget,
    memory_bytes: u64,
}

impl Reserved<'_> {
    /// Lends the place, and not the memory, to another execution, until what is returned is
    /// dropped. It is taken back even when no other is free then.
    pub(crate) fn lend(&self) -> Lent<'_> {
        self.budget.lock().places += 1;
        self.budget.changed.notify_all();
        Lent(self.budget)
    }
}

/// A place that is lent.
pub(crate) struct Lent<'a>(&'a Budget);

impl Drop for Lent<'_> {
    fn drop(&mut self) {
        self.0.lock().places -= 1;
    }
}

impl Drop for Reserved<'_> {
    fn drop(&mut self) {
        let mut free = self.budget.lock();
        free.places += 1;
        free.memory_bytes += self.memory_bytes;
        drop(free);
        self.budget.changed.notify_all();
    }
}

#[cfg(test)]
mod tests {
    use std::{
        sync::{
            Arc,
            atomic::{AtomicU64, Ordering},
            mpsc,
        },
        thread,
        time::Duration,
    };

    use super::*;

    #[test]
    fn a_place_is_lent_without_its_memory() {
        let budget = Budget::new(1, 100);
        let left = || {
            let free = budget.lock();
            (free.places, free.memory_bytes)
        };
        let first = budget.reserve(60).unwrap();
        {
            let _lent = first.lend();
            let second = budget.reserve(40).unwrap();
            assert_eq!(left(), (0, 0));
            drop(second);
        }
        let second = {
            let _lent = first.lend();
            budget.reserve(40).unwrap()
        };
        // Both go on, and nobody else begins.
        assert_eq!(left(), (-1, 0));
        drop((first, second));
        assert_eq!(left(), (1, 100));
    }

    #[test]
    fn never_more_than_there_is() {
        let budget = Arc::new(Budget::new(3, 100));
        let (in_use, most) = (Arc::new(AtomicU64::new(0)), Arc::new(AtomicU64::new(0)));
        let threads: Vec<_> = (0..16_u64)
            .map(|n| {
                let (budget, in_use, most) =
                    (Arc::clone(&budget), Arc::clone(&in_use), Arc::clone(&most));
                thread::spawn(move || {
                    let needed = 10 + n * 5;
                    for _ in 0..20 {
                        let reserved = budget.reserve(needed).unwrap();
                        let now = in_use.fetch_add(needed, Ordering::SeqCst) + needed;
                        most.fetch_max(now, Ordering::SeqCst);
                        thread::yield_now();
                        in_use.fetch_sub(needed, Ordering::SeqCst);
                        drop(reserved);
                    }
                })
            })
            .collect();
        for thread in threads {
            thread.join().unwrap();
        }
        assert!(most.load(Ordering::SeqCst) <= 100);
        let free = budget.lock();
        assert_eq!((free.places, free.memory_bytes, free.waiting.len()), (3, 100, 0));
    }

    #[test]
    fn what_can_never_fit_is_said_at_once() {
        let budget = Budget::new(1, 100);
        assert_eq!(budget.reserve(101).err(), Some(TooLarge { needed: 101, budget: 100 }));
        assert!(budget.reserve(100).is_ok());
    }

    #[test]
    fn a_large_one_is_not_passed_by_small_ones() {
        let budget = Arc::new(Budget::new(8, 100));
        let first = budget.reserve(60).unwrap();
        let (served, order) = mpsc::channel();
        // Each has its place in the row before the next one comes, and there is no room for both
        // at once: the second is served when the first is done.
        let mut waiters = Vec::new();
        for (before, needed) in [95, 10].into_iter().enumerate() {
            let (theirs, served) = (Arc::clone(&budget), served.clone());
            waiters.push(thread::spawn(move || {
                let reserved = theirs.reserve(needed).unwrap();
                served.send(needed).unwrap();
                drop(reserved);
            }));
            while budget.lock().waiting.len() <= before {
                thread::sleep(Duration::from_millis(1));
            }
        }
        drop(first);
        assert_eq!([order.recv().unwrap(), order.recv().unwrap()], [95, 10]);
        for waiter in waiters {
            waiter.join().unwrap();
        }
    }
}
