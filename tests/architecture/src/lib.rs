//! The direction of imports within a crate.
//!
//! A crate's root lists its modules in rows: consecutive `mod` lines are one
//! row, a blank line begins the next, and the top row comes first. A file
//! imports from rows beneath its own, and from its own row if no circle of
//! files arises. A name is imported from the module that owns it, or from a
//! folder above that module which forwards it, and never from the crate's
//! root.
//!
//! [`check`] reads a crate and lists what breaks these rules. The tests check
//! every crate of the workspace, and `cargo run -p architecture -- CRATE`
//! prints the same for one crate, with its files in order.

mod check;

mod circles;
mod names;
mod reader;

mod cfg;
mod places;
mod rows;
mod sources;
mod tokens;
mod tree;
mod variables;

pub use check::{Report, check};
pub use sources::Sources;
