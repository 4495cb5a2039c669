use std::time::Duration;

use http::{HeaderMap, HeaderName, HeaderValue, Request, StatusCode, Uri, header::RETRY_AFTER};
use http_polling::{JOB_STATUS, JobState, RETRY_AFTER_MS};

use super::{
    ext::PollPolicyExt, hop::Hop, poll_policy::PollPolicy, refusal::Refusal,
    standard::StandardPolicy, *,
};

const SECOND: Duration = Duration::from_secs(1);

/// Calls `policy` for a hop between two URLs, changed by `change`.
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
    let mut policy = ServerDelay::new();
    assert_eq!(told(&mut policy, 7 * SECOND), 7 * SECOND);
    assert_eq!(untold(&mut policy), SECOND);
    assert_eq!(untold(&mut policy), SECOND * 3 / 2);
    assert_eq!(untold(&mut policy), SECOND * 9 / 4);
    let longest = (0..20).map(|_| untold(&mut policy)).last();
    assert_eq!(longest, Some(30 * SECOND));
}

#[test]
fn clone_starts_its_backoff_anew() {
    let mut policy = ServerDelay::new();
    untold(&mut policy);
    untold(&mut policy);
    assert_eq!(untold(&mut policy.clone()), SECOND);
}

#[test]
fn c32_good_poll_starts_the_backoff_of_failed_ones_anew() {
    let mut policy = ServerDelay::new();
    fn failed(policy: &mut ServerDelay, retries: u32) -> Duration {
        ask(policy, "/a", "/a", |hop| {
            hop.with_poll(2).with_retries(retries)
        })
        .unwrap()
    }
    for _ in 0..5 {
        for is_named in [true, false] {
            let waits = [1, 2, 3].map(|retries| failed(&mut policy, retries));
            assert_eq!(waits, [SECOND, SECOND * 3 / 2, SECOND * 9 / 4]);
            match is_named {
                true => told(&mut policy, SECOND),
                false => untold(&mut policy),
            };
        }
    }
    // The backoff of answered polls goes on: five of them had no delay.
    assert!(untold(&mut policy) > 7 * SECOND);
}

#[test]
fn backoff_can_be_set() {
    let mut policy = ServerDelay::new().backoff(2 * SECOND, 2.0, 5 * SECOND);
    let waits: Vec<_> = (0..3).map(|_| untold(&mut policy)).collect();
    assert_eq!(waits, [2 * SECOND, 4 * SECOND, 5 * SECOND]);
}

#[test]
fn redirected_poll_without_delay_is_followed_at_once_unless_job_is_pending() {
    let mut policy = ServerDelay::new();
    let moved = ask(&mut policy, "/a", "/b", |hop| hop.with_poll(2));
    assert_eq!(moved, Ok(Duration::ZERO));
    let running = ask(&mut policy, "/a", "/b", |hop| {
        hop.with_poll(2).with_state(JobState::Running)
    });
    assert_eq!(running, Ok(SECOND));
    let first = ask(&mut ServerDelay::new(), "/a", "/b", |hop| hop);
    assert_eq!(first, Ok(SECOND));
}

#[test]
fn standard_policy_clamps_then_spreads_upwards() {
    let mut policy = StandardPolicy::new();
    for (asked, least, most) in [
        (
            Duration::ZERO,
            Duration::from_millis(100),
            Duration::from_millis(110),
        ),
        (3 * SECOND, 3 * SECOND, Duration::from_millis(3_300)),
        (20 * SECOND, 20 * SECOND, 21 * SECOND),
        (Duration::MAX, 60 * SECOND, 61 * SECOND),
    ] {
        for _ in 0..100 {
            let delay = told(&mut policy, asked);
            assert!((least..=most).contains(&delay), "{delay:?} for {asked:?}");
        }
    }
}

