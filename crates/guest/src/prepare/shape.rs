//! Bounds on a core module that keep compiling it cheap.
//!
//! Bytes alone do not bound a compilation: a few bytes declare tens of thousands of locals, and a
//! compiler that turns locals into values may make one value for each pair of a block and a local.
//! So these pairs are bounded as well, and so are the values that calls, blocks and branches move.
//!
//! What is bounded in all of a module grows with its bytes, so that a byte never takes longer to
//! compile in a large module than in a small one.

use outlayer_protocol::{Limit, Status};
use wasmparser::{
    BinaryReaderError, BrTable, ConstExpr, DataKind, ElementItems, ElementKind,
    ElementSectionReader, FunctionBody, Operator, Parser, Payload, TableInit,
};

use super::arity::Signatures;
use crate::verdict::invalid_module;

/// Up to so many bytes, a module has all that the bounds named `MAX_MODULE_…` and `MAX_FUNCTIONS`
/// allow. A larger one has more in proportion.
pub const FULL_BYTES: u64 = 4 << 20;

/// A module of [`FULL_BYTES`] defines at most this many functions.
pub const MAX_FUNCTIONS: u64 = 20_000;
/// The body of a function has at most this many bytes.
pub const MAX_BODY_BYTES: usize = 512 << 10;
/// A function has at most this many locals, its parameters not counted.
pub const MAX_LOCALS: u64 = 10_000;
/// In one function, blocks times locals is at most this.
pub const MAX_FUNCTION_PAIRS: u64 = 4_000_000;
/// In a module of [`FULL_BYTES`], the sum over its functions of blocks times locals is at most
/// this.
pub const MAX_MODULE_PAIRS: u64 = 32_000_000;
/// A function has at most this many branchings: blocks, loops, ifs, branches, and the different
/// targets of each `br_table`.
pub const MAX_FUNCTION_BRANCHINGS: u64 = 14_000;
/// In a module of [`FULL_BYTES`], the sum over its functions of branchings squared plus a hundred
/// times loops squared is at most this. A compiler's work grows with the square of the branchings,
/// and faster with loops.
pub const MAX_MODULE_BRANCHING: u64 = 200_000_000;
/// What a loop counts for in [`MAX_MODULE_BRANCHING`], compared with another branching.
const LOOP_WEIGHT: u64 = 100;
/// A `br_table` has at most this many targets.
pub const MAX_BRANCH_TARGETS: u32 = 10_000;
/// A module defines at most this many memories. Each takes a part of a host's address space, and a
/// part of each instance's time.
pub const MAX_MEMORIES: u32 = 8;
/// The element segments of a module of [`FULL_BYTES`] have at most this many elements in all.
pub const MAX_MODULE_ELEMENTS: u64 = 100_000;
/// A constant expression (the first value of a global or table, where a segment lies, an element)
/// has at most this many operators. Whoever evaluates it does so for each instance, and nobody
/// meters that. Tools write one to three.
pub const MAX_CONSTANT_OPERATORS: u64 = 1_000;
/// A module has at most this many globals, and as many types, data segments, element segments,
/// imports and exports.
pub const MAX_ITEMS: u32 = 100_000;

/// Calls, blocks and branches move at most one value for each byte of the module, and this many
/// more. Code in which every function and block has at most one result does not come near.
pub const SPARE_VALUES: u64 = 10_000;

/// A module has at most one call for each so many bytes, and [`SPARE_CALLS`] more. Bulk operators
/// on memories and tables, and their growth, count as calls: they are compiled to one, which takes
/// a compiler as long as a hundred bytes of other code. So do relaxed dot products, which are
/// replaced by 80 bytes of plain operators. Tools write a call for each 75 bytes or more.
pub const BYTES_PER_CALL: u64 = 20;
/// How many calls a module may have beyond those that its bytes allow.
pub const SPARE_CALLS: u64 = 10_000;

/// What a module of `bytes` may have of something of which [`FULL_BYTES`] may have `bound`.
const fn scaled(bound: u64, bytes: u64) -> u64 {
    if bytes <= FULL_BYTES { bound } else { bound.saturating_mul(bytes) / FULL_BYTES }
}

