//! What goes wrong in one run, drawn from a seed.

use std::{
    sync::atomic::{AtomicU64, Ordering},
    time::Duration,
};

use outlayer_localnet::node::TransactionFault;

/// A stream of numbers from a seed (SplitMix64).
#[derive(Clone, Debug)]
pub struct Draws(u64);

impl Draws {
    /// The stream of `seed`.
    pub fn new(seed: u64) -> Self {
        Self(seed)
    }

    /// The next number.
    pub fn draw(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    /// The next number below `bound`, which is not 0.
    pub fn below(&mut self, bound: u64) -> u64 {
        self.draw() % bound.max(1)
    }

    /// True in so many cases of a hundred.
    pub fn percent(&mut self, cases: u64) -> bool {
        self.below(100) < cases
    }
}

/// What happens to one exchange between the worker and an endpoint.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ExchangeFault {
    /// The connection is closed. The node has not seen the call.
    Refused,
    /// The node has not seen the call; the answer has this HTTP status.
    Status(u16),
    /// The node has not seen the call; the worker is told to come back later.
    RateLimited,
    /// The node has not seen the call; the answer is a page for people, with HTTP status 200.
    Page,
    /// A transaction is taken and never handed to the node; the answer is a timeout. Any other call
    /// is answered with HTTP status 504.
    Swallowed,
    /// The node has executed the call, and the connection is closed.
    AnswerLost,
    /// The node has executed the call, and the answer has this HTTP status.
    AnswerReplaced(u16),
    /// Half of the node's answer arrives.
    Truncated,
    /// The node's answer has another id.
    WrongId,
    /// The node gets the call twice, and its second answer arrives.
    Twice,
    /// The node's answer takes so long.
    Slow(Duration),
    /// There is no answer, until the worker gives up.
    Hangs,
}

/// What goes wrong with one endpoint.
#[derive(Debug)]
pub struct EndpointPlan {
    seed: u64,
    /// So many exchanges of a hundred fail.
    pub fail_percent: u64,
    /// How far behind the node's newest block the endpoint is.
    pub lag: u64,
    /// Where the worker's process is to be killed, if it is.
    pub cut: Option<Cut>,
    exchanges: AtomicU64,
}

/// A point at which the worker's process is killed: at an exchange with the node, which are counted
/// from 1. All that the worker does to the world is such an exchange, so between two of these
/// points nobody can tell when it was killed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Cut {
    /// At which exchange.
    pub at: u64,
    /// Whether the node has executed the call by then.
    pub executed: bool,
}

impl EndpointPlan {
    fn new(draws: &mut Draws, fail_percent: u64, lag: u64) -> Self {
        let seed = draws.draw();
        Self { seed, fail_percent, lag, cut: None, exchanges: AtomicU64::new(0) }
    }

    /// An endpoint at which nothing goes wrong but that the worker may be killed.
    pub fn sound(cut: Option<Cut>) -> Self {
        Self { cut, ..Self::new(&mut Draws::new(0), 0, 0) }
    }

    /// The fault of the exchange that begins now.
    pub fn next(&self) -> Option<ExchangeFault> {
        let number = self.exchanges.fetch_add(1, Ordering::Relaxed);
        let mut draws = Draws::new(self.seed.wrapping_add(number.wrapping_mul(0x2545_f491)));
        if !draws.percent(self.fail_percent) {
            return None;
        }
        Some(match draws.below(26) {
            0..=2 => ExchangeFault::Refused,
            3..=5 => ExchangeFault::Status([500, 502, 503][usize::try_from(draws.below(3)).ok()?]),
            6 => ExchangeFault::RateLimited,
            7 | 8 => ExchangeFault::Page,
            9 | 10 => ExchangeFault::Swallowed,
            11..=14 => ExchangeFault::AnswerLost,
            15 | 16 => ExchangeFault::AnswerReplaced(502),
            17 | 18 => ExchangeFault::Truncated,
            19 => ExchangeFault::WrongId,
            20..=22 => ExchangeFault::Twice,
            23 | 24 => ExchangeFault::Slow(Duration::from_millis(draws.below(400))),
            _ => ExchangeFault::Hangs,
        })
    }
}

/// What goes wrong in one run.
#[derive(Debug)]
pub struct Plan {
    /// The seed that it was drawn from.
    pub seed: u64,
    /// The endpoints through which the worker reaches the node.
    pub endpoints: Vec<EndpointPlan>,
    /// How many of them must agree.
    pub quorum: usize,
    /// What happens to the next transactions that the node accepts.
    pub transactions: Vec<TransactionFault>,
    /// How many times the newest blocks are replaced.
    pub reorgs: u64,
    /// How many times the worker is killed and started again.
    pub restarts: usize,
}

impl Plan {
    /// The plan of `seed`.
    pub fn of(seed: u64) -> Self {
        let mut draws = Draws::new(seed);
        let count = 1 + draws.below(3).min(1);
        let quorum = if count > 1 && draws.percent(40) { 2 } else { 1 };
        // What two must agree on needs an answer of both.
        let most = if quorum > 1 { 20 } else { 50 };
        let endpoints = (0..count).map(|index| {
            let fail = draws.below(most + 1);
            let lag = if index > 0 && draws.percent(30) { draws.below(20) } else { 0 };
            EndpointPlan::new(&mut draws, fail, lag)
        });
        let endpoints: Vec<_> = endpoints.collect();
        let transactions = (0..draws.below(3)).map(|_| match draws.below(6) {
            0 => TransactionFault::Drop,
            1..=3 => TransactionFault::Delay { blocks: 1 + draws.below(12) },
            _ => TransactionFault::Duplicate,
        });
        let transactions = transactions.collect();
        let reorgs = if draws.percent(30) { 1 + draws.below(5) } else { 0 };
        let restarts = usize::from(draws.percent(30)) + usize::from(draws.percent(10));
        Self { seed, endpoints, quorum, transactions, reorgs, restarts }
    }
}
