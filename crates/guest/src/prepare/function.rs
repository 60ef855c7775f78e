//! The body of a function, read into memory.

use std::ops::Range;

use wasmparser::{BinaryReaderError, FunctionBody, Operator, ValType};

/// The body of a function, as metering rewrites it.
#[derive(Debug)]
pub struct Body<'a> {
    /// Where its locals are declared, in the bytes of the module.
    pub declared: Range<usize>,
    /// Its locals: groups of so many of one type.
    pub groups: Vec<(u32, ValType)>,
    /// Its operators.
    pub operators: Vec<Operator<'a>>,
    /// Where each operator stands, in the bytes of the module.
    pub ranges: Vec<Range<usize>>,
}

impl<'a> Body<'a> {
    /// Reads a body of a module that is read from its first byte on.
    ///
    /// # Errors
    /// When it is malformed.
    pub fn read(body: &FunctionBody<'a>) -> Result<Self, BinaryReaderError> {
        let groups = body.get_locals_reader()?.into_iter().collect::<Result<_, _>>()?;
        let mut reader = body.get_operators_reader()?;
        let declared = body.range().start..reader.original_position();
        let (mut operators, mut ranges) = (Vec::new(), Vec::new());
        while !reader.eof() {
            let (operator, offset) = reader.read_with_offset()?;
            operators.push(operator);
            ranges.push(offset..reader.original_position());
        }
        Ok(Self { declared, groups, operators, ranges })
    }

    /// How many locals the function has, its `parameters` included.
    pub fn locals(&self, parameters: u32) -> u32 {
        self.groups.iter().fold(parameters, |locals, (count, _)| locals.saturating_add(*count))
    }
}
