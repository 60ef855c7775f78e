//! Code that was published in the contract.

use outlayer_client::{At, Contract};
use outlayer_protocol::Hash32;

use crate::CodeError;

/// How much one view is asked for, bytes. In JSON, base64 makes a third more of them.
const PART_BYTES: u32 = 192 << 10;

/// The bytes that are published under `hash`, at most `limit` of them. Their hash has not been
/// checked.
pub(crate) async fn published(
    contract: &Contract,
    hash: &Hash32,
    at: At,
    limit: usize,
) -> Result<Vec<u8>, CodeError> {
    let not_published = |published, total| CodeError::NotPublished {
        hash: *hash,
        contract: contract.id().clone(),
        published,
        total,
    };
    let info = contract.code_info(hash, at).await?.ok_or_else(|| not_published(0, 0))?;
    let total = info.total_bytes;
    if info.published_bytes < total {
        return Err(not_published(info.published_bytes, total));
    }
    if usize::try_from(total).unwrap_or(usize::MAX) > limit {
        return Err(CodeError::TooLarge { source_name: contract.id().to_string(), limit });
    }
    let mut bytes: Vec<u8> = Vec::new();
    loop {
        let offset = u32::try_from(bytes.len()).unwrap_or(u32::MAX);
        let Some(missing) = total.checked_sub(offset).filter(|missing| *missing > 0) else {
            return Ok(bytes);
        };
        let asked = missing.min(PART_BYTES);
        let part = contract.code(hash, offset, asked, at).await?.unwrap_or_default();
        // The contract gives all that is asked for. With shorter parts a node could keep whoever
        // waits here for hours.
        let part_bytes = u32::try_from(part.len()).unwrap_or(u32::MAX);
        if part_bytes != asked {
            return Err(not_published(offset.saturating_add(part_bytes), total));
        }
        bytes.extend(part);
    }
}
