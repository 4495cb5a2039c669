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
        let live = self.live.load();
        let Some(target) = live.target_again(&request) else {
            // Gateways that share a store get new settings one after the other.
            let response = match live.is_new() {
                true => proxy::later(&request, &Failure::RouteGone),
                false => Failure::RouteGone.response(),
            };
            return Either::Right(ready(Ok(response)));
        };
        request.extensions_mut().insert(target);
        Either::Left(self.proxy.call(request))
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use http::StatusCode;
    use tower_async_job::Release;

    use super::*;
    use crate::{
        config::{Overrides, file},
        progress::Runs,
    };

    #[tokio::test(start_paused = true)]
    async fn a_job_whose_route_is_gone_ends_once_the_settings_are_no_longer_new() {
        let file = tempfile::NamedTempFile::new().unwrap();
        let settings = "fallback = false\n[upstreams.app]\nurl = \"http://127.0.0.1:9\"\n";
        std::fs::write(&file, settings).unwrap();
        let (config, _) = file::load(Some(file.path()), &Overrides::default()).unwrap();
        let live = Arc::new(ArcSwap::from_pointee(
            Live::new(&config, None).ok().unwrap(),
        ));
        let mut again = Again::new(live, Proxy::new(Runs::new(config.progress.listen)));
        let mut run = async || again.call(Request::new(JobBody::default())).await.unwrap();

        let given_back = run().await;
        let release = given_back.extensions().get::<Release>().unwrap();
        assert!(!release.counts, "{release:?}");
        tokio::time::sleep(Duration::from_secs(61)).await;
        let ended = run().await;
        assert!(ended.extensions().get::<Release>().is_none());
        assert_eq!(ended.status(), StatusCode::BAD_GATEWAY);
        let told = "job-gateway; error=destination_not_found";
        assert_eq!(ended.headers()["proxy-status"], told);
    }
}
