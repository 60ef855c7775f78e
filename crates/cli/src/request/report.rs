//! What became of a request, and where its money went.

use outlayer_client::{
    At, Contract, Money, RequestTrace, SettledTrace, money, trace::TransactionTrace,
};
use outlayer_protocol::{AccountId, NearToken, Outcome, Settlement};
use serde_json::{Value, json};

use crate::{
    exit::{self, Exit},
    plan_lines, print,
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
    if as_json {
        print::json(&document(contract, transaction, request, settled).await?)?;
    } else {
        show(contract, transaction, request, settled).await?;
    }
    let completed = settled.settlement.outcome.output().is_some();
    exit::with((!completed).then_some(Exit::No))
}

/// How often the node is asked where the money went, each time as often as it is asked anything:
/// the request is settled, and whoever has waited for it should not miss the rest.
const LOOKS: u32 = 3;

/// Where a request's money went, and what its payer can claim.
async fn accounts(
    contract: &Contract,
    request: &RequestTrace,
    settled: &SettledTrace,
) -> anyhow::Result<(Money, NearToken)> {
    for _ in 1..LOOKS {
        match look(contract, request, settled).await {
            Ok(accounts) => return Ok(accounts),
            Err(error) => tracing::debug!(%error, "where the money went is asked again"),
        }
    }
    look(contract, request, settled).await
}

async fn look(
    contract: &Contract,
    request: &RequestTrace,
    settled: &SettledTrace,
) -> anyhow::Result<(Money, NearToken)> {
    let money = money(contract, request, settled).await?;
    let claimable = match &money.payer {
        Some(payer) => contract.claimable(payer, At::Optimistic).await?,
        None => NOTHING,
    };
    Ok((money, claimable))
}

/// A settled request, for programs.
pub(super) async fn document(
    contract: &Contract,
    transaction: &TransactionTrace,
    request: &RequestTrace,
    settled: &SettledTrace,
) -> anyhow::Result<Value> {
    let (money, claimable) = accounts(contract, request, settled).await?;
    Ok(json!({
        "request_id": request.requested.request_id,
        "transaction": transaction.hash.to_string(),
        "signer_id": transaction.signer_id,
        "block_height": request.requested.context.block_height,
        "settlement": settled.settlement,
        "money": money_json(&money, transaction, claimable),
    }))
}

/// A settled request, for people.
pub(super) async fn show(
    contract: &Contract,
    transaction: &TransactionTrace,
    request: &RequestTrace,
    settled: &SettledTrace,
) -> anyhow::Result<()> {
    let (money, claimable) = accounts(contract, request, settled).await?;
    print::line("request", request.requested.request_id);
    print::line("transaction", transaction.hash);
    show_settlement(&settled.settlement);
    show_money(&money, transaction, claimable);
    Ok(())
}

/// How a request ended, for people.
pub(super) fn show_settlement(settlement: &Settlement) {
    print::line("outcome", outcome(&settlement.outcome));
    if let Some(output) = settlement.outcome.output() {
        print::line("output", print::text(output));
    }
    plan_lines::show_of(&settlement.outcome);
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

const NOTHING: NearToken = NearToken::from_yoctonear(0);

fn show_money(money: &Money, transaction: &TransactionTrace, claimable: NearToken) {
    let payer = money.payer.as_ref().map_or("the payer", |payer| payer.as_str());
    print::line("attached", print::near(money.attached));
    print::line("  fee", print::near(money.fee));
    if let Some(paid) = money.paid.as_ref().filter(|paid| paid.total() > NOTHING) {
        for (worker_id, amount) in &paid.workers {
            print::line("    of it", format!("{} to {worker_id}", print::near(*amount)));
        }
        print::line("    of it", format!("{} to the protocol", print::near(paid.protocol)));
    }
    print::line("  refund", format!("{} to {payer}", print::near(money.refund)));
    let open = money.open_shares.as_ref().map_or(NOTHING, |open| open.held);
    if open > NOTHING {
        let what = "for workers that may still reveal; what they do not take goes to";
        print::line("  held", format!("{} {what} {payer}", print::near(open)));
    }
    let kept = money.held.saturating_sub(open);
    if kept > NOTHING {
        print::line("  held", format!("{} for {payer}", print::near(kept)));
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

fn money_json(money: &Money, transaction: &TransactionTrace, claimable: NearToken) -> Value {
    let workers = money.paid.as_ref().map(|paid| {
        let one = |(worker_id, paid): &(AccountId, NearToken)| {
            json!({ "worker_id": worker_id, "paid": paid })
        };
        paid.workers.iter().map(one).collect::<Vec<Value>>()
    });
    json!({
        "attached": money.attached, "fee": money.fee, "refund": money.refund, "held": money.held,
        "held_for_open_shares": money.open_shares.as_ref().map_or(NOTHING, |open| open.held),
        "payer": money.payer, "workers": workers,
        "protocol": money.paid.as_ref().map(|paid| paid.protocol), "adds_up": money.adds_up(),
        "gas": transaction.tokens_burnt, "claimable": claimable,
    })
}
