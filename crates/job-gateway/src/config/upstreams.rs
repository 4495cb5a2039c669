//! The servers behind the gateway.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use super::{
    Overrides, Upstream,
    error::Problem,
    read::{boolean, concurrency, duration, number, parsed_by, text},
    section::Section,
    values::upstream_url,
    words::{listed, nearest},
};

const SECOND: Duration = Duration::from_secs(1);
const HOUR: Duration = Duration::from_secs(3600);
const FORM: &str = "write `[upstreams.NAME]`, and beneath it `url = \"http://…\"`";

/// The servers by their names.
pub(super) struct Upstreams {
    pub(super) by_name: BTreeMap<String, Arc<Upstream>>,
    /// The names in the file, also of those that have errors.
    pub(super) names: Vec<String>,
    /// The server of routes that name none.
    pub(super) default: Option<Arc<Upstream>>,
}

impl Upstreams {
    /// Reads the servers. The flags set those of the default one.
    pub(super) fn read(root: &Section<'_>, defaults: &Section<'_>, flags: &Overrides) -> Self {
        let sections = root.named("upstreams", FORM);
        let names: Vec<_> = sections.iter().map(|(name, _)| name.clone()).collect();
        let default = defaults.get("upstream", text);
        if let Some(name) = &default {
            check_name(defaults, name, &names);
        }
        let default = default.or(match &names[..] {
            [only] => Some(only.clone()),
            [] if flags.upstream.is_some() => Some("default".to_owned()),
            _ => None,
        });
        let mut by_name = BTreeMap::new();
        for (name, section) in sections {
            let flags = Some(flags).filter(|_| default.as_ref() == Some(&name));
            if let Some(upstream) = upstream(name.clone(), section, flags) {
                by_name.insert(name, Arc::new(upstream));
            }
        }
        match (&flags.upstream, &default) {
            (Some(url), Some(name)) if names.is_empty() => {
                let mut upstream = Upstream::new(name, url.clone());
                upstream.concurrency = flags.concurrency;
                by_name.insert(name.clone(), Arc::new(upstream));
            }
            (None, _) if names.is_empty() => {
                root.reading
                    .report(
                        Problem::new("there is no upstream").help(
                            "give `--upstream URL`, or `[upstreams.NAME]` with `url` in a file"
                                .to_owned(),
                        ),
                    )
            }
            (url, None) if url.is_some() || flags.concurrency.is_some() => {
                let flag = match url {
                    Some(_) => "--upstream",
                    None => "--concurrency",
                };
                let problem = Problem::new(format!(
                    "`{flag}` needs one upstream, and the file has several"
                ));
                root.reading
                    .report(problem.help("name one by `upstream` in `[defaults]`".to_owned()));
            }
            _ => {}
        }
        let default = default.and_then(|name| by_name.get(&name).cloned());
        Self {
            by_name,
            names,
            default,
        }
    }
}

/// Reports a name that no upstream has.
pub(super) fn check_name(section: &Section<'_>, name: &str, names: &[String]) {
    if names.iter().any(|known| known == name) {
        return;
    }
    let help = match nearest(name, names.iter().map(String::as_str)) {
        Some(nearest) => format!("did you mean {nearest:?}?"),
        None if names.is_empty() => FORM.to_owned(),
        None => format!("the upstreams are {}", listed(names)),
    };
    let problem = Problem::new(format!("unknown upstream {name:?}"));
    let problem = problem.at(section.span_of("upstream"), "").help(help);
    section.reading.report(problem);
}

fn upstream(name: String, section: Section<'_>, flags: Option<&Overrides>) -> Option<Upstream> {
    let written = match flags.and_then(|flags| flags.upstream.clone()) {
        Some(url) => {
            section.get("url", parsed_by(upstream_url));
            Some(url)
        }
        None => section.demand("url", parsed_by(upstream_url)),
    };
    let mut upstream = Upstream::new(&name, written.clone().unwrap_or_default());
    if let Some(http2) = section.get("http2", boolean) {
        check_http2(&section, http2, &upstream);
        upstream.http2 = http2;
    }
    upstream.concurrency = section.get("concurrency", concurrency);
    section.set(&mut upstream.queue, "queue", number(0..=10_000_000));
    section.set(&mut upstream.own_host, "own_host", boolean);
    let wait = SECOND / 100..=HOUR / 12;
    section.set(
        &mut upstream.connect_timeout,
        "connect_timeout",
        duration(wait),
    );
    section.set(
        &mut upstream.response_timeout,
        "response_timeout",
        duration(SECOND / 10..=24 * HOUR),
    );
    section.set(
        &mut upstream.idle_timeout,
        "idle_timeout",
        duration(Duration::ZERO..=HOUR),
    );
    section.set(
        &mut upstream.max_age,
        "max_age",
        duration(SECOND..=24 * HOUR),
    );
    section.set(
        &mut upstream.tunnel_timeout,
        "tunnel_timeout",
        duration(SECOND / 10..=24 * 7 * HOUR),
    );
    upstream.roots = section.file("roots");
    section.finish();
    if let Some(flags) = flags {
        upstream.concurrency = flags.concurrency.or(upstream.concurrency);
    }
    written.map(|_| upstream)
}

fn check_http2(section: &Section<'_>, http2: bool, upstream: &Upstream) {
    let fault = match (upstream.url.scheme_str(), http2) {
        (Some("h2c"), false) => "the scheme h2c is HTTP/2",
        (Some("http"), true) => "HTTP/2 without TLS has the scheme h2c",
        _ => return,
    };
    let problem = Problem::new("invalid `http2`").at(section.span_of("http2"), fault);
    section.reading.report(problem);
}