/// Checks the bounds of this module.
///
/// # Errors
/// `LimitExceeded` for the number of functions, `InvalidModule` for the rest and for bytes that do
/// not parse.
pub fn check(code: &[u8]) -> Result<(), Status> {
    let mut totals = Totals::default();
    totals.add(code).map(|_| ())
}

/// What has been counted, in one module or in all of a component.
#[derive(Default)]
pub(super) struct Totals {
    pairs: u64,
    branching: u64,
    elements: u64,
    functions: u64,
    bytes: u64,
    values: u64,
    calls: u64,
}

impl Totals {
    /// Adds one more module, checks the totals, and says how many tables the module defines.
    pub(super) fn add(&mut self, code: &[u8]) -> Result<u64, Status> {
        let mut tables = 0;
        self.bytes += code.len() as u64;
        let (mut signatures, mut defined) = (Signatures::default(), 0);
        for payload in Parser::new(0).parse_all(code) {
            let payload = payload.map_err(malformed)?;
            signatures.read(&payload).map_err(malformed)?;
            constants(&payload).map_err(malformed)??;
            let (what, count) = match payload {
                Payload::CodeSectionStart { count, .. } => {
                    self.functions += u64::from(count);
                    let limit = scaled(MAX_FUNCTIONS, self.bytes);
                    if self.functions > limit {
                        return Err(Status::LimitExceeded { which: Limit::ModuleFunctions, limit });
                    }
                    continue;
                }
                Payload::CodeSectionEntry(body) => {
                    let function = Function::read(&body)?;
                    self.pairs += function.pairs()?;
                    self.branching += function.branching()?;
                    let most = scaled(MAX_MODULE_BRANCHING, self.bytes);
                    if self.branching > most {
                        return Err(invalid_module(format!(
                            "branchings squared and {LOOP_WEIGHT} times loops squared, summed over \
                             all functions, are more than the {most} allowed"
                        )));
                    }
                    self.calls += function.calls;
                    let most_calls = self.bytes / BYTES_PER_CALL + SPARE_CALLS;
                    if self.calls > most_calls {
                        return Err(invalid_module(format!(
                            "more than the {most_calls} calls and bulk operators allowed: one for \
                             each {BYTES_PER_CALL} bytes, and {SPARE_CALLS} more"
                        )));
                    }
                    self.values += signatures.moved(&body, defined).map_err(malformed)?;
                    defined += 1;
                    if self.values > self.bytes + SPARE_VALUES {
                        return Err(invalid_module(format!(
                            "calls, blocks and branches move more values than the module has \
                             bytes, and {SPARE_VALUES} more"
                        )));
                    }
                    let most = scaled(MAX_MODULE_PAIRS, self.bytes);
                    if self.pairs > most {
                        return Err(invalid_module(format!(
                            "blocks times locals, summed over all functions, are more than the \
                             {most} allowed"
                        )));
                    }
                    continue;
                }
                Payload::TableSection(reader) => {
                    tables += u64::from(reader.count());
                    ("tables", reader.count())
                }
                Payload::MemorySection(reader) => {
                    if reader.count() > MAX_MEMORIES {
                        return Err(invalid_module(format!(
                            "{} memories, at most {MAX_MEMORIES} are allowed",
                            reader.count()
                        )));
                    }
                    continue;
                }
                Payload::TypeSection(reader) => ("types", reader.count()),
                Payload::ImportSection(reader) => ("imports", reader.count()),
                Payload::GlobalSection(reader) => ("globals", reader.count()),
                Payload::ExportSection(reader) => ("exports", reader.count()),
                Payload::ElementSection(reader) => {
                    self.elements += elements(reader.clone()).map_err(malformed)?;
                    let most = scaled(MAX_MODULE_ELEMENTS, self.bytes);
                    if self.elements > most {
                        return Err(invalid_module(format!(
                            "{} elements of segments, at most {most} are allowed",
                            self.elements
                        )));
                    }
                    ("element segments", reader.count())
                }
                Payload::DataSection(reader) => ("data segments", reader.count()),
                _ => continue,
            };
            if count > MAX_ITEMS {
                return Err(invalid_module(format!(
                    "{count} {what}, at most {MAX_ITEMS} are allowed"
                )));
            }
        }
        Ok(tables)
    }
}

