//! The tests: one behaviour each, by topic.

mod attempts;
mod checkpoints;
mod chunks;
mod claiming;
mod crashes;
mod creating;
mod discarding;
mod ending;
mod extremes;
mod histories;
mod keys;
mod leases;
mod listing;
mod notifying;
mod offering;
mod outside;
mod queueing;
mod reading;
mod releasing;
mod repeating;
mod retention;
mod room;
mod upkeep;
mod versions;
mod waiting;

use crate::test::Test;

macro_rules! table {
    ([] $($theme:ident { $($name:ident)* })*) => {
        /// All tests, by topic.
        pub(crate) const TESTS: &[Test] = &[
            $($(Test::new(stringify!($name), |harness| Box::pin($theme::$name(harness))),)*)*
        ];
    };
}

crate::__tests! { table, [] }
