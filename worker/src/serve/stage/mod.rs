//! The stages that a request goes through. Each has its own bound and its own queue.
//!
//! * [`discover`] looks at the index of live requests after each block, and says which of them this
//!   worker serves now.
//! * [`fetch`] loads the record of a request and its code. Downloads have places of their own.
//! * [`claim`] claims a request that takes long, so that other workers leave it alone.
//! * [`execute`] has the guest run. When a place is free,
//!   [`schedule`](super::schedule) says which request has it.
//! * [`submit`] sends answers; those that are ready at the same time go in one call.
//! * [`confirm`] waits until a request is settled. One look at the index answers it for all.

pub(super) mod claim;
pub(super) mod confirm;
pub(super) mod discover;
pub(super) mod execute;
pub(super) mod fetch;
pub(super) mod submit;
