//! OpenTelemetry links between the spans of submissions, runs and polls on all nodes, with the feature
//! `opentelemetry`.
//!
//! A first run links to its submission by `follows_from`. A stored request names the span of its
//! submission, which is the parent of later runs, and linked. A stored result names the span of the run
//! that made it, to which the polls that get it are linked. Polls of a pending job are linked to its run
//! if that is in the same process.

#[cfg(not(feature = "opentelemetry"))]
pub(crate) use off::{Links, keep_submission, link_to_run, name_run, span_of_rerun};
#[cfg(feature = "opentelemetry")]
pub(crate) use on::{Links, keep_submission, link_to_run, name_run, span_of_rerun};

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

    #[inline]
    pub(crate) fn keep_submission(_: &mut HeaderMap) {}

    pub(crate) fn span_of_rerun(_: &HeaderMap) -> Span {
        Span::none()
    }

    #[inline]
    pub(crate) fn name_run(_: &mut HeaderMap) {}

    #[inline]
    pub(crate) fn link_to_run(_: &mut HeaderMap) {}
}

#[cfg(feature = "opentelemetry")]
mod on {
    use http::{HeaderMap, HeaderName, HeaderValue};
    use opentelemetry::{
        global::get_text_map_propagator,
        propagation::{Extractor, Injector},
        trace::{SpanContext, SpanId, TraceContextExt, TraceFlags, TraceId, TraceState},
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
            if let Some(context) = context_of(span) {
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
        span.add_link(parent.span().span_context().clone());
        let _ = span.set_parent(parent);
        span
    }

    /// The header by which a stored result names the span of its run. No client gets it.
    const RUN: HeaderName = HeaderName::from_static("job-run-span");

    fn context_of(span: &Span) -> Option<SpanContext> {
        let context = span.context().span().span_context().clone();
        context.is_valid().then_some(context)
    }

    /// Names the current span in the headers of a request that is stored, in place of the span in
    /// which the client has sent it.
    pub(crate) fn keep_submission(headers: &mut HeaderMap) {
        let submission = Span::current();
        if context_of(&submission).is_some() {
            let context = submission.context();
            get_text_map_propagator(|propagator| {
                propagator.inject_context(&context, &mut Kept(headers));
            });
        }
    }

    /// Names the current span, that of a run, in the headers of its result.
    pub(crate) fn name_run(headers: &mut HeaderMap) {
        headers.remove(RUN);
        if let Some(run) = context_of(&Span::current()) {
            let flags = run.trace_flags().to_u8();
            let text = format!("{}-{}-{flags:02x}", run.trace_id(), run.span_id());
            headers.extend(HeaderValue::try_from(text).map(|text| (RUN, text)));
        }
    }

    /// Links the current span, that of a poll, to the run that made a result, and removes the name of
    /// the run.
    pub(crate) fn link_to_run(headers: &mut HeaderMap) {
        let run = headers.remove(RUN);
        let poll = Span::current();
        if let Some(run) = run.as_ref().and_then(parse)
            && !poll.is_disabled()
        {
            poll.add_link(run);
        }
    }

    fn parse(run: &HeaderValue) -> Option<SpanContext> {
        let mut parts = run.to_str().ok()?.splitn(3, '-');
        let trace = TraceId::from_hex(parts.next()?).ok()?;
        let span = SpanId::from_hex(parts.next()?).ok()?;
        let flags = TraceFlags::new(u8::from_str_radix(parts.next()?, 16).ok()?);
        let run = SpanContext::new(trace, span, flags, true, TraceState::NONE);
        run.is_valid().then_some(run)
    }

    struct Kept<'a>(&'a mut HeaderMap);

    impl Injector for Kept<'_> {
        fn set(&mut self, name: &str, value: String) {
            let name = HeaderName::try_from(name);
            if let (Ok(name), Ok(value)) = (name, HeaderValue::try_from(value)) {
                self.0.insert(name, value);
            }
        }
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
