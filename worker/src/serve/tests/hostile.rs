//! A node that answers anything: the worker neither panics nor hangs, submits nothing for a request
//! that is not as the chain has it, and serves as before when the node is in order again.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use outlayer_client::testing::{Change, view_result};
use outlayer_guest::{EngineId, prepare::MAX_MODULE_BYTES};
use outlayer_protocol::{
    Agreement, Compute, EngineVersion,
    agreement::Vote,
    claims::{Claim, Claims},
    index::PendingEntry,
    methods,
};
use proptest::{prelude::*, sample::select};
use serde_json::{Value, json};

use super::{
    super::{
        fleet::{Fleet, Queues},
        schedule::{ChainTime, Waiting, WaitingList},
        stage::discover::decide::decide,
    },
    *,
};

/// Numbers from a seed (SplitMix64).
struct Random(AtomicU64);

impl Random {
    fn next(&self) -> u64 {
        let state = self.0.fetch_add(0x9e37_79b9_7f4a_7c15, Ordering::Relaxed);
        let mixed = (state ^ (state >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    fn index(&self) -> usize {
        usize::try_from(self.next() >> 32).unwrap()
    }

    fn change(&self) -> Change {
        let junk = match self.next() % 12 {
            0 => None,
            1 => Some(Value::Null),
            2 => Some(json!(u64::MAX)),
            3 => Some(json!(self.next())),
            4 => Some(json!(-1)),
            5 => Some(json!(0)),
            6 => Some(json!("x".repeat(5_000))),
            7 => Some(json!(u128::MAX.to_string())),
            8 => Some(json!([])),
            9 => Some(json!({})),
            10 => Some(json!(u64::MAX - 1)),
            _ => Some(json!(1u64 << (self.next() % 64))),
        };
        (self.index(), junk)
    }
}

async fn survive(seed: u64) {
    let mut chain_config = config_of_this_build();
    // What a node has said of this worker or of the others is believed for 10 s.
    chain_config.yield_timeout_blocks = 20_000;
    let mut state = Chain::new(chain_config);
    state.time_passes = true;
    (0..3).for_each(|id| state.ask(id, &hello()));
    state.ask_long(3, &hello());
    state.ask_several(4, &hello(), (2, 3), &[WORKER, "b.near", "c.near", "d.near"]);
    let chain = Arc::new(Mutex::new(state));
    let (shared, random) = (Arc::clone(&chain), Random(AtomicU64::new(seed)));
    let lies = Arc::new(AtomicBool::new(true));
    let lying = Arc::clone(&lies);
    let node = FakeNode::start(move |method, params| {
        let answer = shared.lock().unwrap().answer(method, params);
        if !lying.load(Ordering::Relaxed) || random.next().is_multiple_of(3) {
            return answer;
        }
        let changes: Vec<_> = (0..random.next() % 3).map(|_| random.change()).collect();
        answer.changed(&changes, random.next().is_multiple_of(2))
    })
    .await;
    let mut config = config(&node);
    config.backoff.most = Duration::from_millis(50);
    config.process_backoff = config.backoff;
    let began = Instant::now();
    let told = run_until(config, &chain, move |chain, _| {
        lies.store(began.elapsed() < Duration::from_millis(1_500), Ordering::Relaxed);
        (0..3).all(|id| !chain.live.contains_key(&id))
    })
    .await;
    let panicked = told.iter().find(
        |stage| matches!(stage, Stage::Failed { reason, .. } if reason.contains("broken off")),
    );
    assert_eq!(panicked, None, "seed {seed}");
    for (id, outcome) in settled(&chain.lock().unwrap()) {
        // The fourth one needs other workers.
        assert!(id == 4 || outcome == said_hi(), "seed {seed}: {id} {outcome:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn whatever_a_node_answers_the_worker_goes_on_and_answers_as_the_chain_asks() {
    for seeds in (0..24u64).collect::<Vec<_>>().chunks(6) {
        let mut running = tokio::task::JoinSet::new();
        seeds.iter().for_each(|seed| {
            running.spawn(survive(seed << 32));
        });
        while let Some(ended) = running.join_next().await {
            ended.unwrap();
        }
    }
}

/// An engine that takes until the node has shown the height of the far future so often.
struct Slow(Executor, Arc<AtomicU64>);

impl Slow {
    /// When the node is asked for another block, the worker has taken the one before in.
    const SHOWN: u64 = 3;
}

impl Engine for Slow {
    fn execute(&self, job: &Job<'_>, snapshot: &mut dyn Snapshot) -> Result<Execution, Fault> {
        let began = Instant::now();
        while self.1.load(Ordering::SeqCst) < Self::SHOWN && began.elapsed() < PATIENCE {
            std::thread::sleep(Duration::from_millis(5));
        }
        self.0.execute(job, snapshot)
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn requests_that_a_height_of_the_far_future_made_late_are_served_when_it_is_gone() {
    let mut state = Chain::new(config_of_this_build());
    (0..4).for_each(|id| state.ask(id, &hello()));
    let chain = Arc::new(Mutex::new(state));
    let (shared, lies) = (Arc::clone(&chain), Arc::new(AtomicBool::new(false)));
    let (lying, shown) = (Arc::clone(&lies), Arc::new(AtomicU64::new(0)));
    let counted = Arc::clone(&shown);
    let node = FakeNode::start(move |method, params| {
        match (shared.lock().unwrap().answer(method, params), method) {
            (Answer::Result(mut block), "block") if lying.load(Ordering::Relaxed) => {
                counted.fetch_add(1, Ordering::SeqCst);
                block["header"]["height"] = json!(1u64 << 60);
                Answer::Result(block)
            }
            (answer, _) => answer,
        }
    })
    .await;
    let mut config = config(&node);
    config.concurrency = 1;
    config.engine = Arc::new(Slow(Executor::new(ExecutorConfig::default()).unwrap(), shown));
    let told = run_until(config, &chain, move |chain, told| {
        let late = told.iter().any(|stage| matches!(stage, Stage::TooLate { .. }));
        let executing = told.iter().any(|stage| matches!(stage, Stage::Executing { .. }));
        lies.store(executing && !late, Ordering::Relaxed);
        chain.live.is_empty()
    })
    .await;
    assert!(told.iter().any(|stage| matches!(stage, Stage::TooLate { .. })), "{told:?}");
    assert_eq!(settled(&chain.lock().unwrap()).len(), 4);
}

fn extreme() -> impl Strategy<Value = u64> {
    prop_oneof![
        select(vec![0, 1, 2, 99, 100, 101, 300, u64::MAX / 2, u64::MAX - 1, u64::MAX]),
        any::<u64>(),
        0u64..1_000,
    ]
}

fn worker(n: usize) -> outlayer_protocol::AccountId {
    format!("w{n}.near").parse().unwrap()
}

prop_compose! {
    fn entry()(
        request_id in extreme(), block_height in extreme(), deadline in extreme(),
        approvals in any::<u8>(), compute in extreme(), is_gas in any::<bool>(),
        made in prop::option::of((extreme(), prop::collection::vec((0usize..5, extreme()), 0..4))),
    ) -> PendingEntry {
        let claims = made.map(|(turn_blocks, made)| Claims {
            turn_blocks,
            made: made
                .into_iter()
                .map(|(n, height)| Claim { worker_id: worker(n), height })
                .collect(),
        });
        PendingEntry {
            request_id, block_height, deadline, engine_version: EngineVersion(1),
            near_config_version: 84, approvals, published_code: true, kind: None,
            compute: if is_gas { Compute::Gas(compute) } else { Compute::Fuel(compute) },
            payer: worker(usize::from(approvals) % 3), claims,
            recipients: Vec::new(),
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2_000))]

    #[test]
    fn no_index_makes_the_schedule_panic(
        entries in prop::collection::vec(entry(), 0..12),
        (height, block_nanos, step_in_blocks) in (extreme(), extreme(), extreme()),
        (took, used) in (extreme(), extreme()),
    ) {
        let workers: Vec<_> = (0..4).map(worker).collect();
        let fleet = Fleet::new(worker(0), Replica::ONLY, step_in_blocks);
        fleet.update(&workers, |_| true);
        fleet.measured(Compute::Fuel(used), Duration::from_nanos(took));
        fleet.measured(Compute::Gas(used), Duration::MAX);
        let (mut queues, mut list) = (Queues::default(), WaitingList::default());
        let mine = [EngineId { version: EngineVersion(1), near_config_version: 84 }];
        let now = ChainTime { height, block_nanos };
        for entry in &entries {
            let queued = fleet.queue(&mut queues, entry);
            decide(entry, height, &mine, true, |entry| fleet.turn(entry, block_nanos, queued));
            list.add(Waiting {
                request_id: entry.request_id, payer: entry.payer.clone(),
                deadline: entry.deadline, waited: step_in_blocks, nanos: entry.compute.amount(),
                failures: u32::from(entry.approvals),
            });
        }
        let mut left = 0;
        while list.next(now).is_some() {
            list.correct(&worker(0), took, used);
            left += 1;
            prop_assert!(left <= entries.len());
        }
    }
}

prop_compose! {
    pub(in crate::serve) fn agreement()(
        (approvals, seats, round) in (any::<u8>(), any::<u8>(), any::<u32>()),
        (turn_blocks, snapshot_height, since) in (extreme(), extreme(), extreme()),
        full_since in prop::option::of(extreme()),
        drawn in 0usize..8,
        votes in prop::collection::vec((any::<u8>(), prop::option::of(0u8..3)), 0..8),
        voided in prop::collection::vec(any::<u8>(), 0..8),
    ) -> Agreement {
        let votes = votes.into_iter().map(|(drawn, digest)| Vote {
            drawn: drawn % 9, commitment: Hash32::of(&[drawn]),
            digest: digest.map(|digest| Hash32([digest; 32])),
        });
        Agreement {
            approvals, seats, turn_blocks, drawn: (0..drawn).map(worker).collect(), round,
            snapshot_height, since, full_since, votes: votes.collect(), voided,
        }
    }
}

/// What a node may say was published: code that is not there, that is other code, that never
/// comes, and that may not be asked for.
fn published(round: u64, web: &str, dripping: &str) -> Value {
    let code = (0..1_000u64).map(|number| {
        let hash = Hash32::of(&[round, number].map(u64::to_le_bytes).concat());
        let url = match (round + number) % 5 {
            0 => None,
            1 => Some(format!("{web}?{number}")),
            2 => Some(format!("{dripping}?{round}-{number}")),
            3 => Some("file:///etc/passwd".to_owned()),
            _ => Some("http://169.254.169.254/".to_owned()),
        };
        json!({ "hash": hash, "url": url })
    });
    let next = [u64::MAX, 0, round, 1 << 60][usize::try_from(round % 4).unwrap()];
    json!({ "next": next, "code": code.collect::<Vec<_>>() })
}

#[tokio::test(flavor = "multi_thread")]
async fn a_node_that_lies_about_what_was_published_holds_up_no_request() {
    const LOADS: u64 = 4;
    let (dripping, begun) = dripping().await;
    let web = web_server(hello()).await;
    let chain = Arc::new(Mutex::new(Chain::new(config_of_this_build())));
    let (shared, rounds) = (Arc::clone(&chain), Arc::new(AtomicU64::new(0)));
    let asked = Arc::clone(&rounds);
    let node = FakeNode::start(move |method, params| {
        if params["method_name"] == methods::RECENT_CODE {
            let round = asked.fetch_add(1, Ordering::SeqCst);
            // From the fourth time on it says what is so, to whoever believed the lies.
            if round < 3 {
                return view_result(&published(round, &web, &dripping));
            }
        }
        shared.lock().unwrap().answer(method, params)
    })
    .await;
    let mut config = config(&node);
    let executor = Arc::new(Executor::new(ExecutorConfig::default()).unwrap());
    config.engine = Arc::<Executor>::clone(&executor);
    config.ahead_bytes_per_hour = LOADS * u64::from(MAX_MODULE_BYTES);
    config.code.allow_private_urls = true;
    config.code.slow_start = Duration::from_millis(500);
    let mut next = 0;
    let told = run_until(config, &chain, |chain, _| {
        // One request while each lie is believed, and one afterwards.
        if next <= 3 && rounds.load(Ordering::SeqCst) > next {
            chain.ask(next, &[hello(), vec![0, 2, 1, b'a' + u8::try_from(next).unwrap()]].concat());
            chain.height += 1;
            next += 1;
        }
        chain.settled.len() == 4
    })
    .await;
    let outcomes = settled(&chain.lock().unwrap());
    assert!(outcomes.iter().all(|(_, outcome)| *outcome == said_hi()), "{outcomes:?}");
    assert!(!told.iter().any(|stage| matches!(stage, Stage::Failed { .. })), "{told:?}");
    // Each load may be of as many bytes as a module has, until it is there.
    assert!(begun.load(Ordering::SeqCst) <= usize::try_from(LOADS).unwrap());
    // What was asked for is, and nothing that has another hash than the node says.
    assert!(executor.cache_counts().compiled <= 4);
}
