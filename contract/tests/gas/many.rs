//! What an answer costs when several come in one call.

use near_vm_runner::logic::ReturnData;
use outlayer_protocol::{ExecutionResponse, methods};
use serde_json::json;

use crate::{
    scenario::*,
    vm::{Call, Vm},
};

/// The gas that a worker can rely on to attach: the most of networks before protocol version 83.
const GIVEN: u64 = 300_000_000_000_000;

/// Answers `count` new requests that use nothing, in one call. Gives the gas that it burns.
fn burned(vm: &mut Vm, first: u64, count: u64) -> u64 {
    for _ in 0..count {
        let args = json!({ "request": request(0) });
        vm.call(Call { deposit: NEAR, ..call(DAPP, methods::REQUEST_EXECUTION, args) });
    }
    let bodies: Vec<_> = (first..first + count)
        .map(|request_id| ExecutionResponse { request_id, ..answer(0) })
        .collect();
    let input = borsh::to_vec(&bodies).unwrap();
    let by = worker(0);
    let outcome = vm.call(Call { input, ..call(&by, methods::RESOLVE_MANY, json!({})) });
    let ReturnData::Value(codes) = &outcome.return_data else { panic!("no codes") };
    let expected = serde_json::to_vec(&vec![None::<String>; bodies.len()]).unwrap();
    assert_eq!(*codes, expected, "every answer is taken");
    outcome.burnt_gas.as_gas()
}

#[test]
fn an_answer_costs_less_in_a_call_with_others_and_more_than_a_hundred_fit() {
    let mut vm = contract(&config());
    let alone = settle(&mut vm, &request(0), &answer(0)).resolve;
    let (one, hundred) = (burned(&mut vm, 1, 1), burned(&mut vm, 2, 100));
    let each = (hundred - one) / 99;
    let fit = 1 + (GIVEN - one) / each;
    println!("alone {alone}, a list of one {one}, each further one {each}, {fit} in {GIVEN}");
    assert!(one <= alone + alone / 20, "a list of one burns {one}, alone it is {alone}");
    assert!(each <= alone * 3 / 4, "each burns {each}, alone it is {alone}");
    assert!(fit >= 100, "{fit} answers fit");
    assert!(burned(&mut vm, 102, fit) <= GIVEN);
}
