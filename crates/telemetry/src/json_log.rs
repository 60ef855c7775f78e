//! Logs for programs: one JSON object a line.

use std::{
    fmt,
    io::{self, Write},
    sync::{Mutex, PoisonError},
};

use serde_json::{Map, Value, json};
use tracing::{
    Event, Subscriber,
    field::{Field, Visit},
    span::{Attributes, Id, Record},
};
use tracing_subscriber::{
    Layer,
    fmt::{
        format::Writer,
        time::{FormatTime as _, SystemTime},
    },
    layer::Context,
    registry::LookupSpan,
};

/// Writes every event as a JSON object on a line of its own.
///
/// An object has `timestamp` (RFC 3339, UTC), `level`, `target` (the part of the program that
/// speaks), `message`, and the event's own fields. The fields of the spans around the event stand
/// beside them, so that every line about a request has its id as `request`; where two have the same
/// name, the inner one counts.
pub struct JsonLog<W> {
    writer: Mutex<W>,
}

impl<W: Write> JsonLog<W> {
    /// Writes to `writer`.
    pub fn new(writer: W) -> Self {
        Self { writer: Mutex::new(writer) }
    }
}

/// The fields of a span.
struct Fields(Map<String, Value>);

struct Collect<'a>(&'a mut Map<String, Value>);

impl Collect<'_> {
    fn put(&mut self, field: &Field, value: Value) {
        self.0.insert(field.name().to_owned(), value);
    }
}

impl Visit for Collect<'_> {
    fn record_f64(&mut self, field: &Field, value: f64) {
        self.put(field, json!(value));
    }

    fn record_i64(&mut self, field: &Field, value: i64) {
        self.put(field, json!(value));
    }

    fn record_u64(&mut self, field: &Field, value: u64) {
        self.put(field, json!(value));
    }

    fn record_bool(&mut self, field: &Field, value: bool) {
        self.put(field, json!(value));
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        self.put(field, json!(value));
    }

    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        self.put(field, json!(format!("{value:?}")));
    }
}

impl<S, W> Layer<S> for JsonLog<W>
where
    S: Subscriber + for<'a> LookupSpan<'a>,
    W: Write + Send + 'static,
{
    fn on_new_span(&self, attributes: &Attributes<'_>, id: &Id, context: Context<'_, S>) {
        let Some(span) = context.span(id) else {
            return;
        };
        let mut fields = Map::new();
        attributes.record(&mut Collect(&mut fields));
        span.extensions_mut().insert(Fields(fields));
    }

    fn on_record(&self, id: &Id, values: &Record<'_>, context: Context<'_, S>) {
        let Some(span) = context.span(id) else {
            return;
        };
        if let Some(fields) = span.extensions_mut().get_mut::<Fields>() {
            values.record(&mut Collect(&mut fields.0));
        }
    }

    fn on_event(&self, event: &Event<'_>, context: Context<'_, S>) {
        let metadata = event.metadata();
        let mut timestamp = String::new();
        if SystemTime.format_time(&mut Writer::new(&mut timestamp)).is_err() {
            timestamp.clear();
        }
        let head = [
            ("timestamp", timestamp.as_str()),
            ("level", metadata.level().as_str()),
            ("target", metadata.target()),
        ];
        let head = || head.map(|(name, value)| (name.to_owned(), json!(value)));
        let mut object = Map::from_iter(head());
        for span in context.event_scope(event).into_iter().flat_map(|scope| scope.from_root()) {
            if let Some(fields) = span.extensions().get::<Fields>() {
                object.extend(fields.0.iter().map(|(name, value)| (name.clone(), value.clone())));
            }
        }
        event.record(&mut Collect(&mut object));
        // Once more, because a field may have one of these names.
        object.extend(head());
        let line = format!("{}\n", Value::Object(object));
        let mut writer = self.writer.lock().unwrap_or_else(PoisonError::into_inner);
        // Where the log cannot be written, there is no other place to say so.
        let _: io::Result<()> = writer.write_all(line.as_bytes());
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use tracing_subscriber::layer::SubscriberExt as _;

    use super::*;

    #[derive(Clone, Default)]
    struct Lines(Arc<Mutex<Vec<u8>>>);

    impl Write for Lines {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.lock().unwrap().extend_from_slice(bytes);
            Ok(bytes.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn a_line_has_the_request_of_the_span_around_it_and_cannot_be_forged() {
        let lines = Lines::default();
        let written = lines.clone();
        let subscriber = tracing_subscriber::registry().with(JsonLog::new(lines));
        tracing::subscriber::with_default(subscriber, || {
            let span = tracing::info_span!("serve", request = 7u64, late = tracing::field::Empty);
            let _inside = span.enter();
            span.record("late", true);
            tracing::warn!(reason = %"a\nb\" \u{1b}[2J", tries = 2, "again");
            tracing::info!(request = 8u64, "another");
        });
        let text = String::from_utf8(written.0.lock().unwrap().clone()).unwrap();
        let lines: Vec<Value> =
            text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
        let [first, second] = lines.as_slice() else { panic!("{text}") };
        assert_eq!(first["request"], 7);
        assert_eq!(first["late"], true);
        assert_eq!(first["tries"], 2);
        assert_eq!(first["level"], "WARN");
        assert_eq!(first["message"], "again");
        assert_eq!(first["reason"], "a\nb\" \u{1b}[2J");
        assert_eq!(first["target"], "outlayer_telemetry::json_log::tests");
        assert!(first["timestamp"].as_str().unwrap().ends_with('Z'), "{first}");
        assert_eq!(second["request"], 8, "{second}");
        assert!(!text.contains('\u{1b}'), "{text}");
    }
}
