//! The code that was published or named last, for workers that compile it before anybody asks for
//! it. The oldest makes room for the newest, so the entries are few, and the contract pays for them
//! itself.

use near_sdk::near;
use outlayer_protocol::{CodeRef, Hash32, code_name::MAX_FULL_NAME_BYTES, views::RecentCodeView};

use crate::{
    names,
    store::{self, Prefix},
};

/// How many entries there are at the most.
const PLACES: u64 = 32;
/// What the list takes at the most: what NEAR adds to an entry, key and value, for each place and
/// the count.
pub(crate) const MOST_BYTES: u64 =
    (40 + 1 + 8) + PLACES * (40 + 2 + 1 + 4 + MAX_FULL_NAME_BYTES as u64);

/// Where the code is that an entry is about.
#[near(serializers = [borsh])]
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum RecentCode {
    /// In the contract, with this hash.
    Published(Hash32),
    /// Where the version with this full name says.
    Named(String),
}

impl RecentCode {
    fn read(self) -> Option<CodeRef> {
        match self {
            Self::Published(hash) => Some(CodeRef { hash, url: None }),
            Self::Named(name) => {
                let found = names::show(&name).ok()??;
                Some(CodeRef { hash: found.hash, url: found.url })
            }
        }
    }
}

fn count_key() -> Vec<u8> {
    store::key(Prefix::RecentCode, &[])
}

fn place_key(number: u64) -> Vec<u8> {
    store::key(Prefix::RecentCode, &[&[(number % PLACES) as u8]])
}

fn count() -> u64 {
    store::read(&count_key()).unwrap_or(0)
}

/// Notes a publication.
pub(crate) fn note(code: &RecentCode) {
    let number = count();
    store::write(&place_key(number), code);
    store::write(&count_key(), &number.saturating_add(1));
}

/// What is known of the publications from this number on.
pub(crate) fn since(from: u64) -> RecentCodeView {
    let next = count();
    let known = from.max(next.saturating_sub(PLACES))..next;
    let entries = known.filter_map(|number| store::read::<RecentCode>(&place_key(number)));
    RecentCodeView { next, code: entries.filter_map(RecentCode::read).collect() }
}
