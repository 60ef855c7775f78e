//! The WIT package `outlayer:host` (the executor's `wit/outlayer.wit`), as the canonical ABI lowers
//! it, and safe functions over it. This file and `module` are the only places with `unsafe`.

use std::{
    alloc::{Layout, alloc, handle_alloc_error, realloc},
    mem::{ManuallyDrop, MaybeUninit},
    ptr,
};

use crate::{
    context::{Context, DecodeError},
    http::{Error, Request, Response, Transform},
};

/// Describes the package to the tool that makes a component from the module, and that removes this
/// section. It is what wit-component writes for the world `guest`; a test of `componentize`
/// compares the two.
#[unsafe(link_section = "component-type:outlayer:host@0.1.0:guest")]
#[used]
static COMPONENT_TYPE: [u8; include_bytes!("component-type.bin").len()] =
    *include_bytes!("component-type.bin");

/// Describes the same package and the interface that [`transform!`](crate::transform) exports.
#[doc(hidden)]
pub const TRANSFORM_TYPE: [u8; include_bytes!("component-type-transform.bin").len()] =
    *include_bytes!("component-type-transform.bin");

/// A list or a text that the host allocated with [`cabi_realloc`]. The guest has to free it.
#[repr(C)]
struct List {
    start: *mut u8,
    length: usize,
}

/// The record `execution-context`.
#[repr(C)]
struct ExecutionContext {
    request_id: u64,
    contract_id: List,
    block_height: u64,
    block_timestamp: u64,
    epoch_height: u64,
    random_seed: List,
    signer_id: List,
    predecessor_id: List,
    attached_deposit: List,
}

/// An `option<list<u8>>`.
#[repr(C)]
struct OptionalList {
    /// 1 when there is a list, 0 when there is none.
    tag: u8,
    list: MaybeUninit<List>,
}

#[link(wasm_import_module = "outlayer:host/context@0.1.0")]
unsafe extern "C" {
    #[link_name = "get"]
    fn context_get(result: *mut ExecutionContext);
}

#[link(wasm_import_module = "outlayer:host/storage@0.1.0")]
unsafe extern "C" {
    #[link_name = "read"]
    fn read(key: *const u8, key_len: usize, result: *mut OptionalList);
    #[link_name = "contains"]
    fn contains(key: *const u8, key_len: usize) -> i32;
    #[link_name = "write"]
    fn write(key: *const u8, key_len: usize, value: *const u8, value_len: usize);
    #[link_name = "remove"]
    fn remove(key: *const u8, key_len: usize) -> i32;
}

/// A header: its name and its value.
#[repr(C)]
struct Header {
    name: List,
    value: List,
}

/// A `result<response, error>`.
#[repr(C)]
struct Fetched {
    /// 0 when there is a response, 1 when there is an error.
    tag: u8,
    answer: FetchedAnswer,
}

#[repr(C)]
union FetchedAnswer {
    response: ManuallyDrop<FetchedResponse>,
    error: u8,
}

#[repr(C)]
struct FetchedResponse {
    status: u16,
    headers: List,
    body: List,
}

#[link(wasm_import_module = "outlayer:host/http@0.1.0")]
unsafe extern "C" {
    #[link_name = "fetch"]
    fn fetch(
        method: *const u8,
        method_len: usize,
        url: *const u8,
        url_len: usize,
        headers: *const Header,
        headers_len: usize,
        body: *const u8,
        body_len: usize,
        result: *mut Fetched,
    );
}

#[link(wasm_import_module = "outlayer:host/actions@0.1.0")]
unsafe extern "C" {
    #[link_name = "promise"]
    fn promise(receiver: *const u8, receiver_len: usize, after: *const u32, count: usize) -> u32;
    #[link_name = "function-call"]
    fn function_call(
        promise: u32,
        method: *const u8,
        method_len: usize,
        args: *const u8,
        args_len: usize,
        deposit: *const u8,
        deposit_len: usize,
        gas: u64,
        weight: u64,
    );
    #[link_name = "transfer"]
    fn transfer(promise: u32, deposit: *const u8, deposit_len: usize);
    #[link_name = "return-promise"]
    fn return_promise(promise: u32);
}

#[link(wasm_import_module = "outlayer:host/random@0.1.0")]
unsafe extern "C" {
    #[link_name = "bytes"]
    fn random_bytes(length: u32, result: *mut List);
}

#[link(wasm_import_module = "outlayer:host/log@0.1.0")]
unsafe extern "C" {
    #[link_name = "line"]
    fn log_line(text: *const u8, text_len: usize);
}

