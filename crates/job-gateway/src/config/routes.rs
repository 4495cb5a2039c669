//! The routes and their defaults.

use std::{collections::HashMap, ops::Range, sync::Arc, time::Duration};

use http::Uri;
use tower_async_job::PendingStatus;

use super::{
    Config, Credentials, Overrides, Replay, Route, Upstream,
    error::Problem,
    pattern::{self, Pattern},
    principals,
    read::{Fault, boolean, choice, duration, inline_wait, number, parsed_by, size, text},
    section::Section,
    upstreams::{Upstreams, check_name},
};

/// The name of the route of a request that matches no other.
const FALLBACK: &str = "default";
const SECOND: Duration = Duration::from_secs(1);
const HOUR: Duration = Duration::from_secs(3600);
const YEAR: Duration = Duration::from_secs(31_557_600);

/// The settings that matter to those of routes.
pub(super) struct Context<'a> {
    pub(super) flags: &'a Overrides,
    /// All but the upstreams and routes.
    pub(super) config: &'a Config,
}

/// The routes of a file.
pub(super) struct Table {
    pub(super) routes: Vec<Arc<Route>>,
    pub(super) fallback: Option<Arc<Route>>,
}

impl Table {
    /// Reads `[[routes]]`, `[defaults]` and `fallback`.
    pub(super) fn read(
        root: &Section<'_>,
        defaults: Section<'_>,
        upstreams: &Upstreams,
        context: &Context<'_>,
    ) -> Self {
        let template = read_defaults(defaults, upstreams, context);
        let form = "write `[[routes]]`, and beneath it `match = \"/path\"`";
        let mut routes = Vec::new();
        let mut places = Vec::new();
        for section in root.sections("routes", form) {
            let place = Place {
                pattern: section.span_of("match"),
                name: section.span_of("name"),
            };
            if let Some(route) = read_route(section, &template, upstreams, context) {
                routes.push(Arc::new(route));
                places.push(place);
            }
        }
        check_patterns(root, &routes, &places);
        check_names(root, &routes, &places);
        let is_served = read_fallback(root, upstreams);
        Self {
            routes,
            fallback: is_served.then(|| Arc::new(template)),
        }
    }
}

fn read_defaults(section: Section<'_>, upstreams: &Upstreams, context: &Context<'_>) -> Route {
    let mut any = upstreams.default.iter().chain(upstreams.by_name.values());
    // Without any, there is an error already.
    let none = || Arc::new(Upstream::new("", Uri::default()));
    let upstream = any.next().cloned().unwrap_or_else(none);
    let mut template = Route::new(FALLBACK, "/{*rest}", upstream);
    read_settings(&section, &mut template, context);
    section.finish();
    let flags = context.flags;
    template.inline_wait = flags.inline_wait.unwrap_or(template.inline_wait);
    template.pending_status = flags.pending_status.unwrap_or(template.pending_status);
    template.replay = flags.replay.unwrap_or(template.replay);
    template
}

/// Returns whether requests that match no route are sent on.
fn read_fallback(root: &Section<'_>, upstreams: &Upstreams) -> bool {
    let fallback = root.get("fallback", boolean);
    let is_unclear = upstreams.default.is_none() && upstreams.by_name.len() > 1;
    if is_unclear && fallback.is_none() && root.span_of("routes").is_none() {
        let problem = Problem::new("no request has a server").at(root.span_of("upstreams"), "");
        let help = "the file has several upstreams: name one by `upstream` in `[defaults]`, or in `[[routes]]`";
        root.reading.report(problem.help(help.to_owned()));
    }
    if fallback == Some(true) && upstreams.default.is_none() {
        let problem = Problem::new("`fallback` needs a default upstream");
        let label = "the file has several upstreams";
        let problem = problem.at(root.span_of("fallback"), label);
        let help = "name one by `upstream` in `[defaults]`".to_owned();
        root.reading.report(problem.help(help));
    }
    fallback.unwrap_or(true) && upstreams.default.is_some()
}

