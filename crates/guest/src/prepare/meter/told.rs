//! What a module tells by itself where it runs on an engine that tells less.
//!
//! A verdict names the reason of a trap, and growth is refused by the request's limits and never
//! because the engine has no memory. JavaScript engines have one text for a
//! conversion of NaN and of a number that is too large, one for a call of nothing and of a function
//! of another type, and no way for a host to forbid growth. So a module that runs on one of them
//! looks first, writes down what it found, and runs into an `unreachable`. It costs no fuel, and
//! the fuel that is left is the same as where the engine traps.

use wasmparser::Operator;

use crate::prepare::{
    encode::{indexed, signed, unsigned},
    op,
};

/// Why a module ended by itself, as the export [`WHY_EXPORT`](super::WHY_EXPORT) has it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Why {
    /// A number that is NaN would have become an integer.
    InvalidConversion = 1,
    /// An indirect call found no function at its index.
    CallToNull = 2,
    /// The engine did not grow a memory or table that may grow.
    EngineRefused = 3,
}

impl Why {
    /// What the export's value says. `None` for zero, and for what no module writes.
    pub fn of(value: i64) -> Option<Self> {
        [Self::InvalidConversion, Self::CallToNull, Self::EngineRefused]
            .into_iter()
            .find(|why| *why as i64 == value)
    }
}

/// The growth that a request allows its guest.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Growth {
    /// The bytes of all of its memories together, at most.
    pub memory_bytes: u64,
    /// The elements of all of its tables together, at most.
    pub table_elements: u32,
}

/// The most pages that a memory without a maximum has.
const MOST_PAGES: u64 = 1 << 16;
const PAGE_BYTES: u64 = 1 << 16;

/// Writes what a module tells.
#[derive(Clone, Copy)]
pub(super) struct Teller<'a> {
    /// The global for [`Why`].
    pub(super) why: u32,
    /// The global with the elements of all tables together.
    pub(super) elements: u32,
    pub(super) growth: Growth,
    /// The maximum of each table.
    pub(super) tables: &'a [Option<u64>],
    /// The maximum of each memory, in pages.
    pub(super) memories: &'a [Option<u64>],
}

/// The locals that a body needs to tell, encoded: groups of one.
pub(super) const LOCALS: [u8; 8] = [1, op::I32, 1, op::I32, 1, op::F32, 1, op::F64];

