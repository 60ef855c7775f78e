//! Which of an account's requests one of its processes serves first.
//!
//! The order of a request has accounts only, so processes that share an account would all be first
//! for the same requests. Each is told how many there are and which one it is. The request's id
//! says which of them comes first; the others come after it in turn, so one that is down loses
//! nothing.

use std::{fmt, str::FromStr};

use outlayer_protocol::{Hash32, RequestId};

/// One of several processes that work for one account, such as `1/3`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Replica {
    /// Which one, from 0.
    index: u64,
    of: u64,
}

/// The most processes that may share an account.
const MOST: u64 = 64;

impl Replica {
    /// The only process of an account.
    pub const ONLY: Self = Self { index: 0, of: 1 };

    /// Process `number`, from 1, of so many.
    pub fn new(number: u64, of: u64) -> Option<Self> {
        let is_valid = (1..=of).contains(&number) && of <= MOST;
        is_valid.then(|| Self { index: number - 1, of })
    }

    /// Whether the account has another process.
    pub(crate) fn is_one_of_several(self) -> bool {
        self.of > 1
    }

    /// The process that serves a request first, from 0.
    pub(crate) fn first(self, request_id: RequestId) -> u64 {
        let Hash32(hash) = Hash32::of_parts(&[b"outlayer:replica", &request_id.to_le_bytes()]);
        let mut bytes = [0; 8];
        bytes.iter_mut().zip(hash).for_each(|(to, from)| *to = from);
        u64::from_le_bytes(bytes) % self.of
    }

    /// The place of this process among those of its account, from 0.
    pub(crate) fn place(self, request_id: RequestId) -> u64 {
        (self.index + self.of - self.first(request_id)) % self.of
    }
}

impl Default for Replica {
    fn default() -> Self {
        Self::ONLY
    }
}

impl fmt::Display for Replica {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.index + 1, self.of)
    }
}

/// A text that names no process.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("expected N/M, process N of M, with N from 1 to M and M at most {MOST}")]
pub struct InvalidReplica;

impl FromStr for Replica {
    type Err = InvalidReplica;

    fn from_str(text: &str) -> Result<Self, InvalidReplica> {
        let (number, of) = text.split_once('/').ok_or(InvalidReplica)?;
        let parsed = number.parse().ok().zip(of.parse().ok());
        parsed.and_then(|(number, of)| Self::new(number, of)).ok_or(InvalidReplica)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_replica_is_written_as_it_is_read_and_what_is_none_is_refused() {
        for text in ["1/1", "1/3", "3/3", "64/64"] {
            assert_eq!(text.parse::<Replica>().unwrap().to_string(), text);
        }
        assert_eq!("1/1".parse(), Ok(Replica::ONLY));
        for text in ["", "1", "/", "0/3", "4/3", "1/0", "0/0", "1/65", "-1/3", "1/3/3", "a/b"] {
            assert_eq!(text.parse::<Replica>(), Err(InvalidReplica), "{text}");
        }
    }

    #[test]
    fn each_request_has_one_first_process_and_each_of_the_others_its_own_place() {
        let all: Vec<_> = (1..=3).map(|number| Replica::new(number, 3).unwrap()).collect();
        let mut first = [0u32; 3];
        for id in 0..900 {
            let mut places: Vec<_> = all.iter().map(|replica| replica.place(id)).collect();
            let index = places.iter().position(|place| *place == 0).unwrap();
            assert_eq!(index as u64, all[0].first(id));
            first[index] += 1;
            places.sort_unstable();
            assert_eq!(places, [0, 1, 2]);
            assert_eq!(Replica::ONLY.place(id), 0);
        }
        assert!(first.iter().all(|count| (240..=360).contains(count)), "{first:?}");
    }
}
