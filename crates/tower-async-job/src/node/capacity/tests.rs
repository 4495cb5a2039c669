use std::task::Context;

use http_polling::ProblemType;

use super::*;

fn capacity(overall: (usize, usize), each: (usize, usize)) -> Arc<Capacity> {
    let limits = |(running, queued)| Limits { running, queued };
    Arc::new(Capacity::new(limits(overall), limits(each)))
}

fn of(name: &str) -> Option<Principal> {
    Some(Principal::new(name))
}

fn runs(admission: &mut Admission) -> bool {
    admission
        .poll_run(&mut Context::from_waker(Waker::noop()))
        .is_ready()
}

#[test]
fn principals_have_their_turns() {
    let capacity = capacity((1, 10), (10, 10));
    let first = capacity.admit(of("a")).expect("a place");
    let mut a: Vec<_> = (0..3)
        .map(|_| capacity.admit(of("a")).expect("a place"))
        .collect();
    let mut b = capacity.admit(of("b")).expect("a place");
    assert!(a.iter().all(Admission::is_queued) && b.is_queued());
    drop(first);
    assert!(runs(&mut a[0]) && !runs(&mut b));
    drop(a.remove(0));
    assert!(runs(&mut b) && !runs(&mut a[0]));
    drop(b);
    assert!(runs(&mut a[0]));
}

#[test]
fn s38_quota_of_one_principal_leaves_the_others_alone() {
    let capacity = capacity((4, 4), (1, 1));
    let _running = capacity.admit(of("a")).expect("a place");
    let mut queued = capacity.admit(of("a")).expect("a place");
    assert!(
        !runs(&mut queued),
        "there is room, but not for this principal"
    );
    let refused = capacity
        .admit(of("a"))
        .map(drop)
        .expect_err("over the quota");
    assert_eq!(refused.problem, ProblemType::QuotaExceeded);
    let mut other = capacity.admit(of("b")).expect("a place");
    assert!(runs(&mut other));
}

#[test]
fn place_in_the_queue_can_be_left() {
    let capacity = capacity((1, 1), (9, 9));
    let running = capacity.admit(None).expect("a place");
    drop(capacity.admit(None).expect("a place"));
    let mut queued = capacity.admit(None).expect("the place that was left");
    assert!(capacity.admit(None).is_err());
    drop(running);
    assert!(runs(&mut queued));
}

#[test]
fn place_that_was_never_used_tells_nothing_of_how_long_work_takes() {
    let capacity = capacity((1, 1), (9, 9));
    let granted = capacity.admit(None).expect("a place");
    let queued = capacity.admit(None).expect("a place");
    drop(granted);
    drop(queued);
    assert_eq!(capacity.state().mean, None);
}

#[test]
fn s67_principals_that_may_not_run_one_more_have_no_turn() {
    let capacity = capacity((100, 100), (1, 1));
    let place = |name: usize| capacity.admit(of(&name.to_string())).expect("a place");
    let running: Vec<_> = (0..50).map(place).collect();
    let mut queued: Vec<_> = (0..50).map(place).collect();
    assert!(
        capacity.state().turns.is_empty(),
        "a release would go through those that cannot run"
    );
    for (index, running) in running.into_iter().enumerate() {
        drop(running);
        assert!(runs(&mut queued[index]), "its own place was free");
        let more = queued.iter_mut().skip(index + 1);
        assert!(more.map(runs).all(|runs| !runs));
    }
    drop(queued);
    assert!(capacity.state().tenants.is_empty());
}