fn malformed(error: BinaryReaderError) -> Status {
    invalid_module(error.message())
}

/// The parts of a function that make it expensive to compile.
struct Function {
    locals: u64,
    /// Blocks, loops, ifs, and the body itself.
    blocks: u64,
    loops: u64,
    branchings: u64,
    /// What is compiled to a call.
    calls: u64,
}

impl Function {
    fn read(body: &FunctionBody<'_>) -> Result<Self, Status> {
        let bytes = body.range().len();
        if bytes > MAX_BODY_BYTES {
            return Err(invalid_module(format!(
                "a function of {bytes} bytes, at most {MAX_BODY_BYTES} are allowed"
            )));
        }
        let mut function = Self { locals: 0, blocks: 1, loops: 0, branchings: 0, calls: 0 };
        for group in body.get_locals_reader().map_err(malformed)? {
            function.locals += u64::from(group.map_err(malformed)?.0);
        }
        for operator in body.get_operators_reader().map_err(malformed)? {
            match operator.map_err(malformed)? {
                Operator::Loop { .. } => {
                    function.blocks += 1;
                    function.loops += 1;
                }
                Operator::Block { .. } | Operator::If { .. } => function.blocks += 1,
                Operator::Br { .. } | Operator::BrIf { .. } => function.branchings += 1,
                Operator::Call { .. }
                | Operator::CallIndirect { .. }
                | Operator::ReturnCall { .. }
                | Operator::ReturnCallIndirect { .. }
                | Operator::MemoryGrow { .. }
                | Operator::MemoryCopy { .. }
                | Operator::MemoryFill { .. }
                | Operator::MemoryInit { .. }
                | Operator::DataDrop { .. }
                | Operator::TableGrow { .. }
                | Operator::TableCopy { .. }
                | Operator::TableFill { .. }
                | Operator::TableInit { .. }
                | Operator::ElemDrop { .. }
                | Operator::RefFunc { .. }
                | Operator::I16x8RelaxedDotI8x16I7x16S
                | Operator::I32x4RelaxedDotI8x16I7x16AddS => function.calls += 1,
                Operator::BrTable { targets } => function.branchings += different(&targets)?,
                _ => {}
            }
        }
        function.branchings += function.blocks;
        Ok(function)
    }

    /// Blocks times locals.
    fn pairs(&self) -> Result<u64, Status> {
        let Self { locals, blocks, .. } = self;
        if *locals > MAX_LOCALS {
            return Err(invalid_module(format!(
                "a function with {locals} locals, at most {MAX_LOCALS} are allowed"
            )));
        }
        let pairs = blocks * (locals + 1);
        if pairs > MAX_FUNCTION_PAIRS {
            return Err(invalid_module(format!(
                "a function with {blocks} blocks and {locals} locals, their product may be at most \
                 {MAX_FUNCTION_PAIRS}"
            )));
        }
        Ok(pairs)
    }

    /// What it counts for in [`MAX_MODULE_BRANCHING`].
    fn branching(&self) -> Result<u64, Status> {
        let Self { branchings, loops, .. } = self;
        if *branchings > MAX_FUNCTION_BRANCHINGS {
            return Err(invalid_module(format!(
                "a function with {branchings} blocks and branches, at most \
                 {MAX_FUNCTION_BRANCHINGS} are allowed"
            )));
        }
        Ok(branchings * branchings + LOOP_WEIGHT * loops * loops)
    }
}

/// How many different targets a `br_table` has.
fn different(targets: &BrTable<'_>) -> Result<u64, Status> {
    if targets.len() > MAX_BRANCH_TARGETS {
        return Err(invalid_module(format!(
            "a br_table with {} targets, at most {MAX_BRANCH_TARGETS} are allowed",
            targets.len()
        )));
    }
    let mut depths = targets.targets().collect::<Result<Vec<_>, _>>().map_err(malformed)?;
    depths.push(targets.default());
    depths.sort_unstable();
    depths.dedup();
    Ok(depths.len() as u64)
}

