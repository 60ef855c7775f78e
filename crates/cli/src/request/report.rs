//! What became of a request, and where its money went.

use outlayer_client::{Contract, Money, RequestTrace, money, trace::TransactionTrace};
use outlayer_protocol::{Outcome, Settlement};
use serde_json::{Value, json};

use crate::{
    exit::{self, Exit},
    print,
};

/// Prints a settled request, and ends with the code that its outcome has.
pub(super) async fn settled(
    contract: &Contract,
    transaction: &TransactionTrace,
    request: &RequestTrace,
    as_json: bool,
) -> anyhow::Result<bool> {
    let Some(settled) = &request.settled else {
        return exit::with(Some(Exit::NotSettled));
    };
    let money = money(contract, request, settled).await?;
    let claimable = match &money.payer {
        Some(payer) => contract.claimable(payer, outlayer_client::At::Optimistic).await?,
        None => outlayer_protocol::NearToken::from_yoctonear(0),
    };
    let settlement = &settled.settlement;
    if as_json {
        print::json(&json!({
            "request_id": request.requested.request_id,
            "transaction": transaction.hash.to_string(),
            "signer_id": transaction.signer_id,
            "block_height": request.requested.context.block_height,
            "settlement": settlement,
            "money": money_json(&money, transaction, claimable),
        }))?;
    } else {
        print::line("request", request.requested.request_id);
        print::line("transaction", transaction.hash);
        show_settlement(settlement);
        show_money(&money, transaction, claimable);
    }
    exit::with((!matches!(settlement.outcome, Outcome::Completed { .. })).then_some(Exit::No))
}

/// How a request ended, for people.
pub(super) fn show_settlement(settlement: &Settlement) {
    print::line("outcome", outcome(&settlement.outcome));
    if let Outcome::Completed { output } = &settlement.outcome {
        print::line("output", print::text(output));
    }
    print::line("used", settlement.used);
    if let Some(digest) = settlement.digest {
        print::line("digest", digest);
    }
}

/// An outcome with its reason.
pub(super) fn outcome(outcome: &Outcome) -> String {
    match outcome {
        Outcome::Exited { code } => format!("exited with {code}"),
        Outcome::Trapped { reason } | Outcome::InvalidModule { reason } => {
            format!("{}: {}", outcome.name(), print::text(reason.as_bytes()))
        }
        Outcome::LimitExceeded { which, limit } => {
            format!("limit exceeded: {which} is at most {limit}")
        }
        Outcome::Refused { code, reason } => format!(
            "refused: [{}] {}",
            print::text(code.as_bytes()),
            print::text(reason.as_bytes())
        ),
        other => other.name().to_owned(),
    }
}

fn show_money(
    money: &Money,
    transaction: &TransactionTrace,
    claimable: outlayer_protocol::NearToken,
) {
    let payer = money.payer.as_ref().map_or("the payer", |payer| payer.as_str());
    print::line("attached", print::near(money.attached));
    print::line("  fee", print::near(money.fee));
    match (money.workers.as_slice(), money.worker_paid, money.protocol) {
        ([worker], Some(paid), Some(protocol)) => {
            print::line("    of it", format!("{} to {worker}", print::near(paid)));
            print::line("    of it", format!("{} to the protocol", print::near(protocol)));
        }
        (workers, ..) => {
            for worker in workers {
                print::line("    paid", worker);
            }
        }
    }
    print::line("  refund", format!("{} to {payer}", print::near(money.refund)));
    if money.held.as_yoctonear() > 0 {
        print::line("  held", format!("{} for {payer}", print::near(money.held)));
    }
    if !money.adds_up() {
        print::line(
            "NOT ACCOUNTED",
            "fee, refund and what is held are not what was attached; the node or the contract \
             is wrong",
        );
    }
    print::line(
        "gas",
        format!("{} paid by {}", print::near(transaction.tokens_burnt), transaction.signer_id),
    );
    for bounced in &money.bounced {
        let amount = print::near(bounced.amount);
        print::line("came back", format!("{amount} to {}", bounced.account_id));
    }
    if claimable.as_yoctonear() > 0 {
        print::line(
            "claimable",
            format!("{} by {payer}, with `outlayer claim`", print::near(claimable)),
        );
    }
}

fn money_json(
    money: &Money,
    transaction: &TransactionTrace,
    claimable: outlayer_protocol::NearToken,
) -> Value {
    json!({
        "attached": money.attached, "fee": money.fee, "refund": money.refund, "held": money.held,
        "payer": money.payer, "workers": money.workers, "worker_paid": money.worker_paid,
        "protocol": money.protocol, "adds_up": money.adds_up(), "gas": transaction.tokens_burnt,
        "claimable": claimable,
    })
}
