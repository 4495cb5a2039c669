//! The resources that a request has until its response ends.

use super::{early::Answered, queue::Place};
use crate::progress::Run;

/// The resources that a request has until its response ends.
pub(crate) struct Occupied {
    _place: Option<Place>,
    _run: Option<Run>,
    _answered: Option<Answered>,
}

impl Occupied {
    pub(super) fn new(place: Option<Place>, run: Option<Run>, answered: Option<Answered>) -> Self {
        Self {
            _place: place,
            _run: run,
            _answered: answered,
        }
    }
}
