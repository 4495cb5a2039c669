//! An ordinary axum application, and its server.
//!
//! Nothing here concerns stores or jobs that run again: that is in `main.rs`.

mod reports;
mod server;

pub use self::{
    reports::{Archive, routes},
    server::serve,
};
