//! Requests and their bodies, and the exchange.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use outlayer_guest::{Fault, HostCall, Stop, Work, http::Refusal, outlayer::http};
use outlayer_protocol::{
    Bytes,
    http::{Answered, HttpRequest, HttpResponse, MAX_SENT_BYTES},
};
use wasmtime::{
    AsContextMut as _, Result, StoreContextMut,
    component::{Linker, Resource},
};
use wasmtime_wasi::p2::{DynOutputStream, StreamError, StreamResult};
use wasmtime_wasi_http::{
    FieldMap,
    p2::{
        HttpError, HttpResult,
        bindings::http::types::{self, ErrorCode, Method, RequestOptions, Scheme, Trailers},
        body::HostOutgoingBody,
        types::{HostFutureIncomingResponse, HostOutgoingRequest},
    },
};

use super::{errors, fields::Fields, incoming::Promise, unfinished::HandedOver};
use crate::{call::ComponentCall, state::State, wasi_p2::streams::Target};

/// The entry behind the resource `outgoing-request`.
struct Request {
    method: Method,
    scheme: Option<Scheme>,
    authority: Option<String>,
    path: Option<String>,
    headers: Fields,
    body: Option<Draft>,
}

/// A body that is being written, which belongs to a request and to the resource `outgoing-body`.
#[derive(Clone, Default)]
pub(crate) struct Draft(Arc<Mutex<Writing>>);

#[derive(Default)]
struct Writing {
    bytes: Vec<u8>,
    /// More was written than a body may have.
    is_too_long: bool,
    /// What the header `content-length` announces.
    announced: Option<u64>,
    has_stream: bool,
    end: End,
    /// The request, from when it is handed over until it is sent.
    handed_over: Option<HandedOver>,
}

#[derive(Clone, Copy, Default, PartialEq, Eq)]
enum End {
    #[default]
    Open,
    Finished,
    /// The request was sent with what was written, because the guest waits for the answer.
    Cut,
    /// It was dropped before it was finished.
    Abandoned,
}

impl Draft {
    pub(super) fn hand_over(&self, handed_over: HandedOver) {
        self.writing().handed_over = Some(handed_over);
    }

    fn writing(&self) -> MutexGuard<'_, Writing> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Writing {
    /// The body, if it is as long as it may be and as was announced.
    fn complete(&mut self) -> std::result::Result<Vec<u8>, ErrorCode> {
        let length = self.bytes.len() as u64;
        if self.is_too_long {
            return Err(errors::of_refusal(Refusal::BodyBytes));
        }
        if self.announced.is_some_and(|announced| announced != length) {
            return Err(ErrorCode::HttpRequestBodySize(Some(length)));
        }
        Ok(std::mem::take(&mut self.bytes))
    }
}

type Store<'a> = StoreContextMut<'a, State>;

/// Links what waits for an exchange: these functions are asynchronous here, and not in the
/// bindings.
pub(super) fn add_to_linker(linker: &mut Linker<State>, version: &str) -> Result<()> {
    linker.instance(&format!("wasi:http/outgoing-handler@{version}"))?.func_wrap_async(
        "handle",
        |mut store: Store<'_>,
         (request, options): (
            Resource<HostOutgoingRequest>,
            Option<Resource<RequestOptions>>,
        )| {
            Box::new(async move { Ok((handle(&mut store, request, options).await?,)) })
        },
    )?;
    linker.allow_shadowing(true);
    linker.instance(&format!("wasi:http/types@{version}"))?.func_wrap_async(
        "[static]outgoing-body.finish",
        |mut store: Store<'_>,
         (body, trailers): (Resource<HostOutgoingBody>, Option<Resource<FieldMap>>)| {
            Box::new(async move { Ok((finish(&mut store, body, trailers).await?,)) })
        },
    )?;
    linker.allow_shadowing(false);
    Ok(())
}

/// What the guest gets for a request: what comes of it, or why it is not sent.
type Sent = std::result::Result<Promise, ErrorCode>;
/// What comes of it.
type Answer = std::result::Result<HttpResponse, ErrorCode>;

