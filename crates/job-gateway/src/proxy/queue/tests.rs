use std::{
    sync::atomic::{AtomicUsize, Ordering},
    time::Duration,
};

use futures_util::FutureExt;
use tokio::{
    task::{JoinSet, yield_now},
    time::{sleep, timeout},
};

use super::*;

/// The numbers of free places, of waiting requests, of lines and of turns.
fn numbers(queue: &Queue) -> (usize, usize, usize, usize) {
    let state = queue.lock();
    let in_lines: usize = state.lines.values().map(|line| line.requests.len()).sum();
    assert_eq!(in_lines, state.waiting);
    let lines = state.lines.len();
    let free = state.places.saturating_sub(state.taken);
    (free, state.waiting, lines, state.turns.len())
}

/// Returns the future of a request, which has been polled once.
fn enter<'a>(
    queue: &'a Queue,
    principal: &'a str,
) -> impl Future<Output = Result<Place, Full>> + Unpin + 'a {
    let mut entering = Box::pin(queue.enter(Some(principal)));
    assert!((&mut entering).now_or_never().is_none(), "it has to wait");
    entering
}

#[tokio::test]
async fn as_many_requests_as_there_are_places_enter_at_once() {
    let queue = Queue::new(2, 10);
    let first = queue.enter(None).await.unwrap();
    let _second = queue.enter(Some("ann")).await.unwrap();
    let mut third = enter(&queue, "ann");
    drop(first);
    assert!((&mut third).now_or_never().is_some());
}

#[tokio::test]
async fn a_request_beyond_those_that_may_wait_is_refused_at_once() {
    let queue = Queue::new(1, 1);
    let place = queue.enter(None).await.unwrap();
    let waiting = enter(&queue, "ann");
    assert_eq!(queue.enter(Some("bob")).await.unwrap_err(), Full);
    drop(waiting);
    let waiting = enter(&queue, "bob");
    drop(place);
    drop(waiting.await.unwrap());
    assert_eq!(numbers(&queue), (1, 0, 0, 0));
}

#[tokio::test]
async fn a_queue_of_zero_admits_or_refuses() {
    let queue = Queue::new(1, 0);
    let place = queue.enter(None).await.unwrap();
    assert_eq!(queue.enter(None).await.unwrap_err(), Full);
    drop(place);
    assert!(queue.enter(None).await.is_ok());
}

#[tokio::test]
async fn principals_take_turns() {
    let queue = Queue::new(1, 100);
    let mut place = queue.enter(None).await.unwrap();
    let names = ["ann", "ann", "ann", "ann", "bob", "cid", "bob"];
    let mut waiting: Vec<_> = names
        .iter()
        .map(|name| (*name, enter(&queue, name)))
        .collect();
    let mut order = Vec::new();
    while !waiting.is_empty() {
        drop(place);
        let admitted = waiting
            .iter_mut()
            .enumerate()
            .find_map(|(index, (_, entering))| Some((index, entering.now_or_never()?)));
        let (index, entered) = admitted.expect("one request is admitted");
        order.push(waiting.remove(index).0);
        place = entered.unwrap();
    }
    assert_eq!(order, ["ann", "bob", "cid", "ann", "bob", "ann", "ann"]);
}

#[tokio::test]
async fn requests_of_one_principal_enter_in_the_order_of_their_arrival() {
    let queue = Queue::new(1, 100);
    let place = queue.enter(Some("ann")).await.unwrap();
    let mut first = enter(&queue, "ann");
    let mut second = enter(&queue, "ann");
    drop(place);
    assert!((&mut second).now_or_never().is_none());
    let place = (&mut first).now_or_never().expect("the first is next");
    drop(place.unwrap());
    assert!(second.now_or_never().is_some());
}

#[tokio::test]
async fn a_principal_with_a_long_line_delays_another_by_one_place() {
    let queue = Queue::new(1, 10_000);
    let mut place = queue.enter(None).await.unwrap();
    let line: Vec<_> = (0..9_000).map(|_| enter(&queue, "ann")).collect();
    let mut other = enter(&queue, "bob");
    drop(place);
    assert!((&mut other).now_or_never().is_none());
    // The request of "ann" that was admitted leaves.
    drop(line);
    place = other.now_or_never().expect("its turn is next").unwrap();
    drop(place);
    assert_eq!(numbers(&queue), (1, 0, 0, 0));
}

