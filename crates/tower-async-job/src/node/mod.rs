//! The state shared by all services of a layer.

pub(crate) mod capacity;
mod census;
mod clocks;
mod deadlines;
pub(crate) mod ends;
mod expected;
pub(crate) mod front;
pub(crate) mod health;
pub(crate) mod held;
pub(crate) mod holds;
pub(crate) mod housekeeping;
pub(crate) mod losses;
mod owners;
pub(crate) mod patience;
pub(crate) mod places;
pub(crate) mod recording_room;
pub(crate) mod registration;
mod registry;
pub(crate) mod releases;
pub(crate) mod renewal;
mod shutdown;
pub(crate) mod state;
pub(crate) mod streams;
pub(crate) mod submitters;
mod templates;
mod timed;
pub(crate) mod wait;
