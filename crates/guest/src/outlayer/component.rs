//! The package `outlayer:host`: what a component has in addition to WASI.
//!
//! An engine declares the interfaces, of which the executor's `wit/outlayer.wit` is the
//! description, and passes values in and out. What the functions do with them is here.

use outlayer_protocol::{
    ExecutionContext,
    http::{Answered, HttpRequest},
};

use super::{http, plan, storage};
use crate::{
    call::{FetchCall, HostCall, StorageCall},
    host::{PlannedCall, check_key},
    http::Refusal,
    stop::Stop,
    verdict::reason,
    work::Work,
};

/// `context.get`.
///
/// # Errors
/// A [`Stop`] for an exceeded limit.
pub fn context(call: &mut impl HostCall) -> Result<&ExecutionContext, Stop> {
    call.enter()?;
    let bytes = record_bytes(&call.host().context);
    call.charge(Work::Write(bytes))?;
    Ok(&call.host().context)
}

/// The bytes of the context's texts, lists and numbers as a component receives them. The deposit is
/// a decimal number.
fn record_bytes(context: &ExecutionContext) -> u64 {
    let digits = context.attached_deposit.as_yoctonear().checked_ilog10().unwrap_or_default() + 1;
    let texts = [&context.contract_id, &context.signer_id, &context.predecessor_id];
    let texts = texts.iter().map(|text| text.len()).sum::<usize>();
    let numbers = 4 * size_of::<u64>();
    (texts + context.random_seed.0.len() + numbers) as u64 + u64::from(digits)
}

/// `random.bytes`.
///
/// # Errors
/// A [`Stop`] for an exceeded limit.
pub fn random_bytes(call: &mut impl HostCall, length: u32) -> Result<Vec<u8>, Stop> {
    call.enter()?;
    call.charge(Work::Random(length.into()))?;
    let host = call.host();
    host.bounds.admit(length.into())?;
    let mut bytes = vec![0; length as usize];
    host.random.fill(&mut bytes);
    Ok(bytes)
}

/// `log.line`.
///
/// # Errors
/// A [`Stop`] for an exceeded limit.
pub fn log_line(call: &mut impl HostCall, text: &[u8]) -> Result<(), Stop> {
    call.enter()?;
    call.charge(Work::Read(text.len() as u64))?;
    call.charge(Work::Log(text.len() as u64))?;
    let logs = &mut call.host().logs;
    logs.write(text)?;
    logs.write(b"\n")
}

/// `storage.read`: the value at `key`.
///
/// # Errors
/// A [`Stop`] for a key that is not one, an exceeded limit, or a snapshot that fails.
pub async fn storage_read<C>(call: &mut C, key: &[u8]) -> Result<Option<Vec<u8>>, Stop>
where
    C: StorageCall + Send,
{
    let Some(length) = find(call, key).await? else {
        return Ok(None);
    };
    call.charge(Work::Write(length))?;
    let value = call.host().storage.known(key).flatten();
    Ok(value.map(<[u8]>::to_vec))
}

/// `storage.contains`: whether there is a value at `key`.
///
/// # Errors
/// As [`storage_read`].
pub async fn storage_contains<C>(call: &mut C, key: &[u8]) -> Result<bool, Stop>
where
    C: StorageCall + Send,
{
    Ok(find(call, key).await?.is_some())
}

/// `storage.remove`: removes `key`, and tells whether it was there.
///
/// # Errors
/// As [`storage_read`].
pub async fn storage_remove<C>(call: &mut C, key: Vec<u8>) -> Result<bool, Stop>
where
    C: StorageCall + Send,
{
    storage::open(call, key.len() as u64, Work::StorageRemove)?;
    storage::remove(call, key).await
}

/// `storage.write`.
///
/// # Errors
/// A [`Stop`] for a key that is not one, or an exceeded limit.
pub fn storage_write(call: &mut impl HostCall, key: Vec<u8>, value: Vec<u8>) -> Result<(), Stop> {
    storage::open(call, key.len() as u64, Work::StorageWrite)?;
    check_key(&key)?;
    storage::pay_value(call, value.len() as u64)?;
    call.host().storage.write(key, Some(value))
}

/// `http.fetch`: makes an exchange.
///
/// # Errors
/// A [`Stop`] for an exceeded limit, or a network that fails.
pub async fn http_fetch<C>(
    call: &mut C,
    request: HttpRequest,
) -> Result<Result<Answered, Refusal>, Stop>
where
    C: FetchCall + Send,
{
    call.enter()?;
    call.charge(Work::Read(http::bytes(&request)))?;
    let answered = http::exchange(call, request).await?;
    if let Ok(Answered::Response(response)) = &answered {
        let headers = response.headers.iter().map(|(name, value)| name.len() + value.len());
        let bytes = response.body.len() + headers.sum::<usize>();
        call.charge(Work::Write(bytes as u64))?;
    }
    Ok(answered)
}

/// `actions.promise`: plans a promise for `receiver`, after those in `after`. Gives its number.
///
/// # Errors
/// A [`Stop`] for what no plan holds, or an exceeded limit.
pub fn plan_promise(
    call: &mut impl HostCall,
    receiver: &str,
    after: Vec<u32>,
) -> Result<u32, Stop> {
    let count = after.len() as u64;
    let list_bytes = count.saturating_mul(size_of::<u32>() as u64);
    plan::open_promise(call, receiver.len() as u64, list_bytes, count)?;
    let after = plan::dependencies(after.into_iter())?;
    call.host().plan.promise(receiver.as_bytes(), after)
}

/// `actions.function-call`: adds a call of a function to a planned promise.
///
/// # Errors
/// As [`plan_promise`], and a trap when the deposit is no decimal number.
pub fn plan_call(
    call: &mut impl HostCall,
    promise: u32,
    (method, args): (&str, &[u8]),
    deposit: &str,
    (gas, weight): (u64, u64),
) -> Result<(), Stop> {
    let (method_bytes, args_bytes) = (method.len() as u64, args.len() as u64);
    plan::open_call(call, method_bytes, args_bytes, deposit.len() as u64)?;
    let deposit = amount(deposit)?;
    let planned = PlannedCall { method: method.as_bytes(), args, deposit, gas, weight };
    call.host().plan.call(promise, &planned)
}

/// `actions.transfer`: adds a transfer to a planned promise.
///
/// # Errors
/// As [`plan_call`].
pub fn plan_transfer(call: &mut impl HostCall, promise: u32, deposit: &str) -> Result<(), Stop> {
    plan::open_transfer(call, deposit.len() as u64)?;
    call.host().plan.transfer(promise, amount(deposit)?)
}

/// `actions.return-promise`: returns the result of a planned promise.
///
/// # Errors
/// As [`plan_promise`].
pub fn plan_return(call: &mut impl HostCall, promise: u32) -> Result<(), Stop> {
    call.enter()?;
    call.host().plan.returns(promise)
}

/// An amount in decimal digits.
fn amount(text: &str) -> Result<u128, Stop> {
    let digits = text.bytes().all(|byte| byte.is_ascii_digit());
    text.parse().ok().filter(|_| digits).ok_or(Stop::Trap(reason::NO_AMOUNT))
}

/// The length of the value at `key`.
async fn find<C>(call: &mut C, key: &[u8]) -> Result<Option<u64>, Stop>
where
    C: StorageCall + Send,
{
    storage::open(call, key.len() as u64, Work::StorageRead)?;
    let found = storage::fetch(call, key).await?;
    if let Some(length) = found {
        call.charge(Work::Found(length))?;
    }
    Ok(found)
}
