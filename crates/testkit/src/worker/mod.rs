//! Workers of a test: honest ones, slow ones, and liars.

mod guest_logs;
mod honest;
mod liar;
mod slow;

use near_workspaces::{Account, AccountId};
use tokio::task::JoinHandle;

pub(crate) use self::guest_logs::GuestLogs;
pub use self::liar::Lie;
use self::{honest::Honest, liar::Liar, slow::Slow};
use crate::{Error, Outlayer, Result};

/// How a worker serves.
#[derive(Clone, Debug)]
pub enum Behaviour {
    /// As an operator's worker does: it is the same program.
    Honest,
    /// Honestly, but only requests that are at least this old.
    Slow {
        /// The least age of a request, blocks.
        blocks: u64,
    },
    /// It answers at once, without executing anything, and what it answers is a lie.
    Lying(Lie),
    /// It is registered, and never does anything.
    Absent,
}

/// A worker that serves until this is dropped.
pub struct TestWorker {
    account_id: AccountId,
    kind: Kind,
}

enum Kind {
    Honest(Honest),
    Task(JoinHandle<()>),
    Absent,
}

impl TestWorker {
    pub(crate) fn start(
        outlayer: &Outlayer,
        account: Account,
        behaviour: Behaviour,
    ) -> Result<Self> {
        let account_id = account.id().clone();
        let kind = match behaviour {
            Behaviour::Honest => Kind::Honest(Honest::start(&outlayer.shared(), &account)?),
            Behaviour::Slow { blocks } => {
                let slow = Slow::new(outlayer.shared(), account, blocks)?;
                Kind::Task(tokio::spawn(slow.serve()))
            }
            Behaviour::Lying(lie) => {
                let liar = Liar::new(outlayer.shared(), account, lie);
                Kind::Task(tokio::spawn(liar.serve()))
            }
            Behaviour::Absent => Kind::Absent,
        };
        Ok(Self { account_id, kind })
    }

    /// The worker's account.
    pub fn id(&self) -> &AccountId {
        &self.account_id
    }

    /// Fails when the worker has ended, which no worker does by itself.
    pub(crate) fn check(&mut self) -> Result<()> {
        let (reason, log) = match &mut self.kind {
            Kind::Honest(honest) => match honest.ended() {
                Some(ended) => ended,
                None => return Ok(()),
            },
            Kind::Task(task) if task.is_finished() => {
                ("its task has ended".to_owned(), String::new())
            }
            Kind::Task(_) | Kind::Absent => return Ok(()),
        };
        Err(Error::Worker { account: self.account_id.clone(), reason, log })
    }
}

impl Drop for TestWorker {
    fn drop(&mut self) {
        if let Kind::Task(task) = &self.kind {
            task.abort();
        }
    }
}
