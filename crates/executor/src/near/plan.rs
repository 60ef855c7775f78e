//! The receipts that a contract made, as a plan.

use std::collections::HashMap;

use near_vm_runner::logic::ReturnData;
use outlayer_guest::{
    Stop,
    host::{PlannedCall, Planner},
};
use outlayer_near_host::{Action, ReceiptManager};
use outlayer_protocol::Plan;

const REFUND_TO: &str = "a plan holds no receiver of refunds: promise_set_refund_to is refused";
const UNKNOWN: &str = "a plan holds function calls and transfers of promises that the guest made";

/// The plan of a call that made these receipts and returned this.
pub(super) fn of(
    receipts: &ReceiptManager,
    returned: Option<&ReturnData>,
    max_bytes: u32,
) -> Result<Plan, Stop> {
    let mut planner = Planner::new(max_bytes);
    // Which receipt gives the data.
    let mut givers = HashMap::new();
    for (number, receipt) in receipts.receipts.iter().enumerate() {
        if receipt.refund_to.is_some() {
            return Err(Stop::Trap(REFUND_TO));
        }
        let after = receipt.input_data_ids.iter().map(|id| givers.get(id).copied());
        let after = after.collect::<Option<Vec<u32>>>().ok_or(Stop::Trap(UNKNOWN))?;
        let promise = planner.promise(receipt.receiver_id.as_bytes(), after)?;
        givers.extend(receipt.output_data_receivers.iter().map(|to| (to.data_id, promise)));
        for (place, action) in receipt.actions.iter().enumerate() {
            match action {
                Action::Transfer(transfer) => {
                    planner.transfer(promise, transfer.deposit.as_yoctonear())?;
                }
                Action::FunctionCall(call) => planner.call(
                    promise,
                    &PlannedCall {
                        method: call.method_name.as_bytes(),
                        args: &call.args,
                        deposit: call.deposit.as_yoctonear(),
                        gas: call.gas.as_gas(),
                        weight: receipts.weight(number, place),
                    },
                )?,
                _ => return Err(Stop::Trap(UNKNOWN)),
            }
        }
    }
    if let Some(ReturnData::ReceiptIndex(number)) = returned {
        planner.returns(u32::try_from(*number).unwrap_or(u32::MAX))?;
    }
    Ok(planner.into_plan())
}
