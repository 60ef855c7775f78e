//! What a refusal of the contract means for the worker.
//!
//! The contract names a code in the text of its refusal. It is a hint only: whether a request still
//! waits for an answer is always read from the chain.

use outlayer_protocol::RefusalCode;

/// What to do after a refusal, should the request still be pending.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Advice {
    /// The storage that was read has moved, or is about to: execute again on a newer block.
    ExecuteAgain,
    /// The request stands otherwise than was thought: look at it again.
    LookAgain,
    /// The request is answered, settled or expired.
    Over,
    /// Something that trying again does not mend.
    Report,
}

/// Reads a refusal's text.
pub(crate) fn advice(message: &str) -> Advice {
    match RefusalCode::find(message) {
        Some(RefusalCode::ReadConflict | RefusalCode::KeyLocked) => Advice::ExecuteAgain,
        Some(
            RefusalCode::SeatNotYet
            | RefusalCode::SeatPassedOn
            | RefusalCode::SeatTaken
            | RefusalCode::WrongRound
            | RefusalCode::CommitmentsClosed
            | RefusalCode::NotCommitted
            | RefusalCode::TooEarlyToReveal
            | RefusalCode::TooLateToReveal
            | RefusalCode::AlreadyRevealed
            | RefusalCode::TooFewReveals
            | RefusalCode::AlreadyClaimed
            | RefusalCode::ClaimsFull
            | RefusalCode::NotHopeless
            | RefusalCode::SharesOpen
            | RefusalCode::NotAmongTheAgreeing
            | RefusalCode::UploadTurn
            | RefusalCode::PartOffset,
        ) => Advice::LookAgain,
        Some(
            RefusalCode::AlreadyAnswered
            | RefusalCode::AlreadyCancelled
            | RefusalCode::AlreadyDisputed
            | RefusalCode::RequestExpired
            | RefusalCode::RequestSettled
            | RefusalCode::UnknownRequest
            | RefusalCode::YieldGone,
        ) => Advice::Over,
        _ => Advice::Report,
    }
}

#[cfg(test)]
mod tests {
    use outlayer_protocol::{
        Hash32,
        agreement::AgreementError,
        machine::{Reason, Refusal},
        response::ResponseError,
        upload::UploadError,
    };

    use super::*;

    #[test]
    fn every_refusal_that_a_worker_can_meet_has_its_advice() {
        let worker_id = "worker.near".parse::<outlayer_protocol::AccountId>().unwrap();
        let id = || worker_id.clone();
        let digest = Hash32::default();
        let look_again = Advice::LookAgain;
        let turn = UploadError::Turn { worker_id: id(), until: 9, height: 8 };
        let cases = [
            (Reason::Expired { deadline: 1, height: 2 }, Advice::Over),
            (Reason::AlreadyStaged { digest, worker_id: id() }, Advice::Over),
            (Reason::AlreadyCancelled, Advice::Over),
            (Reason::ReadConflict { key: "k".into() }, Advice::ExecuteAgain),
            (Reason::KeyLocked { key: "k".into() }, Advice::ExecuteAgain),
            (Reason::AlreadyDisputed, Advice::Over),
            (AgreementError::NotYet { worker_id: id(), until: 9, height: 8 }.into(), look_again),
            (AgreementError::PassedOn { worker_id: id(), since: 8, height: 8 }.into(), look_again),
            (AgreementError::SeatTaken { worker_id: id(), by: id() }.into(), look_again),
            (AgreementError::Round { found: 0, expected: 1 }.into(), look_again),
            (AgreementError::CommitmentsClosed { until: 8, height: 8 }.into(), look_again),
            (AgreementError::NotCommitted { worker_id: id(), round: 1 }.into(), look_again),
            (AgreementError::TooLateToReveal { until: 8, height: 8 }.into(), look_again),
            (AgreementError::AlreadyRevealed { worker_id: id(), digest }.into(), look_again),
            (Reason::TooFewReveals { digest, needed: 2, found: 1 }, look_again),
            (Reason::NotHopeless { approvals: 2, height: 8 }, look_again),
            (Reason::SharesOpen { until: 9, height: 8 }, look_again),
            (Reason::DigestDiffers { found: digest, expected: digest }, Advice::Report),
            (AgreementError::NoSeat { worker_id: id() }.into(), Advice::Report),
            (Reason::NotAmongTheAgreeing { worker_id: id(), digest }, Advice::LookAgain),
            (turn.into(), Advice::LookAgain),
            (UploadError::Offset { found: 1, expected: 2 }.into(), Advice::LookAgain),
            (UploadError::Total { found: 1, max: 2 }.into(), Advice::Report),
            (Reason::CommitmentNotNeeded, Advice::Report),
            (Reason::ClaimNotNeeded, Advice::Report),
            (Reason::AlreadyClaimed, Advice::LookAgain),
            (Reason::ClaimsFull, Advice::LookAgain),
            (ResponseError::ReasonBytes { found: 999 }.into(), Advice::Report),
        ];
        for (reason, expected) in cases {
            let refusal = Refusal { request_id: 7, reason };
            let text = refusal.code().panic_text(&refusal);
            let message = format!("Smart contract panicked: {text}");
            assert_eq!(advice(&message), expected, "{message}");
        }
        // The contract's own codes, for a request that is gone and for one whose yield is.
        for code in
            [RefusalCode::RequestSettled, RefusalCode::UnknownRequest, RefusalCode::YieldGone]
        {
            assert_eq!(advice(&code.panic_text(&"request 7 is gone")), Advice::Over);
        }
        let stranger = RefusalCode::NotAWorker.panic_text(&"worker.near is not registered");
        assert_eq!(advice(&stranger), Advice::Report);
        assert_eq!(advice("Exceeded the prepaid gas."), Advice::Report);
    }
}