/// Checks the constant expressions of a section.
fn constants(payload: &Payload<'_>) -> Result<Result<(), Status>, BinaryReaderError> {
    let mut longest = 0;
    let mut look = |expression: &ConstExpr<'_>| {
        let mut operators = 0;
        for operator in expression.get_operators_reader() {
            operator?;
            operators += 1;
        }
        // The last is the end.
        longest = longest.max(operators - 1);
        Ok::<_, BinaryReaderError>(())
    };
    match payload {
        Payload::TableSection(reader) => {
            for table in reader.clone() {
                if let TableInit::Expr(expression) = table?.init {
                    look(&expression)?;
                }
            }
        }
        Payload::GlobalSection(reader) => {
            for global in reader.clone() {
                look(&global?.init_expr)?;
            }
        }
        Payload::ElementSection(reader) => {
            for segment in reader.clone() {
                let segment = segment?;
                if let ElementKind::Active { offset_expr, .. } = &segment.kind {
                    look(offset_expr)?;
                }
                if let ElementItems::Expressions(_, items) = segment.items {
                    for expression in items {
                        look(&expression?)?;
                    }
                }
            }
        }
        Payload::DataSection(reader) => {
            for segment in reader.clone() {
                if let DataKind::Active { offset_expr, .. } = &segment?.kind {
                    look(offset_expr)?;
                }
            }
        }
        _ => {}
    }
    Ok(if longest > MAX_CONSTANT_OPERATORS {
        Err(invalid_module(format!(
            "a constant expression of {longest} operators, at most {MAX_CONSTANT_OPERATORS} are \
             allowed"
        )))
    } else {
        Ok(())
    })
}