#[tokio::test]
async fn a_request_that_is_dropped_after_its_admission_passes_the_place_on() {
    let queue = Queue::new(1, 10);
    let place = queue.enter(None).await.unwrap();
    let first = enter(&queue, "ann");
    let mut second = enter(&queue, "bob");
    drop(place);
    drop(first);
    let place = (&mut second)
        .now_or_never()
        .expect("the place is passed on");
    drop(place.unwrap());
    assert_eq!(numbers(&queue), (1, 0, 0, 0));
}

#[tokio::test]
async fn principals_whose_requests_all_leave_are_forgotten() {
    let queue = Queue::new(1, 10);
    let _place = queue.enter(None).await.unwrap();
    for number in 0..10_000 {
        let name = number.to_string();
        drop(enter(&queue, &name));
    }
    assert_eq!(numbers(&queue), (0, 0, 0, 0));
}

#[tokio::test]
async fn places_that_are_added_are_for_those_that_wait() {
    let queue = Queue::new(1, 10);
    let first = queue.enter(None).await.unwrap();
    let mut waiting: Vec<_> = ["ann", "ann", "bob"]
        .iter()
        .map(|name| enter(&queue, name))
        .collect();
    queue.resize(3, 10);
    let bob = waiting.pop().unwrap().now_or_never();
    let ann = waiting.remove(0).now_or_never();
    let mut last = waiting.remove(0);
    assert!(ann.is_some() && bob.is_some() && (&mut last).now_or_never().is_none());
    drop(first);
    drop((last.await, ann, bob));
    assert_eq!(numbers(&queue), (3, 0, 0, 0));
}

#[tokio::test]
async fn places_that_are_too_many_end_once_they_are_free() {
    let queue = Queue::new(2, 10);
    let first = queue.enter(None).await.unwrap();
    let second = queue.enter(None).await.unwrap();
    let mut third = enter(&queue, "ann");
    queue.resize(1, 0);
    assert_eq!(queue.enter(None).await.unwrap_err(), Full);
    drop(first);
    assert!((&mut third).now_or_never().is_none());
    drop(second);
    drop(third.now_or_never().unwrap());
    assert_eq!(numbers(&queue), (1, 0, 0, 0));
}

/// Thousands of requests come, are cancelled at any point, or hold their place for a while. Never
/// more than the limit are at the server, and in the end all places are free.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn places_are_accounted_for_under_random_cancels() {
    const PLACES: usize = 7;
    let queue = Queue::new(PLACES, 500);
    let inside = Arc::new(AtomicUsize::new(0));
    let mut requests = JoinSet::new();
    for number in 0..20_000_u64 {
        let (queue, inside) = (queue.clone(), inside.clone());
        let patience = fastrand::u64(0..3_000);
        requests.spawn(async move {
            let principal = format!("principal {}", number % 13);
            let request = async {
                let Ok(place) = queue.enter(Some(&principal)).await else {
                    return "full";
                };
                let before = inside.fetch_add(1, Ordering::SeqCst);
                assert!(before < PLACES, "{before} requests are inside already");
                let left = Left(&inside);
                match fastrand::u8(0..3) {
                    0 => {}
                    1 => yield_now().await,
                    _ => sleep(Duration::from_micros(fastrand::u64(0..300))).await,
                }
                drop(left);
                drop(place);
                "served"
            };
            let limit = Duration::from_micros(patience);
            timeout(limit, request).await.unwrap_or("cancelled")
        });
        if number % 100 == 0 {
            yield_now().await;
        }
    }
    let mut ends = HashMap::new();
    while let Some(end) = requests.join_next().await {
        *ends.entry(end.unwrap()).or_insert(0) += 1;
    }
    assert_eq!(numbers(&queue), (PLACES, 0, 0, 0));
    for end in ["served", "cancelled", "full"] {
        assert!(ends.contains_key(end), "each end is met: {ends:?}");
    }
}

/// A request inside, which may be cancelled there.
struct Left<'a>(&'a AtomicUsize);

impl Drop for Left<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::SeqCst);
    }
}
