#![doc = include_str!("../README.md")]
#![cfg_attr(docsrs, feature(doc_cfg))]

mod builder;
#[cfg(feature = "openapi")]
mod openapi;

mod future;
mod layer;
mod service;

mod call;
mod notify;
mod outside;
mod resource;
mod worker;

mod answer;
mod run;

mod node;
mod request;

mod body;
mod bounds;

mod config;
mod context;
mod stream_place;

mod estimate;
mod headers;
mod observe;
mod panics;
mod shorten;
mod signal;
mod time;

pub use self::{
    body::{BodyError, JobBody, ResponseBody, StoredBody},
    builder::{Builder, ConfigError},
    config::{JobFuture, OnDisconnect, OnStoreFailure, Role, policy::Policy},
    context::{checkpoint::CheckpointError, job::JobContext, reason::CancelReason},
    estimate::{Estimator, HalfElapsed, Learned, ObservedJob},
    future::ResponseFuture,
    layer::AsyncJobLayer,
    notify::{
        Notifier,
        notification::{Notification, Notified},
    },
    outside::{Delivery, OutsideError, OutsideRun},
    resource::{
        operator::OperatorResource,
        readiness::Readiness,
        service::{JobResource, ResourceFuture},
    },
    service::AsyncJob,
    stream_place::StreamPlace,
    worker::Worker,
};
/// The words of the protocol: job states, problem documents and related types.
pub use http_polling;

/// The contract of job stores and the in-memory store.
pub use tower_async_job_core as store;
#[doc(no_inline)]
pub use tower_async_job_core::{PendingStatus, Release};
