//! Whether the two are the same, and where they may not be.

use outlayer_protocol::{Limit, Status};
use serde::Serialize;

use super::{gas::Gas, here::Here, there::There};
use crate::exit::Exit;

/// What a comparison comes to.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub(super) struct Verdict {
    pub(super) verdict: Kind,
    /// What is not the same, or cannot be compared.
    pub(super) found: Vec<String>,
    /// What else is to be known about the figures.
    pub(super) notes: Vec<String>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Kind {
    Same,
    Differs,
    /// The method needs what a guest does not have.
    Incomparable,
}

impl Verdict {
    /// The exit code that says it; `None` when both are the same.
    pub(super) fn exit(&self) -> Option<Exit> {
        match self.verdict {
            Kind::Same => None,
            Kind::Differs => Some(Exit::Mismatch),
            Kind::Incomparable => Some(Exit::Inconclusive),
        }
    }
}

/// How the engine words what it refuses a guest, and a network does not.
const REFUSED: [&str; 2] = [" are refused: ", " not known here"];

/// Compares both.
pub(super) fn of(there: &There, here: &Here, gas: Option<&Gas>) -> Verdict {
    if let Status::Trapped { reason } = &here.status
        && there.result.is_ok()
        && REFUSED.iter().any(|words| reason.contains(words))
    {
        let found = vec![format!("a guest cannot do what the method does: {reason}")];
        return Verdict { verdict: Kind::Incomparable, found, notes: Vec::new() };
    }
    if let Status::LimitExceeded { which: Limit::PlanBytes, .. } = &here.status
        && there.result.is_ok()
    {
        let reason = "it makes promises, which a guest plans and nobody executes here";
        let found = vec![format!("a guest cannot do what the method does: {reason}")];
        return Verdict { verdict: Kind::Incomparable, found, notes: Vec::new() };
    }
    let (mut found, mut notes) = (Vec::new(), Vec::new());
    match (&there.result, &here.status) {
        (Ok(output), Status::Completed) if *output == here.output => {}
        (Ok(_), Status::Completed) => found.push("the outputs differ".to_owned()),
        (Err(reason), status) if same_failure(reason, status) => {}
        _ => found.push("the statuses differ".to_owned()),
    }
    match &there.logs {
        Some(lines) if in_lines(lines) == here.logs => {}
        Some(_) => found.push("the logs differ".to_owned()),
        None => notes.push("a node does not give the logs of a view that failed".to_owned()),
    }
    match gas {
        Some(gas) => compare_gas(gas, &mut found, &mut notes),
        None => notes.push("a node does not tell what a view burned; --call does".to_owned()),
    }
    let verdict = if found.is_empty() { Kind::Same } else { Kind::Differs };
    Verdict { verdict, found, notes }
}

fn compare_gas(gas: &Gas, found: &mut Vec<String>, notes: &mut Vec<String>) {
    let (there, here) = (gas.there, gas.here);
    if there.unexplained != 0 {
        notes.push(format!(
            "the node's table of fees and its profile leave {} gas of the receipt unexplained",
            there.unexplained
        ));
    }
    if there.compared == 0 && here.compared > 0 {
        notes.push("the node keeps no profile, so the gas is not compared".to_owned());
    } else if there.compared != here.compared {
        let by = i128::from(here.compared) - i128::from(there.compared);
        if gas.same_fees {
            found.push(format!("the gas differs: here it is {by:+}"));
        } else {
            notes.push(format!(
                "the network's protocol version has other fees than this engine, so the gas may \
                 differ: here it is {by:+}"
            ));
        }
    }
    if there.trie != here.trie {
        notes.push(
            "the nodes of the trie are not compared: a network counts those on the way to a key, a \
             guest pays for ten a write or removal"
                .to_owned(),
        );
    }
}

/// The lines of a log, as a guest's log has them.
pub(super) fn in_lines(lines: &[String]) -> Vec<u8> {
    lines.iter().flat_map(|line| [line.as_bytes(), b"\n"].concat()).collect()
}

