//! The tests: one behaviour each, by theme.

mod attempts;
mod creating;
mod ending;
mod keys;
mod leases;
mod listing;
mod reading;
mod retention;
mod room;
mod waiting;

use crate::run::Test;

macro_rules! table {
    ([] $($theme:ident { $($name:ident)* })*) => {
        /// All tests, theme by theme.
        pub(crate) const TESTS: &[Test] = &[
            $($(Test::new(stringify!($name), |harness| Box::pin($theme::$name(harness))),)*)*
        ];
    };
}

crate::__tests! { table, [] }
