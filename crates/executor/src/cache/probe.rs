//! A sample that shows how a build prepares modules.

use crate::error::{EngineError, Rejection};

/// A module with one of everything that the preparation looks at: imports, calls of each kind,
/// loops, branches, locals, growing of memory and tables, bulk operations, a start function. Its
/// text is `probe.wat`.
const PROBE: &[u8] = include_bytes!("probe.wasm");

/// What `prepare` makes of the sample. It shapes everything that is compiled, so names bind it.
pub(crate) fn probe(
    prepare: impl FnOnce(&[u8]) -> Result<Vec<u8>, Rejection>,
) -> Result<Vec<u8>, EngineError> {
    prepare(PROBE)
        .map_err(|refusal| EngineError::new(format!("the sample module is refused: {refusal:?}")))
}

#[cfg(test)]
mod tests {
    use outlayer_guest::prepare::{self, meter};

    use super::*;

    #[test]
    fn the_sample_is_what_its_text_says() {
        assert_eq!(wat::parse_str(include_str!("probe.wat")).unwrap(), PROBE);
    }

    #[test]
    fn every_preparation_accepts_the_sample_and_changes_it() {
        let stack = probe(|code| Ok(prepare::core_module(code)?)).unwrap();
        let gas =
            probe(|code| crate::gas::prepare::core_module(code, crate::gas::Counts::ALL)).unwrap();
        let component = probe(|code| Ok(meter::instrument_in_component(code)?)).unwrap();
        let composition = meter::instrument_in_composition;
        let composition = probe(|code| Ok(composition(code, meter::STACK_BYTES)?)).unwrap();
        let all = [stack, gas, component, composition];
        assert!(all.iter().all(|prepared| prepared.len() > PROBE.len()));
        assert_eq!(all.iter().collect::<std::collections::HashSet<_>>().len(), all.len());
    }
}
