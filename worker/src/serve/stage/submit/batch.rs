//! Sends answers that are ready at the same time in one call. Nothing waits for company: an answer
//! is sent as soon as a call may be made, together with all others that are ready by then. Each key
//! makes a few calls in the time of a block, whatever became of those before: when the chain is
//! busy, a call is executed many blocks after it was sent.
//!
//! A call attaches the gas that its answers may burn, with a margin, and not all that a call may
//! have: it is paid for in advance, so it bounds how many calls a balance can have under way.

use std::{
    collections::VecDeque,
    pin::pin,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering},
    },
    time::Duration,
};

use outlayer_client::{CallOutcome, CryptoHash, SendError, SigningAccount};
use outlayer_protocol::{AccountId, NearToken, machine::Taken, methods, pricing::answer_gas};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, oneshot};

use super::{
    super::super::{Observer, Stage, task::task},
    parts::PART_BYTES,
};

/// What a call burns before it looks at the first answer: loading the contract, mostly.
const CALL_GAS: u64 = 3_000_000_000_000;
/// What one answer more burns at most, beside its bytes and its keys. The contract's gas tests
/// measure 1.7 Tgas for an answer among others.
const ANSWER_GAS: u64 = 2_200_000_000_000;
/// What a key that was read or is written burns at most.
const KEY_GAS: u64 = 500_000_000_000;
/// What a byte of the request's arguments and environment burns at most.
const TEXT_BYTE_GAS: u64 = 500_000_000;

/// What a call is given beyond what it burns at most: half as much again, since what that is was
/// measured with one release of the contract.
const MARGIN_PERCENT: u64 = 50;
/// What the error of a call says that was given too little.
const TOO_LITTLE_GAS: &str = "Exceeded the prepaid gas";

/// How many calls each key makes in the time of one block. One would be enough, but then an answer
/// that has just missed it waits.
const CALLS_A_BLOCK: usize = 2;
/// How many calls of each key wait for their outcome.
const CALLS_IN_FLIGHT: usize = 32;

/// Places that may become more or fewer.
#[derive(Clone)]
struct Places {
    free: Arc<Semaphore>,
    count: Arc<Mutex<usize>>,
}

impl Places {
    fn new(count: usize) -> Self {
        let count = count.min(Semaphore::MAX_PERMITS);
        Self { free: Arc::new(Semaphore::new(count)), count: Arc::new(Mutex::new(count)) }
    }

    async fn take(&self) -> Option<OwnedSemaphorePermit> {
        Arc::clone(&self.free).acquire_owned().await.ok()
    }

    /// Makes them so many. Those that are taken end when they are given back.
    fn resize(&self, count: usize) {
        let count = count.min(Semaphore::MAX_PERMITS);
        let mut now = self.count.lock().unwrap_or_else(PoisonError::into_inner);
        let fewer = now.saturating_sub(count);
        self.free.add_permits(count.saturating_sub(*now));
        *now = count;
        let taken = fewer.saturating_sub(self.free.forget_permits(fewer));
        if let Ok(taken @ 1..) = u32::try_from(taken) {
            let free = Arc::clone(&self.free);
            tokio::spawn(async move {
                if let Ok(returned) = free.acquire_many_owned(taken).await {
                    returned.forget();
                }
            });
        }
    }
}

/// The places that a call takes.
struct Turn {
    in_flight: OwnedSemaphorePermit,
    call: OwnedSemaphorePermit,
}

/// An answer that is ready, and whoever waits for what becomes of it.
struct Ready {
    /// Tells it from the others.
    number: u64,
    /// The borsh of an [`Answer`](outlayer_protocol::response::Answer).
    answer: Vec<u8>,
    /// What it burns at most, beside [`CALL_GAS`].
    gas: u64,
    outcome: oneshot::Sender<Result<CallOutcome, SendError>>,
}

/// The gas that an answer burns at most among others.
pub(crate) fn gas_of(answer_bytes: usize, keys: usize, text_bytes: u64) -> u64 {
    let bytes = u64::try_from(answer_bytes).unwrap_or(u64::MAX);
    let keys = u64::try_from(keys).unwrap_or(u64::MAX);
    ANSWER_GAS
        .saturating_add(bytes.saturating_mul(answer_gas::PER_BYTE))
        .saturating_add(keys.saturating_mul(KEY_GAS))
        .saturating_add(text_bytes.saturating_mul(TEXT_BYTE_GAS))
}

