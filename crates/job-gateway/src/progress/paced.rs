//! The pace of reports: those of one server are written together, at most ten times a second.

use std::{
    collections::{HashMap, hash_map::Entry},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use super::report::{Invalid, Report};

/// The shortest time between two writes of one server's reports.
pub(super) const INTERVAL: Duration = Duration::from_millis(100);

/// The secret of a server, as the store knows it.
pub(super) type Digest = [u8; 32];

/// The servers whose reports were written a moment ago. Clones share them.
#[derive(Clone, Default)]
pub(super) struct Paced(Arc<Mutex<HashMap<Digest, Slot>>>);

/// The reports of a server.
enum Slot {
    /// The first is being written, and shows whether the server is known.
    First,
    /// Those since the latest write.
    Known(Option<Report>),
}

/// The way of a report.
pub(super) enum Way {
    /// It is written now, and the next ones after the interval.
    First(Report),
    /// It is written now, and alone.
    Alone(Report),
    /// It is written with others.
    Joined,
}

impl Paced {
    /// Adds a report.
    ///
    /// # Errors
    ///
    /// Fails without any effect if those that are written together have too much metadata.
    pub(super) fn enter(&self, server: Digest, report: Report) -> Result<Way, Invalid> {
        Ok(match self.slots().entry(server) {
            Entry::Vacant(slot) => {
                slot.insert(Slot::First);
                Way::First(report)
            }
            Entry::Occupied(mut slot) => match slot.get_mut() {
                Slot::First => Way::Alone(report),
                Slot::Known(next) => {
                    next.get_or_insert_default().add(report)?;
                    Way::Joined
                }
            },
        })
    }

    /// Notes that a report was written. The next ones join each other from now on.
    pub(super) fn written(&self, server: Digest) {
        self.slots().insert(server, Slot::Known(None));
    }

    /// Returns the reports since the latest write. Without any, the server is forgotten.
    pub(super) fn next(&self, server: Digest) -> Option<Report> {
        let mut slots = self.slots();
        if let Some(Slot::Known(next)) = slots.get_mut(&server)
            && let Some(next) = next.take()
        {
            return Some(next);
        }
        slots.remove(&server);
        None
    }

    /// Forgets a server.
    pub(super) fn forget(&self, server: Digest) {
        // Dropped outside the lock, since it may be large.
        let forgotten = self.slots().remove(&server);
        drop(forgotten);
    }

    fn slots(&self) -> MutexGuard<'_, HashMap<Digest, Slot>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reports_join_after_the_first_is_written() {
        let paced = Paced::default();
        let report = |json: &str| Report::of(json.as_bytes()).unwrap();
        let server = [7; 32];
        let enter = |server, json: &str| paced.enter(server, report(json));
        assert!(matches!(enter(server, "{}"), Ok(Way::First(_))));
        assert!(matches!(enter(server, "{}"), Ok(Way::Alone(_))));
        assert!(matches!(enter([8; 32], "{}"), Ok(Way::First(_))));
        paced.written(server);
        for json in [
            r#"{"done": 1, "total": 2, "metadata": {"a": 1}}"#,
            r#"{"message": "x", "metadata": {"b": 2}}"#,
            r#"{"fraction": 0.75}"#,
        ] {
            assert!(matches!(enter(server, json), Ok(Way::Joined)));
        }
        let long = |key| {
            format!(
                r#"{{"message": "y", "metadata": {{"{key}": "{:040000}"}}}}"#,
                0
            )
        };
        for key in ["c", "d"] {
            assert_eq!(enter(server, &long(key)).is_ok(), key == "c", "{key}");
        }
        // It takes the place of the long one.
        let short = r#"{"message": "x", "metadata": {"c": 3}}"#;
        assert!(matches!(enter(server, short), Ok(Way::Joined)));
        let joined = r#"{"fraction": 0.75, "message": "x", "metadata": {"a": 1, "b": 2, "c": 3}}"#;
        assert_eq!(paced.next(server), Some(report(joined)));
        assert_eq!(paced.next(server), None);
        assert!(matches!(enter(server, "{}"), Ok(Way::First(_))));
        paced.forget(server);
        paced.forget([8; 32]);
        assert!(paced.slots().is_empty());
    }
}
