//! Loads what an execution needs: the record of the request, and its code.
//!
//! Records that are wanted at the same time come in one view. Code comes from the contract or from
//! a URL, and each of the two has a share of memory of its own, so that URLs that answer slowly
//! hold up no code of the contract, and no code that is known already.

use std::sync::{
    Arc, Mutex, MutexGuard, PoisonError,
    atomic::{AtomicU64, Ordering},
};

use outlayer_client::{At, ChainError, Contract};
use outlayer_protocol::{RequestId, views::RequestView};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, oneshot};

use super::super::{error::ServeError, services::Services};

/// The most views of records at once.
const MOST_VIEWS: usize = 4;
/// The most records that one view is asked for.
const MOST_RECORDS: usize = 100;
const KIB: usize = 1 << 10;

type Record = Result<Option<RequestView>, ChainError>;

struct Asked {
    /// Tells it from the others.
    number: u64,
    request_id: RequestId,
    answer: oneshot::Sender<Record>,
}

/// Reads records, many in one view.
pub(crate) struct Records {
    contract: Contract,
    at: At,
    asked: Mutex<Vec<Asked>>,
    count: AtomicU64,
    views: Semaphore,
}

impl Records {
    /// Reads records as they stand in the newest block of this kind.
    pub(crate) fn new(contract: Contract, at: At) -> Self {
        let (asked, count) = (Mutex::default(), AtomicU64::new(0));
        Self { contract, at, asked, count, views: Semaphore::new(MOST_VIEWS) }
    }

    fn asked(&self) -> MutexGuard<'_, Vec<Asked>> {
        self.asked.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The record of a request, or `None` when the request is over.
    pub(crate) async fn get(&self, request_id: RequestId) -> Record {
        'ask: loop {
            let (answer, mut answered) = oneshot::channel();
            let number = self.count.fetch_add(1, Ordering::Relaxed);
            self.asked().push(Asked { number, request_id, answer });
            // Others that ask at the same time come with this one.
            tokio::task::yield_now().await;
            while self.asked().iter().any(|one| one.number == number) {
                tokio::select! {
                    biased;
                    record = &mut answered => match record {
                        Ok(record) => return record,
                        Err(_) => continue 'ask,
                    },
                    Ok(place) = self.views.acquire() => {
                        self.view_some().await;
                        drop(place);
                    }
                }
            }
            // Whoever asks for it may be broken off; then it is asked for again, here and above.
            if let Ok(record) = answered.await {
                return record;
            }
        }
    }

    /// Asks for those that are wanted now, and answers them.
    async fn view_some(&self) {
        let some: Vec<Asked> = {
            let mut asked = self.asked();
            // Nobody waits any more for some of them.
            asked.retain(|one| !one.answer.is_closed());
            let some = asked.len().min(MOST_RECORDS);
            asked.drain(..some).collect()
        };
        if some.is_empty() {
            return;
        }
        let ids: Vec<_> = some.iter().map(|one| one.request_id).collect();
        match self.contract.requests(&ids, self.at).await {
            Ok(records) => {
                for (one, record) in some.into_iter().zip(records) {
                    let _ = one.answer.send(Ok(record));
                }
            }
            Err(error) => {
                for one in some {
                    let _ = one.answer.send(Err(error.clone()));
                }
            }
        }
    }
}

/// A part of the memory for code that waits for its execution.
pub(crate) struct CodeMemory {
    most_kib: usize,
    kib: Arc<Semaphore>,
}

impl CodeMemory {
    /// Memory for so many pieces of code, each of the largest size.
    pub(crate) fn new(places: usize, max_code_bytes: usize) -> Self {
        let most_kib = max_code_bytes.div_ceil(KIB).max(1);
        let all = most_kib.saturating_mul(places.max(1)).min(Semaphore::MAX_PERMITS);
        Self { most_kib, kib: Arc::new(Semaphore::new(all)) }
    }

    /// Waits for room for code of the largest size.
    async fn reserve(&self) -> Option<OwnedSemaphorePermit> {
        let kib = u32::try_from(self.most_kib).unwrap_or(u32::MAX);
        // The semaphore is never closed.
        Arc::clone(&self.kib).acquire_many_owned(kib).await.ok()
    }
}

/// Code that was fetched, with the room that it takes until it is dropped.
pub(crate) struct Fetched {
    pub(crate) bytes: Arc<Vec<u8>>,
    _room: Option<OwnedSemaphorePermit>,
}

/// Loads the code of a request.
pub(crate) async fn code(services: &Services, view: &RequestView) -> Result<Fetched, ServeError> {
    let code = &view.request.code;
    if let Some(bytes) = services.codes.known(&code.hash).await {
        return Ok(Fetched { bytes, _room: None });
    }
    let memory = if code.url.is_some() { &services.downloads } else { &services.published };
    let mut room = memory.reserve().await;
    let at = services.config.discover_at;
    let bytes = services.codes.load(code, &services.contract, at).await?;
    if let Some(room) = &mut room {
        let kib = bytes.len().div_ceil(KIB).max(1);
        // What the code does not need is free again.
        drop(room.split(room.num_permits().saturating_sub(kib)));
    }
    Ok(Fetched { bytes, _room: room })
}