/// Sends answers. Clones are cheap and share the queue.
#[derive(Clone)]
pub(crate) struct Submitter {
    account: SigningAccount,
    contract: AccountId,
    /// The most gas that a call is given.
    gas: u64,
    observer: Option<Observer>,
    ready: Arc<Mutex<VecDeque<Ready>>>,
    count: Arc<AtomicU64>,
    /// Places for calls whose outcome is not known yet.
    in_flight: Places,
    /// Places for the calls that are made in the time of one block.
    calls: Places,
    /// How many calls may be under way with all keys together.
    affordable: Arc<AtomicUsize>,
    block_nanos: Arc<AtomicU64>,
    /// Whether each answer has a call of its own, because the keys allow nothing else.
    single: Arc<AtomicBool>,
}

impl Submitter {
    /// Sends answers to `contract`, with so many access keys.
    pub(crate) fn new(account: SigningAccount, contract: AccountId, gas: u64, keys: usize) -> Self {
        let places = |for_key: usize| Places::new(keys.max(1).saturating_mul(for_key));
        Self {
            account,
            contract,
            gas,
            observer: None,
            ready: Arc::default(),
            count: Arc::default(),
            in_flight: places(CALLS_IN_FLIGHT),
            calls: places(CALLS_A_BLOCK),
            affordable: Arc::new(AtomicUsize::new(usize::MAX)),
            block_nanos: Arc::default(),
            single: Arc::default(),
        }
    }

    /// Tells this observer of every call.
    pub(crate) fn observed(self, observer: Option<Observer>) -> Self {
        Self { observer, ..self }
    }

    /// Has at most so many calls under way from now on, with all keys together: as many as the
    /// account can pay for in advance. It counts from the next [`resize`](Self::resize) on.
    pub(crate) fn afford(&self, calls: usize) {
        self.affordable.store(calls, Ordering::Relaxed);
    }

    /// Makes calls with so many access keys from now on.
    pub(crate) fn resize(&self, keys: usize) {
        let (keys, affordable) = (keys.max(1), self.affordable.load(Ordering::Relaxed));
        self.calls.resize(keys.saturating_mul(CALLS_A_BLOCK));
        self.in_flight.resize(keys.saturating_mul(CALLS_IN_FLIGHT).min(affordable).max(1));
    }

    /// Makes calls in the rhythm of blocks that come after so long.
    pub(crate) fn pace(&self, block_nanos: u64) {
        self.block_nanos.store(block_nanos, Ordering::Relaxed);
    }

    /// Waits until a call may be made.
    async fn turn(&self) -> Option<Turn> {
        let in_flight = self.in_flight.take().await?;
        let call = self.calls.take().await?;
        Some(Turn { in_flight, call })
    }

    /// Whether one call may have several answers.
    pub(crate) fn allow_several(&self, several: bool) {
        self.single.store(!several, Ordering::Relaxed);
    }

    #[cfg(test)]
    pub(crate) fn allows_several(&self) -> bool {
        !self.single.load(Ordering::Relaxed)
    }

    /// How many calls may be under way at once.
    #[cfg(test)]
    pub(crate) fn places_in_flight(&self) -> usize {
        self.in_flight.free.available_permits()
    }

    fn ready(&self) -> MutexGuard<'_, VecDeque<Ready>> {
        self.ready.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Sends the borsh of an answer, which burns at most `gas` among others. Gives the outcome as
    /// if the answer had had a call of its own, but for the text of a refusal, of which there is
    /// only the code.
    ///
    /// # Errors
    /// [`SendError`], which all answers of one call share.
    pub(crate) async fn send(&self, answer: Vec<u8>, gas: u64) -> Result<CallOutcome, SendError> {
        let (outcome, mut known) = oneshot::channel();
        let number = self.count.fetch_add(1, Ordering::Relaxed);
        self.ready().push_back(Ready { number, answer, gas, outcome });
        while self.ready().iter().any(|one| one.number == number) {
            tokio::select! {
                biased;
                outcome = &mut known => return told(outcome).await,
                Some(turn) = self.turn() => self.send_some(turn).await,
            }
        }
        told(known.await).await
    }

