//! The recording of a response: its end-to-end headers, its body up to the limit, its trailers.

use std::{
    future::poll_fn,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, ready},
};

use http::{
    HeaderMap, HeaderName, HeaderValue, Response, Uri,
    header::{
        AGE, CACHE_CONTROL, CONNECTION, CONTENT_LENGTH, CONTENT_LOCATION, DATE, EXPIRES, LOCATION,
        TE, TRANSFER_ENCODING, UPGRADE,
    },
};
use http_polling::JOB_STATUS;
use tower::BoxError;
use tower_async_job_core::{
    JobHandle, Lease, Outcome, ResponseRecorder, StoreError, StoredResponse,
};

use crate::{
    bounds::HandlerBody,
    node::{
        capacity::Admission,
        recording_room::Held,
        registration::Registration,
        state::Node,
        streams::{self, RecordingPlace},
    },
    observe::links::name_run,
    run::write::{patience, write},
};

pub(crate) type Recording = Pin<Box<dyn Future<Output = Result<Recorded, Unrecorded>> + Send>>;

/// A response that is ready to be stored. Chunks of its body are stored already.
pub(crate) struct Recorded {
    pub(crate) outcome: Outcome,
    /// The lease that the chunks belong to.
    pub(crate) lease: Lease,
    pub(crate) kept: Kept,
}

/// The place and the room of a recording, held until its response is stored.
pub(crate) struct Kept {
    _room: Held,
    _chunks: Option<Box<Held>>,
    /// A place among the running requests, or the streams.
    _place: RecordingPlace,
}

/// The reason why a response could not be recorded.
#[derive(Debug)]
pub(crate) enum Unrecorded {
    TooLarge(Size),
    NoRoom(Size, StoreError),
    /// It is an event stream, and their limit is reached.
    NoPlace,
    /// A chunk could not be written: the job belongs to another worker, or the store is
    /// unreachable.
    NotWritten(StoreError),
    Broken(BoxError),
}

impl Unrecorded {
    /// Returns whether the same response may be recorded later.
    pub(crate) fn may_be_repeated(&self) -> bool {
        matches!(self, Self::NoRoom(..) | Self::NoPlace | Self::Broken(_))
    }
}

/// The size in bytes of a response that is not stored, as far as it is known.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Size {
    Exactly(u64),
    AtLeast(u64),
}

impl Size {
    /// Returns the size of the body of a recorded response.
    pub(crate) fn of_body(outcome: &Outcome) -> Option<Self> {
        match outcome {
            Outcome::Done(response) => Some(Self::Exactly(response.body_len())),
            Outcome::Streamed { len, .. } => Some(Self::Exactly(*len)),
            _ => None,
        }
    }
}

/// The bytes of each recording that need no room, since its task takes as much.
const FREE: usize = 4 << 10;

/// The room of one recording, without chunks that are already written.
struct Room {
    node: Arc<Node>,
    lease: Lease,
    handle: JobHandle,
    bytes: usize,
    /// The maximum that it may need.
    most: usize,
    held: Held,
    /// The room for the bytes that the store holds in memory of its chunks, if it holds any.
    chunks: Option<Box<Held>>,
}

impl Room {
    fn new(job: &Registration, most: usize) -> Self {
        Self {
            held: Held::new(job.node().recording_room.clone()),
            node: job.node().clone(),
            lease: *job.lease(),
            handle: job.handle(),
            bytes: FREE,
            most,
            chunks: None,
        }
    }

    /// Takes room for `needed` bytes in total, and for more to come if there is enough.
    async fn grow(&mut self, needed: usize) -> Result<(), StoreError> {
        if needed <= self.bytes {
            return Ok(());
        }
        let ample = needed.max(self.most.min(2 * self.bytes));
        self.held.grow(ample).await;
        for bytes in [ample, needed.max(self.bytes + self.bytes / 8), needed] {
            match self.node.store.reserve(&self.lease, bytes).await {
                Err(error) if error.is_full() && bytes > needed => {}
                Err(error) if error.is_full() => return Err(error),
                // After any other error, storing the response will fail too.
                _ => {
                    self.bytes = bytes;
                    break;
                }
            }
        }
        Ok(())
    }

