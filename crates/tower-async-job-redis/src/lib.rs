#![doc = include_str!("../README.md")]

mod builder;
mod store;

mod watch;

mod events;
mod operation;

mod engine;

mod accepted;
mod batch;
mod feed;
mod flush;
mod notes;
mod turns;
mod unread;

mod check;
mod link;

mod job;
mod keys;
mod script;

mod error;
mod settings;
mod time;
mod value;

pub use builder::RedisStoreBuilder;
pub use error::ConnectError;
pub use store::RedisStore;
