//! Code that is being loaded now, so that many requests for one code fetch it once.
//!
//! Requests name code by its hash, and each may name another URL for it. One URL that never answers
//! must not keep those from the code who know a better one. So each source is asked once at a time,
//! different sources are asked at the same time, and the first that has the right bytes ends the
//! wait of all.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError, Weak},
};

use outlayer_protocol::{AccountId, Hash32};
use tokio::sync::{Mutex as AsyncMutex, MutexGuard, watch};

use crate::CodeError;

/// Where code is asked for.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Source {
    Url(String),
    Contract(AccountId),
}

/// The codes that are being loaded. Each is forgotten with the last caller who waits for it.
#[derive(Debug, Default)]
pub(crate) struct Loading(Mutex<HashMap<Hash32, Weak<OneCode>>>);

impl Loading {
    pub(crate) fn of(&self, hash: Hash32) -> Arc<OneCode> {
        let mut loading = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        loading.retain(|_, one| one.strong_count() > 0);
        if let Some(one) = loading.get(&hash).and_then(Weak::upgrade) {
            return one;
        }
        let one = Arc::default();
        loading.insert(hash, Arc::downgrade(&one));
        one
    }
}

/// One code that is being loaded, from one or several sources.
#[derive(Debug, Default)]
pub(crate) struct OneCode {
    /// The bytes, once a source has given the right ones.
    arrived: watch::Sender<Option<Arc<Vec<u8>>>>,
    sources: Mutex<HashMap<Source, Arc<Turn>>>,
}

impl OneCode {
    /// Hands the bytes to all who wait. Their hash has been checked.
    pub(crate) fn arrive(&self, bytes: &Arc<Vec<u8>>) {
        self.arrived.send_replace(Some(Arc::clone(bytes)));
    }

    /// Waits until some source has given the right bytes.
    pub(crate) async fn arrived(&self) -> Arc<Vec<u8>> {
        let mut arrived = self.arrived.subscribe();
        loop {
            let bytes = arrived.borrow_and_update().clone();
            match bytes {
                Some(bytes) => return bytes,
                // The sender lives as long as `self`, so this never fails.
                None => drop(arrived.changed().await),
            }
        }
    }

    pub(crate) fn turn(&self, source: &Source) -> Arc<Turn> {
        let mut sources = self.sources.lock().unwrap_or_else(PoisonError::into_inner);
        Arc::clone(sources.entry(source.clone()).or_default())
    }
}

/// The right to ask one source. It holds why the last one who asked got nothing.
#[derive(Debug, Default)]
pub(crate) struct Turn(AsyncMutex<Option<CodeError>>);

impl Turn {
    /// Waits for the turn. Whoever waited while another one asked in vain shares that error, and
    /// does not ask the same source once more.
    pub(crate) async fn take(&self) -> Result<MutexGuard<'_, Option<CodeError>>, CodeError> {
        let (mut turn, waited) = match self.0.try_lock() {
            Ok(turn) => (turn, false),
            Err(_) => (self.0.lock().await, true),
        };
        match &*turn {
            Some(error) if waited => Err(error.clone()),
            _ => {
                *turn = None;
                Ok(turn)
            }
        }
    }
}
