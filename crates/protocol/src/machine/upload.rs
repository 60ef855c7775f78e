//! A body that comes in parts: the rules of [`crate::upload`].

use near_account_id::AccountId;

use super::{Effect, LiveRequest, Reason, Refusal, Step, step::Standing};
use crate::{
    Hash32, ResponsePart,
    pricing::max_body_bytes,
    upload::{MIN_PART_BYTES, MOST_FORMER, TURN_BLOCKS, Upload, UploadError},
};

impl LiveRequest {
    /// Takes a part: the next one of the body in the making, or the first of another.
    pub(super) fn take_part(
        mut self,
        worker_id: &AccountId,
        part: &ResponsePart,
        height: u64,
    ) -> Result<Step, Refusal> {
        self.open(height)?;
        let request_id = self.id();
        let refused = |error: UploadError| Refusal { request_id, reason: error.into() };
        let mut effects = Vec::new();
        let mine = |upload: &&mut Upload| upload.worker_id == *worker_id && upload.is_of(part);
        let next = match self.upload.as_mut().filter(mine) {
            Some(upload) => upload,
            None => {
                let (found, max) = (part.total_bytes, max_body_bytes(&self.limits));
                if found <= MIN_PART_BYTES || u64::from(found) > max {
                    return Err(refused(UploadError::Total { found, max }));
                }
                let since = self.turn(worker_id, height).map_err(refused)?;
                let upload = Upload::begin(worker_id, part, since);
                // Refused here, the part has no effect at all, whatever the commitments say.
                upload.clone().add(part).map_err(refused)?;
                match self.standing(part.digest, worker_id)? {
                    Standing::Agreed(winners) if winners.contains(worker_id) => {}
                    Standing::Agreed(_) => {
                        let (worker_id, digest) = (worker_id.clone(), part.digest);
                        return Err(self.refuse(Reason::NotAmongTheAgreeing { worker_id, digest }));
                    }
                    Standing::Disputed(supporters) => {
                        return Ok(self.dispute(part.digest, worker_id, &supporters));
                    }
                }
                // From here on the digest can be copied.
                if self.approvals > 1 && !self.public_digests.contains(&part.digest) {
                    self.public_digests.push(part.digest);
                }
                if let Some(former) = self.upload.take() {
                    effects.push(Effect::DropParts(former.parts));
                    if former.worker_id != *worker_id {
                        self.remember(former.worker_id);
                    }
                }
                self.upload.insert(upload)
            }
        };
        let number = next.parts;
        if next.add(part).map_err(refused)? {
            effects.push(Effect::KeepPart(number));
        }
        Ok(Step::Live(Box::new(self), effects))
    }

    /// Whether `worker_id` may begin to send a body at `height`: the height at which its turn began.
    ///
    /// # Errors
    /// [`UploadError::Turn`]: somebody else has its turn.
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

    /// Notes who has lost a turn.
    fn remember(&mut self, worker_id: AccountId) {
        self.former_uploaders.retain(|former| *former != worker_id);
        if self.former_uploaders.len() >= MOST_FORMER {
            self.former_uploaders.remove(0);
        }
        self.former_uploaders.push(worker_id);
    }

    /// What the parts of a body said of its digest; `None` for one that comes whole.
    pub(super) fn promised(
        &self,
        worker_id: &AccountId,
        in_parts: bool,
    ) -> Result<Option<Hash32>, Refusal> {
        if !in_parts {
            return Ok(None);
        }
        let complete = |upload: &&Upload| upload.worker_id == *worker_id && upload.is_complete();
        let upload = self
            .upload
            .as_ref()
            .filter(complete)
            .ok_or_else(|| self.refuse(Reason::Incomplete { worker_id: worker_id.clone() }))?;
        Ok(Some(upload.digest))
    }

    /// Forgets the body in the making.
    pub(super) fn drop_upload(&mut self) -> Option<Effect> {
        self.upload.take().map(|upload| Effect::DropParts(upload.parts))
    }
}
