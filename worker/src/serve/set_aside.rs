//! Requests whose last attempt failed, and when to try again.
//!
//! Most failures are remembered in memory only: what a restart forgets is tried once more. A guest
//! that ended its process, or kept it busy until it was given up, is also noted in a file, so that
//! a worker that is started again does not meet it at once.
//!
//! Times are measured with the monotonic clock, so a system clock that is set forwards or backwards
//! changes nothing. Only the file names a time of the system clock. However wrong that is when the
//! file is read, a request is set aside for no longer than the wait that it was given.

use std::{
    collections::{HashMap, HashSet},
    fs, io,
    path::{Path, PathBuf},
    time::{Duration, Instant, SystemTime, UNIX_EPOCH},
};

use outlayer_client::Backoff;
use outlayer_guest::Fault;
use outlayer_protocol::RequestId;
use serde::{Deserialize, Serialize};

use super::{
    WorkerConfig,
    error::{ExecutionError, ServeError},
};

/// The failures so far, and the file that keeps some of them.
pub(super) struct SetAside {
    file: Option<PathBuf>,
    failed: HashMap<RequestId, Failed>,
    backoff: Backoff,
    process_backoff: Backoff,
}

/// A request whose last attempt failed.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Failed {
    /// How many attempts failed in a row.
    failures: u32,
    until: Instant,
    /// Why the guest's process ended, if that is what happened.
    process: Option<String>,
}

/// What the file holds of a request.
#[derive(Serialize, Deserialize)]
struct Note {
    request_id: RequestId,
    failures: u32,
    until_unix_millis: u64,
    reason: String,
}

impl SetAside {
    /// Reads what the worker of `config` noted before.
    pub(super) fn open(config: &WorkerConfig) -> io::Result<Self> {
        let mut this = Self {
            file: None,
            failed: HashMap::new(),
            backoff: config.backoff,
            process_backoff: config.process_backoff,
        };
        if let Some(folder) = &config.state_dir {
            fs::create_dir_all(folder)?;
            let name = format!("set-aside-{}-{}.json", config.contract_id, config.account_id);
            let file = folder.join(name);
            this.failed = read(&file, this.process_backoff)?;
            this.file = Some(file);
        }
        Ok(this)
    }

    /// Whether it is too early to try the request again.
    pub(super) fn holds(&self, request_id: RequestId) -> bool {
        self.failed.get(&request_id).is_some_and(|failed| failed.until > Instant::now())
    }

    /// Whether no attempt has failed.
    pub(super) fn is_empty(&self) -> bool {
        self.failed.is_empty()
    }

    /// How many attempts at the request failed in a row.
    pub(super) fn failures(&self, request_id: RequestId) -> u32 {
        self.failed.get(&request_id).map_or(0, |failed| failed.failures)
    }

    /// Notes a failure. Returns how many there were in a row, and how long to wait now.
    pub(super) fn failed(
        &mut self,
        request_id: RequestId,
        why: Option<&ServeError>,
    ) -> (u32, Duration) {
        let before = self.failed.get(&request_id);
        let failures = before.map_or(0, |failed| failed.failures).saturating_add(1);
        let process = why.and_then(process_failure);
        let backoff = if process.is_some() { &self.process_backoff } else { &self.backoff };
        let wait = backoff.wait(failures);
        let changed = process.is_some() || before.is_some_and(|failed| failed.process.is_some());
        let until = Instant::now() + wait;
        // It stays noted until the request is over.
        let process = process.or_else(|| before.and_then(|failed| failed.process.clone()));
        self.failed.insert(request_id, Failed { failures, until, process });
        if changed {
            self.keep();
        }
        (failures, wait)
    }

    /// Forgets a request that needs no further attempt.
    pub(super) fn forget(&mut self, request_id: RequestId) {
        if self.failed.remove(&request_id).is_some_and(|failed| failed.process.is_some()) {
            self.keep();
        }
    }

