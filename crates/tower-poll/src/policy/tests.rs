use http::{HeaderMap, HeaderValue, Request, StatusCode, Uri};
use http_polling::JobState;

use super::*;

const SECOND: Duration = Duration::from_secs(1);

/// Asks `policy` about a hop between two URLs, changed by `change`.
fn ask(
    policy: &mut impl PollPolicy,
    from: &'static str,
    to: &'static str,
    change: impl FnOnce(Hop<'_>) -> Hop<'_>,
) -> Result<Duration, Refusal> {
    let (from, to) = (Uri::from_static(from), Uri::from_static(to));
    let headers = HeaderMap::new();
    policy.next(&change(Hop::new(
        &from,
        &to,
        StatusCode::SEE_OTHER,
        &headers,
    )))
}

fn told(policy: &mut impl PollPolicy, delay: Duration) -> Duration {
    ask(policy, "/a", "/b", |hop| hop.with_retry_after(delay)).unwrap()
}

fn untold(policy: &mut impl PollPolicy) -> Duration {
    ask(policy, "/a", "/a", |hop| hop.with_poll(2)).unwrap()
}

#[test]
fn told_delay_is_taken_and_untold_backs_off() {
    let mut policy = RetryAfter::new();
    assert_eq!(told(&mut policy, 7 * SECOND), 7 * SECOND);
    assert_eq!(untold(&mut policy), SECOND);
    assert_eq!(untold(&mut policy), SECOND * 3 / 2);
    assert_eq!(untold(&mut policy), SECOND * 9 / 4);
    let longest = (0..20).map(|_| untold(&mut policy)).last();
    assert_eq!(longest, Some(30 * SECOND));
}

#[test]
fn clone_starts_its_backoff_anew() {
    let mut policy = RetryAfter::new();
    untold(&mut policy);
    untold(&mut policy);
    assert_eq!(untold(&mut policy.clone()), SECOND);
}

#[test]
fn backoff_can_be_set() {
    let mut policy = RetryAfter::new().backoff(2 * SECOND, 2.0, 5 * SECOND);
    let waits: Vec<_> = (0..3).map(|_| untold(&mut policy)).collect();
    assert_eq!(waits, [2 * SECOND, 4 * SECOND, 5 * SECOND]);
}

#[test]
fn redirected_poll_without_delay_is_followed_at_once_unless_job_is_pending() {
    let mut policy = RetryAfter::new();
    let moved = ask(&mut policy, "/a", "/b", |hop| hop.with_poll(2));
    assert_eq!(moved, Ok(Duration::ZERO));
    let running = ask(&mut policy, "/a", "/b", |hop| {
        hop.with_poll(2).with_state(JobState::Running)
    });
    assert_eq!(running, Ok(SECOND));
    let first = ask(&mut RetryAfter::new(), "/a", "/b", |hop| hop);
    assert_eq!(first, Ok(SECOND));
}

#[test]
fn standard_policy_clamps_then_spreads_upwards() {
    let mut policy = StandardPolicy::new();
    for (asked, least) in [
        (Duration::ZERO, Duration::from_millis(100)),
        (3 * SECOND, 3 * SECOND),
        (Duration::MAX, 60 * SECOND),
    ] {
        for _ in 0..100 {
            let delay = told(&mut policy, asked);
            assert!(
                delay >= least && delay <= least * 6 / 5,
                "{delay:?} for {asked:?}"
            );
        }
    }
}

#[test]
fn minimum_of_zero_gives_no_delay() {
    let mut policy = StandardPolicy::new().min_delay(Duration::ZERO);
    assert_eq!(told(&mut policy, Duration::ZERO), Duration::ZERO);
}

#[test]
fn standard_policy_stays_on_the_origin_or_on_those_allowed() {
    let allowed = Uri::from_static("https://jobs.example.com");
    let mut policy = StandardPolicy::new().cross_origin([allowed]);
    let mut go = |from, to| ask(&mut policy, from, to, |hop| hop);
    assert!(go("https://example.com/", "https://example.com:443/work").is_ok());
    assert!(go("https://example.com/", "https://jobs.example.com/work").is_ok());
    let refusal = go("https://example.com/", "https://evil.example/work").unwrap_err();
    assert!(refusal.is_cross_origin());
}

#[test]
fn standard_policy_lets_an_allowed_origin_lead_back() {
    let allowed = Uri::from_static("https://jobs.example.com");
    let mut policy = StandardPolicy::new().cross_origin([allowed]);
    let home = Uri::from_static("https://example.com/");
    let from = Uri::from_static("https://jobs.example.com/1");
    let to = Uri::from_static("https://example.com/2");
    let headers = HeaderMap::new();
    let hop = Hop::new(&from, &to, StatusCode::SEE_OTHER, &headers).with_submission(&home);
    let back = policy.next(&hop);
    assert!(back.is_ok());
}

#[test]
fn downgrade_is_refused_even_to_an_allowed_origin() {
    let allowed = Uri::from_static("http://example.com");
    let mut standard = StandardPolicy::new().cross_origin([allowed]);
    let mut adapted = RetryAfter::new().no_downgrade();
    for policy in [&mut standard as &mut dyn PollPolicy, &mut adapted] {
        let (from, to) = ("https://example.com/", "http://example.com/work");
        let (from, to) = (Uri::from_static(from), Uri::from_static(to));
        let headers = HeaderMap::new();
        let hop = Hop::new(&from, &to, StatusCode::SEE_OTHER, &headers);
        assert!(policy.next(&hop).unwrap_err().is_cross_origin());
    }
}

#[test]
fn clamp_keeps_within_range() {
    let mut policy = RetryAfter::new().clamp(2 * SECOND..=5 * SECOND);
    assert_eq!(told(&mut policy, SECOND), 2 * SECOND);
    assert_eq!(told(&mut policy, 9 * SECOND), 5 * SECOND);
}

#[test]
fn and_takes_the_longer_delay_and_either_refusal() {
    let mut slow = RetryAfter::new().and(policy_fn(|_| Ok(9 * SECOND)));
    assert_eq!(told(&mut slow, SECOND), 9 * SECOND);
    assert_eq!(told(&mut slow, 10 * SECOND), 10 * SECOND);
    let mut never = RetryAfter::new().and(policy_fn(|_| Err(Refusal::new("no"))));
    assert!(ask(&mut never, "/a", "/b", |hop| hop).is_err());
}

#[test]
fn adapters_hand_preparation_down() {
    let mut policy = RetryAfter::new()
        .prepare(|parts, _| {
            parts.headers.insert("x-one", HeaderValue::from_static("1"));
        })
        .clamp(SECOND..=SECOND)
        .jitter(Jitter::default())
        .same_origin()
        .no_downgrade()
        .refuse_private_addresses()
        .and(RetryAfter::new());
    let (mut parts, ()) = Request::new(()).into_parts();
    let (uri, headers) = (Uri::from_static("/"), HeaderMap::new());
    policy.prepare_poll(
        &mut parts,
        &Hop::new(&uri, &uri, StatusCode::SEE_OTHER, &headers),
    );
    assert_eq!(parts.headers["x-one"], "1");
}

#[test]
fn odd_jitter_is_tamed() {
    for fraction in [f64::NAN, -1.0] {
        assert_eq!(Jitter::up_to(fraction), Jitter::up_to(0.0));
    }
    assert_eq!(Jitter::up_to(f64::INFINITY), Jitter::up_to(10.0));
    assert_eq!(Jitter::up_to(10.0).apply(Duration::MAX, 1.0), Duration::MAX);
}

#[test]
fn hop_shows_no_secrets() {
    let uri = Uri::from_static("https://example.com/work/0123456789abcdef?token=secret");
    let mut headers = HeaderMap::new();
    headers.insert("set-cookie", HeaderValue::from_static("secret"));
    let hop = Hop::new(&uri, &uri, StatusCode::SEE_OTHER, &headers);
    let shown = format!("{hop:?}");
    assert!(
        !shown.contains("secret") && !shown.contains("0123456789"),
        "{shown}"
    );
}
