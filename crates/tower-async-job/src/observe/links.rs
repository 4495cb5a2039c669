//! OpenTelemetry links from the spans of polls to those of their jobs, with the feature
//! `opentelemetry`. A run links to its submission by `follows_from`. A later run has the parent that the
//! stored headers of its request name.

#[cfg(not(feature = "opentelemetry"))]
pub(crate) use off::{Links, span_of_rerun};
#[cfg(feature = "opentelemetry")]
pub(crate) use on::{Links, span_of_rerun};

#[cfg(not(feature = "opentelemetry"))]
mod off {
    use http::HeaderMap;
    use tower_async_job_core::JobId;
    use tracing::Span;

    #[derive(Default)]
    pub(crate) struct Links(());

    impl Links {
        #[inline]
        pub(crate) fn insert(&self, _: JobId, _: &Span) {}

        #[inline]
        pub(crate) fn link(&self, _: &JobId) {}
    }

    pub(crate) fn span_of_rerun(_: &HeaderMap) -> Span {
        Span::none()
    }
}

#[cfg(feature = "opentelemetry")]
mod on {
    use http::{HeaderMap, HeaderName};
    use opentelemetry::{
        global::get_text_map_propagator,
        propagation::Extractor,
        trace::{SpanContext, TraceContextExt},
    };
    use tower_async_job_core::JobId;
    use tracing::Span;
    use tracing_opentelemetry::OpenTelemetrySpanExt;

    use crate::observe::recent::Recent;

    /// The spans of recent jobs of this process. A job's span outlives its end, since its result is
    /// polled after it.
    #[derive(Default)]
    pub(crate) struct Links(Recent<SpanContext>);

    impl Links {
        pub(crate) fn insert(&self, id: JobId, span: &Span) {
            let context = span.context().span().span_context().clone();
            if context.is_valid() {
                self.0.insert(id, context);
            }
        }

        pub(crate) fn link(&self, id: &JobId) {
            let poll = Span::current();
            if !poll.is_disabled()
                && let Some(job) = self.0.find(id)
            {
                poll.add_link(job);
            }
        }
    }

    /// Returns the span in which a request with these stored headers is run again.
    pub(crate) fn span_of_rerun(headers: &HeaderMap) -> Span {
        let parent = get_text_map_propagator(|propagator| propagator.extract(&Headers(headers)));
        if !parent.span().span_context().is_valid() {
            return Span::none();
        }
        let span = tracing::info_span!("replay");
        let _ = span.set_parent(parent);
        span
    }

    struct Headers<'a>(&'a HeaderMap);

    impl Extractor for Headers<'_> {
        fn get(&self, key: &str) -> Option<&str> {
            self.0.get(key)?.to_str().ok()
        }

        fn keys(&self) -> Vec<&str> {
            self.0.keys().map(HeaderName::as_str).collect()
        }
    }
}
