//! Says what takes longer than a second, while it does: on a terminal only, in a line that goes
//! away.

use std::{
    io::{self, IsTerminal as _, Write as _},
    sync::{
        Mutex, PoisonError,
        mpsc::{self, RecvTimeoutError, Sender},
    },
    thread::{self, JoinHandle},
    time::{Duration, Instant},
};

/// How often the line is written, and for how long nothing is said.
const EVERY: Duration = Duration::from_secs(1);

/// How long the line is that stands on the terminal, letters.
static LINE: Mutex<usize> = Mutex::new(0);

/// Something that may take a while. It ends when this is dropped.
#[must_use]
pub(crate) struct Progress(Option<(Sender<()>, JoinHandle<()>)>);

impl Progress {
    /// Begins, with a few words for what is done, such as "deploy the contract".
    pub(crate) fn start(what: impl Into<String>) -> Self {
        let dumb = std::env::var_os("TERM").is_none_or(|terminal| terminal == "dumb");
        if dumb || !io::stderr().is_terminal() {
            return Self(None);
        }
        let (what, started) = (what.into(), Instant::now());
        let (ended, end) = mpsc::channel::<()>();
        let draw = move || {
            while end.recv_timeout(EVERY) == Err(RecvTimeoutError::Timeout) {
                replace(&line(&what, started.elapsed()), false);
            }
        };
        // Without the thread, nothing is said.
        let drawn = thread::Builder::new().name("progress".to_owned()).spawn(draw);
        Self(drawn.ok().map(|thread| (ended, thread)))
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        if let Some((ended, thread)) = self.0.take() {
            drop(ended);
            // A panic of the thread was reported where it happened.
            let _ = thread.join();
            replace("", false);
        }
    }
}

/// Prints a line that stays, on stderr.
pub(crate) fn note(text: &str) {
    replace(text, true);
}

fn line(what: &str, elapsed: Duration) -> String {
    format!("{what} ({} s)", elapsed.as_secs())
}

/// Puts a text in place of the line that stands there.
fn replace(text: &str, stays: bool) {
    let mut length = LINE.lock().unwrap_or_else(PoisonError::into_inner);
    let mut out = io::stderr().lock();
    // Nobody misses progress that cannot be written.
    let _ = out.write_all(replacement(&mut length, text, stays).as_bytes());
    let _ = out.flush();
}

/// What is written to the terminal for that. `length` is that of the line.
fn replacement(length: &mut usize, text: &str, stays: bool) -> String {
    let mut written = String::new();
    if *length > 0 {
        written = format!("\r{:1$}\r", "", *length);
    }
    written.push_str(text);
    *length = if stays { 0 } else { text.chars().count() };
    if stays {
        written.push('\n');
    }
    written
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_takes_the_place_of_the_one_before_and_a_note_stays() {
        let mut length = 0;
        let first = line("deploy", Duration::from_millis(2_900));
        assert_eq!(replacement(&mut length, &first, false), "deploy (2 s)");
        assert_eq!(replacement(&mut length, "ab", false), format!("\r{}\rab", " ".repeat(12)));
        assert_eq!(replacement(&mut length, "done", true), "\r  \rdone\n");
        assert_eq!(replacement(&mut length, "", false), "");
    }
}
