//! The names of objects.

use std::fmt;

use object_store::path::Path;
use tower_async_job_core::Lease;

use super::day::Day;

/// The object of a run.
#[derive(Clone, Copy, PartialEq)]
pub(crate) struct Object {
    pub(crate) day: Day,
    pub(crate) lease: Lease,
}

impl Object {
    /// Returns its name: the day, the id and the epoch.
    pub(crate) fn path(&self) -> Path {
        let Lease { id, epoch } = self.lease;
        Path::from_iter([self.day.to_string(), format!("{}-{epoch}", id.encode())])
    }

    /// Returns the run whose object has this name; `None` if it is another's.
    pub(crate) fn run_of(path: &Path) -> Option<Lease> {
        let (id, epoch) = path.filename()?.split_once('-')?;
        Some(Lease::new(id.parse().ok()?, epoch.parse().ok()?))
    }
}

/// Its name, without most of the id, which is a secret.
impl fmt::Display for Object {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let id = self.lease.id.encode();
        write!(
            f,
            "{}/{}…-{}",
            self.day,
            &id.as_str()[..8],
            self.lease.epoch
        )
    }
}
