//! What host functions and the accounting of the stack cost, in units of fuel.
//!
//! A host function is paid for like work in the guest: so much a call, and so much for each byte it touches. The
//! figures follow measurements only roughly: a warm host call takes the time of some tens of operators, copying
//! a byte a fraction of one, hashing a byte several.

/// Each call into the host.
pub const HOST_CALL: u64 = 50;
/// Each byte that a host function reads from or writes to the guest's memory, other than results of fixed size.
pub const HOST_BYTE: u64 = 1;
/// Each storage function, besides [`HOST_CALL`]: ordered maps are searched and changed.
pub const STORAGE_CALL: u64 = 500;
/// The first read of a key, besides [`STORAGE_CALL`]: the snapshot is asked.
pub const STORAGE_FETCH: u64 = 20_000;
/// Each byte of a value that comes from the snapshot: it is fetched and hashed.
pub const STORAGE_FETCH_BYTE: u64 = 10;

/// Operators that the accounting of the stack adds to a function that calls another: a check, and the bound's update
/// on the way in and out.
pub const STACK_ACCOUNTING: u64 = 12;
/// Operators that it adds to a function that calls none: the check alone.
pub const STACK_ACCOUNTING_LEAF: u64 = 4;

/// The engine counts a running guest's fuel at least this often. It is also how often a guest gives way to
/// the host, which then looks at its deadline.
pub const ACCOUNTING_INTERVAL: u64 = 10_000;