    async fn write(
        &mut self,
        recorder: &mut ResponseRecorder,
        index: u32,
    ) -> Result<(), StoreError> {
        // Two copies exist until it is written.
        self.held.grow(2 * recorder.len()).await;
        let most = self.node.store.properties().recording;
        if most > 0 {
            let node = &self.node;
            let held = || Box::new(Held::new(node.chunks_room.clone()));
            self.chunks.get_or_insert_with(held).grow(most).await;
        }
        let (chunk, node, lease) = (recorder.take_body(), &*self.node, &self.lease);
        let call = || node.store.write_chunk(lease, index, chunk.clone());
        write(
            &mut patience(node),
            self.handle,
            "a chunk of a result",
            StoreError::is_full,
            call,
        )
        .await
    }
}

/// Reads a response to its end. `target` is the path of its request, if that is known. `place` is held
/// until the response is stored, or exchanged for one among the streams.
pub(crate) fn record<R>(
    response: Response<R>,
    target: Option<&str>,
    limit: usize,
    job: &Registration,
    place: Option<Box<Admission>>,
) -> Recording
where
    R: HandlerBody,
{
    let node = job.node();
    let place = streams::place_of_recorded(&response, node, place);
    let (mut parts, body) = response.into_parts();
    keep_end_to_end(&mut parts.headers);
    resolve_references(&mut parts.headers, target);
    name_run(&mut parts.headers);
    let expected = body.size_hint();
    let size = move |so_far: usize| match expected.exact() {
        Some(size) => Size::Exactly(size),
        None => Size::AtLeast(expected.lower().max(so_far as u64)),
    };
    let least = usize::try_from(expected.lower()).unwrap_or(usize::MAX);
    // Longer bodies are divided.
    let piece = node.store.properties().chunk.unwrap_or(usize::MAX).max(1);
    let mut recorder = StoredResponse::recorder(parts.status, &parts.headers, limit);
    let most = recorder.len().saturating_add(limit.min(piece));
    let mut room = Room::new(job, most);
    Box::pin(async move {
        let place = place.map_err(|_| Unrecorded::NoPlace)?;
        if least > limit {
            return Err(Unrecorded::TooLarge(size(0)));
        }
        let refused = |so_far| {
            move |error: StoreError| match error.is_full() {
                true => Unrecorded::NoRoom(size(so_far), error),
                false => Unrecorded::NotWritten(error),
            }
        };
        let grown = room.grow(recorder.len() + least.min(piece)).await;
        grown.map_err(refused(0))?;
        recorder.reserve(least.min(piece));
        let (mut so_far, mut chunks) = (0, 0);
        let mut body = std::pin::pin!(body);
        let mut trailers: Option<HeaderMap> = None;
        let broken = |error: R::Error| Unrecorded::Broken(error.into());
        let mut next = move |cx: &mut Context<'_>| {
            let frame = ready!(body.as_mut().poll_frame(cx));
            Poll::Ready(frame.map(|frame| frame.map_err(broken)))
        };
        while let Some(frame) = poll_fn(&mut next).await {
            match frame?.into_data() {
                Ok(mut data) => {
                    so_far += data.len();
                    if so_far > limit {
                        return Err(Unrecorded::TooLarge(size(so_far)));
                    }
                    while !data.is_empty() {
                        if recorder.body_len() == piece {
                            let written = Box::pin(room.write(&mut recorder, chunks)).await;
                            written.map_err(refused(so_far))?;
                            chunks += 1;
                        }
                        let fits = data.len().min(piece - recorder.body_len());
                        let grown = room.grow(recorder.len() + fits).await;
                        grown.map_err(refused(so_far))?;
                        recorder
                            .push(&data.split_to(fits))
                            .map_err(|_| Unrecorded::TooLarge(size(so_far)))?;
                    }
                }
                Err(frame) => {
                    if let Ok(more) = frame.into_trailers() {
                        trailers.get_or_insert_default().extend(more);
                    }
                }
            }
        }
        if chunks > 0 {
            let written = Box::pin(room.write(&mut recorder, chunks)).await;
            written.map_err(refused(so_far))?;
            chunks += 1;
        }
        let response = recorder.finish(trailers.as_ref());
        Ok(Recorded {
            outcome: match chunks {
                0 => Outcome::Done(response),
                _ => Outcome::Streamed {
                    head: response,
                    chunks,
                    len: so_far as u64,
                },
            },
            lease: room.lease,
            kept: Kept {
                _room: room.held,
                _chunks: room.chunks,
                _place: place,
            },
        })
    })
}

