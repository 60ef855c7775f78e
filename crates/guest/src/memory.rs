//! Reading and writing the guest's memory, through checked ranges only.

use std::ops::Range;

use crate::{stop::Stop, verdict::reason::MEMORY_OUT_OF_BOUNDS};

pub(crate) const OUT_OF_BOUNDS: Stop = Stop::Trap(MEMORY_OUT_OF_BOUNDS);

fn range(pointer: u32, length: u32) -> Result<Range<usize>, Stop> {
    let start = pointer as usize;
    let end = start.checked_add(length as usize).ok_or(OUT_OF_BOUNDS)?;
    Ok(start..end)
}

/// `length` bytes at `pointer`.
pub(crate) fn bytes(memory: &[u8], pointer: u32, length: u32) -> Result<&[u8], Stop> {
    memory.get(range(pointer, length)?).ok_or(OUT_OF_BOUNDS)
}

/// `length` bytes at `pointer`, to be written.
pub(crate) fn bytes_mut(memory: &mut [u8], pointer: u32, length: u32) -> Result<&mut [u8], Stop> {
    memory.get_mut(range(pointer, length)?).ok_or(OUT_OF_BOUNDS)
}

/// Writes `value` at `pointer`.
pub(crate) fn write(memory: &mut [u8], pointer: u32, value: &[u8]) -> Result<(), Stop> {
    let end = (pointer as usize).checked_add(value.len()).ok_or(OUT_OF_BOUNDS)?;
    memory.get_mut(pointer as usize..end).ok_or(OUT_OF_BOUNDS)?.copy_from_slice(value);
    Ok(())
}

/// Writes as much of `value` as fits into `capacity` bytes at `pointer`.
pub(crate) fn write_clipped(
    memory: &mut [u8],
    pointer: u32,
    capacity: u32,
    value: &[u8],
) -> Result<(), Stop> {
    let buffer = bytes_mut(memory, pointer, capacity)?;
    let length = buffer.len().min(value.len());
    if let (Some(buffer), Some(value)) = (buffer.get_mut(..length), value.get(..length)) {
        buffer.copy_from_slice(value);
    }
    Ok(())
}

/// The little-endian `u32` at `pointer`.
pub(crate) fn read_u32(memory: &[u8], pointer: u32) -> Result<u32, Stop> {
    let bytes = bytes(memory, pointer, 4)?;
    Ok(u32::from_le_bytes(bytes.try_into().map_err(|_| OUT_OF_BOUNDS)?))
}

/// The little-endian `u64` at `pointer`.
pub(crate) fn read_u64(memory: &[u8], pointer: u32) -> Result<u64, Stop> {
    let bytes = bytes(memory, pointer, 8)?;
    Ok(u64::from_le_bytes(bytes.try_into().map_err(|_| OUT_OF_BOUNDS)?))
}

/// The little-endian `u128` at `pointer`.
pub(crate) fn read_u128(memory: &[u8], pointer: u32) -> Result<u128, Stop> {
    let bytes = bytes(memory, pointer, 16)?;
    Ok(u128::from_le_bytes(bytes.try_into().map_err(|_| OUT_OF_BOUNDS)?))
}

/// The address `offset` bytes after `base`. Whether memory reaches there is not checked.
pub(crate) fn offset(base: u32, offset: u32) -> Result<u32, Stop> {
    base.checked_add(offset).ok_or(OUT_OF_BOUNDS)
}
