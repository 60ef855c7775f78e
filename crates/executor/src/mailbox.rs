//! The way from a guest, which runs as a future, to the snapshot and the network.

use std::{
    future::poll_fn,
    sync::{Mutex, PoisonError},
    task::Poll,
};

use outlayer_guest::{Fault, Fetched, Stop};
use outlayer_protocol::http::HttpRequest;

/// Where a guest's future asks, and where the loop that drives the future puts the answer. Snapshot
/// and network stay with the loop, so they need not be `Send` or outlive the execution.
#[derive(Default)]
pub(crate) struct Mailbox(Mutex<Slot>);

/// What a guest asks for.
pub(crate) enum Question {
    /// The value of this key.
    Value(Vec<u8>),
    /// An exchange over HTTP, with its number.
    Exchange(u32, HttpRequest),
}

/// What it is answered.
pub(crate) enum Answer {
    /// The value, `None` when the key is absent.
    Value(Option<Vec<u8>>),
    /// What came of the exchange.
    Fetched(Fetched),
}

#[derive(Default)]
enum Slot {
    #[default]
    Empty,
    Asked(Question),
    Answered(Answer),
}

impl Mailbox {
    fn replace(&self, slot: Slot) -> Slot {
        std::mem::replace(&mut *self.0.lock().unwrap_or_else(PoisonError::into_inner), slot)
    }

    /// What is asked for, if anything.
    pub(crate) fn asked(&self) -> Option<Question> {
        let mut slot = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if !matches!(*slot, Slot::Asked(_)) {
            return None;
        }
        match std::mem::take(&mut *slot) {
            Slot::Asked(question) => Some(question),
            _ => None,
        }
    }

    /// Answers what was asked.
    pub(crate) fn answer(&self, answer: Answer) {
        self.replace(Slot::Answered(answer));
    }

    /// Asks for the value of `key`, and waits for it.
    pub(crate) async fn value(&self, key: Vec<u8>) -> Result<Option<Vec<u8>>, Stop> {
        match self.ask(Question::Value(key)).await {
            Answer::Value(value) => Ok(value),
            Answer::Fetched(_) => Err(Fault::engine("an exchange in place of a value").into()),
        }
    }

    /// Asks for an exchange, and waits for it.
    pub(crate) async fn exchange(
        &self,
        number: u32,
        request: HttpRequest,
    ) -> Result<Fetched, Stop> {
        match self.ask(Question::Exchange(number, request)).await {
            Answer::Fetched(fetched) => Ok(fetched),
            Answer::Value(_) => Err(Fault::engine("a value in place of an exchange").into()),
        }
    }

    async fn ask(&self, question: Question) -> Answer {
        self.replace(Slot::Asked(question));
        poll_fn(|_| match self.replace(Slot::Empty) {
            Slot::Answered(answer) => Poll::Ready(answer),
            other => {
                self.replace(other);
                Poll::Pending
            }
        })
        .await
    }
}
