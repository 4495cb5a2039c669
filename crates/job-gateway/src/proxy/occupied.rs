//! The resources that a request has until its response ends.

use super::queue::Place;
use crate::progress::Run;

/// The resources that a request has until its response ends.
pub(crate) struct Occupied {
    _place: Option<Place>,
    _run: Option<Run>,
}

impl Occupied {
    pub(super) fn new(place: Option<Place>, run: Option<Run>) -> Self {
        Self {
            _place: place,
            _run: run,
        }
    }
}
