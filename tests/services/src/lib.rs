//! Programs and services that tests need and that may be missing.
//!
//! A test whose program is missing is reported as ignored, with the reason, by [`not_run`]. One of the
//! standard harness, which cannot ignore itself, prints the reason by [`available`]. Both fail if
//! `HTTP_POLLING_REQUIRE_SERVICES=1` is set. The script `.ci/services` provides what can be had; tests
//! themselves fetch nothing.
//!
//! Services are started privately: on free ports of the loopback interface, with their data in
//! temporary folders, in memory unless they are told otherwise. They end when they are dropped or the process of the tests ends, in any way, so
//! that the tests of a process can share one in a `static`. Their methods block the thread.

mod clock;
mod cluster;
mod folder;
mod missing;
mod pgbouncer;
mod port;
mod postgres;
mod process;
mod program;
mod proxy;
mod recipe;
mod redis;
mod sentinel;
mod typescript;
mod web;
mod webhooks;

pub use self::{
    cluster::RedisCluster,
    missing::{Missing, available, not_run},
    pgbouncer::PgBouncer,
    port::Port,
    postgres::{Postgres, PostgresBuilder},
    program::{installed, program},
    proxy::Proxy,
    recipe::{recipe, recipes},
    redis::{Redis, RedisBuilder},
    sentinel::RedisSentinel,
    typescript::typescript,
    web::{WebServer, python},
    webhooks::{node_webhooks, python_webhooks},
};
