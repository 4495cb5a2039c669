//! The choice of a route by method and path.

use std::{
    collections::{HashMap, hash_map::Entry},
    sync::Arc,
};

use http::Method;
use matchit::{InsertError, Router};

use super::{Config, Route};

/// The routes of all requests: of those whose patterns match, the most specific one is found.
#[derive(Clone, Default)]
pub(crate) struct Routes {
    routes: Vec<Arc<Route>>,
    /// The places in `routes` of a method's patterns, with those of all methods.
    by_method: HashMap<Method, Router<usize>>,
    /// The places of the patterns of all methods.
    others: Router<usize>,
    fallback: Option<Arc<Route>>,
}

/// Two patterns that must not be in one file, by their places.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Conflict {
    pub(super) later: usize,
    pub(super) earlier: usize,
    /// They match the same requests. Otherwise, `{name}` and `{*rest}` stand at the same place.
    pub(super) is_duplicate: bool,
}

/// A method, `None` for all, and a path.
pub(super) type Pattern = (Option<Method>, String);

/// Reads `POST /report/{id}`, or a path alone.
pub(super) fn parse(text: &str) -> Result<Pattern, String> {
    let (method, path) = match text.split_once(' ') {
        Some((method, path)) => (Some(method), path.trim_start()),
        None => (None, text),
    };
    let method = method.map(|word| {
        let upper = word
            .bytes()
            .all(|byte| byte.is_ascii_uppercase() || byte == b'-');
        let method = Method::from_bytes(word.as_bytes()).ok().filter(|_| upper);
        method.ok_or(format!(
            "{word:?} is no method: write it in capitals, such as POST"
        ))
    });
    if !path.starts_with('/') {
        return Err("a path begins with /".to_owned());
    }
    if path.contains(['?', '#', ' ']) {
        return Err("a path has no query, fragment or space".to_owned());
    }
    Router::new().insert(path, ()).map_err(explain)?;
    Ok((method.transpose()?, path.to_owned()))
}

fn explain(error: InsertError) -> String {
    match error {
        InsertError::InvalidParamSegment => "a segment has one `{name}`, at its end",
        InsertError::InvalidCatchAll => "`{*name}` is the last segment",
        _ => "a parameter is written `{name}`, a rest `{*name}`, and braces of the path `{{` and `}}`",
    }
    .to_owned()
}

impl Routes {
    pub(crate) fn of(config: &Config) -> Self {
        let patterns: Vec<_> = (config.routes.iter())
            .map(|route| (route.method.clone(), route.path.clone()))
            .collect();
        let mut tables = tables(&patterns).0;
        let others = tables.remove(&None).unwrap_or_default().router;
        let by_method = tables
            .into_iter()
            .filter_map(|(method, table)| Some((method?, table.router)));
        Self {
            routes: config.routes.clone(),
            by_method: by_method.collect(),
            others,
            fallback: config.fallback.clone(),
        }
    }

    /// Returns the route of a request, if it has one.
    pub(crate) fn find(&self, method: &Method, path: &str) -> Option<&Arc<Route>> {
        let router = self.by_method.get(method).unwrap_or(&self.others);
        match router.at(path) {
            Ok(found) => self.routes.get(*found.value),
            Err(_) => self.fallback.as_ref(),
        }
    }
}

/// Returns the conflicts between patterns, at most one for each later one.
pub(super) fn conflicts(patterns: &[Pattern]) -> Vec<Conflict> {
    let mut conflicts = tables(patterns).1;
    conflicts.sort_unstable();
    conflicts.dedup_by_key(|conflict| conflict.later);
    conflicts
}

/// The patterns that requests of one method may match.
#[derive(Default)]
struct Table {
    router: Router<usize>,
    accepted: Vec<usize>,
}

/// Returns the patterns of each method, with those of less specific methods that they do not
/// replace: those of GET for HEAD, and those of all methods.
fn tables(patterns: &[Pattern]) -> (HashMap<Option<Method>, Table>, Vec<Conflict>) {
    let mut methods: Vec<_> = patterns.iter().map(|(method, _)| method.clone()).collect();
    if methods.contains(&Some(Method::GET)) {
        methods.push(Some(Method::HEAD));
    }
    methods.push(None);
    let mut tables = HashMap::new();
    let mut conflicts = Vec::new();
    for method in methods {
        let table: &mut Table = match tables.entry(method.clone()) {
            Entry::Vacant(entry) => entry.insert(Table::default()),
            Entry::Occupied(_) => continue,
        };
        for class in classes(method.as_ref()) {
            let of_class = |place: &usize| patterns[*place].0.as_ref() == class;
            for place in (0..patterns.len()).filter(of_class) {
                conflicts.extend(table.insert(patterns, place));
            }
        }
    }
    (tables, conflicts)
}

/// Returns the methods whose routes take a request of this one, the most specific first.
fn classes(method: Option<&Method>) -> Vec<Option<&Method>> {
    let mut classes = vec![method];
    if method == Some(&Method::HEAD) {
        classes.push(Some(&Method::GET));
    }
    if method.is_some() {
        classes.push(None);
    }
    classes
}

