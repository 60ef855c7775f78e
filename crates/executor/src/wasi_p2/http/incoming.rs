//! Responses, their bodies and trailers. A server's trailers are not kept, so there are none.

use std::{
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    task::Poll,
};

use outlayer_guest::{HostCall, Stop, verdict::reason::NO_SERVER};
use outlayer_protocol::http::HttpResponse;
use wasmtime::{Result, component::Resource};
use wasmtime_wasi::{
    async_trait,
    p2::{DynInputStream, DynPollable, Pollable},
};
use wasmtime_wasi_http::{
    FieldMap,
    p2::{
        HttpError, HttpResult,
        bindings::http::types::{self, ErrorCode, Method, Scheme, Trailers},
        body::{HostFutureTrailers, HostIncomingBody, HostOutgoingBody},
        types::{
            HostFutureIncomingResponse, HostIncomingRequest, HostIncomingResponse,
            HostOutgoingResponse, HostResponseOutparam,
        },
    },
};

use super::fields::Fields;
use crate::{
    state::State,
    wasi_p2::{
        clocks::Timers,
        streams::{Always, Source},
    },
};

/// What came of a request that was handed over.
#[derive(Default)]
pub(super) enum Progress {
    /// It is not sent: its body is open.
    #[default]
    Waiting,
    Answered(std::result::Result<HttpResponse, ErrorCode>),
    /// The guest has the response.
    Taken,
}

/// The entry behind the resource `future-incoming-response`. What sends the request later has it
/// too.
#[derive(Clone, Default)]
pub(super) struct Promise {
    progress: Arc<Mutex<Progress>>,
    /// The request, while its body is open.
    unfinished: Option<(u64, Timers)>,
}

impl Promise {
    /// What comes of the request with this number, whose body is open.
    pub(super) fn unfinished(number: u64, timers: Timers) -> Self {
        Self { progress: Arc::default(), unfinished: Some((number, timers)) }
    }

    pub(super) fn answered(answer: std::result::Result<HttpResponse, ErrorCode>) -> Self {
        let promise = Self::default();
        promise.answer(answer);
        promise
    }

    pub(super) fn answer(&self, answer: std::result::Result<HttpResponse, ErrorCode>) {
        *self.progress() = Progress::Answered(answer);
    }

    fn progress(&self) -> MutexGuard<'_, Progress> {
        self.progress.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn poll(&self) -> Poll<()> {
        if !matches!(*self.progress(), Progress::Waiting) {
            return Poll::Ready(());
        }
        if let Some((number, timers)) = &self.unfinished {
            timers.awaits(*number);
        }
        Poll::Pending
    }
}

#[async_trait]
impl Pollable for Promise {
    async fn ready(&mut self) {
        std::future::poll_fn(|_| self.poll()).await;
    }
}

/// The entry behind the resource `incoming-response`.
struct Response {
    status: u16,
    headers: Fields,
    body: Option<Vec<u8>>,
}

/// The entry behind the resource `incoming-body`.
struct Body(Option<Vec<u8>>);

/// The entry behind the resource `future-trailers`. It tells whether they were asked for.
#[derive(Clone, Copy)]
struct NoTrailers(bool);

impl types::HostFutureIncomingResponse for State {
    fn subscribe(
        &mut self,
        future: Resource<HostFutureIncomingResponse>,
    ) -> Result<Resource<DynPollable>> {
        self.enter()?;
        let promise = self.kept::<Promise, _>(&future)?.clone();
        self.subscribe_to(promise)
    }

    fn get(
        &mut self,
        future: Resource<HostFutureIncomingResponse>,
    ) -> Result<Option<Result<Result<Resource<HostIncomingResponse>, ErrorCode>, ()>>> {
        self.enter()?;
        let promise = self.kept::<Promise, _>(&future)?.clone();
        let mut progress = promise.progress();
        if matches!(*progress, Progress::Waiting) {
            return Ok(None);
        }
        Ok(Some(match std::mem::replace(&mut *progress, Progress::Taken) {
            Progress::Answered(Ok(response)) => Ok(Ok(self.respond(response)?)),
            Progress::Answered(Err(error)) => Ok(Err(error)),
            Progress::Waiting | Progress::Taken => Err(()),
        }))
    }

    fn drop(&mut self, future: Resource<HostFutureIncomingResponse>) -> Result<()> {
        Ok(self.take_entry::<Promise, _>(future).map(|_| ())?)
    }
}

impl State {
    /// Gives the guest a response.
    fn respond(&mut self, response: HttpResponse) -> Result<Resource<HostIncomingResponse>, Stop> {
        let HttpResponse { status, headers, body } = response;
        let entries = headers.into_iter().map(|(name, value)| (name, value.0)).collect();
        let headers = Fields { entries, is_fixed: true };
        self.push_as(Response { status, headers, body: Some(body.0) })
    }
}

impl types::HostIncomingResponse for State {
    fn status(&mut self, response: Resource<HostIncomingResponse>) -> Result<u16> {
        self.enter()?;
        Ok(self.kept::<Response, _>(&response)?.status)
    }

    fn headers(&mut self, response: Resource<HostIncomingResponse>) -> Result<Resource<FieldMap>> {
        self.enter()?;
        self.copy(&response, |response: &Response| &response.headers, true)
    }