/// The places of a route's pattern and name.
struct Place {
    pattern: Option<Range<usize>>,
    name: Option<Range<usize>>,
}

fn check_patterns(root: &Section<'_>, routes: &[Arc<Route>], places: &[Place]) {
    let patterns = routes.iter();
    let patterns: Vec<Pattern> = patterns
        .map(|route| (route.method.clone(), route.path.clone()))
        .collect();
    for conflict in pattern::conflicts(&patterns) {
        let place = |at: usize| places[at].pattern.clone();
        let (later, earlier) = (place(conflict.later), place(conflict.earlier));
        let problem = match conflict.is_duplicate {
            true => Problem::new("two routes match the same requests")
                .at(later, "")
                .context(earlier, "the first one"),
            false => Problem::new("a `{*rest}` stands where another route has a `{name}`")
                .at(later, "")
                .context(earlier, "the other one")
                .help("let one of them begin with further fixed segments".to_owned()),
        };
        root.reading.report(problem);
    }
}

fn check_names(root: &Section<'_>, routes: &[Arc<Route>], places: &[Place]) {
    let mut names = HashMap::new();
    for (route, place) in routes.iter().zip(places) {
        let span = place.name.as_ref().or(place.pattern.as_ref()).cloned();
        let first = names.insert(&route.name, span.clone());
        // Without names, the patterns are equal, which is another error.
        if let (Some(first), Some(_)) = (first, &place.name) {
            let problem = Problem::new(format!("two routes have the name {:?}", route.name));
            let problem = problem.at(span, "").context(first, "the first one");
            root.reading.report(problem);
        }
    }
}

fn read_route(
    section: Section<'_>,
    template: &Route,
    upstreams: &Upstreams,
    context: &Context<'_>,
) -> Option<Route> {
    let read = |text: &str| Ok((pattern::parse(text)?, text.to_owned()));
    let pattern = section.demand("match", parsed_by(read));
    let mut route = template.clone();
    let name = section.get("name", parsed_by(name));
    match section.get("upstream", text) {
        Some(name) => match upstreams.by_name.get(&name) {
            Some(upstream) => route.upstream = upstream.clone(),
            None => check_name(&section, &name, &upstreams.names),
        },
        None if upstreams.default.is_none() && upstreams.names.len() > 1 => section.reading.report(
            Problem::new("`upstream` is missing")
                .at(section.span.clone(), "the file has several upstreams")
                .help("name one here, or for all routes in `[defaults]`".to_owned()),
        ),
        None => {}
    }
    read_settings(&section, &mut route, context);
    if let Some(((_, path), written)) = &pattern {
        check_path(&section, path, written, &context.config.base);
    }
    section.finish();
    let ((method, path), written) = pattern?;
    (route.method, route.path) = (method, path);
    route.name = name.unwrap_or(written).into();
    Some(route)
}

/// Reports a pattern that no request matches, as jobs come first.
fn check_path(section: &Section<'_>, path: &str, written: &str, base: &str) {
    let below = path.strip_prefix(base);
    if below.is_some_and(|rest| rest.is_empty() || rest.starts_with('/')) {
        let problem = Problem::new(format!("no request matches {written:?}"));
        let label = format!("{base} is the path of jobs");
        let problem = problem.at(section.span_of("match"), label);
        let help = "choose another path of jobs by `base`".to_owned();
        section.reading.report(problem.help(help));
    }
}

fn name(text: &str) -> Result<String, String> {
    if text == FALLBACK {
        return Err("this is the name of the route of all other requests".to_owned());
    }
    match text.len() <= 100 && text.bytes().all(|byte| matches!(byte, b' '..=b'~')) {
        true => Ok(text.to_owned()),
        false => {
            Err("a name is at most 100 characters of ASCII, as it is a label of metrics".to_owned())
        }
    }
}

