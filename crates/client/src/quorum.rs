//! Reads on which two endpoints agree, so that one that lies is noticed.
//!
//! Two endpoints are only compared about the same block. So the newest block is first agreed upon:
//! it is the older of the two that they show, once the other endpoint has confirmed it.
//!
//! When two answers about one block differ, a third endpoint is asked. What two of them say is the
//! answer, and the endpoint that said something else is named in the log and asked last for a
//! while. When no two endpoints agree, the error names two that differ: nobody here decides which
//! of them is right.

use std::sync::Arc;

use near_jsonrpc_client::methods;
use near_primitives::views::QueryRequest;
use outlayer_protocol::{AccountId, Hash32};
use tokio::time::Instant;

use crate::{
    At, Block, BlockId, ChainError,
    endpoints::{Endpoint, Endpoints},
    node::{block_of, block_request, view_of},
};

/// A question about one block, which each endpoint must answer in the same way.
trait Question: Sync {
    type Answer: Send;

    /// The question as a message shows it.
    fn name(&self) -> String;

    fn ask(
        &self,
        endpoints: &Endpoints,
        endpoint: &Endpoint,
        deadline: Instant,
    ) -> impl Future<Output = Result<Self::Answer, ChainError>> + Send;

    /// Two answers are the same when they say the same.
    fn say(answer: &Self::Answer) -> String;
}

/// The block at `at`, which two endpoints have.
pub(crate) async fn block(endpoints: &Endpoints, at: At) -> Result<Block, ChainError> {
    let question = BlockAt(at);
    let deadline = endpoints.deadline();
    if matches!(at, At::Height(_) | At::Hash(_)) {
        return agree(endpoints, &question, deadline).await;
    }
    let mut rounds = 0;
    loop {
        let error = match newest(endpoints, &question.name(), at, deadline).await {
            // A node that lags may be on another fork for a moment.
            Err(error @ ChainError::Disagreement { .. }) => error,
            Err(error) if error.is_transient() => error,
            settled => return settled,
        };
        rounds += 1;
        let rest = error.retry_after().unwrap_or_default();
        let Some(wait) = endpoints.wait(rounds, rest, deadline) else {
            return Err(reported(endpoints, error));
        };
        tokio::time::sleep(wait).await;
    }
}

/// The result of a view, which two endpoints gave.
pub(crate) async fn view(
    endpoints: &Endpoints,
    contract: &AccountId,
    method: &str,
    call: QueryRequest,
    at: At,
) -> Result<(BlockId, Vec<u8>), ChainError> {
    let at = match at {
        At::Final | At::Optimistic => At::Hash(block(endpoints, at).await?.hash),
        At::Height(_) | At::Hash(_) => at,
    };
    let request =
        methods::query::RpcQueryRequest { block_reference: at.reference(), request: call };
    let question = View { contract, method, request, at };
    match agree(endpoints, &question, endpoints.deadline()).await? {
        Viewed::Result(block, bytes) => Ok((block, bytes)),
        Viewed::Failed(error) => Err(error),
    }
}

struct BlockAt(At);

impl Question for BlockAt {
    type Answer = Block;

    fn name(&self) -> String {
        format!("block {}", self.0)
    }

    async fn ask(
        &self,
        endpoints: &Endpoints,
        endpoint: &Endpoint,
        deadline: Instant,
    ) -> Result<Block, ChainError> {
        block_from(endpoints, endpoint, self.0, deadline).await
    }

    fn say(Block { height, hash, prev_hash, timestamp }: &Block) -> String {
        format!("{hash} (#{height}, after {prev_hash}, at {timestamp} ns)")
    }
}

struct View<'a> {
    contract: &'a AccountId,
    method: &'a str,
    request: methods::query::RpcQueryRequest,
    at: At,
}

enum Viewed {
    Result(BlockId, Vec<u8>),
    Failed(ChainError),
}

impl Question for View<'_> {
    type Answer = Viewed;

    fn name(&self) -> String {
        format!("{}.{} at {}", self.contract, self.method, self.at)
    }

    async fn ask(
        &self,
        endpoints: &Endpoints,
        endpoint: &Endpoint,
        deadline: Instant,
    ) -> Result<Viewed, ChainError> {
        let answer = endpoints.ask(endpoint, &self.request, deadline).await;
        match view_of(answer, self.contract, self.method, self.at) {
            // That the method fails is an answer too. Nodes word the reason as they like.
            Err(error @ ChainError::View { .. }) => Ok(Viewed::Failed(error)),
            result => result.map(|(block, bytes)| Viewed::Result(block, bytes)),
        }
    }

    fn say(answer: &Viewed) -> String {
        match answer {
            Viewed::Result(block, bytes) => format!(
                "{} bytes with the SHA-256 {} after block {} (#{})",
                bytes.len(),
                Hash32::of(bytes),
                block.hash,
                block.height
            ),
            Viewed::Failed(_) => "that the method fails".to_owned(),
        }
    }
}

