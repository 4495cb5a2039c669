//! Two processes of which one is told at once what the other does, or soon if notifications are
//! lost.

use std::time::Duration;

use axum::body::Body;
use http::{Method, Request, StatusCode};
use tokio::time::{Instant, sleep};
use tower_async_job::Builder;

use crate::{
    node::{Node, RECOVERY, request},
    nodes::{LEASE, Nodes, Settings, needs_notifications},
    roles::served::Served,
    routes::endless,
    run::Ran,
};

const ROUNDS: u32 = 5;

/// The longest average time of what happens at once. Without a notification it takes half a second
/// on average, since stores look again after a second.
const AT_ONCE: Duration = Duration::from_millis(400);

/// The time of a slow machine for what happens at a known moment.
const SLACK: Duration = Duration::from_millis(500);

/// The time within which a held poll is answered whose notification was lost.
const FALLBACK: Duration = Duration::from_secs(2);

/// The shortest wait in which a poll is held before anything happens.
const SHORT: Duration = Duration::from_millis(100);

pub(crate) async fn s13_a_cancel_in_another_process_reaches_the_handler_at_once(
    data: &impl Nodes,
) -> Ran {
    needs_notifications(data)?;
    let mut process = Served::start(data, "long-lease");
    let long = Settings {
        lease: RECOVERY,
        ..Settings::default()
    };
    let node = Node::with(data, endless(), |layer| layer, long).await?;
    let mut taken = Duration::ZERO;
    for _ in 0..ROUNDS {
        let url = process.submit("POST /once");
        let begun = Instant::now();
        let answer = node.send(request(Method::DELETE, &url)).await;
        assert_eq!(answer.status, StatusCode::ACCEPTED);
        process.ask(&format!("GET {url}"));
        // Both are on their way at the same time.
        for _ in 0..2 {
            let word = process.word();
            assert!(
                word == "cancelled" || word.contains(" cancelled "),
                "{word}"
            );
        }
        taken += begun.elapsed();
    }
    // The lease is renewed after several seconds.
    assert!(taken < ROUNDS * AT_ONCE, "{taken:?}");
    Ok(())
}

pub(crate) async fn s13_s25_a_cancel_whose_notification_is_lost_reaches_the_handler_by_its_renewal(
    data: &impl Nodes,
) -> Ran {
    let mut process = Served::start(data, "deaf");
    let node = Node::new(data, endless()).await?;
    for _ in 0..ROUNDS {
        let url = process.submit("POST /once");
        let begun = Instant::now();
        let answer = node.send(request(Method::DELETE, &url)).await;
        assert_eq!(answer.status, StatusCode::ACCEPTED);
        assert_eq!(process.word(), "cancelled");
        assert!(begun.elapsed() < LEASE / 3 + SLACK, "{begun:?}");
    }
    Ok(())
}

pub(crate) async fn a_report_of_a_handler_is_in_the_polls_of_another_process_at_once(
    data: &impl Nodes,
) -> Ran {
    let mut process = Served::start(data, "");
    let node = Node::new(data, endless()).await?;
    let url = process.submit("POST /once");
    let mut taken = Duration::ZERO;
    for part in ["first", "second", "third", "fourth", "fifth"] {
        process.tell(part);
        assert_eq!(process.word(), "reported");
        let begun = Instant::now();
        loop {
            let answer = node.get(&url).await;
            let text = String::from_utf8_lossy(&answer.body);
            if text.contains(part) {
                assert!(text.contains("0.5"), "{text}");
                break;
            }
            assert!(begun.elapsed() < RECOVERY, "{text}");
            sleep(Duration::from_millis(5)).await;
        }
        taken += begun.elapsed();
    }
    assert!(taken < ROUNDS * AT_ONCE, "{taken:?}");
    Ok(())
}