    fn consume(
        &mut self,
        response: Resource<HostIncomingResponse>,
    ) -> Result<Result<Resource<HostIncomingBody>, ()>> {
        self.enter()?;
        let Some(body) = self.kept_mut::<Response, _>(&response)?.body.take() else {
            return Ok(Err(()));
        };
        Ok(Ok(self.push_as(Body(Some(body)))?))
    }

    fn drop(&mut self, response: Resource<HostIncomingResponse>) -> Result<()> {
        Ok(self.take_entry::<Response, _>(response).map(|_| ())?)
    }
}

impl types::HostIncomingBody for State {
    /// The stream of a body, once. The body cannot be finished before the stream is dropped.
    fn stream(
        &mut self,
        body: Resource<HostIncomingBody>,
    ) -> Result<Result<Resource<DynInputStream>, ()>> {
        self.enter()?;
        let Some(bytes) = self.kept_mut::<Body, _>(&body)?.0.take() else {
            return Ok(Err(()));
        };
        Ok(Ok(self.push_child_as::<Body, _, _>(Source::Body { bytes, read: 0 }, &body)?))
    }

    fn finish(&mut self, body: Resource<HostIncomingBody>) -> Result<Resource<HostFutureTrailers>> {
        self.enter()?;
        self.take_entry::<Body, _>(body)?;
        Ok(self.push_as(NoTrailers(false))?)
    }

    fn drop(&mut self, body: Resource<HostIncomingBody>) -> Result<()> {
        Ok(self.take_entry::<Body, _>(body).map(|_| ())?)
    }
}

impl types::HostFutureTrailers for State {
    fn subscribe(&mut self, _: Resource<HostFutureTrailers>) -> Result<Resource<DynPollable>> {
        self.enter()?;
        self.subscribe_to(Always)
    }

    fn get(
        &mut self,
        future: Resource<HostFutureTrailers>,
    ) -> Result<Option<Result<Result<Option<Resource<Trailers>>, ErrorCode>, ()>>> {
        self.enter()?;
        let asked = std::mem::replace(&mut self.kept_mut::<NoTrailers, _>(&future)?.0, true);
        Ok(Some(if asked { Err(()) } else { Ok(Ok(None)) }))
    }

    fn drop(&mut self, future: Resource<HostFutureTrailers>) -> Result<()> {
        Ok(self.take_entry::<NoTrailers, _>(future).map(|_| ())?)
    }
}

/// What only a server has.
const SERVER: Stop = Stop::Trap(NO_SERVER);

impl types::HostIncomingRequest for State {
    fn method(&mut self, _: Resource<HostIncomingRequest>) -> Result<Method> {
        Err(SERVER.into())
    }

    fn path_with_query(&mut self, _: Resource<HostIncomingRequest>) -> Result<Option<String>> {
        Err(SERVER.into())
    }

    fn scheme(&mut self, _: Resource<HostIncomingRequest>) -> Result<Option<Scheme>> {
        Err(SERVER.into())
    }

    fn authority(&mut self, _: Resource<HostIncomingRequest>) -> Result<Option<String>> {
        Err(SERVER.into())
    }

    fn headers(&mut self, _: Resource<HostIncomingRequest>) -> Result<Resource<FieldMap>> {
        Err(SERVER.into())
    }

    fn consume(
        &mut self,
        _: Resource<HostIncomingRequest>,
    ) -> Result<Result<Resource<HostIncomingBody>, ()>> {
        Err(SERVER.into())
    }

    fn drop(&mut self, _: Resource<HostIncomingRequest>) -> Result<()> {
        Err(SERVER.into())
    }
}

impl types::HostOutgoingResponse for State {
    fn new(&mut self, _: Resource<FieldMap>) -> Result<Resource<HostOutgoingResponse>> {
        self.enter()?;
        Err(SERVER.into())
    }

    fn status_code(&mut self, _: Resource<HostOutgoingResponse>) -> Result<u16> {
        Err(SERVER.into())
    }

    fn set_status_code(
        &mut self,
        _: Resource<HostOutgoingResponse>,
        _: u16,
    ) -> Result<Result<(), ()>> {
        Err(SERVER.into())
    }

    fn headers(&mut self, _: Resource<HostOutgoingResponse>) -> Result<Resource<FieldMap>> {
        Err(SERVER.into())
    }

    fn body(
        &mut self,
        _: Resource<HostOutgoingResponse>,
    ) -> Result<Result<Resource<HostOutgoingBody>, ()>> {
        Err(SERVER.into())
    }

    fn drop(&mut self, _: Resource<HostOutgoingResponse>) -> Result<()> {
        Err(SERVER.into())
    }
}

impl types::HostResponseOutparam for State {
    fn set(
        &mut self,
        _: Resource<HostResponseOutparam>,
        _: Result<Resource<HostOutgoingResponse>, ErrorCode>,
    ) -> Result<()> {
        Err(SERVER.into())
    }

    fn send_informational(
        &mut self,
        _: Resource<HostResponseOutparam>,
        _: u16,
        _: Resource<FieldMap>,
    ) -> HttpResult<()> {
        Err(HttpError::trap(SERVER))
    }

    fn drop(&mut self, _: Resource<HostResponseOutparam>) -> Result<()> {
        Err(SERVER.into())
    }
}
