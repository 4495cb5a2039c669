//! The events of a job: its changes, sent as they are while a client listens.
//!
//! A stream takes a place among the held polls. It subscribes to the end of its job, and reads the
//! job at intervals to find its progress, on whatever node it runs. It reads when the connection asks
//! for the next event, so that a slow client gets the newest state, and no queue.

use std::{
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use bytes::Bytes;
use http::{Response, StatusCode};
use tokio::{
    task::{AbortHandle, coop::consume_budget},
    time::{Instant, sleep_until, timeout_at},
};
use tower_async_job_core::{Detail, JobId, JobRecord, StoreError, Subscription};

use crate::{
    answer,
    body::{
        StoredBody,
        live::{Part, Source},
    },
    headers::set_no_store,
    node::{front::Front, held::Place},
    observe::with_sources,
    resource::request::{Listener, ResourceRequest},
    time::later,
};

/// The shortest interval between two reads of a job, and so between two events.
const INTERVAL: Duration = Duration::from_secs(1);

/// The time per held poll and stream by which the interval is longer on a node with more than 1,000
/// of them. All streams together thus read at most 1,000 times per second.
const INTERVAL_PER_HOLD: Duration = Duration::from_millis(1);

/// The length of a stream, in longest holds of a poll. No stream is silent for longer than such a
/// hold, so proxies leave it open. It ends nevertheless, so that its client is authenticated again,
/// and reaches nodes that were added.
const LENGTH_IN_HOLDS: u32 = 10;

/// Answers a request for the events of a job.
pub(super) async fn listen(
    front: &Arc<Front>,
    request: &ResourceRequest,
    id: &JobId,
    listener: Listener,
) -> Result<Response<StoredBody>, StoreError> {
    if !listener.is_streamable {
        let status = StatusCode::HTTP_VERSION_NOT_SUPPORTED;
        let mut response = answer::problem_response(&answer::problem_of(status));
        set_no_store(response.headers_mut());
        return Ok(response);
    }
    // Registered before the read, so that no end is missed.
    let ended = front.node.store.subscribe(id);
    let record = front.node.read(id, Detail::Status).await?;
    let Some(record) = record.filter(|record| request.may_see(record)) else {
        return Ok(answer::unknown());
    };
    let is_known = listener.last == Some(record.version);
    if !record.state.is_pending() {
        return Ok(match is_known {
            // After a 204, browsers do not connect again.
            true => answer::no_content(),
            false => answer::events::stream(answer::events::end(&front.config, &record).into()),
        });
    }
    front.node.links.link(id);
    let Some(place) = Place::take(front, request.principal.as_ref()) else {
        return Ok(answer::too_early(front, &record));
    };
    let until = later(front.config.max_hold.saturating_mul(LENGTH_IN_HOLDS));
    let opening = answer::events::opening(front, &record, is_known);
    let events = Box::new(Events {
        front: front.clone(),
        id: *id,
        last: record.version,
        ended,
        read_at: later(interval(front)),
        until,
        is_over: false,
        _place: PlaceUntil::new(place, until),
    });
    Ok(answer::events::stream(StoredBody::live(opening, events)))
}

/// The events of a job from its latest known version on.
struct Events {
    front: Arc<Front>,
    id: JobId,
    /// The version that the client has.
    last: u64,
    ended: Subscription,
    /// The time of the next read, unless the job ends before.
    read_at: Instant,
    until: Instant,
    is_over: bool,
    _place: PlaceUntil,
}

impl Source for Events {
    fn next(mut self: Box<Self>) -> Part {
        Box::pin(async move {
            let event = self.event().await?;
            Some((event, self as Box<dyn Source>))
        })
    }
}

impl Events {
    /// Waits for a change of the job. `None` once the stream is over.
    async fn event(&mut self) -> Option<Bytes> {
        let shutdown = self.front.node.shutdown.clone();
        let silent_until = later(self.front.config.max_hold);
        while !self.is_over {
            let until = self.read_at.min(self.until);
            let ended = shutdown.over.or(&mut self.ended);
            let ended = timeout_at(until.min(silent_until), ended).await;
            if ended.is_err() && silent_until < until {
                return Some(answer::events::HEARTBEAT);
            }
            self.is_over = Instant::now() >= self.until || shutdown.over.is_set();
            if matches!(ended, Ok(Some(()))) {
                // It may have resolved early.
                self.ended = self.front.node.store.subscribe(&self.id);
            }
            let read = self.front.node.read(&self.id, Detail::Status).await;
            self.read_at = later(interval(&self.front));
            match read {
                Ok(record) => {
                    if let Some(event) = self.change(record.as_ref()) {
                        return Some(event);
                    }
                }
                Err(error) if error.is_corrupt() => return None,
                // The next read may succeed, whereas a client that comes again is refused for good.
                Err(error) => tracing::debug!(
                    error = with_sources(&error),
                    "a job whose client listens could not be read"
                ),
            }
            if !self.is_over && Instant::now() >= silent_until {
                return Some(answer::events::HEARTBEAT);
            }
            // A subscription may resolve early, and a read may not wait.
            consume_budget().await;
        }
        None
    }

    /// Returns the event of a job that has changed.
    fn change(&mut self, record: Option<&JobRecord>) -> Option<Bytes> {
        let Some(record) = record else {
            self.is_over = true;
            return Some(answer::events::end_of_unknown(&self.front.config, &self.id));
        };
        if !record.state.is_pending() {
            self.is_over = true;
            return Some(answer::events::end(&self.front.config, record));
        }
        // The client fetches the response as soon as it learns of the end, and a shutdown waits for
        // that.
        let node = &self.front.node;
        let now = Instant::now().into_std();
        node.expected.told(&self.id, now, interval(&self.front));
        let has_changed = self.last != record.version;
        self.last = record.version;
        has_changed.then(|| answer::events::progress(record))
    }
}

fn interval(front: &Front) -> Duration {
    let holds = u32::try_from(front.holds.overall()).unwrap_or(u32::MAX);
    INTERVAL_PER_HOLD.saturating_mul(holds).max(INTERVAL)
}

/// A place that is released at a time even if the client never reads on, or when dropped.
struct PlaceUntil {
    place: Arc<Mutex<Option<Place>>>,
    timer: AbortHandle,
}

impl PlaceUntil {
    fn new(place: Place, until: Instant) -> Self {
        let place = Arc::new(Mutex::new(Some(place)));
        let timer = tokio::spawn({
            let place = place.clone();
            async move {
                sleep_until(until).await;
                release(&place);
            }
        });
        let timer = timer.abort_handle();
        Self { place, timer }
    }
}

impl Drop for PlaceUntil {
    fn drop(&mut self) {
        release(&self.place);
        self.timer.abort();
    }
}

fn release(place: &Mutex<Option<Place>>) {
    place.lock().unwrap_or_else(PoisonError::into_inner).take();
}
