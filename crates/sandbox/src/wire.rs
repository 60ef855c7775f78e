//! What parent and child say to each other.
//!
//! A message is its length (four bytes, little-endian) and its borsh encoding. The parent speaks
//! first, with [`Setup`]; the child answers [`Answer::Ready`]. For each request the parent sends a
//! [`Request`], replies to what the child asks, and has the result with [`Answer::Done`]. Code is
//! sent only when the child asks for it: the bytes as they are, behind their length.
//!
//! The parent trusts nothing that it reads: a child may be whatever a guest has made of it.
//!
//! A child may be an older program than its parent, which has an older engine. So the messages of a
//! version never change their form: what is new comes at the end of [`Answer`], with a new version.
//! The parent says which version it needs at least, the child which one it speaks, and the parent
//! understands all from [`OLDEST_WIRE_VERSION`] to [`WIRE_VERSION`]:
//!
//! * Version 1.
//! * Version 2: a child says [`Answer::Trapped`], where a guest trapped, before the result.
//! * Version 3: a request has the limit on plans behind it ([`PlannedRequest`]), and a child says
//!   [`Answer::Planned`], what a guest planned, before the result.
//! * Version 4: behind that stands what a request may reach over HTTP ([`ConnectedRequest`]). A
//!   child asks for exchanges ([`Answer::Fetches`]), and says [`Answer::Exchanged`], its
//!   transcript, before the result.

use std::{
    io::{self, Read, Write},
    time::Duration,
};

use borsh::{BorshDeserialize, BorshSerialize};
use outlayer_guest::{
    Cause, Execution, Fault, FetchError, Fetched, Job, SnapshotError, http::kept,
};
use outlayer_protocol::{
    Compute, ExecutionContext, GuestKind, Hash32, HttpLimits, Plan, ResourceLimits,
    http::{
        Exchange, ExchangeError, HttpAccess, HttpRequest, HttpResponse, MAX_FETCHED_BYTES,
        MAX_HEADER_BYTES, Transcript,
    },
    response::ResponseError,
};

use crate::{config::EngineSettings, confine::Confinement};

/// The version of the messages that this program speaks as a child.
pub(crate) const WIRE_VERSION: u32 = 4;

/// The first version in which requests have a limit on plans.
pub(crate) const PLANS_SINCE: u32 = 3;

/// The first version in which requests may have HTTP.
pub(crate) const HTTP_SINCE: u32 = 4;

/// The oldest version that this program understands as a parent.
pub(crate) const OLDEST_WIRE_VERSION: u32 = 1;

/// The longest message that a child accepts from its parent, which it trusts: code, or a request
/// with its input.
pub(crate) const MAX_FROM_PARENT: usize = 256 << 20;

/// What a child is told when it starts.
#[derive(BorshSerialize, BorshDeserialize)]
pub(crate) struct Setup {
    /// The oldest version of the messages that the parent understands.
    pub(crate) wire_version: u32,
    pub(crate) engine: EngineSettings,
    /// The child's own folder.
    pub(crate) scratch_dir: String,
}

/// A job without its code.
#[derive(BorshSerialize, BorshDeserialize)]
pub(crate) struct Request {
    pub(crate) code_hash: Hash32,
    pub(crate) kind: Option<GuestKind>,
    pub(crate) args: Vec<String>,
    pub(crate) env: Vec<(String, String)>,
    pub(crate) input: Vec<u8>,
    pub(crate) limits: Limits,
    pub(crate) context: ExecutionContext,
}

/// A request as it is since version 3, with the most bytes of its plan.
pub(crate) type PlannedRequest = (Request, u32);

/// A request as it is since version 4, with what it may reach over HTTP, and whether several
/// workers must agree.
pub(crate) type ConnectedRequest = (Request, u32, Option<(HttpAccess, bool)>);

/// The limits of a request, but for those that it has since version 3.
#[derive(BorshSerialize, BorshDeserialize)]
pub(crate) struct Limits {
    compute: Compute,
    memory_bytes: u64,
    table_elements: u32,
    instances: u32,
    output_bytes: u32,
    log_bytes: u32,
    journal_bytes: u32,
    storage_reads: u32,
    storage_writes: u32,
    host_calls: u64,
    max_module_bytes: u32,
}

impl From<&ResourceLimits> for Limits {
    fn from(limits: &ResourceLimits) -> Self {
        Self {
            compute: limits.compute,
            memory_bytes: limits.memory_bytes,
            table_elements: limits.table_elements,
            instances: limits.instances,
            output_bytes: limits.output_bytes,
            log_bytes: limits.log_bytes,
            journal_bytes: limits.journal_bytes,
            storage_reads: limits.storage_reads,
            storage_writes: limits.storage_writes,
            host_calls: limits.host_calls,
            max_module_bytes: limits.max_module_bytes,
        }
    }
}

