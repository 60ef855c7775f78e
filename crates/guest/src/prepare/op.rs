//! The bytes of what is written into a guest: operators and types, by their names in WebAssembly's
//! specification.
#![allow(missing_docs)]

pub const UNREACHABLE: u8 = 0x00;
pub const BLOCK: u8 = 0x02;
pub const LOOP: u8 = 0x03;
pub const IF: u8 = 0x04;
pub const ELSE: u8 = 0x05;
pub const END: u8 = 0x0b;
pub const BR: u8 = 0x0c;
pub const RETURN: u8 = 0x0f;
pub const CALL: u8 = 0x10;
pub const DROP: u8 = 0x1a;
pub const SELECT: u8 = 0x1b;
pub const LOCAL_GET: u8 = 0x20;
pub const LOCAL_SET: u8 = 0x21;
pub const LOCAL_TEE: u8 = 0x22;
pub const GLOBAL_GET: u8 = 0x23;
pub const GLOBAL_SET: u8 = 0x24;
pub const TABLE_GET: u8 = 0x25;
pub const MEMORY_SIZE: u8 = 0x3f;
pub const MEMORY_GROW: u8 = 0x40;
pub const I32_CONST: u8 = 0x41;
pub const I64_CONST: u8 = 0x42;
pub const F32_CONST: u8 = 0x43;
pub const F64_CONST: u8 = 0x44;
pub const I32_EQ: u8 = 0x46;
pub const I32_NE: u8 = 0x47;
pub const I64_LT_S: u8 = 0x53;
pub const I64_GT_S: u8 = 0x55;
pub const I64_LE_S: u8 = 0x57;
pub const I64_GE_S: u8 = 0x59;
pub const F32_EQ: u8 = 0x5b;
pub const F32_NE: u8 = 0x5c;
pub const F64_EQ: u8 = 0x61;
pub const F64_NE: u8 = 0x62;
pub const I32_ADD: u8 = 0x6a;
pub const I32_AND: u8 = 0x71;
pub const I32_OR: u8 = 0x72;
pub const I64_ADD: u8 = 0x7c;
pub const I64_SUB: u8 = 0x7d;
pub const I64_MUL: u8 = 0x7e;
pub const I64_OR: u8 = 0x84;
pub const I64_SHL: u8 = 0x86;
pub const I32_WRAP_I64: u8 = 0xa7;
pub const I64_EXTEND_I32_U: u8 = 0xad;
pub const REF_NULL: u8 = 0xd0;
pub const REF_IS_NULL: u8 = 0xd1;
pub const PREFIX: u8 = 0xfc;
pub const TABLE_GROW: u8 = 0x0f;
pub const TABLE_SIZE: u8 = 0x10;

/// The first byte of an operator on vectors, whose number follows.
pub const VECTOR: u8 = 0xfd;
pub const V128_CONST: usize = 0x0c;
pub const F32X4_EQ: usize = 0x41;
pub const F64X2_EQ: usize = 0x47;
pub const V128_BITSELECT: usize = 0x52;

/// The type of a block without parameters and results.
pub const EMPTY_BLOCK: u8 = 0x40;
pub const FUNCTION_TYPE: u8 = 0x60;
pub const FUNCREF: u8 = 0x70;
pub const I64: u8 = 0x7e;
pub const I32: u8 = 0x7f;
pub const F32: u8 = 0x7d;
pub const F64: u8 = 0x7c;
pub const V128: u8 = 0x7b;