/// Allocates the memory for what the host returns.
///
/// # Safety
///
/// As the canonical ABI demands: `align` is a power of two, and `old` is null, or an earlier call
/// returned it for `old_len` bytes with the same `align`.
#[unsafe(export_name = "cabi_realloc")]
unsafe extern "C" fn cabi_realloc(
    old: *mut u8,
    old_len: usize,
    align: usize,
    new_len: usize,
) -> *mut u8 {
    if new_len == 0 {
        return ptr::without_provenance_mut(align);
    }
    // SAFETY: the new size is not zero, and the caller promises that the old layout is the one of
    // the allocation.
    unsafe {
        let layout = Layout::from_size_align_unchecked(new_len, align);
        let new = if old_len == 0 {
            alloc(layout)
        } else {
            realloc(old, Layout::from_size_align_unchecked(old_len, align), new_len)
        };
        if new.is_null() {
            handle_alloc_error(layout);
        }
        new
    }
}

impl List {
    fn into_bytes(self) -> Vec<u8> {
        if self.length == 0 {
            return Vec::new();
        }
        // SAFETY: the host got these bytes from `cabi_realloc`, which allocates as `Vec` does, and
        // has filled them.
        unsafe { Vec::from_raw_parts(self.start, self.length, self.length) }
    }

    /// A list of headers.
    fn into_headers(self) -> Vec<(String, Vec<u8>)> {
        if self.length == 0 {
            return Vec::new();
        }
        // SAFETY: the host got this memory from `cabi_realloc`, which allocates as `Vec` does, and
        // has filled it with so many headers.
        let headers =
            unsafe { Vec::from_raw_parts(self.start.cast::<Header>(), self.length, self.length) };
        let text = |name: List| String::from_utf8_lossy(&name.into_bytes()).into_owned();
        headers.into_iter().map(|header| (text(header.name), header.value.into_bytes())).collect()
    }

    fn into_text(self, field: &'static str) -> Result<String, DecodeError> {
        String::from_utf8(self.into_bytes()).map_err(|_| DecodeError::NotText { field })
    }
}

pub(crate) fn context() -> Result<Context, DecodeError> {
    let mut result = MaybeUninit::uninit();
    // SAFETY: the host fills the record before it returns.
    let told: ExecutionContext = unsafe {
        context_get(result.as_mut_ptr());
        result.assume_init()
    };
    let invalid = |field| DecodeError::Invalid { field };
    Ok(Context {
        request_id: told.request_id,
        contract_id: told.contract_id.into_text("contract_id")?,
        block_height: told.block_height,
        block_timestamp: told.block_timestamp,
        epoch_height: told.epoch_height,
        random_seed: told
            .random_seed
            .into_bytes()
            .try_into()
            .map_err(|_| invalid("random_seed"))?,
        signer_id: told.signer_id.into_text("signer_id")?,
        predecessor_id: told.predecessor_id.into_text("predecessor_id")?,
        attached_deposit: told
            .attached_deposit
            .into_text("attached_deposit")?
            .parse()
            .map_err(|_| invalid("attached_deposit"))?,
    })
}

pub(crate) fn storage_read(key: &[u8]) -> Option<Vec<u8>> {
    let mut result = MaybeUninit::<OptionalList>::uninit();
    // SAFETY: the key is a live slice that the host only reads. The host fills the tag, and the
    // list if the tag says that there is one.
    unsafe {
        read(key.as_ptr(), key.len(), result.as_mut_ptr());
        let tag = (&raw const (*result.as_ptr()).tag).read();
        (tag == 1).then(|| (&raw const (*result.as_ptr()).list).read().assume_init().into_bytes())
    }
}

pub(crate) fn storage_contains(key: &[u8]) -> bool {
    // SAFETY: the key is a live slice that the host only reads.
    unsafe { contains(key.as_ptr(), key.len()) == 1 }
}

pub(crate) fn storage_write(key: &[u8], value: &[u8]) {
    // SAFETY: both are live slices that the host only reads.
    unsafe { write(key.as_ptr(), key.len(), value.as_ptr(), value.len()) }
}

pub(crate) fn storage_remove(key: &[u8]) -> bool {
    // SAFETY: the key is a live slice that the host only reads.
    unsafe { remove(key.as_ptr(), key.len()) == 1 }
}