    /// Makes a call with all that are ready and fit. The call goes on when whoever made it does
    /// not: others wait for it too.
    async fn send_some(&self, turn: Turn) {
        // Those that become ready at the same time come with this one.
        tokio::task::yield_now().await;
        let most = if self.single.load(Ordering::Relaxed) { 1 } else { usize::MAX };
        let batch = next_batch(&mut self.ready(), (self.gas, most));
        if batch.is_empty() {
            return;
        }
        let this = self.clone();
        tokio::spawn(task(async move {
            let gas = this.gas_for(&batch);
            for one in this.call_in(turn, batch, gas).await {
                let this = this.clone();
                tokio::spawn(task(async move { this.send_alone(one).await }));
            }
        }));
    }

    /// The gas to attach to a call with these answers.
    fn gas_for(&self, batch: &[Ready]) -> u64 {
        let burns = batch.iter().fold(CALL_GAS, |sum, one| sum.saturating_add(one.gas));
        (burns / 100).saturating_mul(100 + MARGIN_PERCENT).min(self.gas)
    }

    /// Makes a call with one answer that was not taken among others, or with too little gas, in a
    /// turn of its own and with all the gas that a call may have.
    async fn send_alone(&self, one: Ready) {
        // Nobody waits any more for an answer whose request is over.
        if let Some(turn) = self.turn().await
            && !one.outcome.is_closed()
        {
            self.call_in(turn, vec![one], self.gas).await;
        }
    }

    /// Makes a call, and gives its places back: one after the time of a block, the other when its
    /// outcome is known. Returns the answers that must be sent again, each alone.
    async fn call_in(&self, turn: Turn, batch: Vec<Ready>, gas: u64) -> Vec<Ready> {
        let Turn { in_flight, call } = turn;
        let block = Duration::from_nanos(self.block_nanos.load(Ordering::Relaxed));
        let mut made = pin!(self.call(batch, gas));
        let again = tokio::select! {
            again = &mut made => again,
            () = tokio::time::sleep(block) => {
                drop(call);
                made.await
            }
        };
        drop(in_flight);
        again
    }

    /// Makes one call with this gas, and tells those who wait what came of it. Returns the answers
    /// that must be sent again, each alone: none of them was taken.
    async fn call(&self, batch: Vec<Ready>, gas: u64) -> Vec<Ready> {
        let nothing = NearToken::from_yoctonear(0);
        let (method, args) = match batch.as_slice() {
            [only] => (methods::RESOLVE_EXECUTION, only.answer.clone()),
            several => (methods::RESOLVE_MANY, joined(several)),
        };
        let called = self.account.call(&self.contract, method, args, gas, nothing).await;
        let count = batch.len();
        if let (Ok(called), Some(observer)) = (&called, &self.observer) {
            observer(&Stage::Called { gas_burnt: called.gas_burnt });
        }
        match called {
            Err(SendError::Invalid { reason, .. })
                if count > 1 && reason.contains("MethodNameMismatch") =>
            {
                if !self.single.swap(true, Ordering::Relaxed) {
                    tracing::warn!(
                        "a key may not call {}: each answer has a transaction of its own",
                        methods::RESOLVE_MANY
                    );
                }
                return batch;
            }
            Err(error) => {
                for one in batch {
                    let _ = one.outcome.send(Err(error.clone()));
                }
            }
            Ok(CallOutcome { result: Err(reason), transaction, .. })
                if count == 1 && gas < self.gas && reason.contains(TOO_LITTLE_GAS) =>
            {
                tracing::warn!(%transaction, gas, "an answer had too little gas; it is sent again");
                return batch;
            }
            Ok(outcome) if count == 1 => {
                for one in batch {
                    let _ = one.outcome.send(Ok(outcome.clone()));
                }
            }
            Ok(CallOutcome { transaction, block_hash, result, gas_burnt }) => {
                let codes = result.and_then(|bytes| codes(&bytes, count));
                match codes {
                    Ok(codes) => {
                        let gas_burnt = gas_burnt / u64::try_from(count).unwrap_or(1).max(1);
                        for (one, code) in batch.into_iter().zip(codes) {
                            let result = taken(code, transaction, count);
                            let outcome =
                                CallOutcome { transaction, block_hash, result, gas_burnt };
                            let _ = one.outcome.send(Ok(outcome));
                        }
                    }
                    Err(reason) => {
                        tracing::warn!(
                            %transaction, answers = count, %reason,
                            "no answer of the call was taken; each is sent alone"
                        );
                        return batch;
                    }
                }
            }
        }
        Vec::new()
    }
}

