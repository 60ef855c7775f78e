//! How many values a module's calls, blocks and branches move.
//!
//! With several results to a function or block, two bytes move a thousand values, and a compiler
//! makes a value of its own of each. Where each has one result at most, code cannot move more
//! values than it has bytes: each value that a call takes was pushed before, by an operator of its
//! own.

use wasmparser::{
    BinaryReaderError, BlockType, CompositeInnerType, FunctionBody, Operator, Payload, TypeRef,
};

/// Numbers of parameters and results.
#[derive(Clone, Copy, Default)]
pub(super) struct Signature {
    pub(super) params: u64,
    pub(super) results: u64,
}

impl Signature {
    fn both(self) -> u64 {
        self.params + self.results
    }
}

/// What the functions of a module take and give. An index that is out of range takes and gives
/// nothing: validation rejects it.
#[derive(Default)]
pub(super) struct Signatures {
    types: Vec<Signature>,
    functions: Vec<Signature>,
    /// How many functions are imported. Those that the module defines come after them.
    imported: usize,
}

impl Signatures {
    /// Reads one of the sections before the code.
    pub(super) fn read(&mut self, payload: &Payload<'_>) -> Result<(), BinaryReaderError> {
        match payload {
            Payload::TypeSection(reader) => {
                for group in reader.clone() {
                    for ty in group?.types() {
                        self.types.push(match &ty.composite_type.inner {
                            CompositeInnerType::Func(ty) => Signature {
                                params: ty.params().len() as u64,
                                results: ty.results().len() as u64,
                            },
                            _ => Signature::default(),
                        });
                    }
                }
            }
            Payload::ImportSection(reader) => {
                for import in reader.clone().into_imports() {
                    if let TypeRef::Func(ty) = import?.ty {
                        self.functions.push(self.ty(ty));
                        self.imported += 1;
                    }
                }
            }
            Payload::FunctionSection(reader) => {
                for ty in reader.clone() {
                    self.functions.push(self.ty(ty?));
                }
            }
            _ => {}
        }
        Ok(())
    }

    pub(super) fn ty(&self, index: u32) -> Signature {
        self.types.get(index as usize).copied().unwrap_or_default()
    }

    pub(super) fn block(&self, ty: BlockType) -> Signature {
        match ty {
            BlockType::Empty => Signature::default(),
            BlockType::Type(_) => Signature { params: 0, results: 1 },
            BlockType::FuncType(index) => self.ty(index),
        }
    }

    /// The function with this index, imported ones included.
    pub(super) fn function(&self, index: u32) -> Signature {
        self.functions.get(index as usize).copied().unwrap_or_default()
    }

    /// The `defined`th of the functions that the module defines.
    pub(super) fn defined(&self, defined: usize) -> Signature {
        self.functions.get(self.imported + defined).copied().unwrap_or_default()
    }

    /// How many values the body of the `defined`th function moves, its own parameters and results
    /// included.
    pub(super) fn moved(
        &self,
        body: &FunctionBody<'_>,
        defined: usize,
    ) -> Result<u64, BinaryReaderError> {
        let own = self.defined(defined);
        let mut moved = own.both();
        // How many values a branch to each label takes with it, the innermost last.
        let mut labels = vec![own.results];
        let branch = |labels: &[u64], depth: u32| {
            let label = labels.len().checked_sub(depth as usize + 1);
            label.and_then(|label| labels.get(label)).copied().unwrap_or_default()
        };
        for operator in body.get_operators_reader()? {
            match operator? {
                Operator::Call { function_index } | Operator::ReturnCall { function_index } => {
                    moved += self.function(function_index).both();
                }
                Operator::CallIndirect { type_index, .. }
                | Operator::ReturnCallIndirect { type_index, .. } => {
                    moved += self.ty(type_index).both();
                }
                Operator::Block { blockty } | Operator::If { blockty } => {
                    let block = self.block(blockty);
                    moved += block.both();
                    labels.push(block.results);
                }
                Operator::Loop { blockty } => {
                    let block = self.block(blockty);
                    moved += block.both();
                    labels.push(block.params);
                }
                Operator::End => {
                    labels.pop();
                }
                Operator::Br { relative_depth } | Operator::BrIf { relative_depth } => {
                    moved += branch(&labels, relative_depth);
                }
                Operator::BrTable { targets } => {
                    moved += branch(&labels, targets.default());
                    for target in targets.targets() {
                        moved += branch(&labels, target?);
                    }
                }
                Operator::Return => moved += own.results,
                _ => {}
            }
        }
        Ok(moved)
    }
}

#[cfg(test)]
mod tests {
    use wasmparser::Parser;

    use super::*;

    fn moved(text: &str) -> u64 {
        let code = wat::parse_str(text).unwrap();
        let (mut signatures, mut moved, mut defined) = (Signatures::default(), 0, 0);
        for payload in Parser::new(0).parse_all(&code) {
            let payload = payload.unwrap();
            signatures.read(&payload).unwrap();
            if let Payload::CodeSectionEntry(body) = payload {
                moved += signatures.moved(&body, defined).unwrap();
                defined += 1;
            }
        }
        moved
    }

    #[test]
    fn every_way_to_move_values_counts() {
        assert_eq!(moved("(module (func))"), 0);
        assert_eq!(moved("(module (func (param i32 i64) (result i32) (local.get 0)))"), 3);
        let callee = r#"(import "m" "f" (func $f (param i32) (result i32 i32)))"#;
        assert_eq!(
            moved(&format!("(module {callee} (func (drop (drop (call $f (i32.const 1))))))")),
            3
        );
        assert_eq!(
            moved(
                "(module (table 1 funcref) (type $t (func (param i32)))
                    (func (call_indirect (type $t) (i32.const 1) (i32.const 0))))"
            ),
            1
        );
        // A block and a branch to it, a loop that takes one value and a branch that takes it again.
        assert_eq!(moved("(module (func (drop (block (result i32) (br 0 (i32.const 1))))))"), 2);
        assert_eq!(
            moved(
                "(module (type $t (func (param i32)))
                    (func (i32.const 1) (loop (type $t) (br 0))))"
            ),
            2
        );
        assert_eq!(
            moved(
                "(module (func (result i32) (block $a (result i32) (block $b (result i32)
                    (br_table $a $b $a (i32.const 1) (i32.const 0))))))"
            ),
            1 + 1 + 1 + 3
        );
        assert_eq!(moved("(module (func (result i32) (return (i32.const 1))))"), 2);
    }
}
