//! Reads on which two endpoints agree, so that one that lies is noticed.
//!
//! Two endpoints are only compared about the same block. So the newest block is first agreed upon:
//! it is the older of the two that they show, once the other endpoint has confirmed it. Two answers
//! about one block that differ are an error that names both endpoints. Nobody here decides which of
//! them is right.

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
            Err(error) if error.is_transient() => error,
            settled => return settled,
        };
        rounds += 1;
        let rest = error.retry_after().unwrap_or_default();
        let Some(wait) = endpoints.wait(rounds, rest, deadline) else {
            return Err(error);
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

/// Asks endpoints about a fixed block until two have answered, and compares what they say.
async fn agree<Q: Question>(
    endpoints: &Endpoints,
    question: &Q,
    deadline: Instant,
) -> Result<Q::Answer, ChainError> {
    let name = question.name();
    let mut rounds = 0;
    loop {
        let order = endpoints.in_order();
        let mut answers = Vec::new();
        let (mut passing, mut settled) = (None, None);
        let mut note = |error: ChainError| {
            let place = if error.is_transient() { &mut passing } else { &mut settled };
            *place = Some(error);
        };
        let mut rest = order.iter();
        if let (Some(first), Some(second)) = (rest.next(), rest.next()) {
            let (one, other) = tokio::join!(
                question.ask(endpoints, first, deadline),
                question.ask(endpoints, second, deadline)
            );
            for (endpoint, answer) in [(first, one), (second, other)] {
                match answer {
                    Ok(answer) => answers.push((endpoint, answer)),
                    Err(error) => note(error),
                }
            }
        }
        for endpoint in rest {
            if answers.len() >= 2 {
                break;
            }
            match question.ask(endpoints, endpoint, deadline).await {
                Ok(answer) => answers.push((endpoint, answer)),
                Err(error) => note(error),
            }
        }
        let usable = answers.len();
        let mut answers = answers.into_iter();
        if let (Some((first, one)), Some((second, other))) = (answers.next(), answers.next()) {
            let (first_says, second_says) = (Q::say(&one), Q::say(&other));
            if first_says == second_says {
                return Ok(one);
            }
            return Err(disagreement(&name, [first, second], [first_says, second_says]));
        }
        rounds += 1;
        // An endpoint that lags may have the block a little later.
        let lacks_block = matches!(settled, Some(ChainError::UnknownBlock { .. })) && usable > 0;
        let asked_rest = passing.as_ref().and_then(ChainError::retry_after).unwrap_or_default();
        let again = passing.is_some() || lacks_block;
        match endpoints.wait(rounds, asked_rest, deadline).filter(|_| again) {
            Some(wait) => tokio::time::sleep(wait).await,
            None => {
                return Err(match (passing, settled) {
                    (None, Some(error)) if usable == 0 => error,
                    (passing, settled) => no_quorum(&name, usable, passing.or(settled)),
                });
            }
        }
    }
}

/// The newest block that two endpoints have.
async fn newest(
    endpoints: &Endpoints,
    question: &str,
    at: At,
    deadline: Instant,
) -> Result<Block, ChainError> {
    let mut heads = Vec::new();
    let mut failed = None;
    let order = endpoints.in_order();
    let mut rest = order.iter();
    while heads.len() < 2 {
        let Some(first) = rest.next() else {
            return Err(no_quorum(question, heads.len(), failed));
        };
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
            match head {
                Ok(head) => heads.push((endpoint, head)),
                Err(error) => failed = Some(error),
            }
        }
    }
    heads.sort_by_key(|(_, head)| head.height);
    let [(behind, older), (ahead, newer)] = heads.as_slice() else {
        return Err(no_quorum(question, heads.len(), failed));
    };
    let confirmed = if older.height == newer.height {
        *newer
    } else {
        match block_from(endpoints, ahead, At::Hash(older.hash), deadline).await {
            Ok(block) => block,
            Err(ChainError::UnknownBlock { reason, .. }) if at == At::Final => {
                let unknown = format!("that it has no block {} ({reason})", older.hash);
                return Err(disagreement(
                    question,
                    [behind, ahead],
                    [BlockAt::say(older), unknown],
                ));
            }
            // Their newest blocks may be on two forks, one of which goes away.
            Err(error @ ChainError::UnknownBlock { .. }) => {
                return Err(no_quorum(question, 1, Some(error)));
            }
            Err(error) => return Err(error),
        }
    };
    if confirmed == *older {
        return Ok(*older);
    }
    let says = [BlockAt::say(older), BlockAt::say(&confirmed)];
    if at == At::Optimistic && older.hash != confirmed.hash {
        let forks = format!("they show {} and {}", says[0], says[1]);
        return Err(ChainError::NoQuorum { question: question.into(), usable: 2, reason: forks });
    }
    Err(disagreement(question, [behind, ahead], says))
}

fn disagreement(question: &str, who: [&Endpoint; 2], says: [String; 2]) -> ChainError {
    let [first_says, second_says] = says;
    let error = ChainError::Disagreement {
        question: question.to_owned(),
        first: who[0].url().clone(),
        first_says,
        second: who[1].url().clone(),
        second_says,
    };
    tracing::error!(%error, "an endpoint lies, or is on another fork");
    error
}

fn no_quorum(question: &str, usable: usize, why: Option<ChainError>) -> ChainError {
    let reason = why.map_or_else(|| "there are no others".to_owned(), |error| error.to_string());
    ChainError::NoQuorum { question: question.to_owned(), usable, reason }
}

#[cfg(test)]
mod tests;
