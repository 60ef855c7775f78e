//! Requests that the contract does not take: the call fails, or returns a settlement that says so.
//! In both cases the deposit is back where it belongs, and nothing else has changed.

use std::collections::BTreeSet;

use near_sdk::{Gas, NearToken};
use outlayer_protocol::{
    Compute, ExecutionRequest, Hash32, OnRefusal, Outcome, RefusalCode, ResponseFormat, SecretRef,
    Settlement,
    request::CodeRef,
    secrets::{SecretEntry, SecretTerms, entry_key},
};

use super::{node, world::*};
use crate::{Pot, promises};

const DAPP: &str = "dapp.near";
const PLAYER: &str = "player.near";
const DEPOSIT: NearToken = NearToken::from_near(5);
const CODE: &[u8] = b"a module that is published";

/// A reason to refuse a request: what the world is like, and what is asked for.
struct Case {
    code: RefusalCode,
    world: fn(&mut World),
    request: fn(&mut ExecutionRequest),
}

fn published(request: &mut ExecutionRequest) {
    request.code = CodeRef { hash: Hash32::of(CODE), url: None }.into();
}

/// One case for every code that `request_execution` can give.
fn cases() -> Vec<Case> {
    let case = |code, world, request| Case { code, world, request };
    let asked = |code, request| Case { code, world: |_| {}, request };
    vec![
        case(RefusalCode::Paused, |w| w.owner(|c| c.pause()), |_| {}),
        case(RefusalCode::InsufficientGas, |w| w.gas = Gas::from_tgas(9), |_| {}),
        asked(RefusalCode::RequestAboveBound, |r| r.limits.memory_bytes = u64::MAX),
        asked(RefusalCode::RequestAboveBound, |r| r.keep_result_blocks = u32::MAX),
        asked(RefusalCode::RequestZero, |r| r.approvals = 0),
        asked(RefusalCode::RequestTooSlow, |r| {
            r.limits.compute = Compute::Fuel(1_000_000_000_000);
        }),
        asked(RefusalCode::RequestTooLarge, |r| {
            r.response_format = ResponseFormat::Borsh;
            r.limits.output_bytes = 3_900_000;
        }),
        asked(RefusalCode::UrlScheme, |r| r.code = code_at("ftp://x")),
        asked(RefusalCode::VariableName, |r| r.env.push((String::new(), String::new()))),
        asked(RefusalCode::ReservedVariable, |r| {
            r.env.push(("TZ".to_owned(), String::new()));
        }),
        asked(RefusalCode::DuplicateVariable, |r| {
            r.env = vec![("A".to_owned(), String::new()); 2];
        }),
        asked(RefusalCode::NulByte, |r| r.args.push("\0".to_owned())),
        asked(RefusalCode::UnknownSecret, asking),
        case(
            RefusalCode::SecretDenied,
            |w| {
                let terms = SecretTerms {
                    version: 1,
                    commitment: Hash32::default(),
                    code_hash: Hash32::of(b"other"),
                    access: Vec::new(),
                    hosts: Vec::new(),
                    recipients: Vec::new(),
                };
                let entry = SecretEntry { terms, sealed: Vec::new() }.encode();
                let key = entry_key("KEY").into();
                w.call(DAPP, DEPOSIT, |c| c.storage_set(key, entry.into())).unwrap();
            },
            asking,
        ),
        asked(RefusalCode::HttpHost, |r| {
            r.http = Some(outlayer_protocol::HttpAccess::to(Vec::new()));
        }),
        case(
            RefusalCode::AmountOverflow,
            |w| {
                w.owner(|c| {
                    c.config.prices.per_fuel = yocto(u128::MAX);
                    Ok(())
                });
            },
            |_| {},
        ),
        // The dearest output that would be taken costs more than is attached.
        asked(RefusalCode::InsufficientDeposit, |r| r.limits.output_bytes = 1_000_000),
        asked(RefusalCode::RefundToContract, |r| r.refund_to = Some(id(CONTRACT))),
        asked(RefusalCode::FeeAboveMax, |r| r.max_fee = Some(yocto(1))),
        asked(RefusalCode::TooFewWorkers, |r| r.approvals = 2),
        asked(RefusalCode::CodeNotPublished, published),
        case(
            RefusalCode::CodeRetired,
            |w| {
                let (hash, bytes) = (Hash32::of(CODE), CODE.to_vec());
                let length = u32::try_from(bytes.len()).unwrap();
                w.call(DAPP, DEPOSIT, |c| c.publish_code(hash, length, 0, bytes)).unwrap();
                w.call(DAPP, DEPOSIT, |c| c.retire_code(hash)).unwrap();
                w.deliver_transfers();
            },
            published,
        ),
        case(
            RefusalCode::NoMoreIds,
            |w| {
                w.owner(|c| {
                    c.next_request_id = u64::MAX;
                    Ok(())
                });
            },
            |_| {},
        ),
        case(
            RefusalCode::PotOverflow,
            |w| {
                w.owner(|c| Ok(c.funds.take_in(Pot::Deposits, yocto(u128::MAX))?));
            },
            |_| {},
        ),
        // The contract has nothing of its own.
        case(RefusalCode::InsufficientStake, |w| w.balance = w.contract().funds.total(), |_| {}),
    ]
}

/// Asks for a secret of the caller's.
fn asking(request: &mut ExecutionRequest) {
    request.secrets.push(SecretRef { owner_id: None, name: "KEY".to_owned() });
}