impl Table {
    fn insert(&mut self, patterns: &[Pattern], place: usize) -> Option<Conflict> {
        let (method, path) = &patterns[place];
        if self.router.insert(path.clone(), place).is_ok() {
            self.accepted.push(place);
            return None;
        }
        let conflict = |other: usize, is_duplicate| Conflict {
            later: place.max(other),
            earlier: place.min(other),
            is_duplicate,
        };
        let mut accepted = self.accepted.iter().copied();
        if let Some(same) = accepted.find(|other| shape(&patterns[*other].1) == shape(path)) {
            let is_of_method = patterns[same].0 == *method;
            return is_of_method.then(|| conflict(same, true));
        }
        let collides = |other: &usize| {
            let mut router = Router::new();
            router.insert(patterns[*other].1.clone(), ()).is_ok()
                && router.insert(path.clone(), ()).is_err()
        };
        let other = self.accepted.iter().copied().find(collides);
        Some(conflict(other.unwrap_or(place), false))
    }
}

/// Returns a path without the names of its parameters.
fn shape(path: &str) -> String {
    let mut shape = String::new();
    let mut rest = path;
    while let Some(at) = rest.find('{') {
        let (fixed, parameter) = rest.split_at(at);
        shape += fixed;
        rest = match parameter.find('}') {
            Some(_) if parameter.starts_with("{{") => {
                shape += "{{";
                &parameter[2..]
            }
            Some(end) => {
                shape += if parameter.starts_with("{*") {
                    "{*}"
                } else {
                    "{}"
                };
                &parameter[end + 1..]
            }
            None => return shape + parameter,
        };
    }
    shape + rest
}

#[cfg(test)]
mod tests {
    use http::Uri;

    use super::*;
    use crate::config::Upstream;

    fn routes(patterns: &[&str]) -> Routes {
        let upstream = Arc::new(Upstream::new("app", Uri::default()));
        let routes = patterns.iter().map(|text| {
            let (method, path) = parse(text).unwrap();
            let mut route = Route::new(text, &path, upstream.clone());
            route.method = method;
            Arc::new(route)
        });
        Routes::of(&Config {
            routes: routes.collect(),
            ..Config::default()
        })
    }

    fn found(routes: &Routes, request: &str) -> String {
        let (method, path) = request.split_once(' ').unwrap();
        let route = routes.find(&method.parse().unwrap(), path);
        route.map_or("none".to_owned(), |route| route.name.to_string())
    }

    #[test]
    fn the_most_specific_pattern_wins() {
        let all = [
            "/{*rest}",
            "POST /{*rest}",
            "/report/{id}",
            "POST /report/new",
            "GET /report/{id}/pages/{page}",
            "/report/{id}/{*rest}",
        ];
        let reversed: Vec<_> = all.iter().rev().copied().collect();
        for patterns in [&all[..], &reversed] {
            let routes = routes(patterns);
            for (request, pattern) in [
                ("GET /other", "/{*rest}"),
                ("POST /other", "POST /{*rest}"),
                ("POST /report/7", "/report/{id}"),
                ("POST /report/new", "POST /report/new"),
                ("GET /report/new", "/report/{id}"),
                ("GET /report/7/pages/1", "GET /report/{id}/pages/{page}"),
                ("HEAD /report/7/pages/1", "GET /report/{id}/pages/{page}"),
                ("PUT /report/7/pages/1", "/report/{id}/{*rest}"),
                ("GET /", "none"),
            ] {
                assert_eq!(found(&routes, request), pattern, "{request}");
            }
        }
    }

    #[test]
    fn a_request_that_no_pattern_matches_has_the_fallback() {
        let upstream = Arc::new(Upstream::new("app", Uri::default()));
        let fallback = Arc::new(Route::new("default", "/{*rest}", upstream));
        let routes = Routes::of(&Config {
            fallback: Some(fallback),
            ..Config::default()
        });
        assert_eq!(found(&routes, "GET /"), "default");
        assert_eq!(found(&routes, "OPTIONS *"), "default");
    }

    #[test]
    fn patterns_of_the_same_requests_conflict() {
        let conflict = |patterns: &[&str]| {
            let patterns: Vec<_> = patterns.iter().map(|text| parse(text).unwrap()).collect();
            conflicts(&patterns)
        };
        let expected = |later, earlier, is_duplicate| {
            vec![Conflict {
                later,
                earlier,
                is_duplicate,
            }]
        };
        assert_eq!(conflict(&["/a/{x}", "GET /a/{y}", "HEAD /a/{z}"]), []);
        assert_eq!(conflict(&["/a/{x}", "/b", "/a/{y}"]), expected(2, 0, true));
        assert_eq!(conflict(&["GET /a", "GET /a"]), expected(1, 0, true));
        assert_eq!(
            conflict(&["GET /{*x}", "/{*y}", "/{*z}"]),
            expected(2, 1, true)
        );
        assert_eq!(conflict(&["/a/{x}", "/a/{*y}"]), expected(1, 0, false));
        assert_eq!(conflict(&["PUT /a/{x}", "/a/{*y}"]), expected(1, 0, false));
        assert_eq!(conflict(&["PUT /a/{x}", "GET /a/{*y}"]), []);
        assert_eq!(conflict(&["/{{a}}", "/{a}", "/{{b}}"]), []);
    }
}
