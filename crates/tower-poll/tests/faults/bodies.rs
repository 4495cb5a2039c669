//! Bodies that are huge, slow or broken.

use std::{
    io,
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    task::{Context, Poll},
    time::Duration,
};

use bytes::Bytes;
use http::{Request, Response};
use http_body::{Body, Frame, SizeHint};
use http_body_util::BodyExt;
use tower::{Layer, Service, ServiceExt};
use tower_poll::{PendingJob, PollLayer};

use crate::common::{Script, TestBody, exact, exact_layer, post, send};

const URL: &str = "https://example.com/report";
const SECOND: Duration = Duration::from_secs(1);

/// Sends `chunks` of 1 KiB, then does as it is told.
#[derive(Debug)]
struct Chunks {
    chunks: usize,
    then: Then,
    is_sized: bool,
    taken: Arc<AtomicUsize>,
    is_dropped: Arc<AtomicBool>,
}

#[derive(Clone, Copy, Debug)]
enum Then {
    End,
    Break,
    Hang,
}

impl Body for Chunks {
    type Data = Bytes;
    type Error = io::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, io::Error>>> {
        match (self.chunks.checked_sub(1), self.then) {
            (Some(rest), _) => {
                self.chunks = rest;
                self.taken.fetch_add(1, Ordering::Relaxed);
                Poll::Ready(Some(Ok(Frame::data(Bytes::from_static(&[b'x'; 1024])))))
            }
            (None, Then::End) => Poll::Ready(None),
            (None, Then::Break) => Poll::Ready(Some(Err(io::ErrorKind::UnexpectedEof.into()))),
            (None, Then::Hang) => Poll::Pending,
        }
    }

    fn size_hint(&self) -> SizeHint {
        match self.is_sized {
            true => SizeHint::with_exact(self.chunks as u64 * 1024),
            false => SizeHint::new(),
        }
    }
}

impl Drop for Chunks {
    fn drop(&mut self) {
        self.is_dropped.store(true, Ordering::Relaxed);
    }
}

/// Gives every answer the same kind of body: pending first, then final.
#[derive(Clone, Debug)]
struct Bodies {
    interim: (usize, Then),
    is_sized: bool,
    last: (usize, Then),
    taken: Arc<AtomicUsize>,
    is_dropped: Arc<AtomicBool>,
}

impl Bodies {
    fn new(interim: (usize, Then), last: (usize, Then)) -> Self {
        Self {
            interim,
            is_sized: false,
            last,
            taken: Arc::default(),
            is_dropped: Arc::default(),
        }
    }

    fn script(&self) -> Script<Chunks> {
        let this = self.clone();
        Script::new(move |number, _| {
            let (response, (chunks, then)) = match number {
                0 => (
                    Response::builder()
                        .status(303)
                        .header("location", "/work/1")
                        .header("retry-after", "1"),
                    this.interim,
                ),
                _ => (Response::builder(), this.last),
            };
            Ok(response.body(Chunks {
                chunks,
                then,
                is_sized: this.is_sized,
                taken: this.taken.clone(),
                is_dropped: this.is_dropped.clone(),
            })?)
        })
    }

    fn taken(&self) -> usize {
        self.taken.load(Ordering::Relaxed)
    }
}

#[tokio::test(start_paused = true)]
async fn c20_interim_body_within_the_limit_is_read_to_its_end() {
    let bodies = Bodies::new((60, Then::End), (0, Then::End));
    let script = bodies.script();
    send(exact_layer(), &script, post(URL)).await.unwrap();
    assert_eq!(bodies.taken(), 60);
    assert_eq!(script.delay(), SECOND);
}

#[tokio::test(start_paused = true)]
async fn c20_huge_interim_body_is_dropped_at_the_limit() {
    let bodies = Bodies::new((usize::MAX, Then::End), (0, Then::End));
    let script = bodies.script();
    let service = exact_layer().layer(script.clone());
    let call = tokio::spawn(service.oneshot(post(URL)));
    tokio::time::sleep(SECOND / 2).await;
    assert!((60..=65).contains(&bodies.taken()), "{}", bodies.taken());
    assert!(
        bodies.is_dropped.load(Ordering::Relaxed),
        "before the wait is over"
    );
    call.await.unwrap().unwrap();
    assert_eq!(script.delay(), SECOND);
}

