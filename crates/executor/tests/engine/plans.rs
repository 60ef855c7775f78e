//! Plans, from modules under both meters, components and contracts.

use outlayer_executor::Execution;
use outlayer_protocol::{
    Compute, Limit, NearToken, Plan, Status,
    plan::{Action, Promise},
};

use crate::common::{self, Run, components, trapped};

/// Addresses: the names of two accounts, of a method, its arguments, deposits and a list.
const DATA: &str = r#"
    (data (i32.const 0) "alice.nearbook.nearnote{}\07")
    (data (i32.const 48) "\01\00\00\00\00\00\00\00\00\00\00\00\00\00\00\00")
    (data (i32.const 64) "\00\00\00\00")
    (data (i32.const 72) "7 1")
"#;

/// A payment, and a call after it, whose result is returned.
const MODULE: &str = r#"
    (call $transfer (call $promise (i32.const 0) (i32.const 10) (i32.const 64) (i32.const 0))
        (i32.const 25))
    (call $call (call $promise (i32.const 10) (i32.const 9) (i32.const 64) (i32.const 1))
        (i32.const 19) (i32.const 4) (i32.const 23) (i32.const 2) (i32.const 48)
        (i64.const 5000000000000) (i64.const 3))
    (call $return (i32.const 1))
"#;

/// A module that plans, for other engines.
pub(crate) fn planning() -> Run {
    module(MODULE)
}

fn module(body: &str) -> Run {
    let run = Run::wat(&format!(
        r#"(module
            (import "outlayer" "plan_promise"
                (func $promise (param i32 i32 i32 i32) (result i32)))
            (import "outlayer" "plan_call"
                (func $call (param i32 i32 i32 i32 i32 i32 i64 i64)))
            (import "outlayer" "plan_transfer" (func $transfer (param i32 i32)))
            (import "outlayer" "plan_return" (func $return (param i32)))
            (memory (export "memory") 1) {DATA}
            (func (export "_start") {body}))"#
    ));
    run.limits(|limits| limits.plan_bytes = 1_000)
}

/// The same, with amounts in decimal.
const COMPONENT: &str = r#"
    (call $transfer (call $promise (i32.const 0) (i32.const 10) (i32.const 64) (i32.const 0))
        (i32.const 72) (i32.const 1))
    (call $call (call $promise (i32.const 10) (i32.const 9) (i32.const 64) (i32.const 1))
        (i32.const 19) (i32.const 4) (i32.const 23) (i32.const 2) (i32.const 74) (i32.const 1)
        (i64.const 5000000000000) (i64.const 3))
    (call $return (i32.const 1))
"#;

fn component(body: &str) -> Run {
    let run = components::from_text(&format!(
        r#"(module
            (import "outlayer:host/actions@0.1.0" "promise"
                (func $promise (param i32 i32 i32 i32) (result i32)))
            (import "outlayer:host/actions@0.1.0" "function-call"
                (func $call (param i32 i32 i32 i32 i32 i32 i32 i64 i64)))
            (import "outlayer:host/actions@0.1.0" "transfer"
                (func $transfer (param i32 i32 i32)))
            (import "outlayer:host/actions@0.1.0" "return-promise" (func $return (param i32)))
            (memory (export "memory") 1) {DATA}
            (func (export "_start") {body}) {})"#,
        components::description()
    ));
    run.limits(|limits| limits.plan_bytes = 1_000)
}

/// The same again, with the functions of a NEAR contract.
const NEAR: &str = r#"
    (call $transfer (call $create (i64.const 10) (i64.const 0)) (i64.const 25))
    (drop (call $then (i64.const 0) (i64.const 9) (i64.const 10)))
    (call $call (i64.const 1) (i64.const 4) (i64.const 19) (i64.const 2) (i64.const 23)
        (i64.const 48) (i64.const 5000000000000) (i64.const 3))
    (call $return (i64.const 1))
"#;

fn near(body: &str) -> Run {
    let mut run = Run::wat(&format!(
        r#"(module
            (import "env" "promise_create"
                (func $promise_create (param i64 i64 i64 i64 i64 i64 i64 i64) (result i64)))
            (import "env" "promise_batch_create" (func $create (param i64 i64) (result i64)))
            (import "env" "promise_batch_then" (func $then (param i64 i64 i64) (result i64)))
            (import "env" "promise_and" (func $and (param i64 i64) (result i64)))
            (import "env" "promise_batch_action_transfer" (func $transfer (param i64 i64)))
            (import "env" "promise_batch_action_function_call_weight"
                (func $call (param i64 i64 i64 i64 i64 i64 i64 i64)))
            (import "env" "promise_batch_action_create_account" (func $new_account (param i64)))
            (import "env" "promise_batch_action_deploy_contract"
                (func $deploy (param i64 i64 i64)))
            (import "env" "promise_batch_action_delete_account"
                (func $delete (param i64 i64 i64)))
            (import "env" "promise_return" (func $return (param i64)))
            (import "env" "promise_results_count" (func $results (result i64)))
            (import "env" "value_return" (func $value_return (param i64 i64)))
            (memory 1) {DATA}
            (func (export "run") (local $i i64) {body}))"#
    ));
    run.args = vec!["run".to_owned()];
    run.limits(|limits| {
        limits.compute = Compute::Gas(300_000_000_000_000);
        limits.memory_bytes = 128 << 20;
        limits.plan_bytes = 1_000;
    })
}

