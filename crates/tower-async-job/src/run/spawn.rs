//! The start of a job's task.

use tower::BoxError;

use crate::{
    bounds::HandlerBody,
    node::state::Node,
    panics,
    run::{
        span::{self, Traced},
        task::Job,
    },
};

/// Runs a job in a tracked task, within the current span.
pub(crate) fn spawn<R, E>(node: &Node, job: Job<R, E>)
where
    R: HandlerBody,
    E: Into<BoxError> + Send + 'static,
{
    match &node.config.wrap {
        Some(wrap) => {
            let wrapped = wrap(Box::pin(Traced::new(job)));
            let logged = panics::logged("the hook around a job", wrapped);
            drop(node.tasks.spawn(logged));
        }
        None if span::is_wanted() => drop(node.tasks.spawn(Traced::new(job))),
        None => drop(node.tasks.spawn(job)),
    }
}