#[test]
fn s67_turns_go_round_whatever_is_given_up_meanwhile() {
    let capacity = capacity((1, 100), (9, 9));
    let first = capacity.admit(of("a")).expect("a place");
    let mut waiting: Vec<_> = ["a", "a", "b", "b", "c", "d"]
        .map(|name| Some(capacity.admit(of(name)).expect("a place")))
        .into();
    // All of c's, and the first of b's.
    waiting[4] = None;
    waiting[2] = None;
    let mut running = Some(first);
    let mut order = Vec::new();
    while running.take().is_some() {
        let next = waiting.iter_mut().position(|waiting| {
            let waiting = waiting.as_mut();
            waiting.is_some_and(runs)
        });
        if let Some(next) = next {
            order.push(next);
            running = waiting[next].take();
        }
    }
    assert_eq!(order, [0, 3, 5, 1]);
    let state = capacity.state();
    assert!(state.tenants.is_empty() && state.turns.is_empty());
    assert_eq!((state.running, state.queued), (0, 0));
}

#[test]
fn granted_place_that_was_never_taken_goes_on() {
    let capacity = capacity((1, 2), (9, 9));
    let running = capacity.admit(None).expect("a place");
    let granted = capacity.admit(None).expect("a place");
    let mut next = capacity.admit(None).expect("a place");
    drop(running);
    drop(granted);
    assert!(runs(&mut next));
    drop(next);
    assert!(capacity.state().tenants.is_empty());
}

#[test]
fn s70_place_aside_is_passed_over_and_keeps_its_number() {
    let capacity = capacity((1, 2), (9, 9));
    let running = capacity.admit(of("a")).expect("a place");
    let mut aside = capacity.admit(of("a")).expect("a place");
    let mut other = capacity.admit(of("a")).expect("a place");
    aside.stand_aside();
    assert!(aside.is_queued());
    assert!(capacity.admit(of("b")).is_err(), "it has its place");
    drop(running);
    assert!(!runs(&mut aside) && runs(&mut other));
    let mut last = capacity.admit(of("a")).expect("a place");
    aside.stand_in();
    drop(other);
    assert!(runs(&mut aside) && !runs(&mut last));
    drop(aside);
    last.stand_aside();
    assert!(runs(&mut last), "it has had its turn already");
    drop(last);
    assert!(capacity.state().tenants.is_empty());
}

#[test]
fn s70_place_aside_runs_at_once_when_it_stands_in_and_one_is_free() {
    let capacity = capacity((1, 1), (9, 9));
    let running = capacity.admit(None).expect("a place");
    let mut aside = capacity.admit(None).expect("a place");
    aside.stand_aside();
    drop(running);
    assert!(!runs(&mut aside));
    aside.stand_in();
    assert!(runs(&mut aside));
    drop(aside);
    let running = capacity.admit(None).expect("a place");
    let mut aside = capacity.admit(None).expect("a place");
    aside.stand_aside();
    drop(aside);
    drop(running);
    let state = capacity.state();
    assert!(state.tenants.is_empty());
    assert_eq!((state.running, state.queued), (0, 0));
}

#[test]
fn s18_place_that_is_handed_back_is_for_others_until_it_stands_in() {
    let capacity = capacity((1, 1), (9, 9));
    let mut back = capacity.admit(of("a")).expect("a place");
    back.hand_back();
    assert!(back.is_queued());
    let mut other = capacity.admit(of("b")).expect("a place");
    assert!(runs(&mut other) && !runs(&mut back));
    assert!(capacity.admit(of("c")).is_err(), "it waits for its place");
    back.stand_in();
    assert!(!runs(&mut back));
    drop(other);
    assert!(runs(&mut back));
    drop(back);
    let state = capacity.state();
    assert!(state.tenants.is_empty());
    assert_eq!((state.running, state.queued), (0, 0));
}

#[test]
fn s18_no_more_places_are_handed_back_than_there_are() {
    let capacity = capacity((1, 0), (9, 9));
    let mut first = capacity.admit(None).expect("a place");
    first.hand_back();
    let mut second = capacity.admit(None).expect("a place");
    second.hand_back();
    assert!(!runs(&mut first) && runs(&mut second));
    drop((first, second));
    let state = capacity.state();
    assert!(state.tenants.is_empty());
    assert_eq!((state.running, state.queued), (0, 0));
}
