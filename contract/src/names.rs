//! Names of code. An account gives its names, and each version of a name stands for one code for
//! ever: its owner can retire the version, and no more. So a dApp that names a version gets what it
//! tested, and one that names none gets its guest's fixes.
//!
//! Versions that are not retired form a list from the latest down, so that retiring one costs the
//! same however many there are.

use near_sdk::{AccountId, NearToken, env, near};
use outlayer_protocol::{
    CodeRef, CodeSource,
    code_name::CodeName,
    events::{CodeRetired, Event},
    views::NamedCodeView,
};

use crate::{
    Contract, ContractError, NameError, code,
    effects::emit,
    slots::Slots,
    store::{self, Prefix, account_key},
};

/// What an account has named.
#[near(serializers = [borsh])]
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Names {
    /// How many names it has.
    pub(crate) count: u32,
    /// What it has paid for the bytes of its names and their versions.
    pub(crate) deposit: NearToken,
}

/// A name.
#[near(serializers = [borsh])]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Name {
    /// How many versions it has.
    versions: u32,
    /// The newest version that is not retired; 0 when there is none.
    latest: u32,
}

/// A version of a name.
#[near(serializers = [borsh])]
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Version {
    /// The code that it stands for.
    code: CodeRef,
    /// Whether new requests may no longer name it.
    retired: bool,
    /// The next older version that is not retired; 0 when there is none.
    older: u32,
    /// The next newer version that is not retired; 0 when there is none.
    newer: u32,
}

fn names_key(owner_id: &AccountId) -> Vec<u8> {
    store::key(Prefix::CodeNames, &[owner_id.as_bytes()])
}

fn names(owner_id: &AccountId) -> Names {
    store::read(&names_key(owner_id)).unwrap_or_default()
}

fn name_slots(owner_id: &AccountId) -> Slots {
    Slots::new(account_key(Prefix::CodeNameSlot, owner_id, &[]))
}

fn name_key(owner_id: &AccountId, name: &str) -> Vec<u8> {
    account_key(Prefix::CodeName, owner_id, name.as_bytes())
}

fn find_name(owner_id: &AccountId, name: &str) -> Name {
    store::read(&name_key(owner_id, name)).unwrap_or_default()
}

fn version_key(owner_id: &AccountId, name: &str, version: u32) -> Vec<u8> {
    let rest = [&version.to_be_bytes(), name.as_bytes()].concat();
    account_key(Prefix::CodeVersion, owner_id, &rest)
}

fn change_version(key: &[u8], change: impl FnOnce(&mut Version)) {
    if let Some(mut version) = store::read(key) {
        change(&mut version);
        store::write(key, &version);
    }
}

/// The version that is named, with its number, or the latest where none is.
fn find(asked: &CodeName<'_>) -> Result<(u32, Version), NameError> {
    let CodeName { owner_id, name, version } = asked;
    let found = find_name(owner_id, name);
    let number = version.unwrap_or(found.latest);
    match store::read(&version_key(owner_id, name, number)) {
        Some(version) => Ok((number, version)),
        None if version.is_none() && found.versions > 0 => {
            Err(NameError::Retired { name: asked.to_string() })
        }
        None => Err(NameError::Unknown { name: asked.to_string(), versions: found.versions }),
    }
}

fn view(asked: CodeName<'_>, (number, version): (u32, Version)) -> NamedCodeView {
    let Version { code: CodeRef { hash, url }, retired, .. } = version;
    let name = CodeName { version: Some(number), ..asked }.to_string();
    NamedCodeView { name, hash, url, retired }
}

/// The code that a request is for. For a name this is what it stands for now, with the full name.
pub(crate) fn pin(source: &CodeSource) -> Result<(CodeRef, Option<String>), NameError> {
    let name = match source {
        CodeSource::Exact(code) => return Ok((code.clone(), None)),
        CodeSource::Named { name } => CodeName::parse(name)?,
    };
    let found = find(&name)?;
    if found.1.retired {
        return Err(NameError::Retired { name: name.to_string() });
    }
    let NamedCodeView { name, hash, url, .. } = view(name, found);
    Ok((CodeRef { hash, url }, Some(name)))
}