/// Whether a node's words for a failure mean the verdict of a guest.
fn same_failure(reason: &str, status: &Status) -> bool {
    let has = |words: &[&str]| words.iter().any(|word| reason.contains(word));
    match status {
        Status::Completed | Status::Exited { .. } => false,
        Status::Trapped { reason: here } => match here.as_str() {
            "unreachable" => has(&["unreachable", "Unreachable"]),
            "memory or table out of bounds" | "memory out of bounds" => {
                has(&["out of bounds", "OutOfBounds", "OOB", "MemoryAccessViolation", "Accessed"])
            }
            "indirect call type mismatch" => has(&["ignature"]),
            "indirect call to null" => has(&["null", "Null"]),
            "illegal arithmetic" => has(&["rithmetic"]),
            here => has(&[here]),
        },
        Status::OutOfGas | Status::OutOfFuel => has(&["xceeded", "GasExceeded"]),
        Status::StackOverflow => has(&["tack overflow", "StackOverflow"]),
        Status::InvalidModule { .. } => {
            has(&["MethodNotFound", "MethodResolveError", "CompilationError", "Link", "method"])
        }
        Status::LimitExceeded { .. } => has(&["xceeded", "limit"]),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::compare::{
        gas::{GasHere, GasThere},
        tests::{here, there},
    };

    fn gas(there: u64, here: u64, same_fees: bool) -> Gas {
        Gas {
            same_fees,
            there: GasThere {
                receipt: there + 10,
                fees: 10,
                loading: 0,
                instructions: there,
                host_functions: 0,
                trie: 0,
                receipts_made: 0,
                unexplained: 0,
                compared: there,
            },
            here: GasHere { used: here, loading: 0, trie: 0, compared: here },
        }
    }

    #[test]
    fn the_same_is_the_same_and_each_difference_is_named() {
        let (one, other) = (there(Ok("x"), &["line"]), here(Status::Completed, "x", "line\n"));
        assert_eq!(of(&one, &other, Some(&gas(5, 5, true))).verdict, Kind::Same);
        for (other, gas, word) in [
            (here(Status::Completed, "y", "line\n"), gas(5, 5, true), "outputs"),
            (here(Status::OutOfGas, "", "line\n"), gas(5, 5, true), "statuses"),
            (here(Status::Completed, "x", "line"), gas(5, 5, true), "logs"),
            (here(Status::Completed, "x", "line\n"), gas(5, 7, true), "here it is +2"),
        ] {
            let verdict = of(&one, &other, Some(&gas));
            assert_eq!(verdict.exit(), Some(Exit::Mismatch), "{word}");
            assert!(verdict.found.len() == 1 && verdict.found[0].contains(word), "{verdict:?}");
        }
        let other_fees = of(&one, &other, Some(&gas(5, 7, false)));
        assert_eq!(other_fees.verdict, Kind::Same, "{other_fees:?}");
        assert!(other_fees.notes[0].contains("here it is +2"), "{other_fees:?}");
    }

    #[test]
    fn what_a_guest_is_refused_is_not_compared() {
        let promises = Status::LimitExceeded { which: Limit::PlanBytes, limit: 0 };
        let verdict = of(&there(Ok(""), &[]), &here(promises, "", ""), None);
        assert_eq!(verdict.exit(), Some(Exit::Inconclusive));
        let refused = Status::Trapped { reason: "yields are refused: it cannot".to_owned() };
        let verdict = of(&there(Ok(""), &[]), &here(refused.clone(), "", ""), None);
        assert_eq!(verdict.exit(), Some(Exit::Inconclusive));
        // The contract failed on the network too, for a reason of its own.
        let verdict =
            of(&there(Err("Smart contract panicked: no"), &[]), &here(refused, "", ""), None);
        assert_eq!(verdict.exit(), Some(Exit::Mismatch));
    }

    #[test]
    fn a_nodes_words_for_a_failure_are_understood() {
        let trapped = |reason: &str| Status::Trapped { reason: reason.to_owned() };
        for (reason, status, same) in [
            ("Smart contract panicked: no such key", trapped("no such key"), true),
            ("Smart contract panicked: no such key", trapped("another"), false),
            (
                "WebAssembly trap: An `unreachable` opcode was executed.",
                trapped("unreachable"),
                true,
            ),
            ("Exceeded the prepaid gas.", Status::OutOfGas, true),
            ("Exceeded the prepaid gas.", trapped("unreachable"), false),
            ("MethodNotFound", Status::InvalidModule { reason: String::new() }, true),
            ("Smart contract panicked: x", Status::Completed, false),
        ] {
            assert_eq!(same_failure(reason, &status), same, "{reason} {status:?}");
        }
    }
}
