//! Traces of requests for OpenTelemetry: one span for a request, and one in it for each stage.

use std::{fmt, time::SystemTime};

use opentelemetry::{
    Context, KeyValue,
    trace::{Span as _, Status, TraceContextExt as _, Tracer as _, TracerProvider as _},
};
use opentelemetry_otlp::{ExporterBuildError, SpanExporter, WithExportConfig as _};
use opentelemetry_sdk::{
    Resource,
    trace::{SdkTracer, SdkTracerProvider},
};
use outlayer_protocol::{AccountId, RequestId};

/// What happened to one request.
pub(crate) struct RequestTrace {
    request_id: RequestId,
    pub(crate) began: SystemTime,
    pub(crate) parts: Vec<Part>,
    pub(crate) attributes: Vec<(&'static str, String)>,
}

/// One stage of it.
pub(crate) struct Part {
    pub(crate) name: &'static str,
    pub(crate) from: SystemTime,
    pub(crate) until: SystemTime,
}

impl RequestTrace {
    pub(crate) fn begin(request_id: RequestId, began: SystemTime) -> Self {
        Self { request_id, began, parts: Vec::new(), attributes: Vec::new() }
    }
}

/// Sends traces to a collector. When the collector is away, they are lost and the worker goes on.
pub struct Traces {
    provider: SdkTracerProvider,
    tracer: SdkTracer,
    contract_id: AccountId,
}

impl fmt::Debug for Traces {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Traces").field("contract_id", &self.contract_id).finish_non_exhaustive()
    }
}

/// A collector that cannot be used.
#[derive(Debug, thiserror::Error)]
#[error("traces cannot be sent: {0}")]
pub struct TracesError(#[from] ExporterBuildError);

impl Traces {
    /// Sends traces by OTLP over gRPC to the collector at `endpoint`. It must be called inside of a
    /// tokio runtime, which then carries the connection.
    ///
    /// # Errors
    /// [`TracesError`] for an endpoint that is no URL.
    pub fn start(
        endpoint: &str,
        contract_id: AccountId,
        worker_id: &AccountId,
    ) -> Result<Self, TracesError> {
        let exporter = SpanExporter::builder().with_tonic().with_endpoint(endpoint).build();
        // The error repeats the URL, which may hold a token.
        let exporter = exporter.map_err(|error| match error {
            ExporterBuildError::InvalidUri(_, reason) => {
                ExporterBuildError::InvalidUri("(not shown)".to_owned(), reason)
            }
            other => other,
        })?;
        let resource = Resource::builder()
            .with_service_name("outlayer-worker")
            .with_attribute(KeyValue::new("service.instance.id", worker_id.to_string()))
            .build();
        let provider = SdkTracerProvider::builder()
            .with_batch_exporter(exporter)
            .with_resource(resource)
            .build();
        Ok(Self::with(provider, contract_id))
    }

    fn with(provider: SdkTracerProvider, contract_id: AccountId) -> Self {
        let tracer = provider.tracer("outlayer");
        Self { provider, tracer, contract_id }
    }

    /// Hands on what happened to a request that ended at `ended`.
    pub(crate) fn request(&self, trace: RequestTrace, ended: SystemTime) {
        let mut attributes = vec![
            KeyValue::new("outlayer.request_id", trace.request_id.to_string()),
            KeyValue::new("outlayer.contract", self.contract_id.to_string()),
        ];
        let failed = trace.attributes.contains(&("outcome", "failed".to_owned()));
        for (name, value) in trace.attributes {
            attributes.push(KeyValue::new(format!("outlayer.{name}"), value));
        }
        let builder = self
            .tracer
            .span_builder("request")
            .with_start_time(trace.began)
            .with_attributes(attributes);
        let mut whole = self.tracer.build_with_context(builder, &Context::new());
        if failed {
            whole.set_status(Status::error("no answer"));
        }
        let context = Context::new().with_span(whole);
        for part in trace.parts {
            let builder = self.tracer.span_builder(part.name).with_start_time(part.from);
            self.tracer.build_with_context(builder, &context).end_with_timestamp(part.until);
        }
        context.span().end_with_timestamp(ended);
    }

    /// Sends what has not been sent, and ends. It blocks for some seconds at the most.
    pub fn stop(&self) {
        if let Err(error) = self.provider.shutdown_with_timeout(std::time::Duration::from_secs(3)) {
            tracing::debug!(%error, "some traces were not sent");
        }
    }
}

#[cfg(test)]
mod tests {
    use std::{
        sync::{Arc, Mutex},
        time::Duration,
    };

    use opentelemetry_sdk::{
        error::OTelSdkResult,
        trace::{SpanData, SpanExporter},
    };

    use super::*;

    #[derive(Clone, Debug, Default)]
    struct Kept(Arc<Mutex<Vec<SpanData>>>);

    impl SpanExporter for Kept {
        async fn export(&self, batch: Vec<SpanData>) -> OTelSdkResult {
            self.0.lock().unwrap().extend(batch);
            Ok(())
        }
    }

    #[tokio::test]
    async fn an_endpoint_that_is_no_url_is_not_shown() {
        let (contract, worker) = ("outlayer.near".parse().unwrap(), "worker.near".parse().unwrap());
        let started = Traces::start("http://u:SECRET@ho st:4317", contract, &worker);
        let error = started.unwrap_err();
        assert!(!format!("{error} {error:?}").contains("SECRET"), "{error}");
    }

    #[test]
    fn a_request_is_one_trace_with_a_span_for_each_stage() {
        let kept = Kept::default();
        let provider = SdkTracerProvider::builder().with_simple_exporter(kept.clone()).build();
        let traces = Traces::with(provider, "outlayer.near".parse().unwrap());
        let at = |seconds| SystemTime::UNIX_EPOCH + Duration::from_secs(seconds);
        let mut trace = RequestTrace::begin(7, at(10));
        trace.parts.push(Part { name: "execute", from: at(10), until: at(12) });
        trace.parts.push(Part { name: "submit", from: at(12), until: at(13) });
        trace.attributes.push(("outcome", "failed".to_owned()));
        traces.request(trace, at(13));
        let spans = kept.0.lock().unwrap();
        let [execute, submit, whole] = spans.as_slice() else { panic!("{spans:?}") };
        assert_eq!((execute.name.as_ref(), submit.name.as_ref()), ("execute", "submit"));
        assert_eq!(whole.name, "request");
        for part in [execute, submit] {
            assert_eq!(part.parent_span_id, whole.span_context.span_id());
            assert_eq!(part.span_context.trace_id(), whole.span_context.trace_id());
        }
        assert_eq!((whole.start_time, whole.end_time), (at(10), at(13)));
        assert_eq!((submit.start_time, submit.end_time), (at(12), at(13)));
        let of = |name: &str| {
            let found = whole.attributes.iter().find(|one| one.key.as_str() == name);
            found.map(|one| one.value.to_string())
        };
        assert_eq!(of("outlayer.request_id").unwrap(), "7");
        assert_eq!(of("outlayer.outcome").unwrap(), "failed");
        assert!(matches!(whole.status, Status::Error { .. }));
    }
}
