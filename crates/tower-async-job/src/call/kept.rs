//! Calls whose requests are stored once they become jobs. They are read to their end first.

use std::{pin::Pin, sync::Arc};

use http::{Request, Response};

use crate::{
    answer,
    body::StoredBody,
    bounds::{HandlerBody, HandlerService, RequestBody},
    call::{inline::Inline, whole},
    context::handler::HandlerContext,
    node::front::Front,
    request::submission::Submission,
    run::work,
};

/// The reading of a request. It ends in the call, or in its refusal.
pub(crate) type Reading<S, B, R> =
    Pin<Box<dyn Future<Output = Result<Inline<S, B, R>, Response<StoredBody>>> + Send>>;

/// Reads a request, and begins its call.
pub(crate) fn read<S, B, R>(
    front: Arc<Front>,
    service: S,
    request: Request<B>,
    mut submission: Submission,
    context: Option<HandlerContext>,
) -> Reading<S, B, R>
where
    S: HandlerService<B, R>,
    B: RequestBody,
    R: HandlerBody,
{
    Box::pin(async move {
        let (protocol, version) = (submission.asked.protocol, request.version());
        let whole = match whole::read(&front, request, &submission, false).await {
            Ok(whole) => whole,
            Err(problem) => return Err(answer::refusal(&front.node.meter, problem, protocol)),
        };
        if let Err(error) = front.refuse_without_room(|| submission.route(&front.route_names)) {
            return Err(answer::not_stored(&front.node.meter, &error, protocol));
        }
        let admission = front.admit(submission.principal.as_ref());
        let admission = admission
            .map_err(|no_place| answer::no_place(&front.node.meter, no_place, protocol, version))?;
        submission.kept = whole.kept;
        let work = work::put_off(service, whole.request, admission);
        Ok(Inline::begun(front, work, submission, context))
    })
}
