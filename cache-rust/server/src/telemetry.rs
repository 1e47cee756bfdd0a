//! Spans, by OTLP where an endpoint is set; else nothing is made and nothing is paid.

use crate::exit::Failure;
use crate::logging;
use crate::settings::Settings;
use opentelemetry::propagation::{Extractor, TextMapPropagator};
use opentelemetry::trace::TracerProvider;
use opentelemetry_otlp::WithExportConfig;
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::propagation::TraceContextPropagator;
use opentelemetry_sdk::trace::SdkTracerProvider;
use std::time::Duration;
use tonic::metadata::MetadataMap;
use tracing_opentelemetry::OpenTelemetrySpanExt;
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;
use tracing_subscriber::{Layer, filter::Targets};

/// Sends what is left when it is dropped.
#[derive(Debug)]
pub struct Telemetry(Option<SdkTracerProvider>);

/// Sets up logs and spans for the process. Must be called inside the runtime.
///
/// # Errors
/// An endpoint that is no URL.
pub fn init(settings: &Settings) -> Result<Telemetry, Failure> {
    let lines = logging::Lines::default().with_filter(
        // Our own lines at the level asked for; those of libraries only when something is wrong.
        Targets::new()
            .with_target("bimetal_cache", logging::level(settings.log_level))
            .with_default(tracing::level_filters::LevelFilter::WARN),
    );
    let registry = tracing_subscriber::registry().with(lines);
    let Some(endpoint) = &settings.otlp_endpoint else {
        let _ = registry.try_init();
        return Ok(Telemetry(None));
    };
    let exporter = opentelemetry_otlp::SpanExporter::builder()
        .with_tonic()
        .with_endpoint(endpoint)
        .with_timeout(Duration::from_secs(3))
        .build()
        .map_err(|e| Failure::Settings(format!("--otlp-endpoint: {e}")))?;
    let resource = Resource::builder()
        .with_service_name("cache")
        .with_attribute(opentelemetry::KeyValue::new("service.instance.id", settings.instance.clone()))
        .build();
    let provider = SdkTracerProvider::builder().with_batch_exporter(exporter).with_resource(resource).build();
    let spans = tracing_opentelemetry::layer()
        .with_tracer(provider.tracer("bimetal-cache"))
        .with_filter(Targets::new().with_target("bimetal_cache", tracing::level_filters::LevelFilter::INFO));
    let _ = registry.with(spans).try_init();
    Ok(Telemetry(Some(provider)))
}

impl Drop for Telemetry {
    fn drop(&mut self) {
        if let Some(provider) = self.0.take() {
            // A collector that is gone must not hold up the end of the process.
            let _ = provider.shutdown_with_timeout(Duration::from_millis(300));
        }
    }
}

struct Metadata<'a>(&'a MetadataMap);

impl Extractor for Metadata<'_> {
    fn get(&self, key: &str) -> Option<&str> {
        self.0.get(key)?.to_str().ok()
    }
    fn keys(&self) -> Vec<&str> {
        vec!["traceparent", "tracestate"]
    }
}

/// Continues the caller's trace in `span`.
pub fn continue_trace(span: &tracing::Span, metadata: &MetadataMap) {
    if !span.is_disabled() && metadata.contains_key("traceparent") {
        let _ = span.set_parent(TraceContextPropagator::new().extract(&Metadata(metadata)));
    }
}

struct Traceparent<'a>(&'a str);

impl Extractor for Traceparent<'_> {
    fn get(&self, key: &str) -> Option<&str> {
        (key == "traceparent").then_some(self.0)
    }
    fn keys(&self) -> Vec<&str> {
        vec!["traceparent"]
    }
}

/// The same for a batch, which carries its context in a field.
pub fn continue_traceparent(span: &tracing::Span, traceparent: &str) {
    if !span.is_disabled() && !traceparent.is_empty() {
        let _ = span.set_parent(TraceContextPropagator::new().extract(&Traceparent(traceparent)));
    }
}