/// The outcome that a call has told. Only the end of the program drops a call that tells none.
async fn told(
    outcome: Result<Result<CallOutcome, SendError>, oneshot::error::RecvError>,
) -> Result<CallOutcome, SendError> {
    match outcome {
        Ok(outcome) => outcome,
        Err(_) => std::future::pending().await,
    }
}

/// The next answers to send in one call: in their order, as many as fit, and at most `most`.
fn next_batch(ready: &mut VecDeque<Ready>, (gas, most): (u64, usize)) -> Vec<Ready> {
    // Nobody waits any more for some of them: their requests are over.
    ready.retain(|one| !one.outcome.is_closed());
    let mut batch: Vec<Ready> = Vec::new();
    let (mut left, mut bytes) = (gas.saturating_sub(CALL_GAS), 0usize);
    while let Some(next) = ready.front() {
        let fits = next.gas <= left && bytes.saturating_add(next.answer.len()) <= PART_BYTES;
        // The first one goes in any case, if need be with all the gas of a call.
        if !batch.is_empty() && (!fits || batch.len() >= most) {
            break;
        }
        left = left.saturating_sub(next.gas);
        bytes = bytes.saturating_add(next.answer.len());
        batch.extend(ready.pop_front());
    }
    batch
}

/// The borsh of the list of these answers.
fn joined(answers: &[Ready]) -> Vec<u8> {
    let count = u32::try_from(answers.len()).unwrap_or(u32::MAX);
    let mut list = count.to_le_bytes().to_vec();
    answers.iter().for_each(|one| list.extend_from_slice(&one.answer));
    list
}

/// The items of the result of `resolve_many`.
fn codes(result: &[u8], count: usize) -> Result<Vec<Option<String>>, String> {
    let codes: Vec<Option<String>> =
        serde_json::from_slice(result).map_err(|error| error.to_string())?;
    if codes.len() == count {
        Ok(codes)
    } else {
        Err(format!("the result has {} items, expected {count}", codes.len()))
    }
}

/// What `resolve_execution` would have said.
fn taken(code: Option<String>, transaction: CryptoHash, count: usize) -> Result<Vec<u8>, String> {
    match code.as_deref() {
        None => Ok(Vec::new()),
        Some(Taken::WAIT) => Ok(format!("\"{}\"", Taken::WAIT).into_bytes()),
        Some(code) => Err(format!("[{code}] one of {count} answers in transaction {transaction}")),
    }
}

#[cfg(test)]
mod tests {
    use near_crypto::{KeyType, SecretKey};
    use outlayer_client::testing::{Answer, CONTRACT, FakeNode, executed, header};
    use outlayer_protocol::Bytes;
    use serde_json::json;
    use tokio::task::JoinSet;

    use super::*;

    const TGAS: u64 = 1_000_000_000_000;

    type Waiter = oneshot::Receiver<Result<CallOutcome, SendError>>;

    fn ready(bytes: usize, gas: u64) -> (Ready, Waiter) {
        let (outcome, waiter) = oneshot::channel();
        (Ready { number: 0, answer: vec![7; bytes], gas, outcome }, waiter)
    }

    fn lengths(queue: &mut VecDeque<Ready>, gas: u64) -> Vec<usize> {
        next_batch(queue, (gas, 9)).iter().map(|one| one.answer.len()).collect()
    }