/// Everything that a refusal must leave as it is.
fn everything(world: &World) -> impl PartialEq + std::fmt::Debug + use<> {
    (
        world.storage.clone(),
        world.usage,
        world.balance,
        world.events.clone(),
        world.yields(),
        world.deployments.len(),
    )
}

#[test]
fn a_refused_request_leaves_nothing_and_its_deposit_goes_back_in_either_mode() {
    for Case { code, world: prepare, request: change } in cases() {
        for (payer, format) in
            [(None, ResponseFormat::Json), (Some(id(PLAYER)), ResponseFormat::Borsh)]
        {
            let mut asked = request("input");
            (asked.refund_to, asked.response_format) = (payer.clone(), format);
            change(&mut asked);
            // The contract itself is nobody to pay: the deposit goes to the requester then.
            let payer = asked.refund_to.clone().filter(|payer| *payer != CONTRACT);
            let mut world = World::new();
            prepare(&mut world);
            let before = everything(&world);
            let purses = [DAPP, PLAYER].map(|name| world.purse(&id(name)));

            let error = world.call(DAPP, DEPOSIT, |c| c.ask(&asked)).unwrap_err();
            assert_eq!(error.code(), code, "{error}");
            assert_eq!(everything(&world), before, "{code}");
            assert!(world.transfers.is_empty(), "NEAR returns the deposit by itself");

            asked.on_refusal = OnRefusal::Return;
            let refused = world.call(DAPP, DEPOSIT, |c| c.ask(&asked)).unwrap().unwrap();
            let Outcome::Refused { code: found, reason } = &refused.outcome else {
                panic!("{refused:?}")
            };
            assert_eq!((found.as_str(), reason), (code.as_str(), &error.to_string()));
            let Settlement { request_id, used, fee, refund, held, digest, .. } = refused.clone();
            assert_eq!((request_id, digest), (None, None));
            assert_eq!(used, Compute::new(asked.limits.compute.meter(), 0));
            assert_eq!([fee, refund, held], [NearToken::ZERO, DEPOSIT, NearToken::ZERO]);
            let encoded = promises::encode(&refused, asked.response_format);
            let decoded: Settlement = match asked.response_format {
                ResponseFormat::Json => serde_json::from_slice(&encoded).unwrap(),
                ResponseFormat::Borsh => borsh::from_slice(&encoded).unwrap(),
            };
            assert_eq!(decoded, refused);

            let [transfer] = &world.transfers[..] else { panic!("{:?}", world.transfers) };
            let back = payer.clone().unwrap_or_else(|| id(DAPP));
            assert_eq!((&transfer.to, transfer.amount), (&back, DEPOSIT));
            world.deliver_transfers();
            assert_eq!(everything(&world), before, "{code}");
            let moved = [DAPP, PLAYER].map(|name| world.purse(&id(name)));
            let expected = match payer {
                None => purses,
                Some(_) => [purses[0].saturating_sub(DEPOSIT), purses[1].saturating_add(DEPOSIT)],
            };
            assert_eq!(moved, expected, "{code}");
        }
    }
}

/// The codes that a request can be refused with are those that the cases have, and one that needs a
/// broken node.
#[test]
fn no_code_of_a_request_is_left_out() {
    let found: BTreeSet<_> = cases().into_iter().map(|case| case.code).collect();
    let first = RefusalCode::RequestAboveBound;
    let last = RefusalCode::NoMoreIds;
    let of_requests = RefusalCode::ALL.iter().filter(|code| (first..=last).contains(code));
    for code in of_requests {
        assert!(found.contains(code), "{code}");
    }
}

#[test]
fn a_deposit_that_bounces_after_a_refusal_can_be_claimed() {
    let mut world = World::new();
    world.owner(|c| c.pause());
    world.deleted.insert(id(PLAYER));
    let mut asked = request("input");
    (asked.refund_to, asked.on_refusal) = (Some(id(PLAYER)), OnRefusal::Return);
    world.call(DAPP, DEPOSIT, |c| c.ask(&asked)).unwrap().unwrap();
    world.deliver_transfers();
    world.audit();
    assert_eq!(world.view(|c| c.get_claimable(id(PLAYER))), DEPOSIT);
    // Nothing is sent back when nothing was attached.
    world.call(DAPP, NearToken::ZERO, |c| c.ask(&asked)).unwrap().unwrap();
    assert!(world.transfers.is_empty());
    world.audit();
}

#[test]
fn a_request_that_is_taken_returns_no_settlement_yet() {
    let mut world = World::new();
    let mut asked = request("input");
    asked.on_refusal = OnRefusal::Return;
    assert_eq!(world.call(DAPP, DEPOSIT, |c| c.ask(&asked)).unwrap(), None);
    world.audit();
    assert_eq!(world.live(0).deposit(), DEPOSIT);
}

/// The promise of the yield stands by then, so returning would leave it behind.
#[test]
#[should_panic(expected = "[malformed_data_id] the node's data id of the yield has 31 bytes")]
fn a_yield_without_a_proper_name_fails_the_call_in_either_mode() {
    let mut world = World::new();
    node::SHORT_NAMES.set(true);
    let mut asked = request("input");
    asked.on_refusal = OnRefusal::Return;
    let _ = world.call(DAPP, DEPOSIT, |c| c.ask(&asked));
}
