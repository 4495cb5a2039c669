//! The requests of jobs that are run again.

use std::{
    convert::Infallible,
    future::{Ready, ready},
    sync::Arc,
    task::{Context, Poll},
};

use arc_swap::ArcSwap;
use futures_util::future::Either;
use http::{Request, Response};
use tower::Service;
use tower_async_job::{JobBody, StoredBody};

use super::live::Live;
use crate::proxy::{self, Failure, Proxy};

type Stored = Request<JobBody<StoredBody>>;

/// A service for the requests of jobs that are run again: it finds their routes in the settings of
/// today, and sends them on as in their first runs.
#[derive(Clone)]
pub(super) struct Again {
    live: Arc<ArcSwap<Live>>,
    proxy: Proxy,
}

impl Again {
    pub(super) fn new(live: Arc<ArcSwap<Live>>, proxy: Proxy) -> Self {
        Self { live, proxy }
    }
}

impl Service<Stored> for Again {
    type Response = Response<proxy::Body>;
    type Error = Infallible;
    type Future =
        Either<<Proxy as Service<Stored>>::Future, Ready<Result<Self::Response, Infallible>>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, mut request: Stored) -> Self::Future {
        let Some(target) = self.live.load().target_again(&request) else {
            return Either::Right(ready(Ok(Failure::NoRoute.response())));
        };
        request.extensions_mut().insert(target);
        Either::Left(self.proxy.call(request))
    }
}