    /// Forgets the requests that are not among `live`. What is noted on disk stays until its time
    /// has come: a node that lags may not know the request yet.
    pub(super) fn retain(&mut self, live: &HashSet<RequestId>) {
        let mut changed = false;
        self.failed.retain(|id, failed| {
            let is_held = failed.process.is_some() && failed.until > Instant::now();
            let stays = live.contains(id) || is_held;
            changed |= !stays && failed.process.is_some();
            stays
        });
        if changed {
            self.keep();
        }
    }

    /// Writes the file. What cannot be written is still known to this process.
    fn keep(&self) {
        let Some(file) = &self.file else {
            return;
        };
        if let Err(error) = write(file, &self.failed) {
            tracing::warn!(file = %file.display(), %error, "the requests set aside are not noted");
        }
    }
}

/// Why the guest's process ended or was given up, if that is what `error` says.
fn process_failure(error: &ServeError) -> Option<String> {
    match error {
        ServeError::Execution(ExecutionError::Fault(
            fault @ (Fault::Process(_) | Fault::Deadline(_)),
        )) => Some(fault.to_string()),
        _ => None,
    }
}

fn read(file: &Path, backoff: Backoff) -> io::Result<HashMap<RequestId, Failed>> {
    let text = match fs::read(file) {
        Ok(text) => text,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(HashMap::new()),
        Err(error) => return Err(error),
    };
    let notes: Vec<Note> = serde_json::from_slice(&text).unwrap_or_else(|error| {
        tracing::warn!(file = %file.display(), %error, "the requests set aside cannot be read");
        Vec::new()
    });
    let (now, unix) = (Instant::now(), unix_time());
    let failed = notes.into_iter().map(|note| {
        let left = Duration::from_millis(note.until_unix_millis).saturating_sub(unix);
        // The clock may have been set back since.
        let until = now + left.min(backoff.wait(note.failures));
        let process = Some(note.reason);
        (note.request_id, Failed { failures: note.failures, until, process })
    });
    Ok(failed.collect())
}

/// The time of the system clock since 1970; nothing for a clock that is before it.
fn unix_time() -> Duration {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default()
}