pub(crate) async fn events_of_a_job_in_another_process_are_its_reports_and_its_end(
    data: &impl Nodes,
) -> Ran {
    let mut process = Served::start(data, "");
    let node = Node::configured(data, endless(), |layer: Builder| layer.events(true)).await?;
    let url = process.submit("POST /once");
    let events = format!("{url}/events");
    let reported = async {
        sleep(SHORT).await;
        process.tell("first");
        assert_eq!(process.word(), "reported");
        // The node reads once per second.
        sleep(3 * SLACK).await;
        process.tell("end");
        Instant::now()
    };
    let (answer, ended) = tokio::join!(node.get(&events), reported);
    let taken = ended.elapsed();
    assert!(taken < FALLBACK, "{taken:?}");
    let text = String::from_utf8_lossy(&answer.body);
    let events: Vec<&str> = text.split_terminator("\n\n").collect();
    let [.., report, end] = &*events else {
        panic!("{text}");
    };
    assert!(report.contains("event: progress\n") && report.contains("first"));
    assert!(end.contains("event: end\n") && end.contains("\"state\":\"done\""));
    assert!(end.contains(&format!("\"location\":\"{url}\"")), "{end}");
    Ok(())
}

/// Holds a poll while the job ends in another process. Returns the time until it was answered.
async fn hold(node: &Node, process: &mut Served) -> Duration {
    let url = process.submit("POST /once");
    let poll = Request::get(&url).header("prefer", "wait=9");
    let poll = node.send(poll.body(Body::empty()).unwrap());
    let ended = async {
        sleep(SHORT).await;
        process.tell("end");
        Instant::now()
    };
    let (answer, ended) = tokio::join!(poll, ended);
    assert_eq!(answer.body, "attempt 1");
    assert_eq!(answer.header("preference-applied"), "wait=9");
    ended.elapsed()
}

/// Holds polls that are answered at once.
async fn hold_for_rounds(node: &Node, process: &mut Served) {
    let mut taken = Duration::ZERO;
    for _ in 0..ROUNDS {
        taken += hold(node, process).await;
    }
    assert!(taken < ROUNDS * AT_ONCE, "{taken:?}");
}

pub(crate) async fn a_held_poll_is_answered_at_once_when_its_job_ends_in_another_process(
    data: &impl Nodes,
) -> Ran {
    needs_notifications(data)?;
    let mut process = Served::start(data, "");
    let node = Node::new(data, endless()).await?;
    hold_for_rounds(&node, &mut process).await;
    Ok(())
}

pub(crate) async fn s25_a_held_poll_whose_notification_is_lost_is_answered_within_the_fallback(
    data: &impl Nodes,
) -> Ran {
    let deaf = Settings {
        is_deaf: true,
        ..Settings::default()
    };
    let mut process = Served::start(data, "");
    let node = Node::with(data, endless(), |layer: Builder| layer, deaf).await?;
    for _ in 0..ROUNDS {
        let taken = hold(&node, &mut process).await;
        assert!(taken < FALLBACK, "{taken:?}");
    }
    Ok(())
}

pub(crate) async fn s25_a_held_poll_whose_connection_is_cut_is_answered_and_the_next_one_at_once(
    data: &impl Nodes,
) -> Ran {
    needs_notifications(data)?;
    let mut process = Served::start(data, "");
    let node = Node::new(data, endless()).await?;
    let url = process.submit("POST /once");
    let poll = Request::get(&url).header("prefer", "wait=9");
    let poll = async { Ok(node.send(poll.body(Body::empty()).unwrap()).await) };
    let ended = async {
        sleep(SHORT).await;
        data.cut().await?;
        process.tell("end");
        Ok(Instant::now())
    };
    let (answer, ended) = tokio::try_join!(poll, ended)?;
    let taken = ended.elapsed();
    assert_eq!(answer.body, "attempt 1");
    assert!(taken < FALLBACK, "{taken:?}");
    // The connections are there again.
    sleep(FALLBACK).await;
    hold_for_rounds(&node, &mut process).await;
    Ok(())
}
