//! Live requests and kept results, for people.

use outlayer_protocol::{Agreement, KeptResult, RequestId, upload::Upload, views::RequestView};

use super::report::outcome;
use crate::{plan_lines, print};

/// A result that is kept. An output that is cut says so.
pub(super) fn kept(id: RequestId, result: &KeptResult) {
    let settlement = &result.settlement;
    print::line("request", id);
    print::line("outcome", outcome(&settlement.outcome));
    if let Some(output) = settlement.outcome.output() {
        let name = if result.output_is_whole { "output" } else { "output, cut" };
        print::line(name, print::text(output));
    }
    plan_lines::show_of(&settlement.outcome);
    if let Some(hash) = result.output_hash {
        print::line("output hash", hash);
    }
    if let Some(digest) = settlement.digest {
        print::line("digest", digest);
    }
    print::line("used", settlement.used);
    print::line("fee", print::near(settlement.fee));
    print::line("refund", print::near(settlement.refund));
    print::line("held", format!("{} for {}", print::near(settlement.held), result.payer));
    print::line("settled", format!("block {}", result.settled_at));
    print::line("kept until", format!("block {}", result.kept_until));
}

pub(super) fn live(view: &RequestView) {
    let request = &view.request;
    print::line("request", request.id());
    print::line("phase", request.phase.name());
    print::line("code", request.code.hash);
    if let Some(name) = &request.code_name {
        print::line("code name", name);
    }
    if let Some(url) = &request.code.url {
        print::line("code url", print::text(url.as_bytes()));
    }
    print::line("input", print::text(&view.input));
    for pin in request.secrets.iter().flat_map(|secrets| &secrets.pins) {
        let name = print::text(pin.name.as_bytes());
        print::line("secret", format!("{name} of {}, version {}", pin.owner_id, pin.version));
    }
    print::line("limit", request.limits.compute);
    print::line("code bytes", format!("at most {}", request.limits.max_module_bytes));
    print::line("asked by", &request.context.predecessor_id);
    print::line("signed by", &request.context.signer_id);
    print::line("block", request.context.block_height);
    print::line("deadline", format!("block {}", request.terms.deadline));
    print::line("seed", request.context.random_seed);
    print::line("engine", request.terms.engine_version.0);
    print::line("deposit", print::near(request.deposit()));
    if let Some(agreement) = &request.agreement {
        agreement_lines(agreement);
    }
    if let Some(upload) = &request.upload {
        let Upload { worker_id, staged_bytes, total_bytes, since, .. } = upload;
        let answer = format!(
            "{staged_bytes} of {total_bytes} bytes are there, from {worker_id} since block {since}"
        );
        print::line("answer", answer);
    }
}

fn agreement_lines(agreement: &Agreement) {
    let Agreement { approvals, seats, round, snapshot_height, .. } = agreement;
    print::line("approvals", format!("{approvals} of {seats} workers must agree"));
    print::line("round", format!("{round}, on the storage after block {snapshot_height}"));
    let (from, until) = (agreement.reveal_from(), agreement.reveal_until());
    print::line("reveals", format!("from block {from} until {until}"));
    for vote in &agreement.votes {
        let Some(worker_id) = agreement.voter(vote) else {
            continue;
        };
        let said = match vote.digest {
            Some(digest) => format!("has revealed {digest}"),
            None => "has committed".to_owned(),
        };
        print::line("worker", format!("{worker_id} {said}"));
    }
}
