//! Handlers of tests.

use std::{
    sync::{Arc, Mutex, Weak},
    time::Duration,
};

use axum::{Router, handler::Handler, routing::post};
use tokio::time::sleep;
use tower_async_job::JobContext;

/// Returns routes to a handler: `/again`, whose jobs are run again, and `/once`.
pub(crate) fn routes<T: 'static>(handler: impl Handler<T, ()>) -> Router {
    Router::new()
        .route("/again", post(handler.clone()))
        .route("/once", post(handler))
}

/// Returns routes that answer their attempt after a time.
pub(crate) fn slow(time: Duration) -> Router {
    routes(async move |job: JobContext| {
        sleep(time).await;
        attempt(&job)
    })
}

/// Returns routes that never answer.
pub(crate) fn endless() -> Router {
    routes(std::future::pending::<String>)
}

pub(crate) fn attempt(job: &JobContext) -> String {
    format!("attempt {}", job.attempt())
}

/// Returns routes that never answer, and the number of their handlers that run.
pub(crate) fn watched() -> (Router, Weak<()>) {
    let token = Arc::new(());
    let running = Arc::downgrade(&token);
    // Only the runs hold it.
    let token = Mutex::new(Some(token));
    let token = Arc::new(token);
    let routes = routes(move || {
        let token = token.lock().unwrap().take();
        async move {
            let _token = token;
            std::future::pending::<String>().await
        }
    });
    (routes, running)
}
