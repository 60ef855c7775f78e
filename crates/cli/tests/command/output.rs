//! What the command does with its output.

use std::{io, process::Command};

#[test]
fn a_reader_that_has_gone_ends_the_command_without_a_panic() {
    for arguments in [&["estimate"][..], &["estimate", "--json"]] {
        let (reader, writer) = io::pipe().unwrap();
        drop(reader);
        let command =
            Command::new(env!("CARGO_BIN_EXE_outlayer")).args(arguments).stdout(writer).output();
        let ended = command.unwrap();
        assert_eq!(ended.status.code(), Some(2));
        assert_eq!(String::from_utf8(ended.stderr).unwrap(), "");
    }
}