fn write(file: &Path, failed: &HashMap<RequestId, Failed>) -> io::Result<()> {
    let (now, unix) = (Instant::now(), unix_time());
    let mut notes: Vec<_> = failed
        .iter()
        .filter_map(|(request_id, failed)| {
            let until = unix + failed.until.saturating_duration_since(now);
            Some(Note {
                request_id: *request_id,
                failures: failed.failures,
                until_unix_millis: u64::try_from(until.as_millis()).unwrap_or(u64::MAX),
                reason: failed.process.clone()?,
            })
        })
        .collect();
    notes.sort_by_key(|note| note.request_id);
    // Whoever reads the file finds it whole.
    let aside = file.with_extension("new");
    fs::write(&aside, serde_json::to_vec_pretty(&notes)?)?;
    fs::rename(aside, file)
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use near_crypto::{KeyType, SecretKey};
    use outlayer_executor::{Executor, ExecutorConfig};

    use super::*;

    fn config(state_dir: Option<&Path>) -> WorkerConfig {
        let id = |text: &str| text.parse().unwrap();
        let key = SecretKey::from_seed(KeyType::ED25519, "worker");
        let engine = Arc::new(Executor::new(ExecutorConfig::default()).unwrap());
        let mut config =
            WorkerConfig::new("http://x", id("outlayer.near"), id("worker.near"), key, engine);
        config.state_dir = state_dir.map(Path::to_owned);
        // Longer than a test takes on a busy machine.
        let (first, most) = (Duration::from_secs(100), Duration::from_secs(1_000));
        (config.backoff, config.process_backoff) =
            (Backoff { first, most }, Backoff { first, most });
        config
    }

    fn crash() -> ServeError {
        ServeError::Execution(ExecutionError::Fault(Fault::Process("signal 6".to_owned())))
    }

    #[test]
    fn a_guest_that_ended_its_process_stays_aside_after_a_restart() {
        let folder = tempfile::tempdir().unwrap();
        let state = folder.path().join("state");
        let config = config(Some(&state));
        let mut first = SetAside::open(&config).unwrap();
        assert!(!first.holds(7));
        let (failures, wait) = first.failed(7, Some(&crash()));
        assert_eq!((failures, wait), (1, config.process_backoff.first));
        first.failed(8, None);
        assert!(first.holds(7) && first.holds(8));

        let mut second = SetAside::open(&config).unwrap();
        assert!(second.holds(7), "noted on disk");
        assert!(!second.holds(8), "an ordinary failure is not");
        let (failures, wait) = second.failed(7, Some(&crash()));
        assert_eq!((failures, wait), (2, config.process_backoff.first * 2));
        // A node that does not know the request yet, and a failure of another kind.
        second.retain(&HashSet::from([8]));
        second.failed(7, None);
        assert!(SetAside::open(&config).unwrap().holds(7));
        second.forget(7);
        assert!(!second.holds(7));
        assert!(!SetAside::open(&config).unwrap().holds(7), "what is over is forgotten on disk");
    }

    /// What a worker notes whose clock is ahead of the next one's by so long, or behind it.
    fn noted(config: &WorkerConfig, until_unix_millis: u64) -> SetAside {
        let folder = config.state_dir.as_ref().unwrap();
        let note = Note { request_id: 7, failures: 1, until_unix_millis, reason: String::new() };
        let file = folder.join("set-aside-outlayer.near-worker.near.json");
        fs::write(file, serde_json::to_vec(&[note]).unwrap()).unwrap();
        SetAside::open(config).unwrap()
    }

    #[test]
    fn a_system_clock_that_jumps_sets_nothing_aside_for_longer_than_it_was() {
        let folder = tempfile::tempdir().unwrap();
        let config = config(Some(folder.path()));
        let first = config.process_backoff.first;
        // Set back by years, or by minutes: the wait begins again.
        let now = u64::try_from(unix_time().as_millis()).unwrap();
        for until in [u64::MAX, now + 500_000] {
            let before = Instant::now();
            let aside = noted(&config, until);
            let waits = before + first..=Instant::now() + first;
            assert!(waits.contains(&aside.failed[&7].until), "{until}");
            assert!(aside.holds(7));
        }
        // Set forwards: the wait is over, and what is known of the request stays.
        for until in [0, now.saturating_sub(500_000)] {
            let mut aside = noted(&config, until);
            assert!(!aside.holds(7));
            assert_eq!(aside.failures(7), 1);
            let (failures, wait) = aside.failed(7, Some(&crash()));
            assert_eq!((failures, wait), (2, 2 * first));
            assert!(aside.holds(7));
        }
    }

    #[test]
    fn on_a_full_disk_failures_are_remembered_in_memory_and_the_last_notes_stay() {
        let folder = tempfile::tempdir().unwrap();
        let config = config(Some(folder.path()));
        let mut aside = SetAside::open(&config).unwrap();
        aside.failed(7, Some(&crash()));
        // Writing to this device fails as on a full disk.
        let new = folder.path().join("set-aside-outlayer.near-worker.near.new");
        std::os::unix::fs::symlink("/dev/full", &new).unwrap();
        let failure = write(aside.file.as_ref().unwrap(), &aside.failed).unwrap_err();
        assert_eq!(failure.kind(), io::ErrorKind::StorageFull);
        aside.failed(8, Some(&crash()));
        assert!(aside.holds(7) && aside.holds(8));
        let next = SetAside::open(&config).unwrap();
        assert!(next.holds(7) && !next.holds(8));
        // There is room again.
        fs::remove_file(&new).unwrap();
        aside.failed(9, Some(&crash()));
        let next = SetAside::open(&config).unwrap();
        assert!(next.holds(7) && next.holds(8) && next.holds(9));
    }

    #[test]
    fn a_damaged_file_holds_nothing_and_is_written_anew() {
        let folder = tempfile::tempdir().unwrap();
        let config = config(Some(folder.path()));
        let file = folder.path().join("set-aside-outlayer.near-worker.near.json");
        fs::write(&file, "[{").unwrap();
        let mut aside = SetAside::open(&config).unwrap();
        assert!(!aside.holds(7));
        aside.failed(7, Some(&crash()));
        assert!(SetAside::open(&config).unwrap().holds(7));
        fs::remove_file(&file).unwrap();
        fs::create_dir(&file).unwrap();
        assert!(SetAside::open(&config).is_err());
    }
}
