//! How many bytes the values have that each function of a module makes.
//!
//! A compiler may keep any of them on the stack, for longer than the code does: where the code
//! makes a value again, where a loop need not make it in each turn, where an operand is used late.
//! And a compiler need not use the place of a value that is gone for another one. wasmtime's
//! allocator of registers looks at ten places for a value, and then takes a new one. So what is
//! alive at one time is no bound for a frame: a function of which 32 values are alive at a time has
//! been made to have a frame of 1,500. The values in all are a bound.

use wasmparser::{
    BinaryReaderError, FuncValidator, FuncValidatorAllocations, FunctionBody, Operator,
    OperatorsReader, Parser, ValType, ValidPayload, Validator, ValidatorResources, WasmFeatures,
};

/// What a value takes on the stack: registers of numbers have 8 bytes, those of floats and vectors
/// have 16, whatever is in them.
fn bytes(ty: Option<ValType>) -> u64 {
    match ty {
        Some(ValType::I32 | ValType::I64 | ValType::Ref(_)) => 8,
        Some(ValType::F32 | ValType::F64 | ValType::V128) | None => 16,
    }
}

/// Whether the operator makes no value of its own. It gives one that is there, or a constant, which
/// compilers make anew where it is used. (A constant vector they keep.) Only where paths meet, at
/// the head of a loop or the end of a block, is a block's operand a value of its own.
fn makes_none(operator: &Operator<'_>) -> bool {
    matches!(
        operator,
        Operator::LocalGet { .. }
            | Operator::LocalTee { .. }
            | Operator::I32Const { .. }
            | Operator::I64Const { .. }
            | Operator::F32Const { .. }
            | Operator::F64Const { .. }
            | Operator::RefNull { .. }
            | Operator::Block { .. }
            | Operator::If { .. }
            | Operator::Else
    )
}

/// The bytes of the values that each function makes that the module defines, in their order.
pub(super) fn made(code: &[u8]) -> Result<Vec<u64>, BinaryReaderError> {
    let mut validator = Validator::new_with_features(WasmFeatures::all());
    let mut room = FuncValidatorAllocations::default();
    let mut made = Vec::new();
    for payload in Parser::new(0).parse_all(code) {
        if let ValidPayload::Func(function, body) = validator.payload(&payload?)? {
            let mut function = function.into_validator(room);
            made.push(of_body(&mut function, &body)?);
            room = function.into_allocations();
        }
    }
    Ok(made)
}

fn of_body(
    function: &mut FuncValidator<ValidatorResources>,
    body: &FunctionBody<'_>,
) -> Result<u64, BinaryReaderError> {
    let mut reader = body.get_binary_reader();
    function.read_locals(&mut reader)?;
    let mut operators = OperatorsReader::new(reader);
    let mut made = 0u64;
    while !operators.eof() {
        let (operator, offset) = operators.read_with_offset()?;
        let (_, results) = operator.operator_arity(&*function).unwrap_or_default();
        function.op(offset, &operator)?;
        if makes_none(&operator) {
            continue;
        }
        for depth in 0..results as usize {
            made = made.saturating_add(bytes(function.get_operand_type(depth).flatten()));
        }
    }
    Ok(made)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(items: &str) -> Vec<u64> {
        made(
            &wat::parse_str(format!("(module (memory 1) (global $g f32 (f32.const 0)) {items})"))
                .unwrap(),
        )
        .unwrap()
    }

    #[test]
    fn each_value_counts_with_what_a_register_has() {
        let one = |body: &str| {
            of(&format!(
                "(func $pair (result i32 v128) unreachable)
            (func (param $i i32) (param $v v128) (local $d f64) {body} drop)"
            ))[1]
        };
        for (body, bytes) in [
            ("(i32.const 1)", 0),
            ("(f64.const 1)", 0),
            ("(local.get $v)", 0),
            ("(local.tee $i (i32.const 1))", 0),
            ("(block (result i32) (i32.const 1))", 8),
            ("(i32.eqz (local.get $i))", 8),
            ("(i64.load (i32.const 0))", 8),
            ("(f64.eq (local.get $d) (local.get $d))", 8),
            ("(f32.load (i32.const 0))", 16),
            ("(global.get $g)", 16),
            ("(f64.neg (f64.neg (local.get $d)))", 32),
            ("(v128.const i64x2 1 2)", 16),
            ("(select (local.get $v) (local.get $v) (local.get $i))", 16),
            ("(i8x16.extract_lane_s 0 (local.get $v))", 8),
            ("(call $pair) drop", 24),
            ("(memory.grow (i32.const 1))", 8),
            ("(block (result i32) (br 0 (i32.const 1)))", 8),
        ] {
            assert_eq!(one(body), bytes, "{body}");
        }
    }

    #[test]
    fn what_is_no_value_counts_for_nothing() {
        let functions = of("(func) (func (param i32)
                (i32.store (i32.const 0) (local.get 0)) (local.set 0 (i32.const 1))
                (block (br_if 0 (local.get 0))) (loop (br 1)))");
        assert_eq!(functions, [0, 0]);
    }
}
