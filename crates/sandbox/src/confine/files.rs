//! Landlock: which files a child may open.

use std::path::PathBuf;

use landlock::{
    ABI, Access, AccessFs, AccessNet, BitFlags, CompatLevel, Compatible, Ruleset, RulesetAttr,
    RulesetCreatedAttr, RulesetError, RulesetStatus, Scope, path_beneath_rules,
};

/// The newest version of Landlock whose rights are known here. An older kernel keeps those that it
/// knows.
const NEWEST: ABI = ABI::V6;

/// Files and folders in `folders` can be read, written, made and removed. Nothing else can be
/// opened, nothing can be executed, no TCP port bound or connected to, and no process outside be
/// signalled. Whether the kernel has Landlock at all is returned.
pub(super) fn allow_only(folders: &[PathBuf]) -> Result<bool, RulesetError> {
    let rights: BitFlags<AccessFs> = AccessFs::from_read(NEWEST)
        | AccessFs::WriteFile
        | AccessFs::Truncate
        | AccessFs::MakeReg
        | AccessFs::MakeDir
        | AccessFs::RemoveFile
        | AccessFs::RemoveDir
        | AccessFs::Refer;
    let rights = rights & !AccessFs::Execute;
    let status = Ruleset::default()
        .set_compatibility(CompatLevel::BestEffort)
        .handle_access(AccessFs::from_all(NEWEST))?
        .handle_access(AccessNet::from_all(NEWEST))?
        .scope(Scope::from_all(NEWEST))?
        .create()?
        .add_rules(path_beneath_rules(folders, rights))?
        .restrict_self()?;
    Ok(status.ruleset != RulesetStatus::NotEnforced)
}
