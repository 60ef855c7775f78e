//! The import module `outlayer`, and safe functions over it. This file and `component` are the only
//! places with `unsafe`.

use crate::{
    context::{Context, DecodeError},
    http::{Error, Request, Response, Transform, encoding},
};

/// The functions as the host defines them. Pointers are offsets into the module's memory, and
/// lengths are in bytes. The guest traps when a range lies outside its memory. A function that
/// fills a buffer writes as much as fits and returns the full length, so that the caller can try
/// again with a larger buffer.
mod outlayer {
    #[link(wasm_import_module = "outlayer")]
    unsafe extern "C" {
        /// The length of the value, or -1 when there is none.
        pub(super) fn storage_read(
            key: *const u8,
            key_len: usize,
            buffer: *mut u8,
            capacity: usize,
        ) -> i64;
        pub(super) fn storage_write(
            key: *const u8,
            key_len: usize,
            value: *const u8,
            value_len: usize,
        );
        /// 1 when the key was there.
        pub(super) fn storage_remove(key: *const u8, key_len: usize) -> i32;
        /// The length of the answer, or why nothing is sent, below 0.
        pub(super) fn http_fetch(request: *const u8, request_len: usize) -> i64;
        /// The length of the answer.
        pub(super) fn http_read(buffer: *mut u8, capacity: usize) -> i32;
        /// The promise's number.
        pub(super) fn plan_promise(
            receiver: *const u8,
            receiver_len: usize,
            after: *const u32,
            count: usize,
        ) -> u32;
        /// The deposit is 16 bytes, little-endian.
        pub(super) fn plan_call(
            promise: u32,
            method: *const u8,
            method_len: usize,
            args: *const u8,
            args_len: usize,
            deposit: *const u8,
            gas: u64,
            weight: u64,
        );
        pub(super) fn plan_transfer(promise: u32, deposit: *const u8);
        pub(super) fn plan_return(promise: u32);
        /// The length of the context's borsh encoding.
        pub(super) fn context_read(buffer: *mut u8, capacity: usize) -> i32;
        pub(super) fn log(line: *const u8, line_len: usize);
        pub(super) fn random_fill(buffer: *mut u8, length: usize);
    }
}

/// Every context, and a small value, fits into a buffer of this size at the first try.
const FIRST_CAPACITY: usize = 512;

/// Calls `fill` with a buffer, and again with a larger one when it returns a length that does not
/// fit. `None` when it returns a negative number.
fn read_with(fill: impl Fn(&mut [u8]) -> i64) -> Option<Vec<u8>> {
    let mut buffer = vec![0; FIRST_CAPACITY];
    loop {
        let length = usize::try_from(fill(&mut buffer)).ok()?;
        if length <= buffer.len() {
            buffer.truncate(length);
            return Some(buffer);
        }
        buffer.resize(length, 0);
    }
}

pub(crate) fn context() -> Result<Context, DecodeError> {
    let encoded = read_with(|buffer| {
        // SAFETY: pointer and capacity belong to one live buffer, which the host only fills.
        unsafe { outlayer::context_read(buffer.as_mut_ptr(), buffer.len()) }.into()
    });
    Context::decode(&encoded.unwrap_or_default())
}

pub(crate) fn storage_read(key: &[u8]) -> Option<Vec<u8>> {
    read_with(|buffer| {
        // SAFETY: the key is a live slice; the buffer is live, and the host only fills it.
        unsafe {
            outlayer::storage_read(key.as_ptr(), key.len(), buffer.as_mut_ptr(), buffer.len())
        }
    })
}

pub(crate) fn storage_contains(key: &[u8]) -> bool {
    let nothing: &mut [u8] = &mut [];
    // SAFETY: the key is a live slice; with a capacity of zero the host writes nothing.
    unsafe { outlayer::storage_read(key.as_ptr(), key.len(), nothing.as_mut_ptr(), 0) >= 0 }
}

