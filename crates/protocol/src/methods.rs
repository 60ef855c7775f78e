//! The names of the contract's methods, for everybody who calls one by name.
//!
//! A test of the contract holds [`ALL`] against its ABI.

/// Declares the constants and the list of all of them.
macro_rules! methods {
    ($($(#[doc = $doc:literal])+ $constant:ident = $name:literal,)+) => {
        $($(#[doc = $doc])+ pub const $constant: &str = $name;)+

        /// Every method of the contract.
        pub const ALL: &[&str] = &[$($constant),+];
    };
}

methods! {
    /// Called once, with the deployment: sets the contract up.
    NEW = "new",

    /// A dApp asks for an execution; the result is the settlement.
    REQUEST_EXECUTION = "request_execution",
    /// The requester or the payer cancels a request that nobody has answered.
    CANCEL_EXECUTION = "cancel_execution",
    /// Anyone refunds a request whose callback failed.
    SWEEP_EXPIRED = "sweep_expired",
    /// The callback of a request's yield, which settles the request.
    ON_EXECUTION_RESPONSE = "on_execution_response",
    /// Anyone removes a result that has been kept long enough.
    REMOVE_RESULT = "remove_result",

    /// A worker submits a whole response.
    RESOLVE_EXECUTION = "resolve_execution",
    /// A worker submits whole responses to several requests.
    RESOLVE_MANY = "resolve_many",
    /// A worker sends a part of a response.
    STAGE_RESPONSE = "stage_response",
    /// A worker says that it executes a request that takes long.
    CLAIM_EXECUTION = "claim_execution",
    /// A worker commits to a digest.
    COMMIT_EXECUTION = "commit_execution",
    /// A worker reveals the digest that it has committed to.
    REVEAL_EXECUTION = "reveal_execution",
    /// Anyone ends a request on which no agreement is possible, or closes its open shares.
    CLOSE = "close",
    /// The open shares of a settled request.
    GET_SHARES = "get_shares",
    /// A view: a page of the open shares of all settled requests, in borsh.
    SHARES_INDEX = "shares_index",
    /// A worker takes out what it has earned.
    WITHDRAW_EARNINGS = "withdraw_earnings",

    /// Anyone takes out payments to them that bounced.
    CLAIM = "claim",
    /// The callback of every payment, which notes the ones that bounced.
    ON_REFUND = "on_refund",

    /// NEP-145: pays for a namespace's bytes.
    STORAGE_DEPOSIT = "storage_deposit",
    /// NEP-145: takes out what no stored byte needs.
    STORAGE_WITHDRAW = "storage_withdraw",
    /// NEP-145: closes the caller's namespace.
    STORAGE_UNREGISTER = "storage_unregister",
    /// NEP-145, a view: the balance of an account.
    STORAGE_BALANCE_OF = "storage_balance_of",
    /// NEP-145, a view: what registering costs.
    STORAGE_BALANCE_BOUNDS = "storage_balance_bounds",
    /// Sets a key of the caller's namespace.
    STORAGE_SET = "storage_set",
    /// Sets several keys of the caller's namespace, all or none.
    STORAGE_SET_MANY = "storage_set_many",
    /// Removes a key of the caller's namespace.
    STORAGE_REMOVE = "storage_remove",
    /// Removes keys of the caller's namespace, so many at once.
    STORAGE_CLEAR = "storage_clear",
    /// A view: what a change of a namespace costs while live requests may read it.
    GET_CHANGE_FEE = "get_change_fee",
    /// A view: the value of a key.
    STORAGE_GET = "storage_get",
    /// A view: the values of several keys.
    STORAGE_GET_MANY = "storage_get_many",
    /// A view: a page of an account's keys.
    STORAGE_KEYS = "storage_keys",

    /// Publishes a module, or a part of it.
    PUBLISH_CODE = "publish_code",
    /// Withdraws a module from new requests.
    RETIRE_CODE = "retire_code",
    /// Takes over a module that its publisher has withdrawn.
    ADOPT_CODE = "adopt_code",
    /// Deletes a module.
    DELETE_CODE = "delete_code",
    /// A view: bytes of a published module.
    GET_CODE = "get_code",
    /// A view: what is known of a published module.
    GET_CODE_INFO = "get_code_info",
    /// Gives a name's next version to code.
    NAME_CODE = "name_code",
    /// Withdraws a version of a name from new requests.
    RETIRE_NAMED_CODE = "retire_named_code",
    /// A view: what a version of a name stands for.
    GET_NAMED_CODE = "get_named_code",
    /// A view: a page of a name's versions, or of an account's names.
    LIST_NAMED_CODE = "list_named_code",
    /// A view: the code that was published or named last.
    RECENT_CODE = "recent_code",

    /// The owner sets the terms of later requests.
    SET_CONFIG = "set_config",
    /// The owner stops new requests.
    PAUSE = "pause",
    /// The owner lets new requests in again.
    UNPAUSE = "unpause",
    /// The owner offers the ownership to another account.
    PROPOSE_OWNER = "propose_owner",
    /// The account that was offered the ownership takes it.
    ACCEPT_OWNER = "accept_owner",
    /// The owner registers a worker.
    REGISTER_WORKER = "register_worker",
    /// The owner suspends a worker, or lets it work again.
    SUSPEND_WORKER = "suspend_worker",
    /// The owner removes a worker.
    REMOVE_WORKER = "remove_worker",
    /// The owner takes out the protocol's share of the fees.
    WITHDRAW_PROTOCOL_SHARE = "withdraw_protocol_share",
    /// The owner takes out what the contract has beyond all pots and its own stake.
    WITHDRAW_SURPLUS = "withdraw_surplus",
    /// The owner announces an upgrade.
    PROPOSE_UPGRADE = "propose_upgrade",
    /// The owner makes the announced upgrade.
    UPGRADE = "upgrade",
    /// Called on new code by the contract itself: brings the state to the new layout.
    MIGRATE = "migrate",
    /// A view: the upgrade that is announced.
    GET_UPGRADE = "get_upgrade",

    /// A view: the deposit that a request needs.
    ESTIMATE_COST = "estimate_cost",
    /// A view: the gas that a request needs.
    ESTIMATE_GAS = "estimate_gas",
    /// A view: a live request with its input, or whether it is settled or was never made.
    GET_REQUEST = "get_request",
    /// A view: the response that is staged for a live request, in borsh.
    GET_RESPONSE = "get_response",
    /// A view: a result that is kept.
    GET_RESULT = "get_result",
    /// A view: a page of the index of live requests, in borsh.
    PENDING_INDEX = "pending_index",
    /// Several live requests with their inputs, in borsh.
    GET_REQUESTS = "get_requests",
    /// A view: the same in JSON, for people.
    LIST_PENDING = "list_pending",
    /// A view: the configuration and the owner.
    GET_CONFIG = "get_config",
    /// A view: the money that the contract holds, by purpose.
    GET_FUNDS = "get_funds",
    /// A view: what an account may claim.
    GET_CLAIMABLE = "get_claimable",
    /// A view: a registered worker.
    GET_WORKER = "get_worker",
    /// A view: a page of the registered workers.
    LIST_WORKERS = "list_workers",
}
