//! The time at which a result was last delivered.

use crate::memory::clock::{Micros, NEVER, SECOND};

/// The second in which a result was last delivered. Narrow to save space.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Delivered(u32);

impl Delivered {
    pub(super) const NEVER: Self = Self(u32::MAX);

    pub(super) fn in_second_of(now: Micros) -> Self {
        Self(u32::try_from(now / SECOND).unwrap_or(u32::MAX))
    }

    /// Returns the beginning of the second, or `NEVER`.
    pub(super) fn at(self) -> Micros {
        if self == Self::NEVER {
            return NEVER;
        }
        Micros::from(self.0) * SECOND
    }
}
