//! A dApp's contract. Its sources and tests are those of `examples/ask`, which a test of the
//! command compares, and `scripts/first-hour` builds and tests one. Here cargo only reads the
//! project, because near-sdk takes minutes to compile.

use std::fs;

use super::{cargo, run, said, snapshot, workspace};

#[test]
fn a_new_dapp_has_everything_that_cargo_needs() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path().canonicalize().unwrap();
    snapshot::assert("new-dapp.txt", &folder, &said(&run(&folder, &["new", "dapp", "asker"], 0)));
    let dapp = folder.join("asker");
    // The versions that this workspace has, so that nothing has to be downloaded.
    fs::copy(workspace().join("Cargo.lock"), dapp.join("Cargo.lock")).unwrap();
    // A tree has what this machine needs, and none of what is downloaded for another.
    cargo(&dapp, &["tree"]);
}
