#![doc = include_str!("../README.md")]

mod builder;
mod store;

mod engine;

mod operation;

mod job;

mod connection;
mod transaction;

mod error;
mod notes;
mod schema;
mod settings;
mod time;

pub use builder::SqliteStoreBuilder;
pub use error::OpenError;
pub use store::SqliteStore;