/// Sends a request, or hands it over to its body.
async fn handle(
    store: &mut Store<'_>,
    request: Resource<HostOutgoingRequest>,
    options: Option<Resource<RequestOptions>>,
) -> Result<std::result::Result<Resource<HostFutureIncomingResponse>, ErrorCode>> {
    let state = store.data_mut();
    state.enter()?;
    if let Some(options) = options {
        state.take_entry::<Options, _>(options)?;
    }
    let mut request = state.take_request(request)?;
    state.charge(Work::Read(request.bytes() as u64))?;
    let draft = request.body.take();
    let sent = match request.composed() {
        Ok(request) => send(store, request, draft).await?,
        Err(error) => Err(error),
    };
    Ok(match sent {
        Ok(promise) => Ok(store.data_mut().push_as(promise)?),
        Err(error) => Err(error),
    })
}

async fn send(
    store: &mut Store<'_>,
    mut request: HttpRequest,
    draft: Option<Draft>,
) -> Result<Sent> {
    let Some(draft) = draft else { return send_whole(store, request).await };
    let end = draft.writing().end;
    match end {
        End::Abandoned | End::Cut => Ok(Err(ErrorCode::HttpProtocolError)),
        End::Open => {
            // What is not permitted is said at once.
            let admitted = store.data_mut().host.exchanges.admit(request.clone());
            if let Err(refusal) = admitted {
                return Ok(Err(errors::of_refusal(refusal)));
            }
            let state = store.data_mut();
            state.hold(room(&request))?;
            let timers = state.timers.get_or_insert_default().clone();
            Ok(Ok(state.unfinished.add(request, &draft, timers)))
        }
        End::Finished => {
            let complete = draft.writing().complete();
            request.body = match complete {
                Ok(body) => Bytes(body),
                Err(error) => return Ok(Err(error)),
            };
            store.data_mut().release(request.body.len());
            send_whole(store, request).await
        }
    }
}

/// Finishes a body, and sends the request that waits for it.
async fn finish(
    store: &mut Store<'_>,
    body: Resource<HostOutgoingBody>,
    trailers: Option<Resource<FieldMap>>,
) -> Result<std::result::Result<(), ErrorCode>> {
    let state = store.data_mut();
    state.enter()?;
    let has_trailers = match trailers {
        Some(trailers) => !state.take_fields(trailers)?.entries.is_empty(),
        None => false,
    };
    let draft: Draft = state.take_entry(body)?;
    let (handed_over, body) = {
        let mut writing = draft.writing();
        let handed_over = writing.handed_over.take();
        let body = match &handed_over {
            _ if has_trailers => Err(ErrorCode::HttpRequestTrailerSectionSize(None)),
            Some(_) => writing.complete(),
            None => Ok(Vec::new()),
        };
        writing.end = if body.is_err() { End::Abandoned } else { End::Finished };
        (handed_over, body)
    };
    match handed_over {
        Some(handed_over) => deliver(store, handed_over, body).await,
        None => Ok(body.map(|_| ())),
    }
}

/// Sends the request with this number, with what was written of its body, because the guest waits
/// for the answer.
pub(in crate::wasi_p2) async fn send_unfinished(store: &mut Store<'_>, number: u64) -> Result<()> {
    let taken = store.data_mut().unfinished.take(number).and_then(|draft| {
        let mut writing = draft.writing();
        writing.end = End::Cut;
        let handed_over = writing.handed_over.take()?;
        Some((handed_over, writing.complete()))
    });
    let Some((handed_over, body)) = taken else {
        return Err(Fault::engine("the guest waits for a request that nobody has").into());
    };
    // What goes wrong is the answer.
    deliver(store, handed_over, body).await.map(|_| ())
}

/// Sends a request that was handed over, and tells who waits what came of it. An error is one of
/// the body.
async fn deliver(
    store: &mut Store<'_>,
    handed_over: HandedOver,
    body: std::result::Result<Vec<u8>, ErrorCode>,
) -> Result<std::result::Result<(), ErrorCode>> {
    let HandedOver { number, mut request, promise } = handed_over;
    let state = store.data_mut();
    state.unfinished.take(number);
    state.release(room(&request));
    request.body = match body {
        Ok(body) => Bytes(body),
        Err(error) => {
            promise.answer(Err(error.clone()));
            return Ok(Err(error));
        }
    };
    state.release(request.body.len());
    let answer = exchange(store, request).await?;
    promise.answer(answer.unwrap_or_else(|refusal| Err(errors::of_refusal(refusal))));
    Ok(Ok(()))
}

