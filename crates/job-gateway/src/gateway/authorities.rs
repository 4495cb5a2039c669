//! The sources of principals of all routes.

use std::{collections::HashMap, sync::Arc};

use http::{HeaderMap, HeaderName};
use tower_async_job::store::Principal;

use crate::{
    config::{Config, PrincipalSource, Route, Unusable},
    principal::{Authority, Refusal},
};

/// The sources of principals of all routes.
#[derive(Default)]
pub(super) struct Authorities {
    by_route: HashMap<Arc<str>, Arc<Authority>>,
    /// Each once.
    all: Vec<Arc<Authority>>,
    /// The fields that name principals.
    pub(super) fields: Arc<[HeaderName]>,
}

impl Authorities {
    /// Reads the keys of all sources.
    pub(super) fn new(config: &Config) -> Result<Self, Vec<Unusable>> {
        let mut known: Vec<(&PrincipalSource, Option<Arc<Authority>>)> = Vec::new();
        let (mut authorities, mut unusable) = (Self::default(), Vec::new());
        let fallback = config.fallback.iter().map(|route| (None, route));
        let routes = config.routes.iter().enumerate();
        for (place, route) in routes.map(|(at, route)| (Some(at), route)).chain(fallback) {
            let Some(source) = &route.principal else {
                continue;
            };
            let found = known.iter().find(|(other, _)| *other == source);
            let authority = match found {
                Some((_, authority)) => authority.clone(),
                None => {
                    let authority = Authority::new(source).map_err(|reason| {
                        unusable.push(Unusable::new(keys(place), reason));
                    });
                    let authority = authority.ok().map(Arc::new);
                    known.push((source, authority.clone()));
                    authorities.all.extend(authority.clone());
                    authority
                }
            };
            let name = route.name.clone();
            authorities
                .by_route
                .extend(authority.map(|authority| (name, authority)));
        }
        let fields = authorities.all.iter().filter_map(|it| it.field().cloned());
        authorities.fields = fields.collect();
        match unusable.is_empty() {
            true => Ok(authorities),
            false => Err(unusable),
        }
    }

    /// Returns the principal of a request to a route.
    pub(super) fn of_route(
        &self,
        route: &Route,
        headers: &mut HeaderMap,
        peer_trusted: bool,
    ) -> Result<Option<Principal>, Refusal> {
        if !peer_trusted {
            // Servers may take a path of another route for one of theirs.
            for authority in &self.all {
                authority.forget(headers);
            }
        }
        let Some(authority) = self.by_route.get(&route.name) else {
            return Ok(None);
        };
        authority.principal(headers, peer_trusted)
    }

    /// Returns the principals of a request for a job, whose route is not known: one for each source
    /// that finds one.
    ///
    /// # Errors
    ///
    /// Fails if no source finds one, and the request has a token or a header that one refuses.
    pub(super) fn of_job(
        &self,
        headers: &mut HeaderMap,
        peer_trusted: bool,
    ) -> Result<Vec<Principal>, Refusal> {
        let (mut found, mut refused) = (Vec::new(), None);
        for authority in &self.all {
            match authority.principal(headers, peer_trusted) {
                Ok(Some(principal)) if !found.contains(&principal) => found.push(principal),
                Ok(_) | Err(Refusal::Missing) => {}
                Err(refusal) => refused = Some(refusal),
            }
        }
        match refused {
            Some(refusal) if found.is_empty() => Err(refusal),
            _ => Ok(found),
        }
    }
}

/// Returns the keys at which a route's source may be: its own, and that of the defaults.
fn keys(place: Option<usize>) -> Vec<String> {
    let own = place.map(|place| format!("routes[{place}].principal.jwt.keys"));
    own.into_iter()
        .chain(["defaults.principal.jwt.keys".to_owned()])
        .collect()
}
