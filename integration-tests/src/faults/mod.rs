//! Seeded faults between a worker and its node, and the check that nothing is lost or done twice.
//!
//! [`plan`] draws from a seed what goes wrong. [`proxy`] does it to each exchange of the worker
//! with the node, and localnet does the rest to transactions and blocks. [`record`] keeps every
//! transaction that the worker has signed. [`chaos`] runs one seed after the other on one chain,
//! and holds the results against the rules:
//!
//! * every request ends in one typed outcome, and its caller is told once;
//! * a request is settled once, and no other money moves than fees and refunds;
//! * no call is executed twice: what was sent is not signed again while it may still count;
//! * while the worker lives, no request times out that it could have served.
//!
//! [`flood`] makes more requests than a worker can serve, which needs no fault at all.
//!
//! The order in which exchanges meet the faults depends on the timing of the machine. So a seed
//! says what goes wrong and how often, and not which exchange it hits.

pub mod chaos;
pub mod flood;
pub mod plan;
pub mod proxy;
pub mod record;
