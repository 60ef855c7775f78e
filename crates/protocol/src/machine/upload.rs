//! Bodies that come in parts: the rules of [`crate::upload`], applied to a request.

use near_account_id::AccountId;

use super::{Body, Effect, LiveRequest, Reason, Refusal, Step, step::Announced};
use crate::{
    Agreement, ResponsePart,
    reserve::max_body_bytes,
    storage::StorageCheck,
    upload::{MIN_PART_BYTES, MOST_FORMER, TURN_BLOCKS, Upload, UploadError},
};

/// How a part was taken.
#[derive(Clone, Debug)]
pub enum PartTaken<'a> {
    /// More parts are to come.
    Step(Step<'a>),
    /// The part completes the body. It is taken together with the body's submission, or not at all.
    Complete(Box<CompleteBody<'a>>),
}

/// A body whose last part has come and that is not submitted yet. The caller puts the parts
/// together and [submits](Self::submit) the body; there is no other way on from here.
#[must_use]
#[derive(Clone, Debug)]
pub struct CompleteBody<'a> {
    request: LiveRequest,
    worker_id: &'a AccountId,
    height: u64,
    kept_parts: u32,
    bytes: &'a [u8],
    last_part: Announced<'a>,
}

impl<'a> CompleteBody<'a> {
    /// The request with the upload complete.
    pub fn request(&self) -> &LiveRequest {
        &self.request
    }

    /// How many parts of this body are kept already. The rest of it is [`Self::last_bytes`].
    pub fn kept_parts(&self) -> u32 {
        self.kept_parts
    }

    /// The end of the body, after the parts that are kept; empty when all of it is kept.
    pub fn last_bytes(&self) -> &'a [u8] {
        self.bytes
    }

    /// Submits the body that the parts give, as
    /// [`Input::Resolve`](super::Input::Resolve) does with a whole one.
    ///
    /// # Errors
    /// A [`Refusal`]; the caller keeps the state it had, and the last part is not kept.
    pub fn submit(self, body: Body<'a>, storage: &StorageCheck) -> Result<Step<'a>, Refusal> {
        let Self { request, worker_id, height, last_part, .. } = self;
        request.submit(worker_id, body, storage, last_part, height)
    }
}

impl LiveRequest {
    /// A registered worker sends a part of a body: the next one of the body that it has begun to
    /// send, or the first of another.
    ///
    /// # Errors
    /// A [`Refusal`]; the caller keeps the state it had.
    pub fn take_part<'a>(
        mut self,
        worker_id: &'a AccountId,
        part: &'a ResponsePart,
        height: u64,
    ) -> Result<PartTaken<'a>, Refusal> {
        self.open(height)?;
        self.check_entitled(worker_id)?;
        let request_id = self.id();
        let refused = |error: UploadError| Refusal { request_id, reason: error.into() };
        let mut effects = Vec::new();
        let mine = |upload: &&mut Upload| upload.worker_id == *worker_id && upload.is_of(part);
        let upload = match self.upload.as_mut().filter(mine) {
            Some(upload) => upload,
            None => {
                let (found, max) =
                    (part.total_bytes, max_body_bytes(&self.limits, self.http_limits()));
                if found <= MIN_PART_BYTES || u64::from(found) > max {
                    return Err(refused(UploadError::Total { found, max }));
                }
                let since = self.turn(worker_id, height).map_err(refused)?;
                let upload = Upload::begin(worker_id, part, since);
                upload.clone().add(part).map_err(refused)?;
                self.check_support(part.digest)?;
                let agrees =
                    |agreement: &Agreement| agreement.supporters(part.digest).contains(&worker_id);
                if !self.agreement.as_ref().is_none_or(agrees) {
                    let (worker_id, digest) = (worker_id.clone(), part.digest);
                    return Err(self.refuse(Reason::NotAmongTheAgreeing { worker_id, digest }));
                }
                if let Some(former) = self.upload.take() {
                    effects.push(Effect::DropParts { request_id, parts: former.parts });
                    if former.worker_id != *worker_id {
                        self.remember(former.worker_id);
                    }
                }
                self.upload.insert(upload)
            }
        };
        let kept_parts = upload.parts;
        let mut bytes: &[u8] = &[];
        if upload.add(part).map_err(refused)? {
            bytes = &part.bytes;
            effects.push(Effect::KeepPart { request_id, number: kept_parts, bytes });
        }
        if !upload.is_complete() {
            return Ok(PartTaken::Step(Step::Live(Box::new(self), effects)));
        }
        let last_part = Announced { digest: part.digest, in_parts: true, effects };
        let request = self;
        let complete = CompleteBody { request, worker_id, height, kept_parts, bytes, last_part };
        Ok(PartTaken::Complete(Box::new(complete)))
    }

    /// Whether `worker_id` may begin to send a body at `height`. Gives the height at which its turn
    /// began.
    ///
    /// # Errors
    /// [`UploadError::Turn`]: another worker has its turn.
    pub fn turn(&self, worker_id: &AccountId, height: u64) -> Result<u64, UploadError> {
        let Some(upload) = &self.upload else {
            return Ok(height);
        };
        if upload.worker_id == *worker_id {
            return Ok(upload.since);
        }
        let turns = if self.former_uploaders.contains(worker_id) { 2 } else { 1 };
        let until = upload.since.saturating_add(TURN_BLOCKS * turns);
        if height < until {
            return Err(UploadError::Turn { worker_id: upload.worker_id.clone(), until, height });
        }
        Ok(height)
    }

    /// Notes a worker that has lost its turn.
    fn remember(&mut self, worker_id: AccountId) {
        self.former_uploaders.retain(|former| *former != worker_id);
        if self.former_uploaders.len() >= MOST_FORMER {
            self.former_uploaders.remove(0);
        }
        self.former_uploaders.push(worker_id);
    }
}
