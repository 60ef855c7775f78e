use borsh::{BorshDeserialize, BorshSerialize};
use near_account_id::AccountId;
use near_token::NearToken;

use crate::{Decode, Encode, Error, Input, from_slice, to_vec};

#[derive(Clone, Debug, PartialEq, BorshSerialize, BorshDeserialize, Encode, Decode)]
enum Kind {
    Nothing,
    Named { account: AccountId, text: Option<String> },
    Pair(u16, i32),
}

#[derive(Clone, Debug, PartialEq, BorshSerialize, BorshDeserialize, Encode, Decode)]
struct All {
    kinds: Vec<Kind>,
    pairs: Vec<(String, u64)>,
    bytes: Vec<u8>,
    hash: [u8; 32],
    amounts: [NearToken; 3],
    flag: bool,
    small: u8,
    large: u128,
    none: Option<u32>,
}

#[derive(Clone, Debug, PartialEq, BorshSerialize, BorshDeserialize, Encode, Decode)]
struct Wrapped(u32);

fn all() -> All {
    All {
        kinds: vec![
            Kind::Nothing,
            Kind::Named { account: "alice.near".parse().unwrap(), text: Some("ä".into()) },
            Kind::Named { account: "bob.near".parse().unwrap(), text: None },
            Kind::Pair(7, -9),
        ],
        pairs: vec![("one".into(), 1), (String::new(), u64::MAX)],
        bytes: vec![1, 2, 3],
        hash: [5; 32],
        amounts: [1, 0, u128::MAX].map(NearToken::from_yoctonear),
        flag: true,
        small: 255,
        large: u128::MAX - 1,
        none: None,
    }
}

#[test]
fn what_is_written_and_read_is_what_borsh_writes_and_reads() {
    let expected = borsh::to_vec(&all()).unwrap();
    assert_eq!(to_vec(&all()), expected);
    assert_eq!(from_slice(&expected), Ok(all()));
    assert_eq!(to_vec(&Wrapped(9)), borsh::to_vec(&Wrapped(9)).unwrap());
    assert_eq!(to_vec(&vec![0u8; 300]), borsh::to_vec(&vec![0u8; 300]).unwrap());
}

#[test]
fn bytes_that_end_anywhere_or_go_on_are_refused() {
    let whole = to_vec(&all());
    for length in 0..whole.len() {
        assert_eq!(from_slice::<All>(&whole[..length]), Err(Error::TooShort), "{length}");
    }
    assert_eq!(from_slice::<All>(&[&whole[..], &[0]].concat()), Err(Error::TooLong));
}

#[test]
fn bytes_with_one_bit_changed_are_refused_where_borsh_refuses_them() {
    let whole = to_vec(&all());
    for place in 0..whole.len() * 8 {
        let mut changed = whole.clone();
        changed[place / 8] ^= 1 << (place % 8);
        let expected = borsh::from_slice::<All>(&changed).ok();
        assert_eq!(from_slice::<All>(&changed).ok(), expected, "bit {place}");
    }
}

#[test]
fn a_list_that_claims_more_items_than_there_are_ends_at_once() {
    let claimed = u32::MAX.to_le_bytes();
    assert_eq!(from_slice::<Vec<[u64; 1_000]>>(&claimed), Err(Error::TooShort));
    assert_eq!(from_slice::<Vec<u8>>(&claimed), Err(Error::TooShort));
    assert_eq!(from_slice::<String>(&claimed), Err(Error::TooShort));
}

#[test]
fn the_first_error_is_the_one_that_is_told() {
    let mut input = Input::new(&[2, 0]);
    assert!(!bool::decode(&mut input));
    assert_eq!(u64::decode(&mut input), 0);
    assert_eq!(input.finish(), Err(Error::Invalid));
}
