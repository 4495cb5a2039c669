#![doc = include_str!("../README.md")]

mod builder;
mod store;

mod feed;
mod notes;
mod operation;

mod batch;
mod job;

mod database;
mod error;
mod failure;
mod schema;
mod settings;
mod time;

pub use builder::PostgresStoreBuilder;
pub use error::ConnectError;
pub use schema::Migration;
pub use store::PostgresStore;
