//! OpenTelemetry links from the spans of polls to those of their jobs, with the feature
//! `opentelemetry`. A run links to its submission by `follows_from`.

#[cfg(not(feature = "opentelemetry"))]
pub(crate) use off::Links;
#[cfg(feature = "opentelemetry")]
pub(crate) use on::Links;

#[cfg(not(feature = "opentelemetry"))]
mod off {
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
}

#[cfg(feature = "opentelemetry")]
mod on {
    use opentelemetry::trace::{SpanContext, TraceContextExt};
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
}