/// Makes the exchange, unless it is refused.
async fn exchange(
    store: &mut Store<'_>,
    request: HttpRequest,
) -> Result<std::result::Result<Answer, Refusal>> {
    let mut call = ComponentCall(store.as_context_mut());
    Ok(http::exchange(&mut call, request).await?.map(|answered| match answered {
        Answered::Response(response) => Ok(response),
        Answered::Failed(error) => Err(errors::of_exchange(error)),
    }))
}

/// Sends a request whose body is whole.
async fn send_whole(store: &mut Store<'_>, request: HttpRequest) -> Result<Sent> {
    let answer = exchange(store, request).await?;
    Ok(answer.map(Promise::answered).map_err(errors::of_refusal))
}

/// How much room a request takes that was handed over to its body.
fn room(request: &HttpRequest) -> usize {
    usize::try_from(http::bytes(request)).unwrap_or(usize::MAX)
}

impl Request {
    /// How much room it takes, without its body.
    fn bytes(&self) -> usize {
        let text = |text: &Option<String>| text.as_ref().map_or(0, String::len);
        let method = match &self.method {
            Method::Other(name) => name.len(),
            _ => 0,
        };
        let scheme = match &self.scheme {
            Some(Scheme::Other(name)) => name.len(),
            _ => 0,
        };
        method + scheme + text(&self.authority) + text(&self.path) + self.headers.bytes()
    }

    /// What is sent, without its body.
    fn composed(self) -> std::result::Result<HttpRequest, ErrorCode> {
        let method = match self.method {
            Method::Get => "GET".to_owned(),
            Method::Head => "HEAD".to_owned(),
            Method::Post => "POST".to_owned(),
            Method::Put => "PUT".to_owned(),
            Method::Delete => "DELETE".to_owned(),
            Method::Connect => "CONNECT".to_owned(),
            Method::Options => "OPTIONS".to_owned(),
            Method::Trace => "TRACE".to_owned(),
            Method::Patch => "PATCH".to_owned(),
            Method::Other(name) => name,
        };
        let scheme = match self.scheme {
            None | Some(Scheme::Https) => "https",
            Some(Scheme::Http) => "http",
            Some(Scheme::Other(_)) => return Err(ErrorCode::HttpRequestDenied),
        };
        let authority = self.authority.unwrap_or_default().to_ascii_lowercase();
        let path = match self.path {
            None => "/".to_owned(),
            Some(path) if path.is_empty() || path.starts_with('?') => format!("/{path}"),
            Some(path) => path,
        };
        // Neither part may reach into the other.
        if authority.contains(['/', '?', '#', '@']) || !path.starts_with('/') {
            return Err(ErrorCode::HttpRequestUriInvalid);
        }
        let headers = self.headers.entries.into_iter();
        Ok(HttpRequest {
            method,
            url: format!("{scheme}://{authority}{path}"),
            headers: headers.map(|(name, value)| (name, Bytes(value))).collect(),
            body: Bytes::default(),
        })
    }
}

impl State {
    fn take_request(&mut self, request: Resource<HostOutgoingRequest>) -> Result<Request> {
        let request: Request = self.take_entry(request)?;
        self.release(request.bytes());
        Ok(request)
    }

    /// Changes a request by what the guest says in so many bytes.
    fn change_request(
        &mut self,
        request: &Resource<HostOutgoingRequest>,
        said: usize,
        change: impl FnOnce(&mut Request),
    ) -> Result<Result<(), ()>> {
        self.enter()?;
        self.charge(Work::Read(said as u64))?;
        let kept = self.kept_mut::<Request, _>(request)?;
        let before = kept.bytes();
        change(kept);
        let after = kept.bytes();
        self.release(before);
        self.hold(after)?;
        Ok(Ok(()))
    }
}

impl types::HostOutgoingRequest for State {
    fn new(&mut self, headers: Resource<FieldMap>) -> Result<Resource<HostOutgoingRequest>> {
        self.enter()?;
        let headers = Fields { is_fixed: true, ..self.take_fields(headers)? };
        let request = Request {
            method: Method::Get,
            scheme: None,
            authority: None,
            path: None,
            headers,
            body: None,
        };
        self.hold(request.bytes())?;
        Ok(self.push_as(request)?)
    }

