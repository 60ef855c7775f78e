//! `wasi:cli`: arguments, environment, exit, the standard streams, no terminals.

use outlayer_guest::{HostCall, Stop, Work};
use wasmtime::{Result, component::Resource};
use wasmtime_wasi::p2::{
    DynInputStream, DynOutputStream,
    bindings::cli::{
        environment, exit, stderr, stdin, stdout,
        terminal_input::{self, TerminalInput},
        terminal_output::{self, TerminalOutput},
        terminal_stderr, terminal_stdin, terminal_stdout,
    },
};

use super::streams::{Source, Target};
use crate::state::State;

impl environment::Host for State {
    fn get_environment(&mut self) -> Result<Vec<(String, String)>> {
        self.enter()?;
        let variables = self.host.environment();
        let bytes = variables.iter().map(|(name, value)| name.len() + value.len());
        let bytes = bytes.sum::<usize>();
        self.charge(Work::Write(bytes as u64))?;
        Ok(self.host.environment().to_vec())
    }

    fn get_arguments(&mut self) -> Result<Vec<String>> {
        self.enter()?;
        let bytes = self.host.program.args.iter().map(String::len).sum::<usize>();
        self.charge(Work::Write(bytes as u64))?;
        Ok(self.host.program.args.clone())
    }

    fn initial_cwd(&mut self) -> Result<Option<String>> {
        self.enter()?;
        Ok(None)
    }
}

impl exit::Host for State {
    fn exit(&mut self, status: std::result::Result<(), ()>) -> Result<()> {
        self.enter()?;
        Err(Stop::Exit(u32::from(status.is_err())).into())
    }

    fn exit_with_code(&mut self, code: u8) -> Result<()> {
        self.enter()?;
        Err(Stop::Exit(code.into()).into())
    }
}

impl stdin::Host for State {
    fn get_stdin(&mut self) -> Result<Resource<DynInputStream>> {
        self.enter()?;
        Ok(self.push_as(Source::Input)?)
    }
}

impl stdout::Host for State {
    fn get_stdout(&mut self) -> Result<Resource<DynOutputStream>> {
        self.enter()?;
        Ok(self.push_as(Target::Output)?)
    }
}

impl stderr::Host for State {
    fn get_stderr(&mut self) -> Result<Resource<DynOutputStream>> {
        self.enter()?;
        Ok(self.push_as(Target::Log)?)
    }
}

impl terminal_stdin::Host for State {
    fn get_terminal_stdin(&mut self) -> Result<Option<Resource<TerminalInput>>> {
        self.enter()?;
        Ok(None)
    }
}

impl terminal_stdout::Host for State {
    fn get_terminal_stdout(&mut self) -> Result<Option<Resource<TerminalOutput>>> {
        self.enter()?;
        Ok(None)
    }
}

impl terminal_stderr::Host for State {
    fn get_terminal_stderr(&mut self) -> Result<Option<Resource<TerminalOutput>>> {
        self.enter()?;
        Ok(None)
    }
}

impl terminal_input::Host for State {}
impl terminal_output::Host for State {}

impl terminal_input::HostTerminalInput for State {
    fn drop(&mut self, terminal: Resource<TerminalInput>) -> Result<()> {
        Ok(self.remove(terminal)?)
    }
}

impl terminal_output::HostTerminalOutput for State {
    fn drop(&mut self, terminal: Resource<TerminalOutput>) -> Result<()> {
        Ok(self.remove(terminal)?)
    }
}
