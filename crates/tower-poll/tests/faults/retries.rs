//! Polls that fail.

use std::{
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use http::{HeaderValue, Method, header::AUTHORIZATION};
use http_polling::JobState;
use tokio::time::Instant;
use tower::Layer;
use tower::ServiceExt;
use tower_poll::{Hint, PendingJob, PollLayer};
use tower_poll_testkit as scripted;

use crate::common::{Script, answer, answer_with, exact, exact_layer, post, see_other, send, text};

const URL: &str = "http://server.test/report";

#[tokio::test(start_paused = true)]
async fn c13_poll_that_fails_on_the_wire_is_repeated() {
    let script = Script::new(|number, _| match number {
        0 => see_other("/work/1"),
        1 => Err("connection reset".into()),
        2 => Err("timed out".into()),
        _ => answer_with(200, &[], "done"),
    });
    let response = send(exact_layer(), &script, post(URL)).await.unwrap();
    assert_eq!(text(response).await, "done");
    let methods: Vec<_> = script.seen().into_iter().map(|seen| seen.method).collect();
    assert_eq!(
        methods,
        [Method::POST, Method::GET, Method::GET, Method::GET]
    );
    assert_eq!(script.uris()[1..], vec!["http://server.test/work/1"; 3]);
}

#[tokio::test(start_paused = true)]
async fn c13_each_status_of_a_failed_poll_is_repeated() {
    for status in [408, 429, 500, 502, 503, 504] {
        let script = Script::new(move |number, _| match number {
            0 => see_other("/work/1"),
            1 => answer(status, &[]),
            _ => answer(200, &[]),
        });
        let response = send(exact_layer(), &script, post(URL)).await.unwrap();
        assert_eq!(response.status(), 200, "{status}");
        assert_eq!(script.count(), 3, "{status}");
    }
}

#[tokio::test(start_paused = true)]
async fn c13_a_500_that_stays_is_passed_up_within_10_s() {
    let script = Script::new(|number, _| match number {
        0 => see_other("/work/1"),
        _ => answer(500, &[]),
    });
    let begun = Instant::now();
    let response = send(exact_layer(), &script, post(URL)).await.unwrap();
    assert_eq!(response.status(), 500);
    assert_eq!(script.count(), 1 + 1 + 3);
    assert!(begun.elapsed() < Duration::from_secs(10));
}

#[tokio::test(start_paused = true)]
async fn c13_repeats_wait_as_the_server_asks_or_back_off() {
    let script = Script::new(|number, _| match number {
        0 => see_other("/work/1"),
        1 => answer(502, &[("retry-after", "7")]),
        2 | 3 => answer(502, &[]),
        _ => answer(200, &[]),
    });
    send(exact_layer(), &script, post(URL)).await.unwrap();
    let at: Vec<_> = script.seen().iter().map(|seen| seen.at).collect();
    let delays: Vec<_> = at.windows(2).map(|pair| pair[1] - pair[0]).collect();
    assert_eq!(delays[..3], [1, 7, 1].map(Duration::from_secs));
    assert_eq!(delays[3], Duration::from_millis(1500));
}

#[tokio::test(start_paused = true)]
async fn c13_after_too_many_failures_in_a_row_the_error_has_the_job() {
    let script = Script::new(|number, _| match number {
        0 => see_other("/work/1"),
        _ => Err("connection reset".into()),
    });
    let layer = exact_layer().poll_retries(2);
    let error = send(layer, &script, post(URL)).await.unwrap_err();
    assert!(error.is_inner());
    assert_eq!(error.pending_job().unwrap().url().path(), "/work/1");
    assert_eq!(script.count(), 1 + 1 + 2);
}

#[tokio::test(start_paused = true)]
async fn c13_after_too_many_failures_in_a_row_the_last_answer_has_the_job() {
    let script = Script::new(|number, _| match number {
        0 => see_other("/work/1"),
        _ => answer_with(502, &[], "bad gateway"),
    });
    let layer = exact_layer().poll_retries(2);
    let response = send(layer, &script, post(URL)).await.unwrap();
    assert_eq!(response.status(), 502);
    let job = response.extensions().get::<PendingJob>().unwrap();
    assert_eq!((job.url().path(), job.polls()), ("/work/1", 3));
    assert_eq!(text(response).await, "bad gateway");
}

#[tokio::test(start_paused = true)]
async fn c13_the_last_answer_has_the_job_where_nothing_is_repeated() {
    let script = Script::new(|number, _| match number {
        0 => see_other("/work/1"),
        _ => answer(502, &[]),
    });
    let layer = exact_layer().poll_retries(0);
    let response = send(layer, &script, post(URL)).await.unwrap();
    assert_eq!(response.status(), 502);
    let job = response.extensions().get::<PendingJob>().unwrap();
    assert_eq!((job.url().path(), job.polls()), ("/work/1", 1));
}

#[tokio::test(start_paused = true)]
async fn c13_an_answer_between_failures_begins_the_count_anew() {
    let script = Script::new(|number, _| match number {
        12 => answer(200, &[]),
        number if number % 2 == 0 => see_other("/work/1"),
        _ => answer(504, &[]),
    });
    let layer = exact_layer().poll_retries(1);
    let response = send(layer, &script, post(URL)).await.unwrap();
    assert_eq!(response.status(), 200);
}

#[tokio::test(start_paused = true)]
async fn c32_each_first_failure_waits_as_the_first_one_did() {
    let script = Script::new(|number, _| match number {
        20 => answer(200, &[]),
        number if number % 3 == 2 => answer(503, &[]),
        _ => see_other("/work/1"),
    });
    send(exact_layer(), &script, post(URL)).await.unwrap();
    let seen = script.seen();
    for failed in (2..20).step_by(3) {
        let wait = seen[failed + 1].at - seen[failed].at;
        assert_eq!(wait, Duration::from_secs(1), "after {failed}");
    }
}

/// Ten a second are in the budget, whatever else goes on; it is kept over
/// ten seconds.
#[tokio::test(start_paused = true)]
async fn c13_all_calls_of_a_layer_share_one_budget_of_repeats() {
    let script = Script::new(|number, _| match number {
        0 => see_other("/work/1"),
        _ => Err("connection reset".into()),
    });
    let policy = exact().min_delay(Duration::from_millis(1)).backoff(
        Duration::from_millis(1),
        1.0,
        Duration::from_millis(1),
    );
    let layer = PollLayer::with_policy(policy).poll_retries(1000);
    let error = send(layer, &script, post(URL)).await.unwrap_err();
    assert!(error.is_inner());
    let repeats = script.count() - 2;
    assert!((10..=200).contains(&repeats), "{repeats}");
}

#[tokio::test(start_paused = true)]
async fn c13_a_final_state_is_not_repeated_whatever_its_status() {
    for status in [408, 429, 500, 502, 503, 504] {
        let script = Script::new(move |number, _| match number {
            0 => see_other("/work/1"),
            _ => answer(status, &[("job-status", "done")]),
        });
        let response = send(exact_layer(), &script, post(URL)).await.unwrap();
        assert_eq!(response.status(), status);
        assert_eq!(script.count(), 2);
    }
}

#[tokio::test(start_paused = true)]
async fn c15_404_within_the_grace_is_asked_again() {
    let play = |number: usize, _: &_| match number {
        0 => see_other("/work/1"),
        1 => answer(404, &[]),
        2 => answer(404, &[("job-status", "unknown")]),
        _ => answer(200, &[]),
    };
    let layer = exact_layer().not_found_grace(Duration::from_secs(10));
    let script = Script::new(play);
    let response = send(layer, &script, post(URL)).await.unwrap();
    assert_eq!(response.status(), 200);

    let layer = exact_layer().not_found_grace(Duration::ZERO);
    let error = send(layer, &Script::new(play), post(URL)).await;
    assert_eq!(error.unwrap_err().job_state(), Some(JobState::Unknown));
}

#[tokio::test(start_paused = true)]
async fn c15_404_after_the_grace_is_final() {
    for (grace, layer) in [
        (3, exact_layer()),
        (5, exact_layer().not_found_grace(Duration::from_secs(5))),
    ] {
        let script = Script::new(|number, _| match number {
            0 => see_other("/work/1"),
            _ => answer_with(404, &[], "no such job"),
        });
        let error = send(layer, &script, post(URL)).await.unwrap_err();
        assert_eq!(error.job_state(), Some(JobState::Unknown));
        assert_eq!(error.text(), Some("no such job"));
        let last = script.seen().last().unwrap().at;
        let grace = Duration::from_secs(grace);
        assert!(last > grace && last < 2 * grace, "{last:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn c15_404_right_after_the_acceptance_is_asked_again_by_default() {
    let script = Script::new(|number, _| match number {
        0 => answer(202, &[("location", "/work/1"), ("retry-after", "1")]),
        1 | 2 => answer(404, &[]),
        _ => answer(200, &[]),
    });
    let response = send(exact_layer(), &script, post(URL)).await.unwrap();
    assert_eq!((response.status().as_u16(), script.count()), (200, 4));
}

#[tokio::test(start_paused = true)]
async fn c15_grace_counts_from_the_acceptance_and_not_from_the_submission() {
    let second = Duration::from_secs(1);
    let accepted = scripted::Answer::see_other("/work/1").retry_after(second);
    let server = scripted::Script::new()
        .answer(accepted.after(61 * second))
        .answer(scripted::Answer::new(404).after(second))
        .answer(scripted::Answer::new(200).after(second))
        .server();
    send(exact_layer(), &server, post(URL)).await.unwrap();
    server.assert_finished();
}

#[tokio::test(start_paused = true)]
async fn c15_404_once_a_poll_has_found_the_job_is_final() {
    let script = Script::new(|number, _| match number {
        0 | 1 => see_other("/work/1"),
        2 => answer(404, &[]),
        _ => answer(200, &[]),
    });
    let error = send(exact_layer(), &script, post(URL)).await.unwrap_err();
    assert_eq!(error.job_state(), Some(JobState::Unknown));
    assert_eq!((error.hint(), script.count()), (None, 3));
}

#[tokio::test(start_paused = true)]
async fn c15_404_of_a_server_that_announced_by_job_status_is_final() {
    const UNKNOWN: &[(&str, &str)] = &[("job-status", "unknown")];
    // Without it, a proxy may have answered.
    for (headers, hint) in [(&[][..], Some(&Hint::PublicBase)), (UNKNOWN, None)] {
        let script = Script::new(move |number, _| match number {
            0 => {
                let running = [("job-status", "running"), ("location", "/work/1")];
                answer(303, &running)
            }
            1 => answer(404, headers),
            _ => answer(200, &[("job-status", "done")]),
        });
        let error = send(exact_layer(), &script, post(URL)).await.unwrap_err();
        assert_eq!(error.job_state(), Some(JobState::Unknown));
        assert_eq!((error.hint(), script.count()), (hint, 2));
    }
}

fn authorized() -> http::Request<crate::common::TestBody> {
    let mut request = post(URL);
    let old = HeaderValue::from_static("Bearer old");
    request.headers_mut().insert(AUTHORIZATION, old);
    request
}

/// Knows the new token only, from the first poll on.
fn expiring() -> Script {
    Script::new(|number, request| {
        let is_new =
            request.headers().get(AUTHORIZATION) == Some(&HeaderValue::from_static("Bearer new"));
        match number {
            0 => see_other("/work/1"),
            _ if !is_new => answer(401, &[("www-authenticate", "Bearer")]),
            1..=3 => see_other("/work/1"),
            _ => answer(200, &[]),
        }
    })
}

#[tokio::test(start_paused = true)]
async fn c17_new_credentials_are_fetched_once_and_kept() {
    let asked = Arc::new(AtomicUsize::new(0));
    let count = asked.clone();
    let layer = exact_layer().refresh(move |url| {
        assert_eq!(url.path(), "/work/1");
        count.fetch_add(1, Ordering::SeqCst);
        async { Ok(HeaderValue::from_static("Bearer new")) }
    });
    let script = expiring();
    let response = send(layer, &script, authorized()).await.unwrap();
    assert_eq!(response.status(), 200);
    assert_eq!(asked.load(Ordering::SeqCst), 1);
    let last = script.seen().pop().unwrap();
    assert_eq!(last.headers.get_all(AUTHORIZATION).iter().count(), 1);
    assert_eq!(last.headers[AUTHORIZATION], "Bearer new");
}

#[tokio::test(start_paused = true)]
async fn c17_without_new_credentials_the_error_has_the_job() {
    let error = send(exact_layer(), &expiring(), authorized()).await;
    let error = error.unwrap_err();
    assert!(error.is_unauthorized());
    assert_eq!(error.pending_job().unwrap().url().path(), "/work/1");
}

#[tokio::test(start_paused = true)]
async fn c17_credentials_refused_again_are_an_error() {
    let layer = exact_layer().refresh(|_| async { Ok(HeaderValue::from_static("Bearer bad")) });
    let script = expiring();
    let error = send(layer, &script, authorized()).await.unwrap_err();
    assert!(error.is_unauthorized() && error.pending_job().is_some());
    assert_eq!(script.count(), 3);
}

#[tokio::test(start_paused = true)]
async fn c17_a_refresh_that_fails_is_the_source_of_the_error() {
    let layer = exact_layer().refresh(|_| async { Err("no such user".into()) });
    let error = send(layer, &expiring(), authorized()).await.unwrap_err();
    assert!(error.is_unauthorized() && error.pending_job().is_some());
    let source = std::error::Error::source(&error).unwrap();
    assert_eq!(source.to_string(), "no such user");
}

#[tokio::test(start_paused = true)]
async fn c17_a_refresh_that_hangs_ends_at_the_deadline() {
    let layer = exact_layer()
        .deadline(Duration::from_secs(30))
        .refresh(|_| std::future::pending());
    let service = layer.layer(expiring());
    let error = service.oneshot(authorized()).await.unwrap_err();
    assert!(error.is_deadline() && error.pending_job().is_some());
}

#[tokio::test(start_paused = true)]
async fn c17_no_credentials_are_fetched_for_another_origin() {
    let script = Script::new(|number, _| match number {
        0 => see_other("http://elsewhere.test/work/1"),
        _ => answer(401, &[]),
    });
    let policy = exact().cross_origin([http::Uri::from_static("http://elsewhere.test")]);
    let layer = PollLayer::with_policy(policy)
        .refresh(|_| async { unreachable!("another origin is not to have them") });
    let error = send(layer, &script, authorized()).await.unwrap_err();
    assert!(error.is_unauthorized());
}