fn lookup(name: CodeName<'_>) -> Option<NamedCodeView> {
    find(&name).ok().map(|found| view(name, found))
}

/// What a name stands for; `None` when there is no such version.
pub(crate) fn show(name: &str) -> Result<Option<NamedCodeView>, NameError> {
    Ok(lookup(CodeName::parse(name)?))
}

/// A page of the versions of `owner/name`, or of the names of `owner`: for each the version that
/// requests without a version get, or the newest when all are retired.
pub(crate) fn page(of: &str, from_index: u64, limit: u64) -> Result<Vec<NamedCodeView>, NameError> {
    if let Ok(owner_id) = of.parse() {
        let page = name_slots(&owner_id).page(names(&owner_id).count, from_index, limit);
        let texts = page.into_iter().filter_map(|name| String::from_utf8(name).ok());
        let newest = texts.filter_map(|name| {
            let Name { versions, latest } = find_name(&owner_id, &name);
            let version = Some(if latest > 0 { latest } else { versions });
            lookup(CodeName { owner_id: owner_id.clone(), name: &name, version })
        });
        return Ok(newest.collect());
    }
    let name = CodeName::parse(of)?;
    let end = from_index.saturating_add(limit).min(u64::from(u32::MAX));
    let numbers = (from_index..end).map_while(|index| u32::try_from(index + 1).ok());
    Ok(numbers
        .map_while(|number| lookup(CodeName { version: Some(number), ..name.clone() }))
        .collect())
}

impl Contract {
    /// Has the next version of the caller's name stand for `code`, and gives its number.
    pub(crate) fn name(&mut self, name: &str, code: CodeRef) -> Result<u32, ContractError> {
        outlayer_protocol::code_name::check_name(name).map_err(NameError::from)?;
        code.validate_named()?;
        if code.url.is_none() {
            code::check(&code.hash)?;
        }
        let owner_id = env::predecessor_account_id();
        let before = env::storage_usage();
        let mut own = names(&owner_id);
        let mut found = find_name(&owner_id, name);
        if found.versions == 0 {
            name_slots(&owner_id).push(&mut own.count, name.as_bytes());
        }
        // A count of 32 bits costs more deposit than there is NEAR.
        let number = found.versions.saturating_add(1);
        let older = std::mem::replace(&mut found, Name { versions: number, latest: number }).latest;
        let version = Version { code, retired: false, older, newer: 0 };
        change_version(&version_key(&owner_id, name, older), |older| older.newer = number);
        store::write(&version_key(&owner_id, name, number), &version);
        store::write(&name_key(&owner_id, name), &found);
        store::write(&names_key(&owner_id), &own);

        own.deposit = self.charge_bytes(&version.code.hash, own.deposit, before)?;
        store::write(&names_key(&owner_id), &own);
        let name = CodeName { owner_id, name, version: None };
        emit(&Event::CodeNamed(view(name, (number, version))));
        Ok(number)
    }

    /// Withdraws a version of the caller's name from new requests.
    pub(crate) fn retire_version(&mut self, name: &str, number: u32) -> Result<(), ContractError> {
        let owner_id = env::predecessor_account_id();
        let asked = CodeName { owner_id: owner_id.clone(), name, version: Some(number) };
        let (_, mut version) = find(&asked)?;
        if version.retired {
            return Err(NameError::Retired { name: asked.to_string() }.into());
        }
        version.retired = true;
        let (older, newer) = (version.older, version.newer);
        store::write(&version_key(&owner_id, name, number), &version);
        change_version(&version_key(&owner_id, name, older), |older| older.newer = newer);
        if newer == 0 {
            let found = Name { latest: older, ..find_name(&owner_id, name) };
            store::write(&name_key(&owner_id, name), &found);
        } else {
            change_version(&version_key(&owner_id, name, newer), |newer| newer.older = older);
        }
        let event = CodeRetired { hash: version.code.hash, name: Some(asked.to_string()) };
        emit(&Event::CodeRetired(event));
        Ok(())
    }
}