async fn block_from(
    endpoints: &Endpoints,
    endpoint: &Endpoint,
    at: At,
    deadline: Instant,
) -> Result<Block, ChainError> {
    let block = block_of(endpoints.ask(endpoint, &block_request(at), deadline).await, at)?;
    if matches!(at, At::Final | At::Optimistic) {
        endpoints.saw(endpoint, block.height);
    }
    Ok(block)
}

/// What an endpoint has answered.
struct Said<'a, A> {
    endpoint: &'a Arc<Endpoint>,
    /// The answer as [`Question::say`] puts it.
    says: String,
    answer: A,
}

/// What two of these say, if two say the same.
fn agreed<A>(said: &[Said<'_, A>]) -> Option<String> {
    let mut rest = said;
    while let Some((first, others)) = rest.split_first() {
        if others.iter().any(|other| other.says == first.says) {
            return Some(first.says.clone());
        }
        rest = others;
    }
    None
}

/// Asks endpoints about a fixed block until two say the same. An endpoint that says something else
/// is asked last from now on.
async fn agree<Q: Question>(
    endpoints: &Endpoints,
    question: &Q,
    deadline: Instant,
) -> Result<Q::Answer, ChainError> {
    let name = question.name();
    let mut rounds = 0;
    loop {
        let order = endpoints.in_order();
        let mut said: Vec<Said<'_, Q::Answer>> = Vec::new();
        let (mut passing, mut settled) = (None, None);
        let mut hear = |said: &mut Vec<_>, endpoint, answer| match answer {
            Ok(answer) => said.push(Said { endpoint, says: Q::say(&answer), answer }),
            Err(error) if ChainError::is_transient(&error) => passing = Some(error),
            Err(error) => settled = Some(error.or_better(settled.take())),
        };
        let mut rest = order.iter();
        if let (Some(first), Some(second)) = (rest.next(), rest.next()) {
            let (one, other) = tokio::join!(
                question.ask(endpoints, first, deadline),
                question.ask(endpoints, second, deadline)
            );
            hear(&mut said, first, one);
            hear(&mut said, second, other);
        }
        for endpoint in rest {
            if agreed(&said).is_some() {
                break;
            }
            hear(&mut said, endpoint, question.ask(endpoints, endpoint, deadline).await);
        }
        if let Some(agreed) = agreed(&said) {
            let (same, odd): (Vec<_>, Vec<_>) =
                said.into_iter().partition(|one| one.says == agreed);
            for Said { endpoint, says, .. } in odd {
                contradict(endpoints, endpoint, &name, &says, &agreed);
            }
            if let Some(Said { answer, .. }) = same.into_iter().next() {
                return Ok(answer);
            }
            continue;
        }
        rounds += 1;
        // An endpoint that lags may have the block a little later.
        let lacks_block =
            matches!(settled, Some(ChainError::UnknownBlock { .. })) && !said.is_empty();
        let asked_rest = passing.as_ref().and_then(ChainError::retry_after).unwrap_or_default();
        let again = passing.is_some() || lacks_block;
        match endpoints.wait(rounds, asked_rest, deadline).filter(|_| again) {
            Some(wait) => tokio::time::sleep(wait).await,
            None => {
                return Err(match (said.as_slice(), passing, settled) {
                    ([first, second, ..], ..) => {
                        let says = [first.says.clone(), second.says.clone()];
                        let both = [first.endpoint, second.endpoint];
                        reported(endpoints, disagreement(&name, both, says))
                    }
                    ([], None, Some(error)) => error,
                    (said, passing, settled) => no_quorum(&name, said.len(), passing.or(settled)),
                });
            }
        }
    }
}

/// How the newest blocks of two endpoints go together.
enum Meeting {
    /// Both have this block, the older of the two.
    Same(Block),
    /// One has another block in its place, which they describe so, in the order given.
    Apart([String; 2]),
    /// The one that is ahead does not have the block of the other, or cannot say.
    Open(ChainError),
}

/// Compares the newest blocks of two endpoints.
async fn meet(
    endpoints: &Endpoints,
    [one, other]: [(&Arc<Endpoint>, Block); 2],
    at: At,
    deadline: Instant,
) -> Meeting {
    let is_behind = one.1.height <= other.1.height;
    let ((_, older), (ahead, newer)) = if is_behind { (one, other) } else { (other, one) };
    let found = if older.height == newer.height {
        Ok(newer)
    } else {
        match block_from(endpoints, ahead, At::Hash(older.hash), deadline).await {
            // The address may stand for several nodes, of which this one lags. So the endpoint is
            // only contradicted when it shows another final block in the place of this one.
            Err(unknown @ ChainError::UnknownBlock { .. }) if at == At::Final => {
                let at_height = At::Height(older.height);
                block_from(endpoints, ahead, at_height, deadline).await.map_err(|_| unknown)
            }
            found => found,
        }
    };
    match found {
        Ok(found) if found == older => Meeting::Same(older),
        // Two forks at the newest blocks are the ordinary case: one of them goes away.
        Ok(found) if at == At::Optimistic && found.hash != older.hash => {
            let (older, found) = (BlockAt::say(&older), BlockAt::say(&found));
            let reason = format!("they show {older} and {found}");
            Meeting::Open(ChainError::Busy { method: "block".into(), reason })
        }
        Ok(found) => {
            let says = [BlockAt::say(&older), BlockAt::say(&found)];
            let [older, found] = says;
            Meeting::Apart(if is_behind { [older, found] } else { [found, older] })
        }
        Err(error) => Meeting::Open(error),
    }
}

/// The newest block that two endpoints have.
async fn newest(
    endpoints: &Endpoints,
    question: &str,
    at: At,
    deadline: Instant,
) -> Result<Block, ChainError> {
    let mut heads: Vec<(Arc<Endpoint>, Block)> = Vec::new();
    let (mut failed, mut apart) = (None, None);
    let order = endpoints.in_order();
    let mut rest = order.iter();
    while let Some(first) = rest.next() {
        // Two at once, as long as two are needed.
        let second = if heads.is_empty() { rest.next() } else { None };
        let found = match second {
            Some(second) => {
                let (one, other) = tokio::join!(
                    block_from(endpoints, first, at, deadline),
                    block_from(endpoints, second, at, deadline)
                );
                vec![(first, one), (second, other)]
            }
            None => vec![(first, block_from(endpoints, first, at, deadline).await)],
        };
        for (endpoint, head) in found {
            let head = match head {
                Ok(head) => head,
                Err(error) => {
                    failed = Some(error);
                    continue;
                }
            };
            for (other, known) in &heads {
                let both = [(other, *known), (endpoint, head)];
                match meet(endpoints, both, at, deadline).await {
                    Meeting::Same(agreed) => {
                        let pair = [Arc::clone(other), Arc::clone(endpoint)];
                        let odd = heads.iter().filter(|(one, _)| !Arc::ptr_eq(one, other));
                        let odd: Vec<_> = odd.cloned().collect();
                        if at == At::Final && !odd.is_empty() {
                            tokio::spawn(examine(endpoints.clone(), agreed, pair, odd));
                        }
                        return Ok(agreed);
                    }
                    Meeting::Apart(says) => {
                        let error = || disagreement(question, [other, endpoint], says);
                        apart.get_or_insert_with(error);
                    }
                    Meeting::Open(error) => failed = Some(error),
                }
            }
            heads.push((Arc::clone(endpoint), head));
        }
    }
    Err(apart.unwrap_or_else(|| no_quorum(question, heads.len(), failed)))
}

/// Finds out, after two endpoints have agreed on a final block, whether those that show others as
/// their newest contradict them. One that only lags, or is ahead, does not.
async fn examine(
    endpoints: Endpoints,
    agreed: Block,
    [one, other]: [Arc<Endpoint>; 2],
    odd: Vec<(Arc<Endpoint>, Block)>,
) {
    let at = |endpoint: Arc<Endpoint>, height| {
        let endpoints = endpoints.clone();
        async move {
            let deadline = endpoints.deadline();
            block_from(&endpoints, &endpoint, At::Height(height), deadline).await.ok()
        }
    };
    for (endpoint, head) in odd {
        let (its, theirs) = if head.height < agreed.height {
            let both = tokio::join!(
                at(Arc::clone(&one), head.height),
                at(Arc::clone(&other), head.height)
            );
            (Some(head), both.0.filter(|block| both.1 == Some(*block)))
        } else {
            (at(Arc::clone(&endpoint), agreed.height).await, Some(agreed))
        };
        if let (Some(its), Some(theirs)) = (its, theirs)
            && its != theirs
        {
            let question = BlockAt(At::Height(theirs.height)).name();
            let (its, theirs) = (BlockAt::say(&its), BlockAt::say(&theirs));
            contradict(&endpoints, &endpoint, &question, &its, &theirs);
        }
    }
}

/// Notes that two endpoints agree against a third one.
fn contradict(endpoints: &Endpoints, odd: &Endpoint, question: &str, its: &str, theirs: &str) {
    endpoints.contradicted(odd);
    tracing::error!(
        endpoint = %odd.url(), question, says = its, two_others_say = theirs,
        "an endpoint lies, or is on another fork: it is asked last for a while"
    );
}

fn disagreement(question: &str, who: [&Arc<Endpoint>; 2], says: [String; 2]) -> ChainError {
    let [first_says, second_says] = says;
    ChainError::Disagreement {
        question: question.to_owned(),
        first: who[0].url().clone(),
        first_says,
        second: who[1].url().clone(),
        second_says,
    }
}

/// The same error, of which the log is told when two endpoints contradict each other, and which is
/// counted for both.
fn reported(endpoints: &Endpoints, error: ChainError) -> ChainError {
    if let ChainError::Disagreement { first, second, .. } = &error {
        endpoints.disputed([first, second]);
        tracing::error!(%error, "an endpoint lies, or is on another fork");
    }
    error
}

fn no_quorum(question: &str, usable: usize, why: Option<ChainError>) -> ChainError {
    let reason = why.map_or_else(|| "there are no others".to_owned(), |error| error.to_string());
    ChainError::NoQuorum { question: question.to_owned(), usable, reason }
}

#[cfg(test)]
mod tests;
