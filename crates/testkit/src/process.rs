//! Child processes that end with the test, also when the test is killed.

use std::{
    collections::VecDeque,
    io::{BufRead as _, BufReader, Read},
    process::{Child, ChildStdin, Command, Stdio},
    sync::{Arc, Mutex, MutexGuard, PoisonError, mpsc},
    thread::{self, JoinHandle},
    time::{Duration, Instant},
};

use crate::{Error, Result};

/// Set to have everything that the node and the workers log on the test's standard error.
const SHOW: &str = "OUTLAYER_TESTKIT_LOG";
/// How many of a log's last lines an error shows.
const LAST_LINES: usize = 30;
/// How long a process may take to end by itself.
const GRACE: Duration = Duration::from_secs(5);
/// How long the last words of a process that has ended may take to arrive, on a busy machine or
/// where a process that it has started writes to the same pipe.
const LAST_WORDS: Duration = Duration::from_secs(20);

/// Takes each line that a process writes to standard error.
pub(crate) type EachLine = Box<dyn Fn(&str) + Send>;

/// A child process. It ends when its standard input is closed, which happens when this is dropped
/// and when the test's process ends, however it ends.
pub(crate) struct Process {
    name: String,
    child: Option<Child>,
    stdin: Option<ChildStdin>,
    last: Arc<Mutex<VecDeque<String>>>,
    /// Reads the log, and ends with it.
    reader: Option<JoinHandle<()>>,
}

impl Process {
    /// Starts the command. What becomes of its standard output is the caller's choice.
    pub(crate) fn start(mut command: Command, name: &str, each_line: EachLine) -> Result<Self> {
        command.stdin(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().map_err(|error| Error::Process {
            name: name.to_owned(),
            reason: format!("{} does not start: {error}", command.get_program().display()),
            log: String::new(),
        })?;
        let last = Arc::new(Mutex::new(VecDeque::new()));
        let reader = child.stderr.take().map(|stderr| {
            let (last, name) = (Arc::clone(&last), name.to_owned());
            thread::spawn(move || read_log(stderr, &name, &last, &*each_line))
        });
        let stdin = child.stdin.take();
        Ok(Self { name: name.to_owned(), child: Some(child), stdin, last, reader })
    }

    /// The first line that the process writes to standard output, which must be a pipe.
    pub(crate) fn first_line(&mut self, patience: Duration) -> Result<String> {
        let (send, line) = mpsc::channel();
        if let Some(stdout) = self.child.as_mut().and_then(|child| child.stdout.take()) {
            thread::spawn(move || {
                let mut line = String::new();
                if BufReader::new(stdout).read_line(&mut line).is_ok() && !line.is_empty() {
                    let _ = send.send(line);
                }
            });
        }
        line.recv_timeout(patience).map_err(|error| match error {
            mpsc::RecvTimeoutError::Timeout => self.error(format!("no answer in {patience:?}")),
            mpsc::RecvTimeoutError::Disconnected => {
                // It is about to end, and its last words are on their way.
                let ended = self.last_words();
                self.error(ended.unwrap_or_else(|| "it answered nothing".to_owned()))
            }
        })
    }

    /// How the process ended; `None` while it runs.
    pub(crate) fn ended(&mut self) -> Option<String> {
        match self.child.as_mut()?.try_wait() {
            Ok(None) => None,
            Ok(Some(status)) => Some(status.to_string()),
            Err(error) => Some(error.to_string()),
        }
    }

    /// Waits until the process has ended and its log has been read. Returns how it ended, or `None`
    /// when it does not end in time.
    pub(crate) fn last_words(&mut self) -> Option<String> {
        let begun = Instant::now();
        let is_read =
            |reader: &Option<JoinHandle<()>>| reader.as_ref().is_none_or(JoinHandle::is_finished);
        let mut ended = None;
        while begun.elapsed() < LAST_WORDS && (ended.is_none() || !is_read(&self.reader)) {
            thread::sleep(Duration::from_millis(10));
            ended = ended.or_else(|| self.ended());
        }
        ended
    }

    /// The last lines of the log, each after a line end.
    pub(crate) fn last_lines(&self) -> String {
        locked(&self.last).iter().map(|line| format!("\n    {line}")).collect()
    }

    fn error(&self, reason: String) -> Error {
        Error::Process { name: self.name.clone(), reason, log: self.last_lines() }
    }

    #[cfg(test)]
    pub(crate) fn id(&self) -> Option<u32> {
        self.child.as_ref().map(Child::id)
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        drop(self.stdin.take());
        let Some(mut child) = self.child.take() else { return };
        // It ends by itself. A test does not wait for that, but no process may stay for ever.
        thread::spawn(move || {
            let begun = Instant::now();
            while begun.elapsed() < GRACE {
                if !matches!(child.try_wait(), Ok(None)) {
                    return;
                }
                thread::sleep(Duration::from_millis(20));
            }
            let _ = child.kill();
            let _ = child.wait();
        });
    }
}

fn read_log(
    stderr: impl Read,
    name: &str,
    last: &Mutex<VecDeque<String>>,
    each_line: &dyn Fn(&str),
) {
    let show = std::env::var_os(SHOW).is_some();
    let mut lines = BufReader::new(stderr);
    let mut line = Vec::new();
    while matches!(lines.read_until(b'\n', &mut line), Ok(1..)) {
        let text = String::from_utf8_lossy(&line);
        let text = text.trim_end();
        if show {
            eprintln!("{name}: {text}");
        }
        each_line(text);
        let mut last = locked(last);
        if last.len() == LAST_LINES {
            last.pop_front();
        }
        last.push_back(text.to_owned());
        drop(last);
        line.clear();
    }
}

/// Locks, also after another thread has panicked: what is behind it stays usable.
pub(crate) fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// How long what takes some seconds may take on a busy machine.
    const PATIENCE: Duration = Duration::from_secs(120);

    fn shell(script: &str) -> Process {
        let mut command = Command::new("sh");
        command.args(["-c", script]).stdout(Stdio::piped());
        Process::start(command, "shell", Box::new(|_| {})).unwrap()
    }

    #[test]
    fn a_process_that_ends_at_once_says_why() {
        let error = shell("echo 'no such thing' >&2; exit 3").first_line(PATIENCE).unwrap_err();
        let error = error.to_string();
        assert!(error.contains("exit status: 3") && error.contains("no such thing"), "{error}");
    }

    #[test]
    fn a_process_that_says_nothing_is_not_waited_for_for_ever() {
        let error = shell("read line").first_line(Duration::from_millis(50)).unwrap_err();
        assert!(error.to_string().contains("no answer in 50ms"), "{error}");
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn a_process_ends_when_it_is_dropped_even_when_it_will_not() {
        for script in ["read line", "trap '' TERM; while :; do sleep 0.1; done"] {
            let process = shell(script);
            let folder = format!("/proc/{}", process.id().unwrap());
            assert!(std::fs::exists(&folder).unwrap());
            drop(process);
            let begun = Instant::now();
            while std::fs::exists(&folder).unwrap() {
                assert!(begun.elapsed() < PATIENCE, "{script} still runs");
                thread::sleep(Duration::from_millis(20));
            }
        }
    }
}
