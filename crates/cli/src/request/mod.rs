//! A request from the chain's side: sending one, following it, and what became of its money.

mod cancel;
mod follow;
mod made;
mod named;
mod pending;
mod report;
mod result;
mod send;
mod show;
mod status;
mod watch;

pub(crate) use cancel::CancelArgs;
pub(crate) use made::made_by;
pub(crate) use named::{Named, find};
pub(crate) use pending::PendingArgs;
pub(crate) use result::ResultArgs;
pub(crate) use send::RequestArgs;
pub(crate) use status::StatusArgs;
pub(crate) use watch::WatchArgs;
