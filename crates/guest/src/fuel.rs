//! What costs how many units of fuel. An operator that is not named here costs one unit, and one
//! that makes no code costs none.
//!
//! A host function is paid for like work in the guest: an amount for the call, and an amount for
//! each byte that it touches. The figures follow measurements only roughly: a warm host call takes
//! as long as some tens of operators, copying a byte a fraction of one, hashing a byte several.

use crate::work::Work;

/// Each call into the host.
pub const HOST_CALL: u64 = 70;
/// Each byte that a host function reads from or writes to the guest's memory, except for results of
/// fixed size.
pub const HOST_BYTE: u64 = 1;
/// Each storage function, in addition to [`HOST_CALL`]: ordered maps are searched and changed.
pub const STORAGE_CALL: u64 = 500;
/// The first read of a key, in addition to [`STORAGE_CALL`]: the snapshot is asked.
pub const STORAGE_FETCH: u64 = 20_000;
/// Each byte of a value that comes from the snapshot: it is fetched and hashed.
pub const STORAGE_FETCH_BYTE: u64 = 10;

/// Each HTTP exchange, whatever comes of it, in addition to [`HOST_CALL`]: the request is checked
/// and hashed, and the network is asked.
pub const EXCHANGE: u64 = 100_000;
/// Each byte of a request that is sent, and of what the transcript keeps of the exchange.
pub const EXCHANGE_BYTE: u64 = 10;

/// Each promise and action that a guest plans, in addition to [`HOST_CALL`]: it is checked and
/// kept.
pub const PLAN: u64 = 200;

/// Each byte for which a component is asked for room, by another component that passes it a value:
/// the new size of each call of a `realloc`. It pays for checking, copying and transcoding strings,
/// which the engine does not count. Charged in compositions.
pub const REALLOC_BYTE: u64 = 1;

/// Each bulk operator, in addition to one unit for each byte or element: the engine is asked.
pub const BULK: u64 = 10;
/// Entering a function: its call, and what counts its fuel and its stack.
pub const ENTRY: u64 = 10;

/// Each `memory.grow`, whatever it answers: the engine is asked.
pub const MEMORY_GROW: u64 = 100;
/// Each page that a memory grows by. A growth that fails adds none. The page has to be made
/// accessible, filled with zeros, and brought in when it is first used.
pub const MEMORY_GROW_PAGE: u64 = 2_000;
/// Each `ref.func`: the engine is asked.
pub const REF_FUNC: u64 = 50;
/// Each `table.grow`, whatever it answers, in addition to one unit for each element that the table
/// grows by; inside of a composition, where the engine counts, for each that is asked for.
pub const TABLE_GROW: u64 = 100;

/// The fuel of a running composition is counted at least this often. It also gives way to the host
/// this often, which then looks at its deadline. An execution of a composition that ends between
/// two counts is billed for a whole interval.
pub const ACCOUNTING_INTERVAL: u64 = 10_000;

/// What `work` costs.
pub fn cost(work: Work) -> u64 {
    match work {
        Work::Call => HOST_CALL,
        Work::Read(bytes) | Work::Write(bytes) | Work::Random(bytes) => {
            bytes.saturating_mul(HOST_BYTE)
        }
        Work::StorageRead(_) | Work::StorageWrite(_) | Work::StorageRemove(_) => STORAGE_CALL,
        Work::Fetch => STORAGE_FETCH,
        Work::Fetched(bytes) => bytes.saturating_mul(STORAGE_FETCH_BYTE),
        Work::Exchange(bytes) => EXCHANGE.saturating_add(bytes.saturating_mul(EXCHANGE_BYTE)),
        Work::Exchanged(bytes) => bytes.saturating_mul(EXCHANGE_BYTE),
        Work::Promise(_) | Work::PlannedCall(_) | Work::PlannedTransfer => PLAN,
        // Paid for where the bytes are read, written or fetched.
        Work::Log(_) | Work::Found(_) | Work::Stored(_) | Work::Removed(_) => 0,
    }
}