    fn body(
        &mut self,
        request: Resource<HostOutgoingRequest>,
    ) -> Result<Result<Resource<HostOutgoingBody>, ()>> {
        self.enter()?;
        let kept = self.kept_mut::<Request, _>(&request)?;
        if kept.body.is_some() {
            return Ok(Err(()));
        }
        let announced = kept.headers.only("content-length");
        let announced = announced.and_then(|text| std::str::from_utf8(text).ok()?.parse().ok());
        let draft = Draft::default();
        draft.writing().announced = announced;
        kept.body = Some(draft.clone());
        Ok(Ok(self.push_as(draft)?))
    }

    fn method(&mut self, request: Resource<HostOutgoingRequest>) -> Result<Method> {
        self.enter()?;
        let kept = self.kept::<Request, _>(&request)?;
        let (method, bytes) = (kept.method.clone(), kept.bytes());
        self.charge(Work::Write(bytes as u64))?;
        Ok(method)
    }

    fn set_method(
        &mut self,
        request: Resource<HostOutgoingRequest>,
        method: Method,
    ) -> Result<Result<(), ()>> {
        let said = match &method {
            Method::Other(name) if !name.bytes().all(|byte| byte.is_ascii_graphic()) => {
                self.enter()?;
                self.charge(Work::Read(name.len() as u64))?;
                return Ok(Err(()));
            }
            Method::Other(name) => name.len(),
            _ => 0,
        };
        self.change_request(&request, said, |request| request.method = method)
    }

    fn path_with_query(
        &mut self,
        request: Resource<HostOutgoingRequest>,
    ) -> Result<Option<String>> {
        self.enter()?;
        let kept = self.kept::<Request, _>(&request)?;
        let (path, bytes) = (kept.path.clone(), kept.bytes());
        self.charge(Work::Write(bytes as u64))?;
        Ok(path)
    }

    fn set_path_with_query(
        &mut self,
        request: Resource<HostOutgoingRequest>,
        path: Option<String>,
    ) -> Result<Result<(), ()>> {
        let said = path.as_ref().map_or(0, String::len);
        self.change_request(&request, said, |request| request.path = path)
    }

    fn scheme(&mut self, request: Resource<HostOutgoingRequest>) -> Result<Option<Scheme>> {
        self.enter()?;
        let kept = self.kept::<Request, _>(&request)?;
        let (scheme, bytes) = (kept.scheme.clone(), kept.bytes());
        self.charge(Work::Write(bytes as u64))?;
        Ok(scheme)
    }

    fn set_scheme(
        &mut self,
        request: Resource<HostOutgoingRequest>,
        scheme: Option<Scheme>,
    ) -> Result<Result<(), ()>> {
        let said = match &scheme {
            Some(Scheme::Other(name)) => name.len(),
            _ => 0,
        };
        self.change_request(&request, said, |request| request.scheme = scheme)
    }

    fn authority(&mut self, request: Resource<HostOutgoingRequest>) -> Result<Option<String>> {
        self.enter()?;
        let kept = self.kept::<Request, _>(&request)?;
        let (authority, bytes) = (kept.authority.clone(), kept.bytes());
        self.charge(Work::Write(bytes as u64))?;
        Ok(authority)
    }

    fn set_authority(
        &mut self,
        request: Resource<HostOutgoingRequest>,
        authority: Option<String>,
    ) -> Result<Result<(), ()>> {
        let said = authority.as_ref().map_or(0, String::len);
        self.change_request(&request, said, |request| request.authority = authority)
    }

    fn headers(&mut self, request: Resource<HostOutgoingRequest>) -> Result<Resource<FieldMap>> {
        self.enter()?;
        self.copy(&request, |request: &Request| &request.headers, true)
    }

    fn drop(&mut self, request: Resource<HostOutgoingRequest>) -> Result<()> {
        self.take_request(request).map(|_| ())
    }
}

impl types::HostOutgoingBody for State {
    /// The stream of a body, once. The body cannot be finished before the stream is dropped.
    fn write(
        &mut self,
        body: Resource<HostOutgoingBody>,
    ) -> Result<Result<Resource<DynOutputStream>, ()>> {
        self.enter()?;
        let draft = self.kept::<Draft, _>(&body)?;
        if std::mem::replace(&mut draft.writing().has_stream, true) {
            return Ok(Err(()));
        }
        let target = Target::Body(body.rep());
        Ok(Ok(self.push_child_as::<Draft, _, _>(target, &body)?))
    }

