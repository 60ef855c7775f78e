//! The functions through which a module that counts its fuel grows its memories.

use super::{body::Fuel, told::Teller};
use crate::{
    fuel,
    prepare::{
        encode::{signed, unsigned},
        op,
    },
};

/// The type of each, encoded: that of `memory.grow`.
pub(super) const TYPE: [u8; 5] = [op::FUNCTION_TYPE, 1, op::I32, 1, op::I32];

/// The body of the one for the memory of this index. It pays for the pages when they are there. A
/// module that tells what its engine may not looks first whether it may grow.
pub(super) fn body(fuel: Fuel, memory: usize, teller: Option<Teller<'_>>) -> Vec<u8> {
    let mut out = vec![1, 1, op::I32];
    if let Some(teller) = teller {
        teller.before_memory_grows(memory, &mut out);
    }
    out.extend([op::LOCAL_GET, 0, op::MEMORY_GROW]);
    unsigned(&mut out, memory);
    out.extend([op::LOCAL_TEE, 1]);
    if let Some(teller) = teller {
        teller.after_memory_grows(&mut out);
    }
    out.push(op::I32_CONST);
    signed(&mut out, -1);
    out.extend([op::I32_NE, op::IF, op::EMPTY_BLOCK, op::GLOBAL_GET]);
    unsigned(&mut out, fuel.left as usize);
    out.extend([op::LOCAL_GET, 0, op::I64_EXTEND_I32_U, op::I64_CONST]);
    signed(&mut out, fuel::MEMORY_GROW_PAGE.cast_signed());
    out.extend([op::I64_MUL, op::I64_SUB, op::GLOBAL_SET]);
    unsigned(&mut out, fuel.left as usize);
    out.extend([op::END, op::LOCAL_GET, 1, op::END]);
    out
}
