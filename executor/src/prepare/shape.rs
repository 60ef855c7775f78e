//! Bounds on a core module that keep compiling it cheap.
//!
//! Bytes alone do not bound a compile: a few bytes declare tens of thousands of locals, and a compiler that turns locals into
//! values may make one value for each pair of a block and a local. So these pairs are bounded as well.

use outlayer_protocol::{Limit, Status};
use wasmparser::{BinaryReaderError, FunctionBody, Operator, Parser, Payload};

use crate::verdict::invalid_module;

/// A module defines at most this many functions.
pub const MAX_FUNCTIONS: u32 = 20_000;
/// The body of a function has at most this many bytes.
pub const MAX_BODY_BYTES: usize = 512 << 10;
/// A function has at most this many locals, its parameters not counted.
pub const MAX_LOCALS: u64 = 10_000;
/// In one function, blocks times locals is at most this.
pub const MAX_FUNCTION_PAIRS: u64 = 4_000_000;
/// In a module, the sum of blocks times locals over its functions is at most this.
pub const MAX_MODULE_PAIRS: u64 = 32_000_000;
/// A module has at most this many globals, types, data segments, element segments, imports or exports, each.
pub const MAX_ITEMS: u32 = 100_000;

/// Checks the bounds of this module.
///
/// # Errors
/// `LimitExceeded` for the number of functions, `InvalidModule` for the rest and for bytes that do not parse.
pub fn check(code: &[u8]) -> Result<(), Status> {
    let mut totals = Totals::default();
    totals.add(code)
}

/// What has been counted, in one module or in all of a component.
#[derive(Default)]
pub(super) struct Totals {
    pairs: u64,
    functions: u32,
}

impl Totals {
    /// Checks one module more.
    pub(super) fn add(&mut self, code: &[u8]) -> Result<(), Status> {
        for payload in Parser::new(0).parse_all(code) {
            let (what, count) = match payload.map_err(malformed)? {
                Payload::CodeSectionStart { count, .. } => {
                    self.functions = self.functions.saturating_add(count);
                    if self.functions > MAX_FUNCTIONS {
                        return Err(Status::LimitExceeded {
                            which: Limit::ModuleFunctions,
                            limit: MAX_FUNCTIONS.into(),
                        });
                    }
                    continue;
                }
                Payload::CodeSectionEntry(body) => {
                    self.pairs += check_body(&body)?;
                    if self.pairs > MAX_MODULE_PAIRS {
                        return Err(invalid_module(format!(
                            "blocks times locals, summed over all functions, are more than the {MAX_MODULE_PAIRS} allowed"
                        )));
                    }
                    continue;
                }
                Payload::TypeSection(reader) => ("types", reader.count()),
                Payload::ImportSection(reader) => ("imports", reader.count()),
                Payload::GlobalSection(reader) => ("globals", reader.count()),
                Payload::ExportSection(reader) => ("exports", reader.count()),
                Payload::ElementSection(reader) => ("element segments", reader.count()),
                Payload::DataSection(reader) => ("data segments", reader.count()),
                _ => continue,
            };
            if count > MAX_ITEMS {
                return Err(invalid_module(format!(
                    "{count} {what}, at most {MAX_ITEMS} are allowed"
                )));
            }
        }
        Ok(())
    }
}

fn malformed(error: BinaryReaderError) -> Status {
    invalid_module(error.message())
}

/// The function's blocks times its locals.
fn check_body(body: &FunctionBody<'_>) -> Result<u64, Status> {
    let bytes = body.range().len();
    if bytes > MAX_BODY_BYTES {
        return Err(invalid_module(format!(
            "a function of {bytes} bytes, at most {MAX_BODY_BYTES} are allowed"
        )));
    }
    let mut locals = 0u64;
    for group in body.get_locals_reader().map_err(malformed)? {
        locals += u64::from(group.map_err(malformed)?.0);
    }
    if locals > MAX_LOCALS {
        return Err(invalid_module(format!(
            "a function with {locals} locals, at most {MAX_LOCALS} are allowed"
        )));
    }
    let mut blocks = 1u64;
    for operator in body.get_operators_reader().map_err(malformed)? {
        if let Operator::Block { .. } | Operator::Loop { .. } | Operator::If { .. } =
            operator.map_err(malformed)?
        {
            blocks += 1;
        }
    }
    let pairs = blocks * (locals + 1);
    if pairs > MAX_FUNCTION_PAIRS {
        return Err(invalid_module(format!(
            "a function with {blocks} blocks and {locals} locals, their product may be at most {MAX_FUNCTION_PAIRS}"
        )));
    }
    Ok(pairs)
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
    fn many_locals_in_few_bytes_are_refused() {
        let locals = "i64 ".repeat(10_001);
        assert_eq!(
            reason(&format!("(module (func (local {locals})))")),
            "a function with 10001 locals, at most 10000 are allowed"
        );
    }

    #[test]
    fn many_blocks_over_many_locals_are_refused() {
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
    fn a_huge_body_is_refused() {
        let body = "(drop (i32.const 1))".repeat(200_000);
        assert!(
            reason(&format!("(module (func {body}))"))
                .contains("bytes, at most 524288 are allowed")
        );
    }

    #[test]
    fn many_functions_are_a_limit_of_its_own() {
        let text = format!("(module {})", "(func)".repeat(20_001));
        let limit = Status::LimitExceeded { which: Limit::ModuleFunctions, limit: 20_000 };
        assert_eq!(check(&wat::parse_str(text).unwrap()), Err(limit));
    }
}
