//! `poll_oneoff` over the virtual clock.
//!
//! Streams are always ready. When nothing is, the clock moves to the earliest deadline, at once.
//! Ready entries are reported in the order of the subscriptions.

use super::{
    clocks::ClockId,
    errno::{BADF, Errno, INVAL, SUCCESS},
};
use crate::{
    call::MemoryCall,
    host::{Clock, Program, Stream},
    memory::{self, OUT_OF_BOUNDS},
    stop::Stop,
    work::Work,
};

const EVENT_BYTES: u32 = 32;

/// Where a subscription's fields are, which differs between the previews.
pub(crate) struct Layout {
    bytes: u32,
    /// Where the clock of a subscription to one is.
    clock: u32,
    timeout: u32,
    flags: u32,
}

const PREVIEW1: Layout = Layout { bytes: 48, clock: 16, timeout: 24, flags: 40 };
/// The clock comes behind an identifier of the subscription's own, of which nothing is told.
pub(crate) const PREVIEW0: Layout = Layout { bytes: 56, clock: 24, timeout: 32, flags: 48 };
/// Where the descriptor of a subscription to one is.
const DESCRIPTOR: u32 = 16;

/// The flag of a clock's subscription by which its timeout is a time of the clock, not a duration.
const ABSTIME: u32 = 1;
/// The flag of an event by which the input has ended.
const HANGUP: u16 = 1;

const CLOCK: u8 = 0;
const FD_READ: u8 = 1;
const FD_WRITE: u8 = 2;

/// What one subscription waits for.
enum Wait {
    /// Monotonic time.
    Until(u64),
    /// Nothing: it is ready, or has failed.
    Ready { errno: Errno, bytes: u64, flags: u16 },
}

impl Wait {
    fn failed(errno: Errno) -> Self {
        Self::Ready { errno, bytes: 0, flags: 0 }
    }
}

struct Subscription {
    userdata: u64,
    kind: u8,
    wait: Wait,
}

/// Waits for the first of `count` subscriptions, and writes an event for each that is ready.
///
/// # Errors
/// A [`Stop`] for an exceeded limit, or a trap.
pub fn poll_oneoff(
    call: &mut impl MemoryCall,
    subscriptions: u32,
    events: u32,
    count: u32,
    ready: u32,
) -> Result<Errno, Stop> {
    poll(call, &PREVIEW1, subscriptions, events, count, ready)
}

/// As [`poll_oneoff`], with subscriptions of this layout.
pub(crate) fn poll(
    call: &mut impl MemoryCall,
    layout: &Layout,
    subscriptions: u32,
    events: u32,
    count: u32,
    ready: u32,
) -> Result<Errno, Stop> {
    call.enter()?;
    if count == 0 {
        return Ok(INVAL);
    }
    let count_bytes = |each: u32| u64::from(count) * u64::from(each);
    call.charge(Work::Read(count_bytes(layout.bytes)))?;
    call.charge(Work::Write(count_bytes(EVENT_BYTES)))?;
    let (bytes, host) = call.memory()?;
    // Both arrays must lie in the memory as a whole, which also bounds their number.
    let (Some(input), Some(output)) =
        (count.checked_mul(layout.bytes), count.checked_mul(EVENT_BYTES))
    else {
        return Err(OUT_OF_BOUNDS);
    };
    memory::bytes(bytes, subscriptions, input)?;
    memory::bytes(bytes, events, output)?;

    let waits = (0..count)
        .map(|index| {
            let at = subscriptions + index * layout.bytes;
            read(bytes, at, layout, &host.clock, &host.program)
        })
        .collect::<Result<Vec<_>, _>>()?;
    let now = host.clock.monotonic();
    let is_due = |wait: &Wait, now| !matches!(wait, Wait::Until(deadline) if *deadline > now);
    if !waits.iter().any(|subscription| is_due(&subscription.wait, now)) {
        let deadlines = waits.iter().filter_map(|subscription| match subscription.wait {
            Wait::Until(deadline) => Some(deadline),
            Wait::Ready { .. } => None,
        });
        host.clock.sleep_until(deadlines.min().unwrap_or(now));
    }
    let now = host.clock.monotonic();
    let mut reported = 0u32;
    for subscription in waits.iter().filter(|subscription| is_due(&subscription.wait, now)) {
        memory::write(bytes, events + reported * EVENT_BYTES, &event(subscription))?;
        reported += 1;
    }
    memory::write(bytes, ready, &reported.to_le_bytes())?;
    Ok(SUCCESS)
}

fn read(
    bytes: &[u8],
    at: u32,
    layout: &Layout,
    clock: &Clock,
    program: &Program,
) -> Result<Subscription, Stop> {
    let field = |offset| memory::read_u32(bytes, memory::offset(at, offset)?);
    let userdata = memory::read_u64(bytes, at)?;
    let [kind, ..] = field(8)?.to_le_bytes();
    let wait = match kind {
        CLOCK => {
            let timeout = memory::read_u64(bytes, memory::offset(at, layout.timeout)?)?;
            clock_wait(field(layout.clock)?, timeout, field(layout.flags)? & 0xffff, clock)
        }
        FD_READ => match program.descriptors.get(field(DESCRIPTOR)?) {
            Some(Stream::Input) => {
                let unread = program.unread().len() as u64;
                Wait::Ready {
                    errno: SUCCESS,
                    bytes: unread,
                    flags: if unread == 0 { HANGUP } else { 0 },
                }
            }
            Some(_) | None => Wait::failed(BADF),
        },
        FD_WRITE => match program.descriptors.get(field(DESCRIPTOR)?) {
            Some(Stream::Output | Stream::Log) => {
                Wait::Ready { errno: SUCCESS, bytes: 0, flags: 0 }
            }
            Some(Stream::Input) | None => Wait::failed(BADF),
        },
        _ => Wait::failed(INVAL),
    };
    Ok(Subscription { userdata, kind, wait })
}

fn clock_wait(id: u32, timeout: u64, flags: u32, clock: &Clock) -> Wait {
    let id = match ClockId::from_raw(id) {
        Ok(id) => id,
        Err(errno) => return Wait::failed(errno),
    };
    match (flags, id) {
        (0, _) => Wait::Until(clock.monotonic().saturating_add(timeout)),
        (ABSTIME, ClockId::Monotonic) => Wait::Until(timeout),
        (ABSTIME, ClockId::Realtime) => Wait::Until(clock.monotonic_at(timeout)),
        _ => Wait::failed(INVAL),
    }
}

fn event(subscription: &Subscription) -> [u8; EVENT_BYTES as usize] {
    let (errno, bytes, flags) = match subscription.wait {
        Wait::Until(_) => (SUCCESS, 0, 0),
        Wait::Ready { errno, bytes, flags } => (errno, bytes, flags),
    };
    let [low, high, ..] = errno.to_le_bytes();
    let mut event = [0; EVENT_BYTES as usize];
    event[..8].copy_from_slice(&subscription.userdata.to_le_bytes());
    event[8..10].copy_from_slice(&[low, high]);
    event[10] = subscription.kind;
    event[16..24].copy_from_slice(&bytes.to_le_bytes());
    event[24..26].copy_from_slice(&flags.to_le_bytes());
    event
}
