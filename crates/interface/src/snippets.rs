//! The Rust of the pages about this crate (`README.md` and `docs/plans.md`), so that it compiles. A
//! test of the workspace compares it with the pages.
#![allow(dead_code, reason = "it is compiled, and not run")]

use std::error::Error;

use near_sdk::{AccountId, Gas, NearToken, env};
use outlayer_protocol::{CodeRef, Outcome};

use crate::{Bounds, CarriedOut, PlanRefused, ext_outlayer, request_for, settlement};

struct Dapp {
    outlayer: AccountId,
}

impl Dapp {
    fn ask(&self, code: CodeRef) {
        ext_outlayer::ext(self.outlayer.clone())
            .with_attached_deposit(env::attached_deposit())
            .request_execution(&request_for(env::predecessor_account_id(), code, "input"))
            .then("on_answer", &(), Gas::from_tgas(10))
            .return_to_caller();
    }
}

fn pay(alice: AccountId, pot: NearToken, plan: &[u8]) -> Result<CarriedOut, PlanRefused> {
    Bounds::nothing().transfers_to(alice).deposit(pot).promises(1).carry_out(plan)
}

fn on_answer(alice: AccountId, book: AccountId, pot: NearToken) -> Result<(), Box<dyn Error>> {
    match settlement()?.outcome {
        Outcome::Planned { plan, .. } => {
            let carried = Bounds::nothing()
                .transfers_to(alice)
                .calls_to(book, &["close"])
                .deposit(pot)
                .gas(Gas::from_tgas(20), Gas::from_tgas(10))
                .promises(3)
                .carry_out(&plan)?;
            if let Some(all) = carried.all() {
                all.then("on_paid", &(), Gas::from_tgas(5)).detach();
            }
        }
        Outcome::Completed { .. } => env::log_str("nothing is planned"),
        other => env::log_str(other.name()),
    }
    Ok(())
}
