//! The way from a guest, which runs as a future, to the snapshot.

use std::{
    future::poll_fn,
    sync::{Mutex, PoisonError},
    task::Poll,
};

/// Where a guest's future asks for a value, and where the loop that drives the future puts the
/// answer. The snapshot stays with the loop, so it need not be `Send` or outlive the execution.
#[derive(Default)]
pub(crate) struct Mailbox(Mutex<Slot>);

#[derive(Default)]
enum Slot {
    #[default]
    Empty,
    Asked(Vec<u8>),
    Answered(Option<Vec<u8>>),
}

impl Mailbox {
    fn replace(&self, slot: Slot) -> Slot {
        std::mem::replace(&mut *self.0.lock().unwrap_or_else(PoisonError::into_inner), slot)
    }

    /// The key that is asked for, if any.
    pub(crate) fn asked(&self) -> Option<Vec<u8>> {
        let mut slot = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if !matches!(*slot, Slot::Asked(_)) {
            return None;
        }
        match std::mem::take(&mut *slot) {
            Slot::Asked(key) => Some(key),
            _ => None,
        }
    }

    /// Answers what was asked.
    pub(crate) fn answer(&self, value: Option<Vec<u8>>) {
        self.replace(Slot::Answered(value));
    }

    /// Asks for the value of `key`, and waits for it.
    pub(crate) async fn fetch(&self, key: Vec<u8>) -> Option<Vec<u8>> {
        self.replace(Slot::Asked(key));
        poll_fn(|_| match self.replace(Slot::Empty) {
            Slot::Answered(value) => Poll::Ready(value),
            other => {
                self.replace(other);
                Poll::Pending
            }
        })
        .await
    }
}