pub(crate) fn storage_write(key: &[u8], value: &[u8]) {
    // SAFETY: both are live slices that the host only reads.
    unsafe { outlayer::storage_write(key.as_ptr(), key.len(), value.as_ptr(), value.len()) }
}

pub(crate) fn storage_remove(key: &[u8]) -> bool {
    // SAFETY: the key is a live slice that the host only reads.
    unsafe { outlayer::storage_remove(key.as_ptr(), key.len()) == 1 }
}

pub(crate) fn http_fetch(request: &Request) -> Result<Response, Error> {
    let encoded = encoding::request(request);
    // SAFETY: the request is a live slice that the host only reads.
    let length = unsafe { outlayer::http_fetch(encoded.as_ptr(), encoded.len()) };
    let Ok(length) = usize::try_from(length) else {
        // -1 is the first of the errors.
        let place = usize::try_from(-(length + 1)).unwrap_or(usize::MAX);
        return Err(Error::OF_HOST.get(place).copied().unwrap_or(Error::Denied));
    };
    let mut answer = vec![0; length];
    // SAFETY: the buffer is borrowed for this call alone, and the host only fills it.
    unsafe { outlayer::http_read(answer.as_mut_ptr(), answer.len()) };
    encoding::answered(&answer)
}

/// Memory for what a transform is given. It frees it.
#[doc(hidden)]
#[must_use]
pub fn alloc(length: usize) -> *mut u8 {
    Box::leak(vec![0; length].into_boxed_slice()).as_mut_ptr()
}

/// Calls a transform with what the host has written, and gives address and length of its answer.
///
/// # Safety
///
/// [`alloc`] has returned `given` for this length, and nobody else uses it.
#[doc(hidden)]
pub unsafe fn transform(given: *mut u8, length: usize, transform: Transform) -> u64 {
    // SAFETY: as the caller promises.
    let given = unsafe { Box::from_raw(std::ptr::slice_from_raw_parts_mut(given, length)) };
    let answer = encoding::given(&given).and_then(|(request, response)| {
        transform(request, response).map(|response| encoding::response(&response))
    });
    let Some(answer) = answer else { return 0 };
    let answer = Box::leak(answer.into_boxed_slice());
    // Addresses and lengths have 32 bits in a module.
    (answer.as_ptr().addr() as u64) << 32 | answer.len() as u64
}

pub(crate) fn plan_promise(receiver: &str, after: &[u32]) -> u32 {
    // SAFETY: both are live slices that the host only reads.
    unsafe {
        outlayer::plan_promise(receiver.as_ptr(), receiver.len(), after.as_ptr(), after.len())
    }
}

pub(crate) fn plan_call(
    promise: u32,
    (method, args): (&str, &[u8]),
    deposit: u128,
    gas: u64,
    weight: u64,
) {
    let (deposit, name) = (deposit.to_le_bytes(), method.as_ptr());
    // SAFETY: all are live slices that the host only reads; the deposit has the 16 bytes it reads.
    unsafe {
        outlayer::plan_call(
            promise,
            name,
            method.len(),
            args.as_ptr(),
            args.len(),
            deposit.as_ptr(),
            gas,
            weight,
        );
    }
}

pub(crate) fn plan_transfer(promise: u32, deposit: u128) {
    let deposit = deposit.to_le_bytes();
    // SAFETY: the deposit has the 16 bytes that the host reads.
    unsafe { outlayer::plan_transfer(promise, deposit.as_ptr()) }
}

pub(crate) fn plan_return(promise: u32) {
    // SAFETY: only a number is passed.
    unsafe { outlayer::plan_return(promise) }
}

pub(crate) fn log(line: &str) {
    // SAFETY: the line is a live slice that the host only reads.
    unsafe { outlayer::log(line.as_ptr(), line.len()) }
}

pub(crate) fn random_fill(buffer: &mut [u8]) {
    // SAFETY: the buffer is a live slice that is borrowed for this call alone.
    unsafe { outlayer::random_fill(buffer.as_mut_ptr(), buffer.len()) }
}
