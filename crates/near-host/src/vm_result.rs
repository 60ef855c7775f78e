//! What host functions answer to the virtual machine.

use near_vm_runner::logic::VMLogicError;

/// An answer to the virtual machine, in which an error ends the call of the contract.
///
/// near-vm-runner reports an error of the contract's own ([`HostError`]) with the gas that the call
/// burned. Any other error is a failure of the host, and nothing is reported about the call.
///
/// [`HostError`]: near_vm_runner::logic::HostError
pub type VmResult<T> = Result<T, VMLogicError>;