impl Limits {
    /// All limits.
    pub(crate) const fn with_plan(&self, plan_bytes: u32) -> ResourceLimits {
        ResourceLimits {
            compute: self.compute,
            memory_bytes: self.memory_bytes,
            table_elements: self.table_elements,
            instances: self.instances,
            output_bytes: self.output_bytes,
            log_bytes: self.log_bytes,
            journal_bytes: self.journal_bytes,
            storage_reads: self.storage_reads,
            storage_writes: self.storage_writes,
            host_calls: self.host_calls,
            max_module_bytes: self.max_module_bytes,
            plan_bytes,
        }
    }
}

/// What a child says.
#[derive(BorshSerialize, BorshDeserialize)]
pub(crate) enum Answer {
    /// It is set up.
    Ready {
        /// The version of the messages that it speaks.
        wire_version: u32,
        engine_version: u32,
        near_config_version: u32,
        confined: Confinement,
    },
    /// It cannot be set up.
    Failed(String),
    /// It has not got the code of the request.
    NeedsCode,
    /// The guest reads this key. The parent replies with a [`Value`].
    Reads(Vec<u8>),
    /// The execution has ended. Where the guest trapped, and what it planned, has been said before.
    Done(Result<Execution, Trouble>),
    /// The functions that the guest was in when it trapped, innermost first. [`Answer::Done`]
    /// follows.
    Trapped(Vec<String>),
    /// What the guest planned. [`Answer::Done`] follows.
    Planned(Plan),
    /// The guest sends this. The parent replies with a [`Reply`].
    Fetches {
        /// Which exchange it is, from 0.
        number: u32,
        request: HttpRequest,
    },
    /// The exchanges of the guest. [`Answer::Done`] follows.
    Exchanged(Transcript),
}

/// What came of an exchange, or why nothing can be said about it.
pub(crate) type Reply = Result<Told, Trouble>;

/// What came of an exchange.
#[derive(BorshSerialize, BorshDeserialize)]
pub(crate) enum Told {
    /// An answer of the network, before any transform.
    Response(HttpResponse),
    /// None.
    Failed(ExchangeError),
    /// What an execution before has recorded.
    Recorded(Exchange),
}

impl From<Fetched> for Told {
    fn from(fetched: Fetched) -> Self {
        match fetched {
            // The child needs no more of it.
            Fetched::Fresh(answer) => match answer.and_then(kept) {
                Ok(response) => Self::Response(response),
                Err(error) => Self::Failed(error),
            },
            Fetched::Recorded(exchange) => Self::Recorded(exchange),
        }
    }
}

impl From<Told> for Fetched {
    fn from(told: Told) -> Self {
        match told {
            Told::Response(response) => Self::Fresh(Ok(response)),
            Told::Failed(error) => Self::Fresh(Err(error)),
            Told::Recorded(exchange) => Self::Recorded(exchange),
        }
    }
}

/// The longest [`Reply`].
pub(crate) const MAX_REPLY_BYTES: usize = MAX_FETCHED_BYTES as usize + MAX_HEADER_BYTES + (8 << 10);

/// A value of the snapshot, or why it cannot be had.
pub(crate) type Value = Result<Option<Vec<u8>>, String>;

/// A [`Fault`].
#[derive(BorshSerialize, BorshDeserialize)]
pub(crate) enum Trouble {
    Deadline {
        millis: u64,
    },
    NativeStack,
    HostMemory(String),
    Snapshot(String),
    Other(String),
    /// Since version 4: the network of the parent fails.
    Network(String),
    /// The parent has none.
    NoNetwork,
    /// The transcript that is replayed has no such exchange.
    NotInTranscript {
        number: u32,
        request_hash: Hash32,
    },
    /// Its exchange is none that the guest can have had.
    NotRecordable {
        number: u32,
        why: String,
    },
}

impl From<Fault> for Trouble {
    fn from(fault: Fault) -> Self {
        match fault {
            Fault::Deadline(time) => {
                Self::Deadline { millis: u64::try_from(time.as_millis()).unwrap_or(u64::MAX) }
            }
            Fault::NativeStack => Self::NativeStack,
            Fault::HostMemory(cause) => Self::HostMemory(cause.to_string()),
            Fault::Snapshot(SnapshotError(text)) => Self::Snapshot(text),
            Fault::Fetch(error) => error.into(),
            Fault::Engine(cause) => Self::Other(cause.to_string()),
            fault => Self::Other(fault.to_string()),
        }
    }
}

