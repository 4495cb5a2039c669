//! The times between the attempts to call back.

use std::time::Duration;

/// The times after each attempt; the last one is that of all later ones.
const DELAYS: [Duration; 5] = [
    Duration::from_secs(5),
    Duration::from_secs(30),
    Duration::from_secs(120),
    Duration::from_secs(600),
    Duration::from_secs(1800),
];

/// The part of a time by which it may be longer, so that attempts do not come together.
const JITTER: f64 = 0.2;

/// The shortest and the longest time after which a call is tried again whose host has too many at once.
const BUSY: (Duration, Duration) = (Duration::from_secs(2), Duration::from_secs(300));

/// The longest time that a receiver may ask for.
const LONGEST: Duration = Duration::from_secs(6 * 3600);

/// Returns the time until the attempt after this one.
///
/// Attempts that were put off, since their receiver had too many at once, count in the store. So the
/// time is no longer than that which follows from the age of the end. `share` is random, from 0 to 1.
pub(super) fn delay(attempt: u32, age: Duration, asked: Option<Duration>, share: f64) -> Duration {
    let by_number = usize::try_from(attempt.saturating_sub(1)).unwrap_or(usize::MAX);
    let mut begun = Duration::ZERO;
    let by_age = DELAYS.iter().take_while(|delay| {
        begun += **delay;
        begun <= age
    });
    let delay = DELAYS[by_number.min(by_age.count()).min(DELAYS.len() - 1)];
    let asked = asked.unwrap_or_default().min(LONGEST);
    delay.max(asked).mul_f64(1.0 + JITTER * share)
}

/// Returns the time after which a call is tried again whose host has too many at once. It grows with the
/// age of the end, so that those of a host that is slow for long take little from those of others.
pub(super) fn busy(age: Duration, share: f64) -> Duration {
    let (shortest, longest) = BUSY;
    (age / 4).clamp(shortest, longest).mul_f64(1.0 + share)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn calls_to_a_busy_host_are_tried_less_and_less_often() {
        let of = |age, share| busy(Duration::from_secs(age), share).as_secs();
        assert_eq!((of(0, 0.0), of(0, 1.0)), (2, 4));
        assert_eq!((of(40, 0.0), of(40, 1.0)), (10, 20));
        assert_eq!((of(86_400, 0.0), of(86_400, 1.0)), (300, 600));
    }

    #[test]
    fn delays_grow_to_half_an_hour() {
        let mut age = Duration::from_millis(100);
        let delays = (1..=7).map(|attempt| {
            let next = delay(attempt, age, None, 0.0);
            age += next;
            next.as_secs()
        });
        let delays: Vec<u64> = delays.collect();
        assert_eq!(delays, [5, 30, 120, 600, 1800, 1800, 1800]);
    }

    #[test]
    fn jitter_only_makes_them_longer() {
        let of = |share| delay(1, Duration::ZERO, None, share);
        assert_eq!(of(0.0), Duration::from_secs(5));
        assert_eq!(of(1.0), Duration::from_secs(6));
    }

    #[test]
    fn attempts_that_were_put_off_do_not_make_them_longer() {
        assert_eq!(delay(50, Duration::from_secs(3), None, 0.0).as_secs(), 5);
        assert_eq!(delay(50, Duration::from_secs(20), None, 0.0).as_secs(), 30);
    }

    #[test]
    fn first_attempt_after_a_long_pause_is_repeated_soon() {
        assert_eq!(delay(1, Duration::from_secs(9_999), None, 0.0).as_secs(), 5);
    }

    #[test]
    fn receiver_may_ask_for_longer_and_not_for_less() {
        let asked = |asked| {
            delay(
                2,
                Duration::from_secs(9),
                Some(Duration::from_secs(asked)),
                0.0,
            )
        };
        assert_eq!(asked(1).as_secs(), 30);
        assert_eq!(asked(300).as_secs(), 300);
        assert_eq!(asked(u64::MAX), LONGEST);
    }
}