impl Teller<'_> {
    /// Writes what belongs before an operator. `first` is the first of [`LOCALS`].
    pub(super) fn before(&self, operator: &Operator<'_>, first: u32, out: &mut Vec<u8>) {
        use Operator as Op;
        match operator {
            Op::I32TruncF32S | Op::I32TruncF32U | Op::I64TruncF32S | Op::I64TruncF32U => {
                self.unless_number(first.saturating_add(2), op::F32_NE, out);
            }
            Op::I32TruncF64S | Op::I32TruncF64U | Op::I64TruncF64S | Op::I64TruncF64U => {
                self.unless_number(first.saturating_add(3), op::F64_NE, out);
            }
            Op::CallIndirect { table_index, .. } | Op::ReturnCallIndirect { table_index, .. } => {
                indexed(out, op::LOCAL_TEE, first);
                indexed(out, op::LOCAL_GET, first);
                indexed(out, op::TABLE_GET, *table_index);
                out.push(op::REF_IS_NULL);
                self.end_if(Why::CallToNull, out);
            }
            Op::TableGrow { table } => {
                // No table grows by so many elements.
                indexed(out, op::LOCAL_TEE, first);
                out.push(op::I32_CONST);
                signed(out, -1);
                self.may_grow(*table, first, out);
                out.push(op::SELECT);
                indexed(out, op::LOCAL_TEE, first);
            }
            _ => {}
        }
    }

    /// Writes what belongs behind an operator.
    pub(super) fn after(&self, operator: &Operator<'_>, first: u32, out: &mut Vec<u8>) {
        let Operator::TableGrow { table } = operator else { return };
        let second = first.saturating_add(1);
        indexed(out, op::LOCAL_TEE, second);
        is_refused(out);
        out.extend([op::IF, op::EMPTY_BLOCK]);
        self.may_grow(*table, first, out);
        self.end_if(Why::EngineRefused, out);
        out.push(op::ELSE);
        self.elements_after(first, out);
        indexed(out, op::GLOBAL_SET, self.elements);
        out.push(op::END);
        indexed(out, op::LOCAL_GET, second);
    }

    /// What the module's own function for growing the memory of this index does before it grows: it
    /// answers what the memory's own maximum or the request's limit forbids. Local 0 has the number
    /// of pages.
    pub(super) fn before_memory_grows(&self, memory: usize, out: &mut Vec<u8>) {
        let own = self.memories.get(memory).copied().flatten();
        let own = own.unwrap_or(MOST_PAGES).min(MOST_PAGES);
        pages_after(&[memory], out);
        constant(out, own);
        out.push(op::I64_GT_S);
        let all: Vec<usize> = (0..self.memories.len()).collect();
        pages_after(&all, out);
        constant(out, self.growth.memory_bytes / PAGE_BYTES);
        out.extend([op::I64_GT_S, op::I32_OR, op::IF, op::EMPTY_BLOCK, op::I32_CONST]);
        signed(out, -1);
        out.extend([op::RETURN, op::END]);
    }

    /// And after it has tried to. The answer is on the stack, and in local 1.
    pub(super) fn after_memory_grows(&self, out: &mut Vec<u8>) {
        is_refused(out);
        self.end_if(Why::EngineRefused, out);
        indexed(out, op::LOCAL_GET, 1);
    }

    /// Ends the execution if the topmost operand is a NaN. It stays there.
    fn unless_number(&self, local: u32, not_equal: u8, out: &mut Vec<u8>) {
        indexed(out, op::LOCAL_TEE, local);
        indexed(out, op::LOCAL_GET, local);
        indexed(out, op::LOCAL_GET, local);
        out.push(not_equal);
        self.end_if(Why::InvalidConversion, out);
    }

    /// Whether the table's own maximum and the request's limit allow it to grow by what the local
    /// says.
    fn may_grow(&self, table: u32, count: u32, out: &mut Vec<u8>) {
        let most = self.tables.get(table as usize).copied().flatten();
        out.extend([op::PREFIX, op::TABLE_SIZE]);
        unsigned(out, table as usize);
        out.push(op::I64_EXTEND_I32_U);
        indexed(out, op::LOCAL_GET, count);
        out.extend([op::I64_EXTEND_I32_U, op::I64_ADD]);
        constant(out, most.unwrap_or(u32::MAX.into()).min(u32::MAX.into()));
        out.push(op::I64_LE_S);
        self.elements_after(count, out);
        constant(out, self.growth.table_elements.into());
        out.extend([op::I64_LE_S, op::I32_AND]);
    }

    /// How many elements all tables have, with those that the local says.
    fn elements_after(&self, count: u32, out: &mut Vec<u8>) {
        indexed(out, op::GLOBAL_GET, self.elements);
        indexed(out, op::LOCAL_GET, count);
        out.extend([op::I64_EXTEND_I32_U, op::I64_ADD]);
    }

    /// `if … { why = …; unreachable }`
    fn end_if(&self, why: Why, out: &mut Vec<u8>) {
        out.extend([op::IF, op::EMPTY_BLOCK, op::I64_CONST]);
        signed(out, why as i64);
        indexed(out, op::GLOBAL_SET, self.why);
        out.extend([op::UNREACHABLE, op::END]);
    }
}

/// How many pages these memories have together, with those that local 0 says.
fn pages_after(memories: &[usize], out: &mut Vec<u8>) {
    out.extend([op::LOCAL_GET, 0, op::I64_EXTEND_I32_U]);
    for memory in memories {
        out.push(op::MEMORY_SIZE);
        unsigned(out, *memory);
        out.extend([op::I64_EXTEND_I32_U, op::I64_ADD]);
    }
}

/// `… == -1`
fn is_refused(out: &mut Vec<u8>) {
    out.push(op::I32_CONST);
    signed(out, -1);
    out.push(op::I32_EQ);
}

fn constant(out: &mut Vec<u8>, value: u64) {
    out.push(op::I64_CONST);
    signed(out, i64::try_from(value).unwrap_or(i64::MAX));
}
