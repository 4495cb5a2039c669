//! The checker fails for each promise to the server behind gateways that a history breaks.

use super::*;
use crate::{
    calls::{Task, Work},
    history::{Received, Run},
};

const HANDLE: &str = "9f2c";

/// Returns the promises that attempts of these numbers and keys break.
fn broken(work: Work, is_keyed: bool, attempts: &[(u32, Option<&str>)]) -> Vec<Promise> {
    let call = Call {
        number: 7,
        work,
        task: Task::default(),
        is_keyed,
        is_async: true,
        has_callback: false,
        padding: 0,
    };
    let event = |(number, key): &(u32, Option<&str>)| {
        let run = Run {
            process: 1,
            number: call.number,
            attempt: *number,
            nonce: "nonce".to_owned(),
            handle: HANDLE.to_owned(),
            received: Some(Received {
                by: 2,
                key: key.map(str::to_owned),
            }),
        };
        (Duration::ZERO, Event::Run(run))
    };
    let events: Vec<_> = attempts.iter().map(event).collect();
    let violations = check(&events, &HashMap::from([(call.number, call)]), 5);
    violations.iter().map(|broken| broken.promise).collect()
}

#[test]
fn attempts_with_the_handle_or_the_clients_key_break_no_promise() {
    let handle = Some("\"9f2c\"");
    assert_eq!(broken(Work::Run, false, &[(1, handle), (2, handle)]), []);
    let key = Some("\"5-7\"");
    assert_eq!(broken(Work::Run, true, &[(1, key), (3, key)]), []);
    assert_eq!(broken(Work::Local, false, &[(1, None)]), []);
}

#[test]
fn attempts_with_different_keys_are_found() {
    let keys = [(1, Some("\"5-7\"")), (2, Some("\"9f2c\""))];
    assert_eq!(broken(Work::Run, true, &keys), [Promise::OneKey]);
    let keys = [(1, Some("\"9f2c\"")), (2, Some("\"other\""))];
    assert_eq!(broken(Work::Run, false, &keys), [Promise::OneKey]);
}

#[test]
fn attempt_without_a_key_is_found() {
    assert_eq!(broken(Work::Run, false, &[(1, None)]), [Promise::OneKey]);
    assert_eq!(broken(Work::Local, true, &[(1, None)]), [Promise::OneKey]);
}

#[test]
fn attempts_whose_numbers_do_not_rise_are_found() {
    let handle = Some("\"9f2c\"");
    for numbers in [[1, 1], [2, 1]] {
        let attempts = numbers.map(|number| (number, handle));
        let broken = broken(Work::Run, false, &attempts);
        assert_eq!(broken, [Promise::RisingAttempts], "{numbers:?}");
    }
}
