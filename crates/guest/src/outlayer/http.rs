//! What an exchange over HTTP checks, costs and records, however the guest asks for it.

use outlayer_protocol::http::{Answered, EXCHANGE_NANOS, HttpRequest};

use crate::{call::FetchCall, fault::Fault, http::Refusal, stop::Stop, work::Work};

/// Makes an exchange, for a call that is open and has paid for reading the request. The guest is
/// given what the transcript has.
///
/// # Errors
/// A [`Stop`] for an exceeded limit, or when nothing can be said about the exchange.
pub async fn exchange<C>(
    call: &mut C,
    request: HttpRequest,
) -> Result<Result<Answered, Refusal>, Stop>
where
    C: FetchCall + Send,
{
    let request = match call.host().exchanges.admit(request) {
        Ok(request) => request,
        Err(refusal) => return Ok(Err(refusal)),
    };
    call.charge(Work::Exchange(bytes(&request)))?;
    let (hash, number) = (request.hash(), call.host().exchanges.count());
    let fetched = call.exchange(number, request).await?;
    let host = call.host();
    let exchange = host.exchanges.record(hash, fetched).map_err(Fault::Fetch)?;
    let (bytes, answered) = (exchange.bytes(), exchange.answered);
    host.clock.pass(EXCHANGE_NANOS);
    // The exchange is recorded before it is charged: a guest that runs out here has made it.
    call.charge(Work::Exchanged(bytes))?;
    Ok(Ok(answered))
}

/// What is paid for a header besides its name and value, bytes: the room that the host makes for
/// it.
pub const HEADER_BYTES: usize = 64;

/// The bytes of a request that are paid for.
pub fn bytes(request: &HttpRequest) -> u64 {
    let headers =
        request.headers.iter().map(|(name, value)| name.len() + value.len() + HEADER_BYTES);
    let texts = request.method.len() + request.url.len() + request.body.len();
    (texts + headers.sum::<usize>()) as u64
}
