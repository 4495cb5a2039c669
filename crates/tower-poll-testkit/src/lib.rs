#![doc = include_str!("../README.md")]

mod assertions;
mod script;

mod server;

mod plan;

mod dialects;

mod answer;
mod received;

mod body;
mod gate;

mod failure;

/// The words of the protocol: job states, problem documents and the like.
pub use http_polling;

pub use answer::Answer;
pub use body::ScriptBody;
pub use failure::{BoxError, ConnectionFailure, ScriptError};
pub use gate::Gate;
pub use received::ReceivedRequest;
pub use script::Script;
pub use server::{ScriptFuture, ScriptedServer};
