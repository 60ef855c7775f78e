//! `wasi:filesystem`: no directory is open.
//!
//! A descriptor can only come from a preopened directory, of which there are none. So the methods
//! exist only for components to link, and can never be called.

use outlayer_guest::{HostCall, Stop, verdict::reason::NO_DESCRIPTOR};
use wasmtime::{
    Result,
    component::{Linker, Resource, ResourceType},
};

use super::resources::{Store, interface};
use crate::{call::ComponentCall, state::State};

/// A file or directory.
enum Descriptor {}

/// The entries of a directory.
enum Entries {}

const METHODS: &[&str] = &[
    "[method]descriptor.read-via-stream",
    "[method]descriptor.write-via-stream",
    "[method]descriptor.append-via-stream",
    "[method]descriptor.advise",
    "[method]descriptor.sync-data",
    "[method]descriptor.get-flags",
    "[method]descriptor.get-type",
    "[method]descriptor.set-size",
    "[method]descriptor.set-times",
    "[method]descriptor.read",
    "[method]descriptor.write",
    "[method]descriptor.read-directory",
    "[method]descriptor.sync",
    "[method]descriptor.create-directory-at",
    "[method]descriptor.stat",
    "[method]descriptor.stat-at",
    "[method]descriptor.set-times-at",
    "[method]descriptor.link-at",
    "[method]descriptor.open-at",
    "[method]descriptor.readlink-at",
    "[method]descriptor.remove-directory-at",
    "[method]descriptor.rename-at",
    "[method]descriptor.symlink-at",
    "[method]descriptor.unlink-file-at",
    "[method]descriptor.is-same-object",
    "[method]descriptor.metadata-hash",
    "[method]descriptor.metadata-hash-at",
    "[method]directory-entry-stream.read-directory-entry",
    "filesystem-error-code",
];

pub(super) fn add_to_linker(linker: &mut Linker<State>) -> Result<()> {
    let mut types = interface(linker, "filesystem/types")?;
    types.resource("descriptor", ResourceType::host::<Descriptor>(), |_, _| Ok(()))?;
    types.resource("directory-entry-stream", ResourceType::host::<Entries>(), |_, _| Ok(()))?;
    for method in METHODS {
        types.func_new(method, |_, _, _, _| Err(Stop::Trap(NO_DESCRIPTOR).into()))?;
    }
    interface(linker, "filesystem/preopens")?.func_wrap(
        "get-directories",
        |store: Store<'_>, (): ()| {
            ComponentCall(store).enter()?;
            Ok((Vec::<(Resource<Descriptor>, String)>::new(),))
        },
    )?;
    Ok(())
}
