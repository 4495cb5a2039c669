//! Calls whose clients have disconnected.

use std::{future::poll_fn, sync::Arc};

use tokio::{runtime::Handle, time::timeout_at};

use crate::{
    bounds::{HandlerService, RequestBody},
    call::progress::Progress,
    context::handler::HandlerContext,
    node::front::Front,
    panics::{self, drop_quietly},
    request::submission::{Asked, Submission},
    time::later,
};

/// Continues a call whose client has disconnected to its end or its deadline, if there is a
/// runtime. Runs in a destructor, so code that may panic is left to the task.
pub(super) fn detach<S, B, R>(front: &Arc<Front>, asked: Asked, left: Progress<S, B, R>)
where
    S: HandlerService<B, R>,
    B: RequestBody,
    R: Send + 'static,
{
    let config = &front.config;
    let (work, context, deadline) = match left {
        Progress::Due { call, policy, .. } => {
            let context = front.config.context.then(|| HandlerContext::new(1));
            let work = call.map(|mut call| {
                Submission::prepare(&mut call.request, &asked, context.as_deref());
                call.put_off()
            });
            (
                work,
                context,
                asked.deadline(config.policy(policy.as_ref())),
            )
        }
        Progress::Begun(begun) => {
            let submission = begun.submission.as_ref();
            let chosen = submission.and_then(|submission| submission.policy.as_ref());
            let deadline = asked.deadline(config.policy(chosen));
            (begun.work, begun.context, deadline)
        }
    };
    if let Some(mut work) = work
        && let Ok(runtime) = Handle::try_current()
    {
        let until_given_up = front.clone();
        let end = later(deadline);
        let work = async move {
            // The rest of its upload will not come, so it must not keep the call aside.
            if let Some(admission) = work.admission() {
                admission.stand_in();
            }
            let work = poll_fn(|cx| work.poll_catching(cx));
            match timeout_at(end, until_given_up.node.shutdown.given_up.or(work)).await {
                Ok(Some(Err(payload))) => {
                    panics::log("the handler of a call without client", payload);
                }
                answer => drop_quietly(answer),
            }
            drop(context);
        };
        front.node.tasks.spawn_on(work, &runtime);
    }
}
