//! The results that servers deliver, as responses.

use std::{
    pin::Pin,
    task::{Context, Poll, ready},
    time::Duration,
};

use bytes::Bytes;
use http::{HeaderMap, HeaderName, Request, Response, StatusCode, header};
use http_body::{Body, Frame, SizeHint};
use http_body_util::BodyExt;
use tokio::{
    sync::oneshot,
    time::{Instant, Sleep, sleep, timeout},
};
use tower::BoxError;

use super::refusal::Refusal;
use crate::fields::remove_where;

/// The status of the response, in a request that delivers it. Default: 200.
pub(super) const RESPONSE_STATUS: HeaderName = HeaderName::from_static("job-response-status");

/// The time for which a result may stall.
const STALL: Duration = Duration::from_secs(30);

/// The time for which a result that is refused is read.
const LINGER: Duration = Duration::from_secs(5);

/// The fields of a request that mean nothing in a response, or are not for its client.
const OF_REQUESTS: [HeaderName; 22] = [
    header::ACCEPT,
    header::ACCEPT_CHARSET,
    header::ACCEPT_ENCODING,
    header::ACCEPT_LANGUAGE,
    header::AUTHORIZATION,
    header::COOKIE,
    header::EXPECT,
    header::FORWARDED,
    header::FROM,
    header::HOST,
    header::IF_MATCH,
    header::IF_MODIFIED_SINCE,
    header::IF_NONE_MATCH,
    header::IF_RANGE,
    header::IF_UNMODIFIED_SINCE,
    header::MAX_FORWARDS,
    header::ORIGIN,
    header::PROXY_AUTHORIZATION,
    header::RANGE,
    header::REFERER,
    header::USER_AGENT,
    header::VIA,
];

/// Returns the response that a request delivers.
///
/// # Errors
///
/// Fails if its status is no status of a response.
pub(super) fn response<B>(request: Request<B>) -> Result<Response<B>, Refusal> {
    let (parts, body) = request.into_parts();
    let mut response = Response::new(body);
    *response.status_mut() = status(&parts.headers)?;
    *response.headers_mut() = parts.headers;
    // Those of one connection, and of the framing, are removed like those of any response.
    remove_where(response.headers_mut(), |name| {
        let is_own = name.as_str().starts_with("job-") || name.as_str().contains('_');
        let is_traced = ["traceparent", "tracestate", "baggage"].contains(&name.as_str());
        let is_forwarding = name.as_str().starts_with("x-forwarded-");
        is_own || is_traced || is_forwarding || OF_REQUESTS.contains(name)
    });
    Ok(response)
}

fn status(headers: &HeaderMap) -> Result<StatusCode, Refusal> {
    let mut values = headers.get_all(RESPONSE_STATUS).iter();
    let Some(value) = values.next() else {
        return Ok(StatusCode::OK);
    };
    let status = StatusCode::from_bytes(value.as_bytes()).ok();
    let status = status.filter(|status| (200..600).contains(&status.as_u16()));
    let status = status.filter(|_| values.next().is_none());
    let detail = "`Job-Response-Status` is one number from 200 to 599";
    status.ok_or_else(|| Refusal::Invalid(detail.to_owned()))
}

/// The body of a result, which fails if it stalls.
pub(super) struct Arriving<B> {
    body: Option<Pin<Box<B>>>,
    stalled: Pin<Box<Sleep>>,
    rest: Option<oneshot::Sender<Pin<Box<B>>>>,
}

/// The part of a result that is not read, once it is refused.
pub(super) struct Rest<B>(oneshot::Receiver<Pin<Box<B>>>);

impl<B> Arriving<B> {
    pub(super) fn new(body: B) -> (Self, Rest<B>) {
        let (sender, rest) = oneshot::channel();
        let body = Self {
            body: Some(Box::pin(body)),
            stalled: Box::pin(sleep(STALL)),
            rest: Some(sender),
        };
        (body, Rest(rest))
    }
}

impl<B> Drop for Arriving<B> {
    fn drop(&mut self) {
        if let (Some(rest), Some(body)) = (self.rest.take(), self.body.take()) {
            let _ = rest.send(body);
        }
    }
}

