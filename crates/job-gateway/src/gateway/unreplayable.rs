//! The routes whose jobs may end as lost, for the log: some of their requests cannot be sent again.

use crate::{
    config::{Config, Replay, Route, Store},
    gateway::policy::{is_idempotent, may_be_deferred},
};

/// Logs each route that has requests which cannot be sent again if the gateway or the server dies.
pub(crate) fn log_unreplayable(config: &Config) {
    if config.store == Store::Memory {
        tracing::info!("jobs are kept in memory: they end with this process");
        return;
    }
    for route in config.routes.iter().chain(&config.fallback) {
        if let Some(requests) = unreplayable(route) {
            tracing::warn!(
                route = &*route.name,
                requests,
                "requests of a route cannot be sent again: their jobs are lost if the gateway dies"
            );
        }
    }
}

/// Describes the requests of a route that may become jobs, and cannot be sent again. Those that are
/// longer than `request_spool` are left out, since each route has such.
fn unreplayable(route: &Route) -> Option<String> {
    const OTHERS: &str = "those of methods other than GET, PUT and DELETE";
    let method = route.method.as_ref();
    if !route.defer || method.is_some_and(|method| !may_be_deferred(method)) {
        return None;
    }
    let of_methods = match (route.replay, method.map(is_idempotent)) {
        (Replay::None, _) | (Replay::Idempotent, Some(false)) => return Some("all".to_owned()),
        (Replay::All, _) | (_, Some(true)) => None,
        (Replay::Idempotent, None) => Some(OTHERS.to_owned()),
        (Replay::Keyed, Some(false)) => Some("those without an Idempotency-Key".to_owned()),
        (Replay::Keyed, None) => Some(format!("{OTHERS} without an Idempotency-Key")),
    };
    let with_credentials = route.credentials.is_none();
    let with_credentials = with_credentials.then(|| "those with credentials".to_owned());
    let requests: Vec<_> = of_methods.into_iter().chain(with_credentials).collect();
    (!requests.is_empty()).then(|| requests.join(", and "))
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use http::Method;

    use super::*;
    use crate::config::{Credentials, Upstream};

    #[test]
    fn requests_that_cannot_be_sent_again_are_described() {
        let url = http::Uri::from_static("http://127.0.0.1:3000");
        let upstream = Arc::new(Upstream::new("app", url));
        let others = "those of methods other than GET, PUT and DELETE";
        let keyless = format!("{others} without an Idempotency-Key");
        let with_credentials = format!("{keyless}, and those with credentials");
        let (get, post) = (Some(Method::GET), Some(Method::POST));
        let keep = Some(Credentials::Keep);
        for (replay, method, credentials, described) in [
            (Replay::None, None, keep, Some("all")),
            (Replay::Idempotent, post.clone(), keep, Some("all")),
            (Replay::Idempotent, get.clone(), keep, None),
            (
                Replay::Idempotent,
                get,
                None,
                Some("those with credentials"),
            ),
            (Replay::Idempotent, None, keep, Some(others)),
            (Replay::Keyed, None, None, Some(&*with_credentials)),
            (
                Replay::Keyed,
                post,
                keep,
                Some("those without an Idempotency-Key"),
            ),
            (Replay::All, None, None, Some("those with credentials")),
            (Replay::All, None, keep, None),
            (Replay::None, Some(Method::HEAD), None, None),
        ] {
            let mut route = Route::new("a", "/a", upstream.clone());
            (route.replay, route.method, route.credentials) = (replay, method, credentials);
            assert_eq!(unreplayable(&route).as_deref(), described, "{route:?}");
            route.defer = false;
            assert_eq!(unreplayable(&route), None);
        }
    }
}
