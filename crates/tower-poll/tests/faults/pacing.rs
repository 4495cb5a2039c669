//! The times and the number of polls.

use std::{collections::HashSet, time::Duration};

use http::Uri;
use tokio::time::{Instant, timeout};
use tower::{Layer, ServiceExt};
use tower_poll::{PollLayer, StandardPolicy};

use crate::common::{Script, answer, exact_layer, post, see_other, send};

const URL: &str = "https://example.com/report";
const SECOND: Duration = Duration::from_secs(1);

/// Pending once, with these headers beside `Location`.
fn once(headers: &'static [(&'static str, &'static str)]) -> Script {
    Script::new(move |number, _| match number {
        0 => {
            let mut all = vec![("location", "/work/1")];
            all.extend(headers);
            answer(202, &all)
        }
        _ => answer(200, &[("job-status", "done")]),
    })
}

#[tokio::test(start_paused = true)]
async fn c08_redirect_to_itself_is_pending_until_the_polls_are_used_up() {
    let script = Script::new(|_, _| see_other(URL));
    let error = send(exact_layer().max_polls(7), &script, post(URL))
        .await
        .unwrap_err();
    assert!(error.is_too_many_polls());
    assert_eq!(script.count(), 8);
    let job = error.into_pending_job().unwrap();
    assert_eq!((job.polls(), job.url()), (7, &Uri::from_static(URL)));
}

#[tokio::test(start_paused = true)]
async fn c08_redirect_to_itself_ends_at_the_deadline() {
    let script = Script::new(|_, _| see_other(URL));
    let layer = exact_layer().deadline(Duration::from_millis(10_500));
    let error = send(layer, &script, post(URL)).await.unwrap_err();
    assert!(error.is_deadline());
    assert_eq!(script.count(), 11);
}

#[tokio::test(start_paused = true)]
async fn c08_plain_redirect_to_itself_backs_off() {
    let script = Script::new(|number, _| match number {
        0 => see_other("/work/1"),
        _ => answer(302, &[("location", "/work/1")]),
    });
    let error = send(exact_layer().max_polls(4), &script, post(URL))
        .await
        .unwrap_err();
    assert!(error.is_too_many_polls());
    let seen = script.seen();
    assert_eq!(seen[2].at - seen[1].at, SECOND);
    assert_eq!(seen[3].at - seen[2].at, SECOND * 3 / 2);
}

#[tokio::test(start_paused = true)]
async fn plain_redirect_of_a_poll_is_followed_after_the_minimum_delay() {
    let script = Script::new(|number, _| match number {
        0 => see_other("/work/1"),
        1 => answer(302, &[("location", "/result/1")]),
        _ => answer(200, &[]),
    });
    send(exact_layer(), &script, post(URL)).await.unwrap();
    let seen = script.seen();
    assert_eq!(seen[2].uri, "https://example.com/result/1");
    assert_eq!(seen[2].at - seen[1].at, Duration::from_millis(100));
}

#[tokio::test(start_paused = true)]
async fn c10_zero_is_the_minimum_delay() {
    let script = once(&[("retry-after", "0")]);
    send(exact_layer(), &script, post(URL)).await.unwrap();
    assert_eq!(script.delay(), Duration::from_millis(100));
}

#[tokio::test(start_paused = true)]
async fn c10_minimum_delay_has_jitter() {
    let mut delays = HashSet::new();
    for _ in 0..20 {
        let script = once(&[("retry-after", "0")]);
        send(PollLayer::new(), &script, post(URL)).await.unwrap();
        let delay = script.delay();
        // The timer goes by whole milliseconds.
        let range = Duration::from_millis(100)..=Duration::from_millis(111);
        assert!(range.contains(&delay), "{delay:?}");
        delays.insert(delay);
    }
    assert!(delays.len() > 1);
}

#[tokio::test(start_paused = true)]
async fn c29_decimals_units_and_lists_are_waited_for() {
    for (text, seconds) in [("2.5", 3), ("4 s", 4), ("2,5", 5)] {
        let script = Script::new(move |number, _| match number {
            0 => answer(303, &[("location", "/work/1"), ("retry-after", text)]),
            _ => answer(200, &[]),
        });
        send(exact_layer(), &script, post(URL)).await.unwrap();
        assert_eq!(script.delay(), SECOND * seconds, "{text}");
    }
}

#[tokio::test(start_paused = true)]
async fn c29_unreadable_delay_is_the_default_one_and_never_final() {
    for (first, later) in [(303, 303), (302, 429), (202, 503)] {
        let script = Script::new(move |number, _| {
            let fields = [("location", "/work/2"), ("retry-after", "soon")];
            match number {
                0 => answer(first, &fields),
                // More often than failed polls are repeated.
                1..=8 => answer(later, &fields),
                _ => answer(200, &[]),
            }
        });
        let response = send(exact_layer(), &script, post(URL)).await.unwrap();
        assert_eq!(response.status(), 200, "{first} {later}");
        let seen = script.seen();
        assert_eq!(seen.len(), 10, "{first} {later}");
        assert_eq!(seen[1].at - seen[0].at, SECOND);
        assert_eq!(seen[2].at - seen[1].at, SECOND * 3 / 2);
    }
}