impl<B: Body> Rest<B> {
    /// Reads the rest, as far as it arrives within the time.
    pub(super) async fn read(self) {
        let read = async {
            if let Ok(mut body) = self.0.await {
                while let Some(Ok(_)) = body.as_mut().frame().await {}
            }
        };
        let _ = timeout(LINGER, read).await;
    }
}

impl<B> Body for Arriving<B>
where
    B: Body<Data = Bytes, Error: Into<BoxError>>,
{
    type Data = Bytes;
    type Error = BoxError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
        let Some(body) = &mut self.body else {
            return Poll::Ready(None);
        };
        if let Poll::Ready(frame) = body.as_mut().poll_frame(cx) {
            self.stalled.as_mut().reset(Instant::now() + STALL);
            return Poll::Ready(frame.map(|frame| frame.map_err(Into::into)));
        }
        ready!(self.stalled.as_mut().poll(cx));
        Poll::Ready(Some(Err("the result has stalled for 30 s".into())))
    }

    fn is_end_stream(&self) -> bool {
        self.body.as_ref().is_none_or(|body| body.is_end_stream())
    }

    fn size_hint(&self) -> SizeHint {
        let hint = self.body.as_ref().map(|body| body.size_hint());
        hint.unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use std::convert::Infallible;

    use futures_util::stream::unfold;
    use http_body_util::StreamBody;

    use super::*;

    fn delivered(fields: &[(&str, &str)]) -> Result<Response<()>, Refusal> {
        let mut request = Request::put("/results/x");
        for (name, value) in fields {
            request = request.header(*name, *value);
        }
        response(request.body(()).unwrap())
    }

    #[test]
    fn a_result_has_the_fields_of_a_response() {
        let fields = [
            ("host", "10.0.0.5:8081"),
            ("user-agent", "curl/8"),
            ("accept", "*/*"),
            ("authorization", "Bearer x"),
            ("traceparent", "00-1-2-01"),
            ("x-forwarded-for", "10.0.0.9"),
            ("job-response-status", "201"),
            ("job-status", "failed"),
            ("job_handle", "x"),
            ("content-type", "text/csv"),
            ("set-cookie", "a=1"),
            ("set-cookie", "b=2"),
            ("etag", "\"7\""),
        ];
        let response = delivered(&fields).unwrap();
        assert_eq!(response.status(), StatusCode::CREATED);
        let mut names: Vec<_> = response.headers().keys().map(HeaderName::as_str).collect();
        names.sort_unstable();
        assert_eq!(names, ["content-type", "etag", "set-cookie"]);
        assert_eq!(response.headers().get_all("set-cookie").iter().count(), 2);
    }

    #[test]
    fn a_status_is_one_of_final_responses() {
        let status = |value| delivered(&[("job-response-status", value)]).map(|it| it.status());
        assert_eq!(delivered(&[]).unwrap().status(), StatusCode::OK);
        assert_eq!(status("503").unwrap(), StatusCode::SERVICE_UNAVAILABLE);
        for wrong in [
            "", "100", "101", "199", "600", "999", "20", "2000", "ok", "200 OK",
        ] {
            assert!(matches!(status(wrong), Err(Refusal::Invalid(_))), "{wrong}");
        }
        let twice = [
            ("job-response-status", "200"),
            ("job-response-status", "201"),
        ];
        assert!(delivered(&twice).is_err());
    }

    const SECOND: Duration = Duration::from_secs(1);

    #[tokio::test(start_paused = true)]
    async fn a_result_that_stalls_fails() {
        let frames = unfold(0, |sent| async move {
            let pause = if sent < 3 {
                STALL - SECOND
            } else {
                STALL + SECOND
            };
            sleep(pause).await;
            let frame = Ok::<_, Infallible>(Frame::data(Bytes::from("x")));
            Some((frame, sent + 1))
        });
        let (mut body, _rest) = Arriving::new(StreamBody::new(frames));
        for _ in 0..3 {
            assert!(body.frame().await.unwrap().is_ok());
        }
        assert!(body.frame().await.unwrap().is_err());
    }
}