fn expected() -> Plan {
    let yocto = NearToken::from_yoctonear;
    let note = Action::FunctionCall {
        method: "note".to_owned(),
        args: "{}".into(),
        deposit: yocto(1),
        gas: 5_000_000_000_000,
        weight: 3,
    };
    let promise = |receiver: &str, after: Vec<u32>, action| Promise {
        receiver: receiver.parse().unwrap(),
        after,
        actions: vec![action],
    };
    Plan {
        promises: vec![
            promise("alice.near", vec![], Action::Transfer { deposit: yocto(7) }),
            promise("book.near", vec![0], note),
        ],
        returns: Some(1),
    }
}

fn planned(run: &mut Run) -> Execution {
    let execution = run.run();
    assert_eq!(execution.status, Status::Completed);
    execution
}

#[test]
fn every_kind_of_guest_plans_the_same() {
    let gas = |limits: &mut outlayer_protocol::ResourceLimits| {
        limits.compute = Compute::Gas(10_000_000_000_000);
    };
    for (kind, mut run) in [
        ("module", module(MODULE)),
        ("module under gas", module(MODULE).limits(gas)),
        ("component", component(COMPONENT)),
        ("contract", near(NEAR)),
    ] {
        let execution = planned(&mut run);
        assert_eq!(execution.plan, expected(), "{kind}");
        let response = execution.into_response(7);
        assert_eq!(Plan::decode(&response.plan), Ok(expected()), "{kind}");
        // To the byte, the plan fits, and with one byte less it does not.
        let bytes = u32::try_from(response.plan.len()).unwrap();
        let mut fits = run.clone().limits(|limits| limits.plan_bytes = bytes);
        assert_eq!(fits.run().plan, expected(), "{kind}");
        for limit in [bytes - 1, 1, 0] {
            let mut over = run.clone().limits(|limits| limits.plan_bytes = limit);
            let execution = over.run();
            let exceeded = Status::LimitExceeded { which: Limit::PlanBytes, limit: limit.into() };
            assert_eq!((execution.status, execution.plan), (exceeded, Plan::default()), "{kind}");
        }
    }
}

#[test]
fn a_guest_that_does_not_complete_has_planned_nothing() {
    for (mut run, status) in [
        (module(&format!("{MODULE} unreachable")), trapped("unreachable")),
        (component(&format!("{COMPONENT} unreachable")), trapped("unreachable")),
        (near(&format!("{NEAR} unreachable")), trapped("unreachable")),
    ] {
        let execution = run.run();
        assert_eq!((execution.status, execution.plan), (status, Plan::default()));
    }
}

#[test]
fn planning_is_paid_for_by_the_call_and_by_the_byte() {
    let used = |run: Run| run.clone().run().used.amount();
    let by_gas = |run: Run| run.limits(|l| l.compute = Compute::Gas(100_000_000_000_000));
    let promise =
        "(drop (call $promise (i32.const 0) (i32.const 10) (i32.const 64) (i32.const 0)))";
    let call = |args: u32| {
        format!(
            "{promise} (call $call (i32.const 0) (i32.const 19) (i32.const 4) (i32.const 100)
                (i32.const {args}) (i32.const 48) (i64.const 1) (i64.const 0))"
        )
    };
    assert_eq!(used(module(&call(500))) - used(module(&call(0))), 500);
    let short = used(by_gas(module(&call(100))));
    // To read a byte and to send it.
    let byte = 3_801_333 + 47_683_715;
    assert_eq!(used(by_gas(module(&call(600)))) - short, 500 * byte);
    // A call of a function of another contract costs what a node takes to send it.
    let without = used(by_gas(module(promise)));
    assert!(short - without > 200_000_000_000, "{short} {without}");
    let more = used(by_gas(module(&promise.repeat(2)))) - without;
    assert!(more > 108_059_500_000, "{more}");
    assert_eq!(
        module(&promise.repeat(3)).limits(|limits| limits.host_calls = 2).status(),
        Status::LimitExceeded { which: Limit::HostCalls, limit: 2 }
    );
}