pub(crate) fn http_fetch(request: &Request) -> Result<Response, Error> {
    let lend = |bytes: &[u8]| List { start: bytes.as_ptr().cast_mut(), length: bytes.len() };
    let headers = request.headers.iter();
    let headers: Vec<_> = headers
        .map(|(name, value)| Header { name: lend(name.as_bytes()), value: lend(value) })
        .collect();
    let mut result = MaybeUninit::<Fetched>::uninit();
    // SAFETY: all are live slices that the host only reads. The host fills the tag, and what it
    // says that there is.
    unsafe {
        fetch(
            request.method.as_ptr(),
            request.method.len(),
            request.url.as_ptr(),
            request.url.len(),
            headers.as_ptr(),
            headers.len(),
            request.body.as_ptr(),
            request.body.len(),
            result.as_mut_ptr(),
        );
        let fetched = result.as_ptr();
        if (&raw const (*fetched).tag).read() == 1 {
            let place = (&raw const (*fetched).answer.error).read();
            return Err(Error::OF_HOST.get(usize::from(place)).copied().unwrap_or(Error::Denied));
        }
        let answer = (&raw const (*fetched).answer.response).read();
        let FetchedResponse { status, headers, body } = ManuallyDrop::into_inner(answer);
        Ok(Response { status, headers: headers.into_headers(), body: body.into_bytes() })
    }
}

/// A `result<response>`.
#[repr(C)]
struct Reduced {
    /// 0 when there is a response.
    tag: u8,
    response: FetchedResponse,
}

/// Calls a transform with a request and a response, whose lists are method, URL, headers, body,
/// headers and body, and gives the address of its result.
///
/// # Safety
///
/// The host got the memory of the lists from [`cabi_realloc`] and has filled it.
#[doc(hidden)]
pub unsafe fn transform(lists: [[usize; 2]; 6], status: usize, transform: Transform) -> *const u8 {
    let list = |[start, length]: [usize; 2]| List {
        start: ptr::with_exposed_provenance_mut(start),
        length,
    };
    let text = |lists| String::from_utf8_lossy(&list(lists).into_bytes()).into_owned();
    let [method, url, headers, body, kept, answer] = lists;
    let mut request = Request::new(text(method), text(url));
    request.headers = list(headers).into_headers();
    request.body = list(body).into_bytes();
    let response = Response {
        status: u16::try_from(status).unwrap_or_default(),
        headers: list(kept).into_headers(),
        body: list(answer).into_bytes(),
    };
    let answer = transform(request, response);
    let tag = u8::from(answer.is_none());
    let Response { status, headers, body } = answer.unwrap_or_default();
    // The instance ends after this, so nobody frees what it answers.
    let give = |bytes: Vec<u8>| {
        let bytes = bytes.leak();
        List { start: bytes.as_mut_ptr(), length: bytes.len() }
    };
    let headers: Vec<_> = headers
        .into_iter()
        .map(|(name, value)| Header { name: give(name.into_bytes()), value: give(value) })
        .collect();
    let headers = headers.leak();
    let headers = List { start: headers.as_mut_ptr().cast(), length: headers.len() };
    let response = FetchedResponse { status, headers, body: give(body) };
    ptr::from_ref(Box::leak(Box::new(Reduced { tag, response }))).cast()
}

pub(crate) fn plan_promise(receiver: &str, after: &[u32]) -> u32 {
    // SAFETY: both are live slices that the host only reads.
    unsafe { promise(receiver.as_ptr(), receiver.len(), after.as_ptr(), after.len()) }
}

pub(crate) fn plan_call(
    promise: u32,
    (method, args): (&str, &[u8]),
    deposit: u128,
    gas: u64,
    weight: u64,
) {
    let deposit = deposit.to_string();
    // SAFETY: all are live slices that the host only reads.
    unsafe {
        function_call(
            promise,
            method.as_ptr(),
            method.len(),
            args.as_ptr(),
            args.len(),
            deposit.as_ptr(),
            deposit.len(),
            gas,
            weight,
        );
    }
}

pub(crate) fn plan_transfer(promise: u32, deposit: u128) {
    let deposit = deposit.to_string();
    // SAFETY: the deposit is a live slice that the host only reads.
    unsafe { transfer(promise, deposit.as_ptr(), deposit.len()) }
}

pub(crate) fn plan_return(promise: u32) {
    // SAFETY: only a number is passed.
    unsafe { return_promise(promise) }
}

pub(crate) fn log(line: &str) {
    // SAFETY: the line is a live slice that the host only reads.
    unsafe { log_line(line.as_ptr(), line.len()) }
}

/// The most random bytes that are asked for at once. The host returns them in memory of their own,
/// so a large buffer would need its size twice.
const RANDOM_BYTES: u32 = 1 << 16;

pub(crate) fn random_fill(buffer: &mut [u8]) {
    for slice in buffer.chunks_mut(RANDOM_BYTES as usize) {
        let mut result = MaybeUninit::uninit();
        // SAFETY: the host fills the list before it returns.
        let bytes: List = unsafe {
            random_bytes(u32::try_from(slice.len()).unwrap_or(RANDOM_BYTES), result.as_mut_ptr());
            result.assume_init()
        };
        slice.copy_from_slice(&bytes.into_bytes());
    }
}
