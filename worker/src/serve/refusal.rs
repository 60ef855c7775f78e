//! What a refusal of the contract means for the worker.
//!
//! The contract refuses with the text of `outlayer_protocol::machine::Refusal`. The text is only a
//! hint: whether a request still waits for an answer is always read from the chain.

/// What to do after a refusal, should the request still be pending.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Advice {
    /// The storage that was read has moved, or is about to: execute again on a newer block.
    ExecuteAgain,
    /// Others must commit first, or have committed: look at the request again.
    LookAgain,
    /// The request is answered, settled or expired.
    Over,
    /// Something that trying again does not mend.
    Report,
}

const HINTS: [(&str, Advice); 15] = [
    ("execute again", Advice::ExecuteAgain),
    ("commitments before a body", Advice::LookAgain),
    ("has committed to request", Advice::LookAgain),
    ("takes no more commitments", Advice::LookAgain),
    ("whose body is public", Advice::LookAgain),
    ("nobody has committed to", Advice::LookAgain),
    ("was disputed before", Advice::LookAgain),
    ("has its turn until block", Advice::LookAgain),
    ("this part starts at byte", Advice::LookAgain),
    ("is taken from those who committed", Advice::LookAgain),
    ("awaits settlement", Advice::Over),
    (" expired:", Advice::Over),
    // The contract's own words for a request that is gone, and for a yield that is.
    ("is settled already", Advice::Over),
    ("does not exist", Advice::Over),
    ("came to its end before this", Advice::Over),
];

/// Reads a refusal's text.
pub(super) fn advice(message: &str) -> Advice {
    HINTS
        .iter()
        .find(|(hint, _)| message.contains(hint))
        .map_or(Advice::Report, |(_, advice)| *advice)
}

#[cfg(test)]
mod tests {
    use outlayer_protocol::{
        Hash32, machine::Refusal, response::ResponseError, upload::UploadError,
    };

    use super::*;

    #[test]
    fn every_refusal_that_a_worker_can_meet_has_its_advice() {
        let id = || "worker.near".parse().unwrap();
        let request_id = 7;
        let cases = [
            (Refusal::Expired { request_id, deadline: 1, height: 2 }, Advice::Over),
            (
                Refusal::AlreadyStaged { request_id, digest: Hash32::default(), worker_id: id() },
                Advice::Over,
            ),
            (Refusal::AlreadyCancelled { request_id }, Advice::Over),
            (Refusal::ReadConflict { request_id, key: "k".into() }, Advice::ExecuteAgain),
            (Refusal::KeyHeld { request_id, key: "k".into() }, Advice::ExecuteAgain),
            (Refusal::TooFewCommitments { request_id, needed: 2, found: 1 }, Advice::LookAgain),
            (Refusal::AlreadyCommitted { request_id, worker_id: id() }, Advice::LookAgain),
            (Refusal::CommitmentsClosed { request_id, found: 6, most: 6 }, Advice::LookAgain),
            (
                Refusal::CommitmentToPublicBody {
                    request_id,
                    worker_id: id(),
                    digest: Hash32::default(),
                },
                Advice::LookAgain,
            ),
            (Refusal::NobodyCommitted { request_id, digest: Hash32::default() }, Advice::LookAgain),
            (Refusal::AlreadyDisputed { request_id, digest: Hash32::default() }, Advice::LookAgain),
            (
                Refusal::NotAmongTheAgreeing {
                    request_id,
                    worker_id: id(),
                    digest: Hash32::default(),
                },
                Advice::LookAgain,
            ),
            (
                Refusal::Upload {
                    request_id,
                    error: UploadError::Held { worker_id: id(), until: 9, height: 8 },
                },
                Advice::LookAgain,
            ),
            (
                Refusal::Upload {
                    request_id,
                    error: UploadError::Offset { found: 1, expected: 2 },
                },
                Advice::LookAgain,
            ),
            (
                Refusal::Upload { request_id, error: UploadError::Total { found: 1, max: 2 } },
                Advice::Report,
            ),
            (Refusal::CommitmentNotNeeded { request_id }, Advice::Report),
            (
                Refusal::Response { request_id, error: ResponseError::ReasonBytes { found: 999 } },
                Advice::Report,
            ),
        ];
        for (refusal, expected) in cases {
            let message = format!("Smart contract panicked: {refusal}");
            assert_eq!(advice(&message), expected, "{message}");
        }
        assert_eq!(advice("worker.near is not a registered worker"), Advice::Report);
    }
}
