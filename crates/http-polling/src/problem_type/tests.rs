use super::*;

#[test]
fn every_kind_is_named_by_its_uri() {
    for kind in ProblemType::ALL {
        assert_eq!(ProblemType::from_uri(kind.uri()), Some(kind));
        assert!(kind.status().is_client_error() || kind.status().is_server_error());
    }
    assert_eq!(ProblemType::from_uri("about:blank"), None);
}

#[test]
fn c16_every_state_that_is_no_answer_has_its_problem() {
    let of = |state| ProblemType::of(state).map(|kind| (kind, kind.status().as_u16()));
    assert_eq!(of(JobState::Queued), None);
    assert_eq!(of(JobState::Running), None);
    assert_eq!(of(JobState::Done), None);
    assert_eq!(of(JobState::Failed), Some((ProblemType::JobFailed, 500)));
    assert_eq!(
        of(JobState::TimedOut),
        Some((ProblemType::JobTimedOut, 504))
    );
    assert_eq!(of(JobState::Lost), Some((ProblemType::JobLost, 500)));
    assert_eq!(
        of(JobState::Cancelled),
        Some((ProblemType::JobCancelled, 410))
    );
    assert_eq!(of(JobState::Expired), Some((ProblemType::JobExpired, 410)));
    assert_eq!(of(JobState::Unknown), Some((ProblemType::JobUnknown, 404)));
}