/// Returns the delay of an answer with these headers, by `policy`.
fn answered(
    policy: &mut impl PollPolicy,
    headers: &[(HeaderName, &'static str)],
    state: Option<JobState>,
    retries: u32,
) -> Duration {
    let uri = Uri::from_static("https://example.com/work/1");
    let headers: HeaderMap = headers
        .iter()
        .map(|(name, value)| (name.clone(), HeaderValue::from_static(value)))
        .collect();
    let asked = http_polling::retry_after(&headers, std::time::UNIX_EPOCH);
    let mut hop = Hop::new(&uri, &uri, StatusCode::SEE_OTHER, &headers)
        .with_poll(2)
        .with_retries(retries);
    hop.retry_after = asked;
    hop.state = state;
    policy.next(&hop).unwrap()
}

#[test]
fn server_that_spreads_the_polls_is_polled_when_it_says() {
    let mut policy = StandardPolicy::new();
    for (millis, delay) in [
        ("2000", 2 * SECOND),
        ("300000", 300 * SECOND),
        ("100", SECOND / 10),
    ] {
        let headers = [(JOB_STATUS, "running"), (RETRY_AFTER_MS, millis)];
        let delays = (0..20).map(|_| answered(&mut policy, &headers, Some(JobState::Running), 0));
        assert!(delays.into_iter().all(|told| told == delay), "{millis}");
    }
}

#[test]
fn jitter_is_left_out_only_where_the_server_spreads_the_delay_that_is_taken() {
    let own = [(JOB_STATUS, "running"), (RETRY_AFTER_MS, "5000")];
    let seconds = [(JOB_STATUS, "running"), (RETRY_AFTER, "5")];
    let no_status = [(RETRY_AFTER_MS, "5000")];
    let unreadable = [
        (JOB_STATUS, "running"),
        (RETRY_AFTER_MS, "soon"),
        (RETRY_AFTER, "5"),
    ];
    let running = Some(JobState::Running);
    let mut cases = [
        (
            "bounded",
            StandardPolicy::new().max_delay(4 * SECOND),
            &own[..],
            running,
            0,
        ),
        ("whole seconds", StandardPolicy::new(), &seconds, running, 0),
        ("no status", StandardPolicy::new(), &no_status, None, 0),
        ("unreadable", StandardPolicy::new(), &unreadable, running, 0),
        (
            "state of a dialect",
            StandardPolicy::new(),
            &no_status,
            running,
            0,
        ),
        ("failed", StandardPolicy::new(), &own, running, 1),
    ];
    for (name, policy, headers, state, retries) in &mut cases {
        let mut delay = || answered(policy, headers, *state, *retries);
        let first = delay();
        assert!((0..20).any(|_| delay() != first), "{name}: {first:?}");
    }
    let mut jittered = ServerDelay::new().jitter(Jitter::up_to(0.1));
    let mut delay = || answered(&mut jittered, &own, running, 0);
    let first = delay();
    assert!((0..20).any(|_| delay() != first));
}

#[test]
fn repeats_of_failed_polls_are_spread_by_a_fifth() {
    fn failed(hop: Hop<'_>) -> Hop<'_> {
        hop.with_retries(1).with_retry_after(20 * SECOND)
    }
    let mut policy = StandardPolicy::new();
    let delays: Vec<_> = (0..200)
        .map(|_| ask(&mut policy, "/a", "/a", failed).unwrap())
        .collect();
    assert!(
        delays
            .iter()
            .all(|delay| (20 * SECOND..=24 * SECOND).contains(delay))
    );
    assert!(delays.iter().any(|delay| *delay > 23 * SECOND));
    let mut exact = StandardPolicy::new().jittered(false);
    assert_eq!(ask(&mut exact, "/a", "/a", failed), Ok(20 * SECOND));
}

#[test]
fn c22_no_moment_gets_more_of_a_crowd_than_its_share() {
    const CLIENTS: usize = 100_000;
    const SLICE: Duration = Duration::from_millis(10);
    fastrand::seed(42);
    for (asked, span) in [(2 * SECOND, SECOND / 5), (30 * SECOND, SECOND)] {
        let slices = (span.as_millis() / SLICE.as_millis()) as usize;
        let mut polls = vec![0; slices];
        for _ in 0..CLIENTS {
            let late = told(&mut StandardPolicy::new(), asked) - asked;
            polls[(late.as_nanos() / SLICE.as_nanos()) as usize] += 1;
        }
        let most = polls.into_iter().max().unwrap();
        let limit = CLIENTS / slices * 6 / 5;
        assert!(most <= limit, "{most} within {SLICE:?} after {asked:?}");
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
    let mut adapted = ServerDelay::new().no_downgrade();
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
    let mut policy = ServerDelay::new().clamp(2 * SECOND..=5 * SECOND);
    assert_eq!(told(&mut policy, SECOND), 2 * SECOND);
    assert_eq!(told(&mut policy, 9 * SECOND), 5 * SECOND);
}

#[test]
fn and_takes_the_longer_delay_and_either_refusal() {
    let mut slow = ServerDelay::new().and(policy_fn(|_| Ok(9 * SECOND)));
    assert_eq!(told(&mut slow, SECOND), 9 * SECOND);
    assert_eq!(told(&mut slow, 10 * SECOND), 10 * SECOND);
    let mut never = ServerDelay::new().and(policy_fn(|_| Err(Refusal::new("no"))));
    assert!(ask(&mut never, "/a", "/b", |hop| hop).is_err());
}

#[test]
fn adapters_hand_preparation_down() {
    let mut policy = ServerDelay::new()
        .prepare(|parts, _| {
            parts.headers.insert("x-one", HeaderValue::from_static("1"));
        })
        .clamp(SECOND..=SECOND)
        .jitter(Jitter::default())
        .same_origin()
        .no_downgrade()
        .refuse_private_addresses()
        .and(ServerDelay::new());
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
    let capped = Jitter::up_to(f64::INFINITY).at_most(Duration::ZERO);
    assert_eq!(capped.apply(9 * SECOND, 1.0), 9 * SECOND);
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