    /// Not linked: [`finish`] waits.
    fn finish(
        &mut self,
        _: Resource<HostOutgoingBody>,
        _: Option<Resource<Trailers>>,
    ) -> HttpResult<()> {
        Err(HttpError::trap(Fault::engine("a body is finished without waiting")))
    }

    /// A request whose body is dropped without being finished is not sent any more.
    fn drop(&mut self, body: Resource<HostOutgoingBody>) -> Result<()> {
        let draft: Draft = self.take_entry(body)?;
        let mut writing = draft.writing();
        writing.end = End::Abandoned;
        let mut kept = std::mem::take(&mut writing.bytes).len();
        if let Some(handed_over) = writing.handed_over.take() {
            self.unfinished.take(handed_over.number);
            handed_over.promise.answer(Err(ErrorCode::HttpProtocolError));
            kept += room(&handed_over.request);
        }
        drop(writing);
        self.release(kept);
        Ok(())
    }
}

impl State {
    /// Adds bytes, which have been paid for, to the body behind this resource.
    pub(in crate::wasi_p2) fn write_body(&mut self, body: u32, bytes: &[u8]) -> StreamResult<()> {
        let trap = |stop: Stop| StreamError::Trap(stop.into());
        let body = Resource::<HostOutgoingBody>::new_borrow(body);
        let draft = self.kept::<Draft, _>(&body).map_err(trap)?.clone();
        let mut writing = draft.writing();
        if writing.end == End::Cut {
            return Err(StreamError::Closed);
        }
        let room = (MAX_SENT_BYTES as usize).saturating_sub(writing.bytes.len());
        if writing.is_too_long || bytes.len() > room {
            writing.is_too_long = true;
            let kept = std::mem::take(&mut writing.bytes).len();
            self.release(kept);
            return Err(StreamError::Closed);
        }
        self.hold(bytes.len()).map_err(trap)?;
        writing.bytes.extend_from_slice(bytes);
        Ok(())
    }
}

/// The entry behind the resource `request-options`: times that a guest would wait at most,
/// nanoseconds. How long anybody waits is in the request to the contract, so they have no effect.
#[derive(Clone, Copy, Default)]
struct Options {
    connect: Option<u64>,
    first_byte: Option<u64>,
    between_bytes: Option<u64>,
}

impl State {
    fn options(&mut self, options: &Resource<RequestOptions>) -> Result<&mut Options> {
        self.enter()?;
        Ok(self.kept_mut(options)?)
    }
}

impl types::HostRequestOptions for State {
    fn new(&mut self) -> Result<Resource<RequestOptions>> {
        self.enter()?;
        Ok(self.push_as(Options::default())?)
    }

    fn connect_timeout(&mut self, options: Resource<RequestOptions>) -> Result<Option<u64>> {
        Ok(self.options(&options)?.connect)
    }

    fn set_connect_timeout(
        &mut self,
        options: Resource<RequestOptions>,
        duration: Option<u64>,
    ) -> Result<Result<(), ()>> {
        self.options(&options)?.connect = duration;
        Ok(Ok(()))
    }

    fn first_byte_timeout(&mut self, options: Resource<RequestOptions>) -> Result<Option<u64>> {
        Ok(self.options(&options)?.first_byte)
    }

    fn set_first_byte_timeout(
        &mut self,
        options: Resource<RequestOptions>,
        duration: Option<u64>,
    ) -> Result<Result<(), ()>> {
        self.options(&options)?.first_byte = duration;
        Ok(Ok(()))
    }

    fn between_bytes_timeout(&mut self, options: Resource<RequestOptions>) -> Result<Option<u64>> {
        Ok(self.options(&options)?.between_bytes)
    }

    fn set_between_bytes_timeout(
        &mut self,
        options: Resource<RequestOptions>,
        duration: Option<u64>,
    ) -> Result<Result<(), ()>> {
        self.options(&options)?.between_bytes = duration;
        Ok(Ok(()))
    }

    fn drop(&mut self, options: Resource<RequestOptions>) -> Result<()> {
        Ok(self.take_entry::<Options, _>(options).map(|_| ())?)
    }
}
