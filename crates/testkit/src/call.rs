//! Calls, and what came of them: the answer, the money to the yocto, gas, logs and requests.

use std::{
    pin::Pin,
    time::{Duration, Instant},
};

use near_workspaces::{
    Account, AccountId,
    operations::TransactionStatus,
    result::ExecutionFinalResult,
    types::{Gas, NearToken},
};
use outlayer_protocol::{
    Compute, Hash32, Outcome, RequestId, Settlement, events::Event, index::PendingEntry,
};
use serde::{Serialize, de::DeserializeOwned};

use crate::{
    DAPP_GAS, Error, Outlayer, Result,
    error::Asked as _,
    process::locked,
    results::{burnt, events},
};

/// How long a worker's log may lag behind the chain. A worker logs before it answers, so this is
/// waited for only on a busy machine, or where the worker was ended.
const LOG_LAG: Duration = Duration::from_secs(30);

/// A call that has not been sent yet. Awaiting it sends it, and waits for all that follows.
#[must_use = "a call is sent when it is awaited"]
pub struct Call<'a> {
    outlayer: &'a Outlayer,
    by: &'a Account,
    contract: &'a AccountId,
    method: &'a str,
    args: serde_json::Result<Vec<u8>>,
    deposit: NearToken,
    gas: Gas,
}

impl<'a> Call<'a> {
    pub(crate) fn new(
        outlayer: &'a Outlayer,
        by: &'a Account,
        contract: &'a AccountId,
        method: &'a str,
        args: &impl Serialize,
    ) -> Self {
        let args = serde_json::to_vec(args);
        let deposit = NearToken::from_yoctonear(0);
        Self { outlayer, by, contract, method, args, deposit, gas: DAPP_GAS }
    }

    /// Attaches this much.
    pub fn deposit(self, deposit: NearToken) -> Self {
        Self { deposit, ..self }
    }

    /// Attaches this much gas.
    pub fn gas(self, gas: Gas) -> Self {
        Self { gas, ..self }
    }

    /// Passes these bytes in place of the arguments in JSON.
    pub fn args_bytes(self, args: Vec<u8>) -> Self {
        Self { args: Ok(args), ..self }
    }

    /// Sends the call, and does not wait for its end.
    ///
    /// # Errors
    /// When the node does not take the transaction.
    pub async fn send(self) -> Result<Sent<'a>> {
        let Self { outlayer, by, contract, method, args, deposit, gas } = self;
        let args = args.map_err(|error| Error::call(method, error))?;
        let user_before = outlayer.balance(by.id()).await?;
        let contract_before = outlayer.balance(contract).await?;
        let call = by.call(contract, method).args(args).deposit(deposit).gas(gas);
        let transaction = call.transact_async().await.asked(method)?;
        let (user, contract) = (by.id(), contract);
        let before = Before { user, contract, user_before, contract_before };
        Ok(Sent { outlayer, method, transaction, before })
    }

    /// Sends the call, waits until it has made its requests, and jumps behind their deadlines.
    /// Nobody may serve: see [`Outlayer::stop_workers`] and [`Setup::workers`](crate::Setup).
    ///
    /// # Errors
    /// When the call makes no request, or another of these steps fails.
    pub async fn until_timeout(self) -> Result<Called> {
        self.send().await?.until_timeout().await
    }
}

impl<'a> IntoFuture for Call<'a> {
    type Output = Result<Called>;
    type IntoFuture = Pin<Box<dyn Future<Output = Self::Output> + Send + 'a>>;

    fn into_future(self) -> Self::IntoFuture {
        Box::pin(async move { self.send().await?.finished().await })
    }
}

/// Balances before a call, yoctoNEAR.
struct Before<'a> {
    user: &'a AccountId,
    contract: &'a AccountId,
    user_before: u128,
    contract_before: u128,
}

/// A call that was sent.
pub struct Sent<'a> {
    outlayer: &'a Outlayer,
    method: &'a str,
    transaction: TransactionStatus,
    before: Before<'a>,
}