    #[test]
    fn as_many_as_fit_go_in_one_call_in_their_order() {
        let all: Vec<_> = (1..=10).map(|bytes| ready(bytes, 20 * TGAS)).collect();
        let (mut queue, waiters): (VecDeque<_>, Vec<_>) = all.into_iter().unzip();
        assert_eq!(lengths(&mut queue, 103 * TGAS), [1, 2, 3, 4, 5]);
        assert_eq!(lengths(&mut queue, 102 * TGAS), [6, 7, 8, 9]);
        assert_eq!(lengths(&mut queue, TGAS), [10], "one goes in any case");
        assert_eq!(lengths(&mut queue, TGAS), [0usize; 0]);
        drop(waiters);
    }

    /// A node that has the worker's key, and answers to each signed transaction as `answer` says.
    async fn node_that_is_sent(
        answer: impl Fn(&[u8]) -> Answer + Send + Sync + 'static,
    ) -> FakeNode {
        FakeNode::start(move |method, params| match method {
            "block" => {
                Answer::Result(json!({ "author": "v.near", "header": header(), "chunks": [] }))
            }
            "query" => Answer::Result(json!({
                "nonce": 7, "permission": "FullAccess", "block_height": 100,
                "block_hash": CryptoHash::default().to_string()
            })),
            "send_tx" => {
                let sent: Bytes =
                    serde_json::from_value(params["signed_tx_base64"].clone()).unwrap();
                answer(&sent.0)
            }
            other => panic!("unexpected {other}"),
        })
        .await
    }

    /// A contract that takes no call with several answers, and a node that never says what became
    /// of the first one that comes alone.
    async fn node_that_takes_no_batch(alone: Arc<AtomicU64>) -> FakeNode {
        node_that_is_sent(move |sent| {
            let is_alone = sent.windows(17).any(|part| part == b"resolve_execution");
            let hash = CryptoHash::hash_bytes(sent);
            if !is_alone {
                return executed(&hash, Err("Exceeded the prepaid gas."));
            }
            match alone.fetch_add(1, Ordering::Relaxed) {
                0 => Answer::Hang,
                _ => executed(&hash, Ok(b"")),
            }
        })
        .await
    }

    #[tokio::test]
    async fn when_a_call_with_several_answers_fails_they_are_sent_alone_and_at_once() {
        let alone = Arc::new(AtomicU64::new(0));
        let node = node_that_takes_no_batch(Arc::clone(&alone)).await;
        let key = SecretKey::from_seed(KeyType::ED25519, "worker");
        let account = SigningAccount::new(node.node(), "worker.near".parse().unwrap(), key);
        let submitter = Submitter::new(account, CONTRACT.parse().unwrap(), 300 * TGAS, 1);
        submitter.pace(10_000_000);
        // They are ready before the first of them has a turn.
        let turn = submitter.turn().await.unwrap();
        let other = submitter.turn().await.unwrap();
        let answers = (0..8).map(|number: u8| {
            let submitter = submitter.clone();
            tokio::spawn(async move { submitter.send(vec![number; 8], TGAS).await })
        });
        let answers: Vec<_> = answers.collect();
        while submitter.ready().len() < 8 {
            tokio::task::yield_now().await;
        }
        drop((turn, other));
        let mut heard = JoinSet::new();
        answers.into_iter().for_each(|answer| {
            heard.spawn(answer);
        });
        // All but the one whose call the node never answers.
        for _ in 0..7 {
            let next = tokio::time::timeout(Duration::from_secs(60), heard.join_next()).await;
            let outcome = next.expect("one waits for another").unwrap().unwrap().unwrap().unwrap();
            assert_eq!(outcome.result, Ok(Vec::new()));
        }
        assert_eq!(alone.load(Ordering::Relaxed), 8);
    }

    #[tokio::test]
    async fn places_become_more_or_fewer_also_while_they_are_taken() {
        let places = Places::new(3);
        let mut taken: Vec<_> =
            [places.take().await, places.take().await].into_iter().flatten().collect();
        assert_eq!(places.free.available_permits(), 1);
        places.resize(5);
        assert_eq!(places.free.available_permits(), 3);
        places.resize(1);
        assert_eq!(places.free.available_permits(), 0);
        // Of the two that are taken, only one is left when they are given back.
        taken.clear();
        while Arc::strong_count(&places.free) > 1 {
            tokio::task::yield_now().await;
        }
        assert_eq!(places.free.available_permits(), 1);
        places.resize(2);
        assert_eq!(places.free.available_permits(), 2);
    }

