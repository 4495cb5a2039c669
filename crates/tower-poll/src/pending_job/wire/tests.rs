use super::*;

fn job() -> PendingJob {
    PendingJob {
        url: Uri::from_static("https://jobs.example.com/work/7?poll=1"),
        origin: Uri::from_static("https://me:secret@example.com/"),
        method: Method::GET,
        polls: 3,
        elapsed: Duration::from_millis(4500),
        retry_after: Some(Duration::from_secs(2)),
        due: UNIX_EPOCH.checked_add(Duration::from_secs(1_800_000_000)),
        state: Some(JobState::Running),
        has_status: true,
        is_cancellable: false,
        crossed: true,
        dialect: None,
    }
}

#[test]
fn a_job_comes_back_from_its_serde_form() {
    let text = serde_json::to_string(&job()).unwrap();
    let read: PendingJob = serde_json::from_str(&text).unwrap();
    assert_eq!(text, serde_json::to_string(&read).unwrap());
    assert_eq!(read.url, job().url);
    assert_eq!((read.polls, read.elapsed), (3, job().elapsed));
    assert_eq!((read.due, read.state), (job().due, job().state));
    assert!(read.crossed && read.has_status && !read.is_cancellable);
}

#[test]
fn no_credentials_are_written() {
    let text = serde_json::to_string(&job()).unwrap();
    assert!(!text.contains("secret"), "{text}");
}

#[test]
fn a_url_that_grew_by_escaping_comes_back() {
    let escaped = format!("https://example.com/{}", "%C3%A4".repeat(2000));
    let job = PendingJob {
        url: escaped.parse().unwrap(),
        ..job()
    };
    let text = serde_json::to_string(&job).unwrap();
    let read: PendingJob = serde_json::from_str(&text).unwrap();
    assert_eq!(read.url, job.url);
}

#[test]
fn what_could_not_be_polled_is_refused() {
    let good = serde_json::to_value(job()).unwrap();
    for (member, value) in [
        ("version", 2.into()),
        ("version", "1".into()),
        ("url", "file:///etc/passwd".into()),
        ("url", "https://a@example.com/".into()),
        ("url", "".into()),
        ("url", "//example.com/".into()),
        ("url", "*".into()),
        ("url", "https://:/".into()),
        ("url", format!("/{}", "x".repeat(1 << 16)).into()),
        ("origin", "ftp://example.com/".into()),
        ("polls", (-1).into()),
    ] {
        let mut bad = good.clone();
        bad[member] = value;
        assert!(
            serde_json::from_value::<PendingJob>(bad).is_err(),
            "{member}"
        );
    }
}