impl Sent<'_> {
    /// Waits until a request is live, and returns all that are, also those of other calls.
    ///
    /// # Errors
    /// When none becomes live in time.
    pub async fn pending(&self) -> Result<Vec<PendingEntry>> {
        let begun = Instant::now();
        loop {
            let pending = self.outlayer.pending().await?;
            if !pending.is_empty() {
                return Ok(pending);
            }
            if begun.elapsed() > crate::chain::PATIENCE {
                let what = format!("no request of {} was live", self.method);
                return Err(Error::Patience { what, after: crate::chain::PATIENCE });
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }

    /// Waits for the end of the call and all that follows from it.
    ///
    /// # Errors
    /// When it does not end in time.
    pub async fn finished(self) -> Result<Called> {
        let Self { outlayer, method, transaction, before } = self;
        let result = outlayer.finished(transaction).await?;
        Called::of(outlayer, method, &before, result).await
    }

    /// Jumps behind the deadlines of the requests that are live, and waits for the end of the call.
    ///
    /// # Errors
    /// When no request becomes live, or the call does not end in time.
    pub async fn until_timeout(self) -> Result<Called> {
        let pending = self.pending().await?;
        let last = pending.iter().map(|one| one.deadline).max().unwrap_or_default();
        // The yield's callback runs in the block after the deadline.
        self.outlayer.advance_to(last + 3).await?;
        self.finished().await
    }
}

/// What came of a call. The transaction may have failed: see [`Called::json`] and
/// [`Called::failure`].
#[derive(Clone, Debug)]
pub struct Called {
    /// Everything that the node says of the transaction.
    pub result: ExecutionFinalResult,
    /// The requests that were made, in the order in which they were made.
    pub requests: Vec<RequestMade>,
    /// Where the money went.
    pub money: Money,
    /// The gas that the transaction and all of its receipts burned.
    pub gas: Gas,
    /// What the contracts logged, without OutLayer's events.
    pub logs: Vec<String>,
    /// OutLayer's events.
    pub events: Vec<Event>,
}

/// Where the money of a call went, yoctoNEAR. Balances are compared before the call and after it,
/// so nothing else may move the money of the caller and of the contract meanwhile.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Money {
    /// What OutLayer's workers and protocol took.
    pub fee: NearToken,
    /// What OutLayer sent back to whom the requests name.
    pub refund: NearToken,
    /// What the gas cost, which the caller paid.
    pub gas: NearToken,
    /// What the caller paid apart from the gas; less than 0 when it won something.
    pub caller_paid: i128,
    /// By how much the balance of the contract that was called has grown. Before protocol version
    /// 87, a part of the gas is in it.
    pub contract_gained: i128,
}

/// A request, and how it ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RequestMade {
    /// Its id.
    pub request_id: RequestId,
    /// The name of the outcome, such as `completed` or `timed_out`; `None` while it is live.
    pub outcome: Option<String>,
    /// The worker that answered.
    pub worker_id: Option<AccountId>,
    /// Digest of the record of the execution that was settled.
    pub digest: Option<Hash32>,
    /// The fuel or gas that the guest used.
    pub used: Option<Compute>,
    /// What it cost.
    pub fee: NearToken,
    /// What came back.
    pub refund: NearToken,
    /// What the guest logged and wrote to standard error, as the honest workers of this test saw
    /// it; `None` when none of them executed it. It is not on the chain.
    pub guest_log: Option<String>,
}

impl Called {
    async fn of(
        outlayer: &Outlayer,
        method: &str,
        before: &Before<'_>,
        result: ExecutionFinalResult,
    ) -> Result<Self> {
        let events = events(&result);
        let mut requests = requests(&events);
        add_guest_logs(outlayer, &mut requests).await;
        let gas = match result.clone().into_result() {
            Ok(success) => burnt(&success),
            Err(failure) => burnt(&failure),
        };
        let user_after = outlayer.balance(before.user).await?;
        let contract_after = outlayer.balance(before.contract).await?;
        let spent = difference(method, before.user_before, user_after)?;
        let gas_signed = i128::try_from(gas).map_err(|error| Error::answer(method, error))?;
        let sum = |amount: fn(&RequestMade) -> NearToken| {
            requests.iter().map(amount).fold(NearToken::default(), NearToken::saturating_add)
        };
        let money = Money {
            fee: sum(|one| one.fee),
            refund: sum(|one| one.refund),
            gas: NearToken::from_yoctonear(gas),
            caller_paid: spent - gas_signed,
            contract_gained: difference(method, contract_after, before.contract_before)?,
        };
        let logs = result.logs().into_iter().filter(|line| Event::from_log(line).is_none());
        let logs = logs.map(str::to_owned).collect();
        let gas = result.total_gas_burnt;
        Ok(Self { requests, money, gas, logs, events, result })
    }

