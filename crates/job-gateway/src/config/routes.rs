//! The routes and their defaults.

use std::{collections::HashMap, sync::Arc, time::Duration};

use http::Uri;
use tower_async_job::PendingStatus;

use super::{
    Credentials, Overrides, Replay, Route,
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

/// The settings beside the routes that matter to them.
pub(super) struct Context<'a> {
    pub(super) flags: &'a Overrides,
    /// The path of jobs.
    pub(super) base: &'a str,
    pub(super) trusts_proxies: bool,
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
        let any = upstreams
            .default
            .as_ref()
            .or(upstreams.by_name.values().next());
        // Without any, there is an error already.
        let upstream = any
            .cloned()
            .unwrap_or_else(|| Arc::new(super::Upstream::new("", Uri::default())));
        let mut template = Route::new(FALLBACK, "/{*rest}", upstream);
        read_settings(&defaults, &mut template, context.trusts_proxies);
        defaults.finish();
        let flags = context.flags;
        template.inline_wait = flags.inline_wait.unwrap_or(template.inline_wait);
        template.pending_status = flags.pending_status.unwrap_or(template.pending_status);
        template.replay = flags.replay.unwrap_or(template.replay);

        let mut routes = Vec::new();
        let mut places = Vec::new();
        for section in root.sections(
            "routes",
            "write `[[routes]]`, and beneath it `match = \"/path\"`",
        ) {
            let place = (section.span_of("match"), section.span_of("name"));
            if let Some(route) = read_route(section, &template, upstreams, context) {
                routes.push(Arc::new(route));
                places.push(place);
            }
        }
        let patterns: Vec<Pattern> = (routes.iter())
            .map(|route| (route.method.clone(), route.path.clone()))
            .collect();
        for conflict in pattern::conflicts(&patterns) {
            let [later, earlier] =
                [conflict.later, conflict.earlier].map(|at| places[at].0.clone());
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
        let mut names = HashMap::new();
        for (route, (pattern, name)) in routes.iter().zip(&places) {
            let place = name.as_ref().or(pattern.as_ref()).cloned();
            if let Some(first) = names.insert(&route.name, place.clone()) {
                // Without names, the patterns are equal, which is reported above.
                if name.is_some() {
                    let problem =
                        Problem::new(format!("two routes have the name {:?}", route.name));
                    root.reading
                        .report(problem.at(place, "").context(first, "the first one"));
                }
            }
        }

        let fallback = root.get("fallback", boolean);
        if fallback == Some(true) && upstreams.default.is_none() {
            let label = "the file has several upstreams";
            let problem = Problem::new("`fallback` needs a default upstream")
                .at(root.span_of("fallback"), label);
            root.reading
                .report(problem.help("name one by `upstream` in `[defaults]`".to_owned()));
        }
        let is_served = fallback.unwrap_or(true) && upstreams.default.is_some();
        Self {
            routes,
            fallback: is_served.then(|| Arc::new(template)),
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
    read_settings(&section, &mut route, context.trusts_proxies);
    if let Some(((_, path), written)) = &pattern {
        check_path(&section, path, written, context.base);
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
fn read_settings(section: &Section<'_>, route: &mut Route, trusts_proxies: bool) {
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
    if let Some(principal) = principals::read(section, trusts_proxies) {
        route.principal = principal;
    }
    section.set(&mut route.send_principal, "send_principal", boolean);
    let cors = section.section("cors", "write `cors.origins = [\"https://app.example\"]`");
    if let Some(origins) = cors.list("origins", parsed_by(origin)) {
        route.cors_origins = origins;
    }
    cors.finish();
    section.set(&mut route.callback, "callback", boolean);
    section.set(&mut route.follow, "follow", boolean);
    section.set(&mut route.result_later, "result_later", boolean);
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
