//! The order of the list of workers, which is such that all that may be drawn come first.
//!
//! Those that were active before this block come first, then those that became active in it, then
//! those that are suspended. A draw among the first ones costs the same however many others there
//! are, and finds exactly as many as there are.

use near_sdk::{env, near};

use crate::{
    slots::Slots,
    store::{self, Prefix},
    workers::{self, Worker},
};

/// How many workers there are, by what they are.
#[near(serializers = [borsh])]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Roster {
    /// How many are registered.
    pub(crate) registered: u32,
    /// How many of these are not suspended.
    active: u32,
    /// How many of these were active before the block at `joined_at`.
    former: u32,
    /// The height at which a worker became active last.
    joined_at: u64,
}

/// The list of workers.
pub(crate) fn slots() -> Slots {
    Slots::new(store::key(Prefix::WorkerSlot, &[]))
}

fn put(position: u32, worker_id: &[u8]) {
    slots().set(position, worker_id);
    note(position, worker_id);
}

/// Notes where a worker is in the list.
fn note(position: u32, worker_id: &[u8]) {
    let key = workers::key(worker_id);
    if let Some(worker) = store::read::<Worker>(&key) {
        store::write(&key, &Worker { position, ..worker });
    }
}

/// Exchanges two workers in the list.
fn swap(one: u32, other: u32) {
    if one != other
        && let (Some(first), Some(second)) = (slots().get(one), slots().get(other))
    {
        put(one, &second);
        put(other, &first);
    }
}

impl Roster {
    /// How many workers may be drawn in this block.
    pub(crate) fn drawable(&self) -> u32 {
        self.drawable_at(env::block_height())
    }

    /// How many workers may be drawn in the block at this height: those that were active before.
    pub(crate) fn drawable_at(&self, height: u64) -> u32 {
        if self.joined_at < height { self.active } else { self.former }
    }

    /// Lists a worker that is new, and active from now on. Gives its position for now:
    /// [`Self::join`] follows when the worker is kept.
    pub(crate) fn push(&mut self, worker_id: &[u8]) -> u32 {
        slots().push(&mut self.registered, worker_id)
    }

    /// Takes the worker at this position, which is not active, among those that are.
    pub(crate) fn join(&mut self, position: u32) {
        self.former = self.drawable();
        self.joined_at = env::block_height();
        swap(position, self.active);
        self.active = self.active.saturating_add(1);
    }

    /// Takes the worker at this position out of those that are active, if it is. Gives its new
    /// position.
    pub(crate) fn leave(&mut self, position: u32) -> u32 {
        self.former = self.drawable();
        let mut position = position;
        for group in [&mut self.former, &mut self.active] {
            if position < *group {
                *group = group.saturating_sub(1);
                swap(position, *group);
                position = *group;
            }
        }
        position
    }

    /// Takes a worker off the list.
    pub(crate) fn remove(&mut self, position: u32) {
        let position = self.leave(position);
        if let Some(moved) = slots().remove(&mut self.registered, position) {
            note(position, &moved);
        }
    }

    /// The roster of a list in which nothing is in order yet.
    pub(crate) fn of_former_layout(registered: u32) -> Self {
        let mut roster = Self { registered, ..Self::default() };
        for position in 0..registered {
            let worker = slots().get(position).and_then(|id| store::read(&workers::key(&id)));
            if worker.is_some_and(|worker: Worker| !worker.suspended) {
                swap(position, roster.active);
                roster.active = roster.active.saturating_add(1);
            }
        }
        roster
    }
}