#[test]
fn what_no_plan_holds_is_a_trap_with_a_reason() {
    let promise =
        "(drop (call $promise (i32.const 0) (i32.const 10) (i32.const 64) (i32.const 0)))";
    for (body, reason) in [
        (
            "(drop (call $promise (i32.const 19) (i32.const 6) (i32.const 64) (i32.const 0)))",
            "the receiver of a promise is no account id",
        ),
        (
            "(drop (call $promise (i32.const 0) (i32.const 10) (i32.const 64) (i32.const 1)))",
            "there is no such promise in the plan",
        ),
        (
            "(drop (call $promise (i32.const 0) (i32.const 10) (i32.const 64) (i32.const 101)))",
            "a promise waits for at most 100 others",
        ),
        ("(call $transfer (i32.const 0) (i32.const 25))", "there is no such promise in the plan"),
        ("(call $return (i32.const 0))", "there is no such promise in the plan"),
        (
            "(drop (call $promise (i32.const 0) (i32.const 10) (i32.const 65536) (i32.const 1)))",
            "memory out of bounds",
        ),
        ("(call $transfer (i32.const 0) (i32.const 65521))", "memory out of bounds"),
    ] {
        assert_eq!(module(body).status(), trapped(reason), "{body}");
    }
    let amount = format!("{promise} (call $transfer (i32.const 0) (i32.const 72) (i32.const 2))");
    assert_eq!(component(&amount).status(), trapped("an amount is no decimal number of yoctoNEAR"));
}

#[test]
fn a_contract_joins_promises_and_has_no_results() {
    let joined = r#"
        (drop (call $create (i64.const 10) (i64.const 0)))
        (drop (call $create (i64.const 9) (i64.const 10)))
        (i64.store (i32.const 100) (i64.const 1)) (i64.store (i32.const 108) (i64.const 0))
        (drop (call $then (call $and (i64.const 100) (i64.const 2)) (i64.const 9) (i64.const 10)))
        (i64.store (i32.const 100) (call $results))
        (call $value_return (i64.const 8) (i64.const 100))
    "#;
    let execution = planned(&mut near(joined));
    let after: Vec<_> =
        execution.plan.promises.iter().map(|promise| promise.after.clone()).collect();
    assert_eq!(after, [vec![], vec![], vec![1, 0]]);
    assert_eq!((execution.output, execution.plan.returns), (vec![0; 8], None));
    let create = "(drop (call $promise_create (i64.const 10) (i64.const 0) (i64.const 4)
        (i64.const 19) (i64.const 2) (i64.const 23) (i64.const 48) (i64.const 7)))";
    let plan = planned(&mut near(create)).plan;
    let [promise] = &plan.promises[..] else { panic!("{plan:?}") };
    assert!(matches!(&promise.actions[..], [Action::FunctionCall { gas: 7, weight: 0, .. }]));
}

#[test]
fn a_contract_is_refused_what_no_plan_holds() {
    let create = "(drop (call $create (i64.const 10) (i64.const 0)))";
    let refused = trapped("a plan holds function calls and transfers: this action is refused");
    for action in [
        "(call $new_account (i64.const 0))",
        "(call $deploy (i64.const 0) (i64.const 4) (i64.const 0))",
        "(call $delete (i64.const 0) (i64.const 10) (i64.const 0))",
    ] {
        let execution = near(&format!("{create} {action}")).run();
        assert_eq!((execution.status, execution.plan), (refused.clone(), Plan::default()));
    }
    let no_gas = "(call $call (i64.const 0) (i64.const 4) (i64.const 19) (i64.const 2)
        (i64.const 23) (i64.const 48) (i64.const 0) (i64.const 0))";
    assert_eq!(
        near(&format!("{create} {no_gas}")).status(),
        trapped("a function call needs gas or a weight")
    );
    // It may attach no more gas than the request allows.
    let dear = "(call $call (i64.const 0) (i64.const 4) (i64.const 19) (i64.const 2)
        (i64.const 23) (i64.const 48) (i64.const 300000000000000) (i64.const 0))";
    assert_eq!(near(&format!("{create} {dear}")).status(), Status::OutOfGas);
}

#[test]
fn a_plan_is_the_same_every_time() {
    for run in [module(MODULE), component(COMPONENT), near(NEAR)] {
        let executions = [common::executor(), common::executor()].map(|executor| {
            let execution = run.clone().on(executor).unwrap();
            (execution.used, execution.into_response(7))
        });
        assert_eq!(executions[0], executions[1]);
    }
}
