use super::*;

fn headers(values: &[&'static str]) -> HeaderMap {
    values
        .iter()
        .map(|value| (JOB_STATUS, HeaderValue::from_static(value)))
        .collect()
}

#[test]
fn every_form_of_a_state_reads_back() {
    for state in JobState::ALL {
        let text = state.as_str();
        assert_eq!(text.parse(), Ok(state));
        assert_eq!(state.to_string(), text);
        assert_eq!(state.header_value(), text);
        assert_eq!(JobState::from_headers(&headers(&[text])), Some(state));
        let json = serde_json::to_string(&state).unwrap();
        assert_eq!(json, format!("{text:?}"));
        assert_eq!(serde_json::from_str::<JobState>(&json).unwrap(), state);
    }
}

#[test]
fn only_queued_and_running_are_pending() {
    for state in JobState::ALL {
        let pending = matches!(state, JobState::Queued | JobState::Running);
        assert_eq!(state.is_pending(), pending, "{state}");
        assert_eq!(state.is_final(), !pending, "{state}");
    }
}

#[test]
fn unrecognised_words_are_no_state() {
    for text in [
        "",
        "Running",
        "timed_out",
        "timedout",
        "done ",
        "done, done",
    ] {
        assert_eq!(
            text.parse::<JobState>(),
            Err(ParseJobStateError(())),
            "{text:?}"
        );
    }
    assert_eq!(JobState::from_headers(&headers(&["paused"])), None);
}

#[test]
fn differing_fields_are_no_state() {
    assert_eq!(JobState::from_headers(&headers(&["done", "running"])), None);
    assert_eq!(
        JobState::from_headers(&headers(&["running", "paused"])),
        None
    );
    assert_eq!(
        JobState::from_headers(&headers(&["lost", "lost"])),
        Some(JobState::Lost)
    );
}