#[tokio::test(start_paused = true)]
async fn c10_garbage_counts_as_absent() {
    for headers in [
        &[("retry-after", "-5")] as &'static [_],
        &[("retry-after", "soon")],
        &[("retry-after", "1.5.5")],
        &[("retry-after", "")],
        &[],
    ] {
        let script = once(headers);
        send(exact_layer(), &script, post(URL)).await.unwrap();
        assert_eq!(script.delay(), SECOND, "{headers:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn c10_milliseconds_go_before_seconds() {
    let script = once(&[("retry-after", "3"), ("retry-after-ms", "250")]);
    send(exact_layer(), &script, post(URL)).await.unwrap();
    assert_eq!(script.delay(), Duration::from_millis(250));
}

#[tokio::test(start_paused = true)]
async fn c11_absurd_delay_is_clamped() {
    for headers in [
        &[("retry-after", "1000000000000000000000000000000")] as &'static [_],
        &[("retry-after", "Fri, 31 Dec 9999 23:59:59 GMT")],
    ] {
        let script = once(headers);
        send(exact_layer(), &script, post(URL)).await.unwrap();
        assert_eq!(script.delay(), 60 * SECOND, "{headers:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn c11_delay_past_the_deadline_fails_at_once_and_says_so() {
    let start = Instant::now();
    let script = once(&[("retry-after", "1000000000000000000000000000000")]);
    let layer = exact_layer().deadline(30 * SECOND);
    let error = send(layer, &script, post(URL)).await.unwrap_err();
    assert!(error.is_deadline());
    assert_eq!(
        error.to_string(),
        "the next poll, due in 60s, is after the deadline"
    );
    assert_eq!(
        error.pending_job().unwrap().url(),
        "https://example.com/work/1"
    );
    assert_eq!(start.elapsed(), Duration::ZERO);
    assert_eq!(script.count(), 1);
}

#[tokio::test(start_paused = true)]
async fn c11_deadline_without_end_is_no_overflow() {
    let script = once(&[("retry-after", "1")]);
    let layer = exact_layer().deadline(Duration::MAX);
    send(layer, &script, post(URL)).await.unwrap();
    assert_eq!(script.count(), 2);
}

#[tokio::test(start_paused = true)]
async fn c12_date_is_measured_against_the_response() {
    // By a clock that is decades off ours.
    let script = once(&[
        ("date", "Sun, 06 Nov 1994 08:49:37 GMT"),
        ("retry-after", "Sun, 06 Nov 1994 08:49:57 GMT"),
    ]);
    send(exact_layer(), &script, post(URL)).await.unwrap();
    assert_eq!(script.delay(), 20 * SECOND);
}

#[tokio::test(start_paused = true)]
async fn c12_past_date_is_the_minimum_delay() {
    let script = once(&[("retry-after", "Sun, 06 Nov 1994 08:49:37 GMT")]);
    send(exact_layer(), &script, post(URL)).await.unwrap();
    assert_eq!(script.delay(), Duration::from_millis(100));
}

#[tokio::test(start_paused = true)]
async fn c18_endless_202_ends_with_the_pending_job() {
    let script = Script::new(|_, _| {
        answer(
            202,
            &[
                ("location", "/work/1"),
                ("retry-after", "10"),
                ("job-status", "running"),
            ],
        )
    });
    let layer = exact_layer().deadline(65 * SECOND);
    let error = send(layer, &script, post(URL)).await.unwrap_err();
    assert!(error.is_deadline());
    let job = error.pending_job().unwrap();
    assert_eq!(job.url(), "https://example.com/work/1");
    assert_eq!(job.method(), http::Method::GET);
    assert_eq!(job.polls(), 6);
    assert_eq!(job.elapsed(), 60 * SECOND);
    assert_eq!(job.retry_after(), Some(10 * SECOND));
    assert_eq!(job.state(), Some(http_polling::JobState::Running));
}

#[tokio::test(start_paused = true)]
async fn c19_dropping_the_future_stops_polling() {
    let script = Script::new(|_, _| see_other("/work/1"));
    let service = exact_layer().layer(script.clone());
    let call = service.oneshot(post(URL));
    assert!(timeout(Duration::from_millis(2500), call).await.is_err());
    assert_eq!(script.count(), 3);
    tokio::time::sleep(60 * SECOND).await;
    assert_eq!(script.count(), 3);
}

#[tokio::test(start_paused = true)]
async fn c22_clients_told_the_same_delay_do_not_come_back_together() {
    let mut at = Vec::new();
    for _ in 0..500 {
        let script = once(&[("retry-after", "10")]);
        let policy = StandardPolicy::new();
        send(PollLayer::with_policy(policy), &script, post(URL))
            .await
            .unwrap();
        at.push(script.delay());
    }
    // The timer goes by whole milliseconds.
    let range = 10 * SECOND..=11 * SECOND + SECOND / 1000;
    assert!(at.iter().all(|delay| range.contains(delay)));
    // Spread over a second, no tenth of it gets much more than its part.
    for tenth in 0..10 {
        let start = 10 * SECOND + tenth * SECOND / 10;
        let within = at
            .iter()
            .filter(|delay| (start..start + SECOND / 10).contains(*delay));
        let count = within.count();
        assert!((15..=95).contains(&count), "{count} of 500 after {start:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn c22_server_that_spreads_the_polls_is_polled_when_it_says() {
    let script = once(&[
        ("job-status", "running"),
        ("retry-after", "3"),
        ("retry-after-ms", "2025"),
    ]);
    send(PollLayer::new(), &script, post(URL)).await.unwrap();
    assert_eq!(script.delay(), Duration::from_millis(2025));
}
