#![doc = include_str!("../README.md")]
#![cfg_attr(docsrs, feature(doc_cfg))]

mod alarm;
mod answer;
mod body;
mod capacity;
mod closing;
mod config;
mod context;
mod deadlines;
mod deferral;
mod deliveries;
mod estimate;
mod expected;
mod fingerprint;
mod future;
mod glance;
mod grpc;
mod hold;
mod housekeeping;
mod idempotency;
mod inline;
mod job;
mod layer;
mod links;
mod metrics;
#[cfg(feature = "openapi")]
mod openapi;
mod operator;
mod owners;
mod page;
mod panics;
mod readiness;
#[cfg(any(feature = "metrics", feature = "opentelemetry"))]
mod recent;
mod recording;
mod recording_room;
mod registration;
mod registry;
mod resource;
mod route_names;
mod run;
mod service;
mod shared;
mod shorten;
mod signal;
mod streams;
mod timer;
mod trace;
mod unkept;
mod watch;
mod work;

pub use self::{
    body::{JobBody, ResponseBody, StoredBody},
    config::{Builder, ConfigError, JobFuture, OnDisconnect, OnStoreFailure, PendingStatus},
    context::JobContext,
    estimate::{Estimator, HalfElapsed, Learned, Pending},
    future::ResponseFuture,
    layer::AsyncJobLayer,
    operator::OperatorResource,
    readiness::Readiness,
    resource::{JobResource, ResourceFuture},
    service::AsyncJob,
    streams::StreamPlace,
};
/// The contract of job stores and the in-memory store.
pub use tower_async_job_core as store;