impl From<Trouble> for Fault {
    fn from(trouble: Trouble) -> Self {
        match trouble {
            Trouble::Deadline { millis } => Self::Deadline(Duration::from_millis(millis)),
            Trouble::NativeStack => Self::NativeStack,
            Trouble::HostMemory(text) => Self::HostMemory(Cause::new(shown(&text))),
            Trouble::Snapshot(text) => Self::Snapshot(SnapshotError(shown(&text))),
            Trouble::Other(text) => Self::engine(shown(&text)),
            Trouble::Network(text) => Self::Fetch(FetchError::Network(shown(&text))),
            Trouble::NoNetwork => Self::Fetch(FetchError::None),
            Trouble::NotInTranscript { number, request_hash } => {
                Self::Fetch(FetchError::NotInTranscript { number, request_hash })
            }
            Trouble::NotRecordable { number, why } => {
                Self::Fetch(FetchError::NotRecordable { number, why: shown(&why) })
            }
        }
    }
}

impl From<FetchError> for Trouble {
    fn from(error: FetchError) -> Self {
        match error {
            FetchError::Network(text) => Self::Network(text),
            FetchError::NotInTranscript { number, request_hash } => {
                Self::NotInTranscript { number, request_hash }
            }
            FetchError::NotRecordable { number, why } => Self::NotRecordable { number, why },
            FetchError::None => Self::NoNetwork,
        }
    }
}

/// The execution that a child says it came to, if one within `limits` and `http` can be such. An
/// engine never gives anything else; a child that a guest has taken over might.
///
/// # Errors
/// [`ResponseError`] when the contract would not take it either.
pub(crate) fn checked(
    execution: Execution,
    limits: &ResourceLimits,
    http: HttpLimits,
) -> Result<Execution, ResponseError> {
    let response = execution.clone().into_response(0);
    response.validate(0, limits, http)?;
    Ok(execution)
}

/// The beginning of what a child says, fit for a log.
pub(crate) fn shown(text: &str) -> String {
    const MOST_CHARACTERS: usize = 1_000;
    let line = text.chars().take(MOST_CHARACTERS);
    line.map(|character| if character.is_control() { ' ' } else { character }).collect()
}

/// The longest answer of a child that executes `job`: what its limits allow, twice over, and room
/// for the texts of errors and for a request that is sent.
pub(crate) fn max_answer(job: &Job<'_>) -> usize {
    let limits = job.limits;
    const ENTRY_BYTES: u64 = 512;
    let entries = u64::from(limits.storage_reads) + u64::from(limits.storage_writes);
    let bytes = u64::from(limits.output_bytes)
        + u64::from(limits.log_bytes)
        + u64::from(limits.journal_bytes)
        + u64::from(limits.plan_bytes)
        + job.http.map_or(0, |http| http.access.max_bytes.into())
        + entries * ENTRY_BYTES;
    usize::try_from(bytes.saturating_mul(2)).unwrap_or(usize::MAX).saturating_add(1 << 20)
}

/// Sends a message.
pub(crate) fn send(to: &mut impl Write, message: &impl BorshSerialize) -> io::Result<()> {
    let mut frame = vec![0; 4];
    message.serialize(&mut frame)?;
    let length = length(frame.len() - 4)?;
    frame[..4].copy_from_slice(&length.to_le_bytes());
    to.write_all(&frame)
}

/// Sends bytes as they are.
pub(crate) fn send_bytes(to: &mut impl Write, bytes: &[u8]) -> io::Result<()> {
    to.write_all(&length(bytes.len())?.to_le_bytes())?;
    to.write_all(bytes)
}

fn length(bytes: usize) -> io::Result<u32> {
    u32::try_from(bytes).map_err(|_| invalid(format!("a message of {bytes} bytes is too long")))
}

/// Receives a message of at most `most_bytes`.
pub(crate) fn receive<T: BorshDeserialize>(
    from: &mut impl Read,
    most_bytes: usize,
) -> io::Result<T> {
    T::try_from_slice(&receive_bytes(from, most_bytes)?)
}

/// Receives bytes as they are, at most `most_bytes`.
pub(crate) fn receive_bytes(from: &mut impl Read, most_bytes: usize) -> io::Result<Vec<u8>> {
    let mut length = [0; 4];
    from.read_exact(&mut length)?;
    let length = u32::from_le_bytes(length) as usize;
    if length > most_bytes {
        return Err(invalid(format!(
            "a message of {length} bytes, at most {most_bytes} are accepted"
        )));
    }
    // The room is made as the bytes come, and not because a length was announced.
    let mut bytes = Vec::with_capacity(length.min(64 << 10));
    from.take(length as u64).read_to_end(&mut bytes)?;
    if bytes.len() < length {
        return Err(io::ErrorKind::UnexpectedEof.into());
    }
    Ok(bytes)
}

fn invalid(text: String) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, text)
}

#[cfg(test)]
mod tests {
    use outlayer_protocol::NearToken;

    use super::*;

