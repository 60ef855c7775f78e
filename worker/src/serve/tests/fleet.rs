//! Workers whose executions take many blocks, while the chain goes on.

use super::*;

const WORKERS: usize = 4;
const REQUESTS: usize = 12;
/// How many blocks an execution takes: many more than others wait for a claim, which is twice as
/// long as an answer takes to land.
const BLOCKS: u64 = 60;
const LANDING: u64 = 10;

fn name(worker: usize) -> String {
    format!("w{worker}.near")
}

/// An engine whose executions take [`BLOCKS`] blocks.
struct Slow {
    executor: Executor,
    chain: Arc<Mutex<Chain>>,
}

impl Engine for Slow {
    fn execute(&self, job: &Job<'_>, snapshot: &mut dyn Snapshot) -> Result<Execution, Fault> {
        let chain = || self.chain.lock().unwrap();
        let until = chain().height + BLOCKS;
        // When all is settled, no block comes any more.
        while chain().height < until && !are_all_settled(&chain()) {
            std::thread::sleep(Duration::from_millis(1));
        }
        self.executor.execute(job, snapshot)
    }
}

fn are_all_settled(chain: &Chain) -> bool {
    chain.settled.len() >= REQUESTS
}

/// Makes blocks until all is settled: one each time that as many looks were taken at the one before
/// as there are workers.
async fn make_blocks(chain: &Mutex<Chain>, looks: &AtomicUsize) {
    while !are_all_settled(&chain.lock().unwrap()) {
        let seen = looks.load(Ordering::SeqCst);
        chain.lock().unwrap().height += 1;
        for _ in 0..100 {
            tokio::time::sleep(Duration::from_millis(1)).await;
            if looks.load(Ordering::SeqCst) >= seen + WORKERS {
                break;
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn while_executions_take_many_blocks_hardly_anything_is_executed_twice() {
    let mut state = Chain::new(config_of_this_build());
    state.workers = (0..WORKERS).map(|worker| name(worker).parse().unwrap()).collect();
    for id in (0..).take(REQUESTS) {
        state.ask_long(id, &hello());
        // They wait for one another.
        let request = &mut state.live.get_mut(&id).unwrap().request;
        request.terms.deadline += 100_000;
        request.claims.as_mut().unwrap().turn_blocks = 10_000;
    }
    // No blocks come but those that are made below, and one for each call.
    state.looks = 1;
    let (chain, looks) = (Arc::new(Mutex::new(state)), Arc::<AtomicUsize>::default());
    let (shared, counted) = (Arc::clone(&chain), Arc::clone(&looks));
    let node = FakeNode::start(move |method, params| {
        counted.fetch_add(usize::from(params["method_name"] == "pending_index"), Ordering::SeqCst);
        shared.lock().unwrap().answer(method, params)
    })
    .await;
    let told: Arc<Mutex<Vec<Stage>>> = Arc::default();
    let mut running = tokio::task::JoinSet::new();
    for worker in 0..WORKERS {
        let told = Arc::clone(&told);
        let executor = Executor::new(ExecutorConfig::default()).unwrap();
        let slow = Slow { executor, chain: Arc::clone(&chain) };
        let config = WorkerConfig {
            account_id: name(worker).parse().unwrap(),
            secret_key: SecretKey::from_seed(KeyType::ED25519, &name(worker)),
            concurrency: 1,
            step_in_blocks: LANDING,
            engine: Arc::new(slow),
            observer: Some(Arc::new(move |stage: &Stage| told.lock().unwrap().push(stage.clone()))),
            ..config(&node)
        };
        let chain = Arc::clone(&chain);
        running.spawn(async move {
            let all_settled = async {
                while !are_all_settled(&chain.lock().unwrap()) {
                    tokio::time::sleep(Duration::from_millis(5)).await;
                }
            };
            Worker::new(config).unwrap().run(all_settled).await
        });
    }
    let all = async {
        make_blocks(&chain, &looks).await;
        while running.join_next().await.is_some() {}
    };
    tokio::time::timeout(PATIENCE, all).await.expect("not all are settled");
    let told = told.lock().unwrap();
    let count = |wanted: fn(&Stage) -> bool| told.iter().filter(|stage| wanted(stage)).count();
    let executions = count(|stage| matches!(stage, Stage::Executing { .. }));
    let claims = count(|stage| matches!(stage, Stage::Claimed { .. }));
    let most = REQUESTS * 11 / 10;
    assert!(executions <= most, "{executions} executions, {claims} claims");
    assert!(claims >= REQUESTS, "{claims}");
}
