//! Bounds that the contract itself sets, whatever its configuration.

use near_sdk::NearToken;

/// The largest published module, bytes. A receipt may read 4,000,000 bytes of state, and the
/// receipt of the last part reads the whole module.
pub(crate) const MAX_CODE_BYTES: u32 = 3 << 20;
/// The smallest part of a module, bytes; only the last one may be smaller. Deleting a module
/// handles all its parts in one receipt.
pub(crate) const MIN_CODE_PART_BYTES: u32 = 16 << 10;

/// The longest metadata of a worker, bytes.
pub(crate) const MAX_METADATA_BYTES: usize = 1_024;

/// The largest journal that a configuration may allow, bytes.
pub(crate) const MAX_JOURNAL_BYTES: u32 = 256 << 10;
/// The longest plan that a configuration may allow, bytes.
pub(crate) const MAX_PLAN_BYTES: u32 = 64 << 10;
/// The longest transcript that a configuration may allow, bytes.
pub(crate) const MAX_HTTP_BYTES: u32 = 256 << 10;
/// The most HTTP exchanges that a configuration may allow.
pub(crate) const MAX_HTTP_EXCHANGES: u32 = 64;
/// The most keys that a configuration may let a request read, or write: their gas must fit into a
/// callback.
pub(crate) const MAX_KEYS: u32 = 256;
/// The largest input that a configuration may allow, bytes: a transaction may have 1,572,864, and
/// base64 adds a third.
pub(crate) const MAX_INPUT_BYTES: u32 = 1 << 20;
/// The most bytes of arguments and environment that a configuration may allow: they are part of the
/// record, which every step writes again.
pub(crate) const MAX_ARGS_ENV_BYTES: u32 = 32 << 10;
/// The longest URL that a configuration may allow, bytes: the event repeats it, escaped to six
/// times its length at worst, and a receipt may log 16,384 bytes.
pub(crate) const MAX_URL_BYTES: u32 = 2_048;
/// The most approvals that a configuration may allow.
pub(crate) const MAX_APPROVALS: u8 = 16;
/// The largest share of a fee that the protocol may keep, in basis points: workers get at least
/// half.
pub(crate) const MAX_PROTOCOL_SHARE_BPS: u16 = 5_000;
/// The largest share of the yield's window that a configuration may give to an execution, in basis
/// points: all of it.
pub(crate) const MAX_WINDOW_SHARE_BPS: u16 = 10_000;
/// The highest price of gas that a configuration may ask for, 10,000 times NEAR's lowest. Anything
/// above is a typing error.
pub(crate) const MAX_GAS_PRICE: NearToken = NearToken::from_yoctonear(1_000_000_000_000);
/// The shortest delay before a sweep, blocks: under load a callback may run this long after its
/// request's deadline.
pub(crate) const MIN_SWEEP_DELAY_BLOCKS: u64 = 50;
/// The longest time that may be configured, blocks; about a week.
pub(crate) const MAX_BLOCKS: u64 = 1_000_000;
/// The shortest delay between the announcement of an upgrade and the upgrade, blocks. It is longer
/// while requests live.
pub(crate) const MIN_UPGRADE_DELAY_BLOCKS: u64 = 400;