    /// The hashes of a setup, a request and a value of the snapshot.
    const VERSION_1: [&str; 3] = [
        "dcef156dbebd633087e6977a50a0c2a697ba9d29972e3220eb1f3ddea1d31a78",
        "9c641641a8c176a67cb0294fafd4b44862e74dec158846341abdff78e07a683b",
        "f987a0ab135f6dc0e7c125d469329611da97184ee8bc4bf3f7f46ea7f37a8c78",
    ];

    #[test]
    fn messages_arrive_as_they_were_sent() {
        let mut channel = Vec::new();
        send(&mut channel, &Answer::Reads(b"key".to_vec())).unwrap();
        send_bytes(&mut channel, &[7; 100_000]).unwrap();
        let mut from = channel.as_slice();
        let Answer::Reads(key) = receive(&mut from, 100).unwrap() else { panic!() };
        assert_eq!(key, b"key");
        assert_eq!(receive_bytes(&mut from, 100_000).unwrap(), [7; 100_000]);
        assert_eq!(receive_bytes(&mut from, 1).unwrap_err().kind(), io::ErrorKind::UnexpectedEof);
    }

    #[test]
    fn a_message_that_is_too_long_or_too_short_is_an_error() {
        let long = [&5_u32.to_le_bytes()[..], b"12345"].concat();
        assert_eq!(
            receive_bytes(&mut &*long, 4).unwrap_err().to_string(),
            "a message of 5 bytes, at most 4 are accepted"
        );
        assert!(receive_bytes(&mut &long[..7], 100).is_err());
        // A huge length costs nothing before the bytes come.
        let huge = u32::MAX.to_le_bytes();
        assert!(receive_bytes(&mut &huge[..], usize::MAX).is_err());
        // Trailing bytes and unknown variants.
        let junk = [&2_u32.to_le_bytes()[..], &[2, 9]].concat();
        assert!(receive::<Answer>(&mut &*junk, 100).is_err());
        let junk = [&1_u32.to_le_bytes()[..], &[77]].concat();
        assert!(receive::<Answer>(&mut &*junk, 100).is_err());
    }

    /// A parent speaks to programs of former releases. What a message of version 1 looks like must
    /// not change; `children` has the answers of such a child.
    #[test]
    fn what_a_parent_says_has_the_form_of_version_1() {
        let setup = Setup {
            wire_version: OLDEST_WIRE_VERSION,
            engine: EngineSettings {
                deadline_millis: 1,
                cache_bytes: 2,
                cache_dir: Some("c".to_owned()),
                cache_dir_bytes: 3,
                optimize: true,
                parallel_compilation: false,
            },
            scratch_dir: "s".to_owned(),
        };
        let request = Request {
            code_hash: Hash32([4; 32]),
            kind: Some(GuestKind::WasiP2),
            args: vec!["a".to_owned()],
            env: vec![("n".to_owned(), "v".to_owned())],
            input: b"i".to_vec(),
            limits: Limits::from(&ResourceLimits {
                compute: Compute::Gas(5),
                memory_bytes: 6,
                table_elements: 7,
                instances: 8,
                output_bytes: 9,
                log_bytes: 10,
                journal_bytes: 11,
                storage_reads: 12,
                storage_writes: 13,
                host_calls: 14,
                max_module_bytes: 15,
                plan_bytes: 16,
            }),
            context: ExecutionContext {
                request_id: 16,
                contract_id: "c.near".parse().unwrap(),
                block_height: 17,
                block_timestamp: 18,
                epoch_height: 19,
                random_seed: Hash32([20; 32]),
                signer_id: "s.near".parse().unwrap(),
                predecessor_id: "p.near".parse().unwrap(),
                attached_deposit: NearToken::from_yoctonear(21),
            },
        };
        let value: Value = Ok(Some(b"v".to_vec()));
        let said = [
            borsh::to_vec(&setup).unwrap(),
            borsh::to_vec(&request).unwrap(),
            borsh::to_vec(&value).unwrap(),
        ];
        assert_eq!(said.map(|bytes| Hash32::of(&bytes).to_string()), VERSION_1);
    }

    #[test]
    fn a_fault_keeps_its_kind() {
        for fault in [
            Fault::Deadline(Duration::from_secs(3)),
            Fault::NativeStack,
            Fault::host_memory("none"),
            Fault::Snapshot(SnapshotError("away".to_owned())),
            Fault::engine("broken"),
            Fault::Fetch(FetchError::Network("away".to_owned())),
            Fault::Fetch(FetchError::None),
            Fault::Fetch(FetchError::NotInTranscript { number: 1, request_hash: Hash32([2; 32]) }),
            Fault::Fetch(FetchError::NotRecordable { number: 1, why: "other".to_owned() }),
        ] {
            assert_eq!(Fault::from(Trouble::from(fault.clone())), fault);
        }
        let job = Fault::from(Trouble::from(Fault::Job("a NUL")));
        assert!(job.to_string().ends_with("a NUL"), "{job}");
    }
}