/// Removes headers of one connection (RFC 9110, section 7.6.1), one framing or one moment: the
/// replay has its own.
fn keep_end_to_end(headers: &mut HeaderMap) {
    let named: Vec<HeaderName> = headers
        .get_all(CONNECTION)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(','))
        .filter_map(|name| name.trim().parse().ok())
        .collect();
    for name in named {
        headers.remove(name);
    }
    let left: Vec<HeaderName> = headers
        .keys()
        .filter(|name| !is_kept(name))
        .cloned()
        .collect();
    for name in left {
        headers.remove(name);
    }
}

/// Decided in one pass over the names, of which there are usually few.
fn is_kept(name: &HeaderName) -> bool {
    // Targeted cache fields take precedence over Cache-Control (RFC 9213).
    let is_targeted = |name: &HeaderName| name.as_str().ends_with("-cache-control");
    ![
        CONNECTION,
        TE,
        TRANSFER_ENCODING,
        UPGRADE,
        CONTENT_LENGTH,
        DATE,
        AGE,
        EXPIRES,
        CACHE_CONTROL,
        JOB_STATUS,
    ]
    .contains(name)
        && ![
            "keep-alive",
            "proxy-connection",
            "surrogate-control",
            "x-accel-expires",
        ]
        .contains(&name.as_str())
        && !is_targeted(name)
}

/// Resolves relative references against the path of the submission, since the job's URL is another
/// base (RFC 3986, section 5.1), and removes them without that. Absolute URLs and absolute paths need no
/// change.
fn resolve_references(headers: &mut HeaderMap, target: Option<&str>) {
    for name in [LOCATION, CONTENT_LOCATION] {
        let Some(value) = headers.get(&name) else {
            continue;
        };
        match (target, is_relative(value)) {
            (_, false) => {}
            (None, true) => drop(headers.remove(&name)),
            (Some(target), true) => {
                if let Some(resolved) = resolve_relative(value, target) {
                    headers.insert(name, resolved);
                }
            }
        }
    }
}

fn is_relative(value: &HeaderValue) -> bool {
    let reference = value.to_str().unwrap_or_default();
    let path = reference.split('#').next().unwrap_or_default();
    !path.starts_with('/') && !has_scheme(path)
}

fn resolve_relative(value: &HeaderValue, target: &str) -> Option<HeaderValue> {
    let reference = value.to_str().ok()?;
    let (reference, fragment) = match reference.split_once('#') {
        Some((reference, fragment)) => (reference, Some(fragment)),
        None => (reference, None),
    };
    let base: Uri = target.parse().ok()?;
    let reference = HeaderValue::from_str(reference).ok()?;
    let resolved = http_polling::resolve(&base, &reference).ok()?;
    let resolved = match fragment {
        Some(fragment) => format!("{resolved}#{fragment}"),
        None => resolved.to_string(),
    };
    HeaderValue::from_str(&resolved).ok()
}

fn has_scheme(reference: &str) -> bool {
    reference
        .find([':', '/', '?'])
        .is_some_and(|end| reference.as_bytes()[end] == b':')
}
