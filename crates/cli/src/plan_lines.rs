//! A guest's plan, for people.

use outlayer_protocol::{
    Outcome, Plan,
    plan::{Action, Promise},
};

use crate::print;

/// The plan of an outcome, if it has one. What is no plan is said to be none.
pub(crate) fn show_of(outcome: &Outcome) {
    let Outcome::Planned { plan, .. } = outcome else {
        return;
    };
    match Plan::decode(plan) {
        Ok(plan) => show(&plan),
        Err(error) => print::line("plan", format!("cannot be read: {error}")),
    }
}

/// One line for each promise, and one for each of its actions.
pub(crate) fn show(plan: &Plan) {
    for (number, promise) in plan.promises.iter().enumerate() {
        print::line("promise", head(number, promise));
        for action in &promise.actions {
            print::line("  action", line(action));
        }
    }
    if let Some(number) = plan.returns {
        print::line("returns", format!("promise {number}"));
    }
}

fn head(number: usize, promise: &Promise) -> String {
    let receiver = &promise.receiver;
    if promise.after.is_empty() {
        return format!("{number} to {receiver}");
    }
    let after: Vec<_> = promise.after.iter().map(u32::to_string).collect();
    format!("{number} to {receiver}, after {}", after.join(", "))
}

fn line(action: &Action) -> String {
    match action {
        Action::Transfer { deposit } => format!("transfer {}", print::near(*deposit)),
        Action::FunctionCall { method, args, deposit, gas, weight } => {
            let weight = if *weight == 0 { String::new() } else { format!(", weight {weight}") };
            format!(
                "call {} with {}, deposit {}, gas {gas}{weight}",
                print::text(method.as_bytes()),
                print::text(args),
                print::near(*deposit),
            )
        }
    }
}