    /// The gas that each call attached. A call with less than `least` fails.
    async fn node_that_wants_gas(least: u64, attached: Arc<Mutex<Vec<u64>>>) -> FakeNode {
        node_that_is_sent(move |sent| {
            // After the arguments (their length and 8 bytes) come 8 bytes of gas.
            let args = [7; 8];
            let at = sent.windows(8).position(|part| part == args).unwrap() + 8;
            let gas = u64::from_le_bytes(sent[at..at + 8].try_into().unwrap());
            attached.lock().unwrap().push(gas);
            let hash = CryptoHash::hash_bytes(sent);
            match gas < least {
                true => executed(&hash, Err("Exceeded the prepaid gas.")),
                false => executed(&hash, Ok(b"")),
            }
        })
        .await
    }

    #[tokio::test]
    async fn a_call_attaches_what_it_may_burn_and_all_there_is_when_that_was_too_little() {
        for (least, expected) in [(0, vec![15 * TGAS]), (16 * TGAS, vec![15 * TGAS, 300 * TGAS])] {
            let attached = Arc::<Mutex<Vec<u64>>>::default();
            let node = node_that_wants_gas(least, Arc::clone(&attached)).await;
            let key = SecretKey::from_seed(KeyType::ED25519, "worker");
            let account = SigningAccount::new(node.node(), "worker.near".parse().unwrap(), key);
            let burnt = Arc::new(AtomicU64::new(0));
            let told = Arc::clone(&burnt);
            let observer: Observer = Arc::new(move |stage| {
                if let Stage::Called { gas_burnt } = stage {
                    told.fetch_add(*gas_burnt, Ordering::Relaxed);
                }
            });
            let submitter = Submitter::new(account, CONTRACT.parse().unwrap(), 300 * TGAS, 1)
                .observed(Some(observer));
            let outcome = submitter.send(vec![7; 8], 7 * TGAS).await.unwrap();
            assert_eq!(outcome.result, Ok(Vec::new()));
            assert_eq!(*attached.lock().unwrap(), expected);
            // Those that failed burned gas too.
            let calls = u64::try_from(expected.len()).unwrap();
            assert_eq!(burnt.load(Ordering::Relaxed), calls * outcome.gas_burnt);
        }
    }

    #[test]
    fn bytes_bound_a_call_too() {
        let half = PART_BYTES / 2;
        let all: Vec<_> = (0..3).map(|_| ready(half, TGAS)).collect();
        let (mut queue, _waiters): (VecDeque<_>, Vec<_>) = all.into_iter().unzip();
        assert_eq!(lengths(&mut queue, 300 * TGAS), [half, half]);
        assert_eq!(lengths(&mut queue, 300 * TGAS), [half]);
    }

    #[test]
    fn what_nobody_waits_for_is_not_sent() {
        let [first, gone, last] = [1, 2, 3].map(|bytes| ready(bytes, TGAS));
        let mut queue = VecDeque::from([first.0, gone.0, last.0]);
        drop(gone.1);
        assert_eq!(lengths(&mut queue, 300 * TGAS), [1, 3]);
        drop((first.1, last.1));
    }

    #[test]
    fn each_answer_hears_what_it_would_have_heard_alone() {
        let heard = codes(br#"[null, "wait", "read_conflict"]"#, 3).unwrap();
        let transaction = CryptoHash::default();
        let heard: Vec<_> = heard.into_iter().map(|code| taken(code, transaction, 3)).collect();
        assert_eq!(heard[0], Ok(Vec::new()));
        assert_eq!(
            serde_json::from_slice::<Taken>(heard[1].as_ref().unwrap()).unwrap(),
            Taken::Wait
        );
        let refusal = heard[2].as_ref().unwrap_err();
        assert!(refusal.starts_with("[read_conflict]"), "{refusal}");
        assert!(codes(b"[null]", 2).is_err());
        assert!(codes(b"", 0).is_err());
    }
}
