//! The operators that metering writes, as bytes.

pub(super) const UNREACHABLE: u8 = 0x00;
pub(super) const BLOCK: u8 = 0x02;
pub(super) const IF: u8 = 0x04;
pub(super) const ELSE: u8 = 0x05;
pub(super) const END: u8 = 0x0b;
pub(super) const BR: u8 = 0x0c;
pub(super) const CALL: u8 = 0x10;
pub(super) const DROP: u8 = 0x1a;
pub(super) const LOCAL_GET: u8 = 0x20;
pub(super) const LOCAL_SET: u8 = 0x21;
pub(super) const LOCAL_TEE: u8 = 0x22;
pub(super) const GLOBAL_GET: u8 = 0x23;
pub(super) const GLOBAL_SET: u8 = 0x24;
pub(super) const MEMORY_GROW: u8 = 0x40;
pub(super) const I32_CONST: u8 = 0x41;
pub(super) const I64_CONST: u8 = 0x42;
pub(super) const I32_NE: u8 = 0x47;
pub(super) const I64_LT_S: u8 = 0x53;
pub(super) const I64_ADD: u8 = 0x7c;
pub(super) const I64_SUB: u8 = 0x7d;
pub(super) const I64_MUL: u8 = 0x7e;
pub(super) const I64_OR: u8 = 0x84;
pub(super) const I64_EXTEND_I32_U: u8 = 0xad;
pub(super) const REF_NULL: u8 = 0xd0;
pub(super) const PREFIX: u8 = 0xfc;
pub(super) const TABLE_GROW: u8 = 0x0f;
