//! `outlayer-componentize MODULE COMPONENT` reads a core module and writes the component. The
//! command `outlayer componentize` does the same.

use std::{env, fs, process::ExitCode};

use outlayer_componentize::componentize;

fn main() -> ExitCode {
    let arguments: Vec<_> = env::args_os().skip(1).collect();
    let [module, component] = arguments.as_slice() else {
        eprintln!("usage: outlayer-componentize MODULE COMPONENT");
        return ExitCode::from(2);
    };
    let made = fs::read(module)
        .map_err(|error| format!("{}: {error}", module.display()))
        .and_then(|bytes| {
            componentize(&bytes).map_err(|error| format!("{}: {error}", module.display()))
        })
        .and_then(|bytes| {
            fs::write(component, bytes).map_err(|error| format!("{}: {error}", component.display()))
        });
    match made {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("outlayer-componentize: {error}");
            ExitCode::FAILURE
        }
    }
}