/// The elements of a module's segments.
fn elements(reader: ElementSectionReader<'_>) -> Result<u64, BinaryReaderError> {
    let mut elements = 0;
    for segment in reader {
        elements += u64::from(match segment?.items {
            ElementItems::Functions(items) => items.count(),
            ElementItems::Expressions(_, items) => items.count(),
        });
    }
    Ok(elements)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn reason(text: &str) -> String {
        match check(&wat::parse_str(text).unwrap()) {
            Err(Status::InvalidModule { reason }) => reason,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn an_ordinary_module_passes() {
        assert_eq!(
            check(&wat::parse_str("(module (func (local i32) (block (loop))))").unwrap()),
            Ok(())
        );
    }

    #[test]
    fn many_branchings_are_rejected() {
        let module = |body: &str, functions: usize| {
            format!("(module {})", format!("(func {body})").repeat(functions))
        };
        let branch = "(br_if 0 (i32.const 0))";
        for body in ["(block)".repeat(14_000), branch.repeat(14_000)] {
            assert!(
                reason(&module(&body, 1))
                    .starts_with("a function with 14001 blocks and branches, at most 14000")
            );
        }
        // Each of four targets, though one of them twice, in each of 2,800 tables.
        let table = "(block (block (block (br_table 0 1 2 0 3 (i32.const 0)))))";
        assert!(
            reason(&module(&table.repeat(2_800), 1))
                .starts_with("a function with 19601 blocks and branches")
        );
        for (body, functions) in [
            (branch.repeat(9_999), 3),
            ("(block)".repeat(9_999), 3),
            ("(loop)".repeat(999), 3),
            ("(loop)".repeat(99), 250),
        ] {
            assert!(
                reason(&module(&body, functions)).starts_with("branchings squared and 100 times"),
                "{functions}"
            );
        }
        let wide = format!("(br_table {} 0 (i32.const 0))", "0 ".repeat(10_001));
        assert!(reason(&module(&wide, 1)).starts_with("a br_table with 10001 targets"));
    }

    #[test]
    fn many_calls_for_so_many_bytes_are_rejected() {
        for call in [
            "(call $f)",
            "(call_indirect (i32.const 0))",
            "(drop (memory.grow (i32.const 0)))",
            "(memory.fill (i32.const 0) (i32.const 0) (i32.const 0))",
            "(table.copy (i32.const 0) (i32.const 0) (i32.const 0))",
            "(drop (ref.func $f))",
        ] {
            let module = |count: usize, others: usize| {
                format!(
                    "(module (memory 1) (table 1 funcref) (func $f) (elem declare func $f)
                    (func {}) (func {}))",
                    call.repeat(count),
                    "(drop (i64.const -1))".repeat(others)
                )
            };
            assert_eq!(check(&wat::parse_str(module(10_000, 0)).unwrap()), Ok(()), "{call}");
            assert!(reason(&module(30_000, 0)).contains("calls and bulk operators"), "{call}");
            assert_eq!(check(&wat::parse_str(module(30_000, 130_000)).unwrap()), Ok(()), "{call}");
        }
    }

    #[test]
    fn many_elements_are_rejected() {
        for segment in ["(elem func", "(elem declare func", "(elem (i32.const 0)"] {
            let text = format!(
                "(module (table 1 funcref) (func $f) {segment} {}))",
                "$f ".repeat(100_001)
            );
            assert!(reason(&text).starts_with("100001 elements of segments"), "{segment}");
        }
    }

    #[test]
    fn long_constant_expressions_are_rejected_wherever_they_stand() {
        let sum = |operators: usize| {
            format!("(i32.const 0) {}", "(i32.const 1) i32.add ".repeat(operators / 2))
        };
        for (before, after) in [
            ("(global i32 ", ")"),
            ("(memory 1) (data (offset ", r#") "x")"#),
            ("(table 1 funcref) (elem (offset ", ") funcref)"),
            ("(table 1 funcref) (elem (i32.const 0) funcref (item (ref.null func) drop ", "))"),
        ] {
            let module = |operators| format!("(module {before}{}{after})", sum(operators));
            assert_eq!(check(&wat::parse_str(module(900)).unwrap()), Ok(()), "{before}");
            assert!(reason(&module(1_002)).starts_with("a constant expression of 100"), "{before}");
        }
    }

    #[test]
    fn moving_more_values_than_there_are_bytes_is_rejected() {
        let wide = |calls: usize| {
            let values = "i32 ".repeat(100);
            format!(
                "(module (func $f (param {values}) (result {values}) unreachable)
                 (func {} {} {}))",
                "(i32.const 0)".repeat(100),
                "(call $f)".repeat(calls),
                "drop ".repeat(100)
            )
        };
        assert_eq!(check(&wat::parse_str(wide(40)).unwrap()), Ok(()));
        assert!(reason(&wide(60)).starts_with("calls, blocks and branches move more values"));
    }

    #[test]
    fn many_locals_in_few_bytes_are_rejected() {
        let locals = "i64 ".repeat(10_001);
        assert_eq!(
            reason(&format!("(module (func (local {locals})))")),
            "a function with 10001 locals, at most 10000 are allowed"
        );
    }

    #[test]
    fn many_blocks_over_many_locals_are_rejected() {
        let (locals, blocks) = ("i64 ".repeat(9_999), "(loop)".repeat(400));
        assert!(
            reason(&format!("(module (func (local {locals}) {blocks}))"))
                .starts_with("a function with 401 blocks")
        );
        let body = format!("(func (local {locals}) {})", "(loop)".repeat(398));
        assert!(
            reason(&format!("(module {})", body.repeat(9)))
                .starts_with("blocks times locals, summed")
        );
    }

    #[test]
    fn a_huge_body_is_rejected() {
        let body = "(drop (i32.const 1))".repeat(200_000);
        assert!(
            reason(&format!("(module (func {body}))"))
                .contains("bytes, at most 524288 are allowed")
        );
    }

    #[test]
    fn many_memories_are_rejected() {
        let module = |count: usize| format!("(module {})", "(memory 0)".repeat(count));
        assert_eq!(check(&wat::parse_str(module(8)).unwrap()), Ok(()));
        assert_eq!(reason(&module(9)), "9 memories, at most 8 are allowed");
    }

    #[test]
    fn many_functions_are_a_limit_of_its_own() {
        let text = format!("(module {})", "(func)".repeat(20_001));
        let limit = Status::LimitExceeded { which: Limit::ModuleFunctions, limit: 20_000 };
        assert_eq!(check(&wat::parse_str(text).unwrap()), Err(limit));
    }
}
