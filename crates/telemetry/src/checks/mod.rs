//! What an operator asks of a worker and of what it depends on: each question with its answer, and
//! with what to do when the answer is no.
//!
//! `outlayer doctor` asks all of them; `/ready` asks those about the chain again and again.

mod chain;
mod engine;
mod machine;

use serde::Serialize;

pub use chain::{ChainReport, Subject, chain};
pub use engine::{self_test, speed};
pub use machine::{Confined, folder, memory, sandbox};

/// How an answer is meant.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Level {
    /// As it should be.
    Ok,
    /// The worker serves, and somebody should look at this.
    Warn,
    /// The worker cannot serve.
    Fail,
}

/// The answer to one question.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Finding {
    /// What the question is about: a short name that does not change.
    pub check: &'static str,
    /// How the answer is meant.
    pub level: Level,
    /// What was found.
    pub found: String,
    /// What to do about it; `None` when nothing is to be done.
    pub advice: Option<String>,
}

impl Finding {
    pub(crate) fn ok(check: &'static str, found: impl Into<String>) -> Self {
        Self { check, level: Level::Ok, found: found.into(), advice: None }
    }

    pub(crate) fn warn(
        check: &'static str,
        found: impl Into<String>,
        advice: impl Into<String>,
    ) -> Self {
        let (found, advice) = (found.into(), Some(advice.into()));
        Self { check, level: Level::Warn, found, advice }
    }

    /// The answer to a question that stops the worker.
    pub fn fail(check: &'static str, found: impl Into<String>, advice: impl Into<String>) -> Self {
        let (found, advice) = (found.into(), Some(advice.into()));
        Self { check, level: Level::Fail, found, advice }
    }
}

/// An amount in NEAR with three decimals, rounded down.
pub(crate) fn near(amount: outlayer_protocol::NearToken) -> String {
    let milli = amount.as_millinear();
    format!("{}.{:03} NEAR", milli / 1_000, milli % 1_000)
}
