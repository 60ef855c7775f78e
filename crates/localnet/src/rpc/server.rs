//! The HTTP server: one JSON-RPC endpoint and a few pages for GET, with nearcore's status codes.

use std::{future::Future, sync::Arc};

use axum::{
    Router,
    extract::{DefaultBodyLimit, Json, Request, State},
    http::{HeaderName, HeaderValue, Method, StatusCode, header},
    middleware::{Next, from_fn},
    response::{IntoResponse, Response},
    routing::{get, post},
    serve::ListenerExt,
};
use near_jsonrpc_primitives::{
    errors::{RpcError, RpcErrorKind},
    message::Message,
};
use serde_json::Value;
use tokio::net::TcpListener;

use super::{answer::internal, methods::call, pages};
use crate::node::{Node, RpcFault};

/// Serves the RPC until `shutdown` completes.
pub async fn serve(
    node: Arc<Node>,
    listener: TcpListener,
    shutdown: impl Future<Output = ()> + Send + 'static,
) -> std::io::Result<()> {
    node.set_rpc_addr(listener.local_addr()?.to_string());
    let max_body_bytes = node.settings().max_body_bytes;
    let app = Router::new()
        .route("/", post(rpc))
        .route("/status", get(status))
        .route("/health", get(health))
        .route("/network_info", get(network_info))
        .route("/metrics", get(metrics))
        .route("/openapi.json", get(openapi))
        .layer(DefaultBodyLimit::max(max_body_bytes))
        .layer(from_fn(allow_origins))
        .with_state(node);
    // Small responses must not wait for the client's acknowledgement.
    let listener = listener.tap_io(|stream| {
        if let Err(error) = stream.set_nodelay(true) {
            tracing::debug!(%error, "cannot send small packets at once");
        }
    });
    axum::serve(listener, app).with_graceful_shutdown(shutdown).await
}

async fn rpc(State(node): State<Arc<Node>>, Json(body): Json<Value>) -> Response {
    let (id, block_id, result) = match serde_json::from_value::<Message>(body) {
        Ok(Message::Request(request)) => {
            let fault = node.faults().next_rpc_fault(&request.method);
            let block_id = request.params.get("block_id").and_then(Value::as_u64);
            let answer = if fault == Some(RpcFault::NotExecuted) {
                Err(internal("a fault was injected: the request was not executed".to_owned()))
            } else {
                call(Arc::clone(&node), request.method, request.params).await
            };
            let answer = if fault == Some(RpcFault::ResponseLost) {
                Err(internal("a fault was injected: the response is lost".to_owned()))
            } else {
                answer
            };
            (request.id, block_id, answer)
        }
        _ => (
            Value::Null,
            None,
            Err(RpcError::parse_error("JSON RPC Request format was expected".to_owned())),
        ),
    };
    let code = match &result {
        Ok(_) => StatusCode::OK,
        Err(error) if is_missing_block(&node, error, block_id) => StatusCode::UNPROCESSABLE_ENTITY,
        Err(error) => http_status(error),
    };
    (code, Json(Message::response(id, result))).into_response()
}

/// Whether the error is about a block below the head that was asked for by its height and is
/// missing, because the height was skipped or the block was garbage-collected
/// (`handle_unknown_block` in `chain/jsonrpc/src/lib.rs`).
fn is_missing_block(node: &Node, error: &RpcError, height: Option<u64>) -> bool {
    let unknown = matches!(
        &error.error_struct,
        Some(RpcErrorKind::HandlerError(cause)) if cause["name"] == "UNKNOWN_BLOCK"
    );
    unknown && height.is_some_and(|height| height < node.chain().head().height())
}

/// The HTTP status that nearcore gives for each kind of error.
fn http_status(error: &RpcError) -> StatusCode {
    match &error.error_struct {
        Some(RpcErrorKind::RequestValidationError(_)) => StatusCode::BAD_REQUEST,
        Some(RpcErrorKind::HandlerError(cause)) if cause["name"] == "TIMEOUT_ERROR" => {
            StatusCode::REQUEST_TIMEOUT
        }
        Some(RpcErrorKind::InternalError(_)) => StatusCode::INTERNAL_SERVER_ERROR,
        Some(RpcErrorKind::HandlerError(_)) | None => StatusCode::OK,
    }
}

async fn page(node: Arc<Node>, method: &str) -> Response {
    match call(node, method.to_owned(), Value::Null).await {
        Ok(value) => Json(value).into_response(),
        Err(_) => StatusCode::SERVICE_UNAVAILABLE.into_response(),
    }
}

async fn status(State(node): State<Arc<Node>>) -> Response {
    page(node, "status").await
}

async fn health(State(node): State<Arc<Node>>) -> Response {
    page(node, "health").await
}

async fn network_info(State(node): State<Arc<Node>>) -> Response {
    page(node, "network_info").await
}

async fn metrics(State(node): State<Arc<Node>>) -> Response {
    ([(header::CONTENT_TYPE, "text/plain; version=0.0.4")], pages::metrics(&node)).into_response()
}

async fn openapi() -> Response {
    Json(pages::openapi()).into_response()
}

/// Lets web pages of any origin send requests (CORS).
async fn allow_origins(request: Request, next: Next) -> Response {
    const ALLOWED: [(HeaderName, HeaderValue); 3] = [
        (header::ACCESS_CONTROL_ALLOW_ORIGIN, HeaderValue::from_static("*")),
        (header::ACCESS_CONTROL_ALLOW_METHODS, HeaderValue::from_static("GET, POST")),
        (header::ACCESS_CONTROL_ALLOW_HEADERS, HeaderValue::from_static("*")),
    ];
    let mut response = if request.method() == Method::OPTIONS {
        StatusCode::OK.into_response()
    } else {
        next.run(request).await
    };
    for (name, value) in ALLOWED {
        response.headers_mut().insert(name, value);
    }
    response
}
