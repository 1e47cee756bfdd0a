//! Logs: one JSON object a line on stdout (`time`, `level`, `msg`, `service`, `instance`, then fields), or lines
//! for people on a terminal.

use crate::exit::Failure;
use crate::settings::{LogFormat, LogLevel, Settings};
use opentelemetry::trace::TraceContextExt;
use serde_json::{Map, Value, json};
use std::io::Write;
use std::sync::OnceLock;
use std::time::SystemTime;
use tracing::dispatcher::{Dispatch, WeakDispatch};
use tracing::field::{Field, Visit};
use tracing::{Event, Level, Subscriber};
use tracing_opentelemetry::get_otel_context;
use tracing_subscriber::layer::{Context, Layer};
use tracing_subscriber::registry::LookupSpan;

#[derive(Debug, Clone)]
struct Sink {
    instance: String,
    format: LogFormat,
}

static SINK: OnceLock<Sink> = OnceLock::new();

/// Decides format and instance for the rest of the process.
pub fn init(settings: &Settings) {
    let _ = SINK.set(Sink { instance: settings.instance.clone(), format: settings.log_format });
}

/// The level as `tracing` knows it.
#[must_use]
pub fn level(level: LogLevel) -> tracing::level_filters::LevelFilter {
    match level {
        LogLevel::Debug => tracing::level_filters::LevelFilter::DEBUG,
        LogLevel::Info => tracing::level_filters::LevelFilter::INFO,
        LogLevel::Warn => tracing::level_filters::LevelFilter::WARN,
        LogLevel::Error => tracing::level_filters::LevelFilter::ERROR,
    }
}

/// Writes one line; fields may be nested.
pub fn line(level: &str, msg: &str, fields: Map<String, Value>) {
    let Some(sink) = SINK.get() else { return };
    let time = rfc3339(SystemTime::now());
    let text = match sink.format {
        LogFormat::Pretty => {
            let fields: String = fields.iter().map(|(name, value)| format!(" {name}={value}")).collect();
            format!("{} {:5} {} {msg}{fields}\n", &time[11..23], level.to_uppercase(), sink.instance)
        }
        LogFormat::Auto | LogFormat::Json => {
            let mut record = Map::new();
            record.insert("time".into(), time.into());
            record.insert("level".into(), level.into());
            record.insert("msg".into(), msg.into());
            record.insert("service".into(), "cache".into());
            record.insert("instance".into(), sink.instance.clone().into());
            record.extend(fields);
            format!("{}\n", Value::Object(record))
        }
    };
    // Nobody reads any more: nothing to do about it.
    let _ = std::io::stdout().lock().write_all(text.as_bytes());
}

/// Why the process ends, as a sentence on stderr and, where logs are JSON, as a log line.
pub fn report(failure: &Failure) {
    eprintln!("bimetal-cache: {failure}");
    if SINK.get().is_some_and(|sink| sink.format == LogFormat::Json) {
        let mut fields = Map::new();
        fields.insert("exit_code".into(), json!(failure.code()));
        line("error", &failure.to_string(), fields);
    }
}

/// UTC with milliseconds.
fn rfc3339(at: SystemTime) -> String {
    let since = at.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    let date = prost_types::Timestamp { seconds: since.as_secs() as i64, nanos: 0 }.to_string();
    format!("{}.{:03}Z", date.trim_end_matches('Z'), since.subsec_millis())
}

/// Turns events of `tracing` into lines.
#[derive(Debug, Default)]
pub struct Lines {
    /// To ask for the trace of an event's span.
    dispatch: OnceLock<WeakDispatch>,
}

#[derive(Default)]
struct Fields {
    msg: String,
    rest: Map<String, Value>,
}

impl Fields {
    fn put(&mut self, field: &Field, value: Value) {
        if field.name() != "message" {
            self.rest.insert(field.name().to_owned(), value);
        } else if let Value::String(text) = value {
            self.msg = text;
        }
    }
}

impl Visit for Fields {
    fn record_debug(&mut self, field: &Field, value: &dyn std::fmt::Debug) {
        self.put(field, format!("{value:?}").into());
    }
    fn record_str(&mut self, field: &Field, value: &str) {
        self.put(field, value.into());
    }
    fn record_u64(&mut self, field: &Field, value: u64) {
        self.put(field, value.into());
    }
    fn record_i64(&mut self, field: &Field, value: i64) {
        self.put(field, value.into());
    }
    fn record_bool(&mut self, field: &Field, value: bool) {
        self.put(field, value.into());
    }
    fn record_f64(&mut self, field: &Field, value: f64) {
        self.put(field, value.into());
    }
}

impl<S: Subscriber + for<'a> LookupSpan<'a>> Layer<S> for Lines {
    fn on_register_dispatch(&self, dispatch: &Dispatch) {
        let _ = self.dispatch.set(dispatch.downgrade());
    }

    fn on_event(&self, event: &Event<'_>, context: Context<'_, S>) {
        let mut fields = Fields::default();
        event.record(&mut fields);
        let dispatch = self.dispatch.get().and_then(WeakDispatch::upgrade);
        if let (Some(span), Some(dispatch)) = (context.event_span(event), dispatch)
            && let Some(trace) = get_otel_context(&span.id(), &dispatch)
        {
            let trace = trace.span().span_context().clone();
            if trace.is_valid() {
                fields.rest.insert("trace_id".into(), trace.trace_id().to_string().into());
                fields.rest.insert("span_id".into(), trace.span_id().to_string().into());
            }
        }
        let level = match *event.metadata().level() {
            Level::ERROR => "error",
            Level::WARN => "warn",
            Level::INFO => "info",
            Level::DEBUG | Level::TRACE => "debug",
        };
        line(level, &fields.msg, fields.rest);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    #[test]
    fn time_is_utc_with_milliseconds() {
        let at = SystemTime::UNIX_EPOCH + Duration::from_millis(1_763_812_800_007);
        assert_eq!(rfc3339(at), "2025-11-22T12:00:00.007Z");
    }
}