/// Reads the settings that routes have, and may have from the defaults.
fn read_settings(section: &Section<'_>, route: &mut Route, context: &Context<'_>) {
    section.set(&mut route.defer, "defer", boolean);
    section.set(&mut route.inline_wait, "inline_wait", inline_wait);
    section.set(
        &mut route.pending_status,
        "pending_status",
        |value| match number(0..=999)(value) {
            Ok(303) => Ok(PendingStatus::SeeOther),
            Ok(202) => Ok(PendingStatus::Accepted),
            _ => Err(Fault::new("expected 303 or 202")),
        },
    );
    section.set(
        &mut route.deadline,
        "deadline",
        duration(SECOND..=30 * 24 * HOUR),
    );
    section.set(&mut route.retention, "retention", duration(SECOND..=YEAR));
    section.set(&mut route.request_spool, "request_spool", size(0..=1 << 30));
    section.set(&mut route.result_limit, "result_limit", size(1..=1 << 40));
    section.set(&mut route.max_attempts, "max_attempts", number(1..=100));
    let replay = [
        ("idempotent", Replay::Idempotent),
        ("keyed", Replay::Keyed),
        ("all", Replay::All),
        ("none", Replay::None),
    ];
    section.set(&mut route.replay, "replay", choice(&replay));
    let credentials = [
        ("keep", Some(Credentials::Keep)),
        ("drop", Some(Credentials::Drop)),
        ("none", None),
    ];
    section.set(&mut route.credentials, "credentials", choice(&credentials));
    let trusts_proxies = !context.config.trusted_proxies.is_empty();
    if let Some(principal) = principals::read(section, trusts_proxies) {
        route.principal = principal;
    }
    section.set(&mut route.send_principal, "send_principal", boolean);
    let cors = section.section("cors", "write `cors.origins = [\"https://app.example\"]`");
    if let Some(origins) = cors.list("origins", parsed_by(origin)) {
        route.cors_origins = origins;
    }
    cors.finish();
    section.set(&mut route.follow, "follow", boolean);
    section.set(&mut route.callback, "callback", boolean);
    section.set(&mut route.result_later, "result_later", boolean);
    if let Some(silence) = section.get("result_timeout", duration(SECOND..=30 * 24 * HOUR)) {
        route.result_timeout = Some(silence);
    }
    check_needs(section, context);
}

/// Reports settings that need others.
fn check_needs(section: &Section<'_>, context: &Context<'_>) {
    let is_set = |key| section.get(key, |value| Ok(value.as_bool() == Some(true))) == Some(true);
    if is_set("callback") && context.config.callbacks.hosts.is_empty() {
        let problem = Problem::new("`callback` needs hosts that may be called");
        let problem = problem.at(section.span_of("callback"), "");
        let help = "write `[callbacks.hosts.\"HOST\"]`, and `secrets` beneath it";
        section.reading.report(problem.help(help.to_owned()));
    }
    let progress = &context.config.progress;
    // A `url` without a fixed `listen` is an error of its own.
    if is_set("result_later") && progress.url.is_none() {
        let problem = Problem::new("`result_later` needs a fixed URL for results");
        let problem = problem.at(section.span_of("result_later"), "");
        let help = "write `[progress]`, and `listen` and `url` beneath it: servers deliver results \
                    there, also after restarts";
        section.reading.report(problem.help(help.to_owned()));
    }
}

/// Reads an origin as browsers send it.
fn origin(text: &str) -> Result<String, String> {
    const FORM: &str = "an origin is a scheme, a host in small letters and a port that is not the \
                        scheme's, such as https://app.example";
    let url: Uri = text.parse().map_err(|_| FORM)?;
    let port = match url.scheme_str() {
        Some("http") => 80,
        Some("https") => 443,
        _ => return Err(FORM.to_owned()),
    };
    let authority = url.authority().ok_or(FORM)?.as_str();
    let canonical = format!("{}://{authority}", url.scheme_str().unwrap_or_default());
    let is_canonical = text == canonical && !authority.contains('@') && text == text.to_lowercase();
    match is_canonical && url.port_u16() != Some(port) {
        true => Ok(text.to_owned()),
        false => Err(FORM.to_owned()),
    }
}
