//! Where a guest trapped, by what wasmtime tells of it.

use outlayer_guest::{
    Backtrace,
    prepare::names::{self, FunctionIndex},
};
use wasmtime::{Error, FrameInfo, WasmBacktrace};

/// The functions that a guest was in when `error` ended it, innermost first.
#[derive(Debug, Default)]
pub(crate) struct Trace {
    frames: Vec<FunctionIndex>,
    /// How many functions the module imports that is compiled in the place of a core module.
    imported: Option<u32>,
}

fn frames(error: &Error) -> &[FrameInfo] {
    error.downcast_ref::<WasmBacktrace>().map(WasmBacktrace::frames).unwrap_or_default()
}

impl Trace {
    /// For a core module.
    pub(crate) fn of_module(error: &Error) -> Self {
        let frames = frames(error);
        // All that it imports are functions.
        let imported = frames.first().map(|frame| frame.module().imports().len());
        Self {
            frames: frames
                .iter()
                .map(|frame| FunctionIndex { module: 0, function: frame.func_index() })
                .collect(),
            imported: imported.and_then(|imported| u32::try_from(imported).ok()),
        }
    }

    /// For a component. Functions that wasmtime has made between components are left out.
    pub(crate) fn of_component(error: &Error) -> Self {
        let function = |frame: &FrameInfo| {
            let module = names::number_of(frame.module().name())?;
            Some(FunctionIndex { module, function: frame.func_index() })
        };
        Self { frames: frames(error).iter().filter_map(function).collect(), imported: None }
    }

    /// The names of these functions, by the guest's own bytes.
    pub(crate) fn named(self, code: &[u8]) -> Backtrace {
        if self.frames.is_empty() {
            return Backtrace::default();
        }
        let Self { mut frames, imported } = self;
        if let (Some(imported), Ok(own)) = (imported, names::imported_functions(code)) {
            // Metering under gas imports functions, which come before all others.
            let before = imported.saturating_sub(own);
            for frame in &mut frames {
                frame.function = frame.function.saturating_sub(before);
            }
        }
        Backtrace::new(names::of_functions(code, &frames))
    }
}
