#![doc = include_str!("../README.md")]
#![cfg_attr(docsrs, feature(doc_cfg))]

mod builder;
mod store;

mod upkeep;

mod shared;

mod upload;

mod object;
mod reference;

/// The object stores, in the version that this crate uses.
pub use object_store;

pub use builder::{InvalidStore, OffloadedBuilder};
pub use store::Offloaded;
