//! The tests: one behaviour each, by topic.

pub(crate) mod budgets;
pub(crate) mod crashes;
pub(crate) mod delivery;
pub(crate) mod downloads;
pub(crate) mod encrypted;
pub(crate) mod keys;
pub(crate) mod killed;
pub(crate) mod learned;
pub(crate) mod limits;
pub(crate) mod operating;
pub(crate) mod outages;
pub(crate) mod records;
pub(crate) mod shared;
pub(crate) mod sharing;
pub(crate) mod stopped;
pub(crate) mod traces;
pub(crate) mod waking;
