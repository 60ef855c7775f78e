//! What the command's exit code says.

use outlayer_client::{ChainError, LocateError, SendError};
use outlayer_modules::CodeError;
use outlayer_replay::{FetchError, OpeningError, Replay, ReplayError, Verdict};

/// The exit codes besides 0, as `outlayer help` shows them.
pub(crate) const CODES: &str = "\
Exit codes:
  0  yes: the guest completed, the cases passed, the digests match, what was asked for is done
  1  no: the guest or a case failed, the request was never made, there was nothing to do
  2  the question could not be answered
  3  mismatch: what was settled, or what a network did, is not what the guest does
  4  the request is not settled yet
  5  the request was settled without an execution, so there is nothing to compare
  6  pruned: the node has deleted the blocks; ask an archival one
  7  the code cannot be had
  8  the request needs an engine that this build does not have
  9  inconclusive: the data on the chain does not suffice for a verdict, or a contract did what a
     guest cannot
  10  the guest was given secrets, and their openings are needed (--secret)
Colours are used on a terminal only, and never when NO_COLOR is set.";

/// An exit code with a meaning of its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[repr(u8)]
pub(crate) enum Exit {
    No = 1,
    Mismatch = 3,
    NotSettled = 4,
    NoExecution = 5,
    Pruned = 6,
    NoCode = 7,
    OtherEngine = 8,
    Inconclusive = 9,
    SecretNeeded = 10,
}

/// Ends a command that has printed its answer with this code.
#[derive(Clone, Copy, Debug, thiserror::Error)]
#[error("")]
pub(crate) struct Ended(pub(crate) Exit);

/// The code for a command that ended with this error, and whether there is something to print.
pub(crate) fn of_error(error: &anyhow::Error) -> (u8, bool) {
    if let Some(Ended(code)) = error.downcast_ref() {
        return (*code as u8, false);
    }
    (of_failure(error).map_or(2, |code| code as u8), true)
}

/// The meaning of an error, where it has one.
pub(crate) fn of_failure(error: &anyhow::Error) -> Option<Exit> {
    if let Some(LocateError::NeverMade { .. }) = error.downcast_ref() {
        return Some(Exit::No);
    }
    if let Some(LocateError::Pruned { .. } | LocateError::NoTransaction { .. }) =
        error.downcast_ref()
    {
        return Some(Exit::Pruned);
    }
    if let Some(error) = error.downcast_ref() {
        return of_replay_error(error);
    }
    if let Some(OpeningError::Missing { .. }) = error.downcast_ref() {
        return Some(Exit::SecretNeeded);
    }
    of_chain(chain_error(error)?)
}

/// The meaning of an error of a replay, where it has one.
pub(crate) fn of_replay_error(error: &ReplayError) -> Option<Exit> {
    match error {
        ReplayError::Fetch(FetchError::Chain(error))
        | ReplayError::Code(CodeError::Chain(error)) => of_chain(error),
        ReplayError::Code(_) => Some(Exit::NoCode),
        _ => None,
    }
}

fn of_chain(error: &ChainError) -> Option<Exit> {
    match error {
        ChainError::UnknownBlock { .. } | ChainError::UnknownTransaction { .. } => {
            Some(Exit::Pruned)
        }
        _ => None,
    }
}

/// What the chain, or the way to it, had to say. Errors that pass another one on are not in the
/// chain of sources, so each is looked into.
pub(crate) fn chain_error(error: &anyhow::Error) -> Option<&ChainError> {
    error.chain().find_map(|one| {
        if let Some(found) = one.downcast_ref::<ChainError>() {
            return Some(found);
        }
        if let Some(LocateError::Chain(found)) = one.downcast_ref() {
            return Some(found);
        }
        if let Some(SendError::Chain(found)) = one.downcast_ref() {
            return Some(found);
        }
        match one.downcast_ref::<ReplayError>()? {
            ReplayError::Fetch(FetchError::Chain(found))
            | ReplayError::Code(CodeError::Chain(found)) => Some(found),
            _ => None,
        }
    })
}

/// The code of a replay that came to a verdict; `None` for a match.
pub(crate) fn of_replay(replay: &Replay) -> Option<Exit> {
    match &replay.verdict {
        Verdict::Match => None,
        Verdict::Mismatch { .. } => Some(Exit::Mismatch),
        Verdict::NeedsEngine { .. } => Some(Exit::OtherEngine),
        Verdict::SecretNeeded { .. } => Some(Exit::SecretNeeded),
        Verdict::NoExecution { .. } => Some(Exit::NoExecution),
        Verdict::NotSettled => Some(Exit::NotSettled),
        Verdict::Inconclusive { .. } => Some(Exit::Inconclusive),
    }
}

/// Ends a command with this code, or with success.
pub(crate) fn with(code: Option<Exit>) -> anyhow::Result<bool> {
    match code {
        None => Ok(true),
        Some(code) => Err(Ended(code).into()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_code_is_documented_once() {
        for code in [
            Exit::No,
            Exit::Mismatch,
            Exit::NotSettled,
            Exit::NoExecution,
            Exit::Pruned,
            Exit::NoCode,
            Exit::OtherEngine,
            Exit::Inconclusive,
            Exit::SecretNeeded,
        ] {
            let line = format!("\n  {}  ", code as u8);
            assert_eq!(CODES.matches(&line).count(), 1, "{code:?}");
        }
    }

    #[test]
    fn an_error_has_the_code_of_what_it_passes_on() {
        let gone = || ChainError::UnknownBlock { block: "#1".into(), reason: String::new() };
        for error in [
            anyhow::Error::new(gone()),
            ReplayError::Fetch(FetchError::Chain(gone())).into(),
            ReplayError::Code(CodeError::Chain(gone())).into(),
            LocateError::Chain(gone()).into(),
            LocateError::Pruned { request_id: 1, oldest: 2 }.into(),
        ] {
            assert_eq!(of_error(&error), (6, true), "{error}");
            assert_eq!(of_error(&error.context("more")), (6, true));
        }
        assert_eq!(of_error(&LocateError::NeverMade { request_id: 1 }.into()), (1, true));
        let missing = OpeningError::Missing { names: vec!["API_KEY".to_owned()] };
        assert_eq!(of_error(&missing.into()), (10, true));
        assert_eq!(of_error(&anyhow::anyhow!("x")), (2, true));
        assert_eq!(of_error(&Ended(Exit::Mismatch).into()), (3, false));
    }
}
