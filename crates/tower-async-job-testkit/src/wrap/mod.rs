//! Wrappers of stores.

mod faulty;
mod interpose;

pub use faulty::{Fault, FaultyStore, Gate};
pub use interpose::{Call, Interpose, Interposed};