#[tokio::test(start_paused = true)]
async fn c20_interim_body_that_says_it_is_huge_is_not_read() {
    let mut bodies = Bodies::new((1000, Then::End), (0, Then::End));
    bodies.is_sized = true;
    send(exact_layer(), &bodies.script(), post(URL))
        .await
        .unwrap();
    assert_eq!(bodies.taken(), 0);
}

#[tokio::test(start_paused = true)]
async fn c20_limit_can_be_set() {
    let bodies = Bodies::new((60, Then::End), (0, Then::End));
    send(
        exact_layer().drain_limit(10 * 1024),
        &bodies.script(),
        post(URL),
    )
    .await
    .unwrap();
    assert_eq!(bodies.taken(), 10);
}

#[tokio::test(start_paused = true)]
async fn c20_interim_body_that_hangs_does_not_delay_the_poll() {
    let bodies = Bodies::new((3, Then::Hang), (0, Then::End));
    let script = bodies.script();
    send(exact_layer(), &script, post(URL)).await.unwrap();
    assert_eq!(script.delay(), SECOND);
}

#[tokio::test(start_paused = true)]
async fn c20_interim_body_that_hangs_is_given_a_moment_before_an_immediate_poll() {
    let policy = exact().min_delay(Duration::ZERO).max_delay(Duration::ZERO);
    let bodies = Bodies::new((3, Then::Hang), (0, Then::End));
    let script = bodies.script();
    send(PollLayer::with_policy(policy), &script, post(URL))
        .await
        .unwrap();
    assert_eq!(script.delay(), SECOND / 10);
}

#[tokio::test(start_paused = true)]
async fn c20_broken_interim_body_does_not_matter() {
    let bodies = Bodies::new((3, Then::Break), (1, Then::End));
    let response = send(exact_layer(), &bodies.script(), post(URL))
        .await
        .unwrap();
    assert_eq!(
        response
            .into_body()
            .collect()
            .await
            .unwrap()
            .to_bytes()
            .len(),
        1024
    );
}

#[tokio::test(start_paused = true)]
async fn c21_truncated_final_body_is_an_error_and_can_be_fetched_again() {
    let bodies = Bodies::new((0, Then::End), (2, Then::Break));
    let mut service = exact_layer().attach_job(true).layer(bodies.script());
    let response = service
        .ready()
        .await
        .unwrap()
        .call(post(URL))
        .await
        .unwrap();
    let job = response.extensions().get::<PendingJob>().unwrap().clone();
    let error = response.into_body().collect().await.unwrap_err();
    assert_eq!(error.kind(), io::ErrorKind::UnexpectedEof);

    let again = Request::builder()
        .method(job.method())
        .uri(job.url())
        .body(TestBody::default())
        .unwrap();
    let response = service.ready().await.unwrap().call(again).await.unwrap();
    assert_eq!(response.status(), 200);
}

#[tokio::test(start_paused = true)]
async fn c21_nothing_is_attached_unless_asked_for() {
    let bodies = Bodies::new((0, Then::End), (0, Then::End));
    let response = send(exact_layer(), &bodies.script(), post(URL))
        .await
        .unwrap();
    assert!(response.extensions().is_empty());
}

/// Frames without data are many and small, but they are not for nothing.
#[tokio::test(start_paused = true)]
async fn c20_frames_that_are_no_data_count_where_a_body_is_collected() {
    struct Trailers(Arc<AtomicUsize>);

    impl Body for Trailers {
        type Data = Bytes;
        type Error = io::Error;

        fn poll_frame(
            self: Pin<&mut Self>,
            _: &mut Context<'_>,
        ) -> Poll<Option<Result<Frame<Bytes>, io::Error>>> {
            let number = self.0.fetch_add(1, Ordering::Relaxed);
            let frame = Frame::trailers(http::HeaderMap::new());
            Poll::Ready((number < 1_000_000).then_some(Ok(frame)))
        }
    }

    let frames = Arc::new(AtomicUsize::new(0));
    let given = frames.clone();
    let script = Script::new(move |number, _| {
        let mut response = Response::builder().status(303);
        if number > 0 {
            response = response.status(410).header("job-status", "expired");
            response = response.header("content-type", "application/problem+json");
        }
        let response = response.header("location", "/work/1");
        let given = if number == 0 {
            Arc::default()
        } else {
            given.clone()
        };
        Ok(response.header("retry-after", "1").body(Trailers(given))?)
    });
    let result = exact_layer().layer(script).oneshot(post(URL)).await;
    assert!(result.is_err());
    let frames = frames.load(Ordering::Relaxed);
    assert!(frames <= 64 * 1024 + 1, "{frames}");
}