    /// What the call returned, from JSON.
    ///
    /// # Errors
    /// When the transaction failed, or returned something else.
    pub fn json<T: DeserializeOwned>(&self) -> Result<T> {
        let success = self.result.clone().into_result();
        let success = success.map_err(|failure| Error::call("the transaction", failure))?;
        success.json().asked("what the call returned")
    }

    /// The settlement, where it is what the call returned: of a request that was made directly.
    ///
    /// # Errors
    /// When the transaction failed, or returned something else.
    pub fn settlement(&self) -> Result<Settlement> {
        self.json()
    }

    /// The output of a guest that completed, where the request was made directly.
    ///
    /// # Errors
    /// When the request ended in another way, or was not made directly.
    pub fn output(&self) -> Result<Vec<u8>> {
        match self.settlement()?.outcome {
            Outcome::Completed { output } | Outcome::Planned { output, .. } => Ok(output.0),
            other => Err(Error::answer("the outcome", format!("{other:?}, expected completed"))),
        }
    }

    /// Why the transaction failed; `None` when it succeeded.
    pub fn failure(&self) -> Option<String> {
        self.result.clone().into_result().err().map(|failure| format!("{failure:?}"))
    }

    /// The only request.
    ///
    /// # Errors
    /// When the call made none or several.
    pub fn request(&self) -> Result<&RequestMade> {
        match &self.requests[..] {
            [one] => Ok(one),
            all => Err(Error::answer(
                "the requests of the call",
                format!("there are {}, expected one", all.len()),
            )),
        }
    }

    /// The names of the requests' outcomes, such as `completed` or `timed_out`.
    pub fn outcomes(&self) -> Vec<&str> {
        self.requests.iter().map(|one| one.outcome.as_deref().unwrap_or("live")).collect()
    }

    /// What the guests logged and wrote to standard error.
    pub fn guest_log(&self) -> String {
        self.requests.iter().filter_map(|one| one.guest_log.as_deref()).collect()
    }
}

fn difference(what: &str, greater: u128, less: u128) -> Result<i128> {
    let number = |amount| i128::try_from(amount).map_err(|error| Error::answer(what, error));
    Ok(number(greater)? - number(less)?)
}

/// The requests that these events are of.
fn requests(events: &[Event]) -> Vec<RequestMade> {
    let mut all: Vec<RequestMade> = Vec::new();
    for event in events {
        match event {
            Event::ExecutionRequested(made) => all.push(RequestMade {
                request_id: made.request_id,
                outcome: None,
                worker_id: None,
                digest: None,
                used: None,
                fee: NearToken::default(),
                refund: NearToken::default(),
                guest_log: None,
            }),
            Event::ExecutionCompleted(end) => {
                if let Some(one) = find(&mut all, end.request_id) {
                    one.outcome = Some(end.outcome.clone());
                    one.worker_id = Some(end.worker_id.clone());
                    one.digest = Some(end.digest);
                    one.used = Some(end.used);
                    (one.fee, one.refund) = (end.fee, end.refund);
                }
            }
            Event::ExecutionTimedOut(end) => {
                ended(&mut all, end.request_id, "timed_out", NearToken::default(), end.refund);
            }
            Event::ExecutionCancelled(end) => {
                ended(&mut all, end.request_id, "cancelled", end.fee, end.refund);
            }
            Event::ExecutionDisputed(end) => {
                ended(&mut all, end.request_id, "disputed", end.fee, end.refund);
            }
            _ => {}
        }
    }
    all
}

fn find(all: &mut [RequestMade], request_id: RequestId) -> Option<&mut RequestMade> {
    all.iter_mut().find(|one| one.request_id == request_id)
}

fn ended(
    all: &mut [RequestMade],
    request_id: RequestId,
    outcome: &str,
    fee: NearToken,
    refund: NearToken,
) {
    if let Some(one) = find(all, request_id) {
        one.outcome = Some(outcome.to_owned());
        (one.fee, one.refund) = (fee, refund);
    }
}

/// Adds what the workers say that the guests logged, when they have said it.
async fn add_guest_logs(outlayer: &Outlayer, requests: &mut [RequestMade]) {
    let begun = Instant::now();
    for request in requests {
        loop {
            let is_awaited = {
                let logs = locked(&outlayer.guest_logs);
                request.guest_log = logs.of(request.request_id);
                request.worker_id.as_ref().is_some_and(|one| logs.is_told_by(one))
            };
            if request.guest_log.is_some() || !is_awaited || begun.elapsed() > LOG_LAG {
                break;
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }
}
