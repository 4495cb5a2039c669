//! `poll check`: a server against the requirements of the protocol.
//!
//! [`gather()`] sends the requests of some [`scenario`]s, each with a [`step`] as its name, and
//! [`record`]s them as [`evidence`]. The [`rules`] are functions from that to a [`verdict`], and the
//! [`table`] has one for each requirement. [`report`] writes the verdicts.

mod report;

mod table;

mod gather;
mod rules;

mod requirement;

mod evidence;
mod scenario;

mod verdict;

mod record;

mod location;
mod step;

use std::time::Duration;

use bytes::Bytes;
use http::{HeaderName, HeaderValue, Method};

pub(crate) use self::gather::Running;
use self::{
    gather::{Gathered, MAX_REQUESTS, Subject, gather},
    report::{Report, json::json, junit::junit, text::text},
    requirement::{Check, Look},
    scenario::Scenario,
    table::CHECKS,
};
use crate::{
    arguments::Check as Arguments,
    exit::{Code, Failure},
    output::Output,
    progress::Screen,
    request::{HeaderLine, Part, Target, Whole, headers, whole},
    transport::Transport,
    words,
};

/// Prints the requirements.
pub(crate) async fn list(arguments: &Arguments) -> Result<Code, Failure> {
    let lines = selected(arguments)?.into_iter().map(|check| {
        let line = format!("{:<5} {}", check.number.to_string(), check.title);
        match check.look {
            Look::Rule(..) => line,
            Look::NotObservable(reason) => format!("{line} (not observable: {reason})"),
        }
    });
    let lines: Vec<_> = lines.collect();
    Output::default().text(&lines.join("\n")).await?;
    Ok(Code::Success)
}

/// Checks the server at `target`.
///
/// # Errors
///
/// Fails if the server cannot be reached, or if its jobs are at another origin.
pub(crate) async fn run(
    arguments: &Arguments,
    target: &Target,
    client: Transport<Whole>,
    screen: &Screen,
    running: &Running,
) -> Result<Code, Failure> {
    if arguments.list {
        return list(arguments).await;
    }
    let checks = selected(arguments)?;
    let needed = |scenario: &Scenario| {
        let mut needs = checks.iter().flat_map(|check| check.scenarios());
        needs.any(|need| need == scenario)
    };
    let scenarios: Vec<_> = Scenario::ALL.into_iter().filter(needed).collect();
    let subject = subject(arguments, target).await?;
    let (method, url) = (subject.method.to_string(), subject.uri.to_string());
    let others = scenarios.iter().map(|scenario| scenario.submissions());
    let submissions = 1 + others.sum::<u32>();
    let time = match arguments.deadline {
        Duration::MAX => String::new(),
        limit => format!(" within {}", words::delay(limit)),
    };
    screen.note(&format!(
        "poll: sends {method} {url} up to {submissions} times, at most {MAX_REQUESTS} requests in \
         all{time}, and deletes its jobs"
    ));
    let connection = &arguments.connection;
    let limit = arguments.deadline;
    let gathered = gather(client, subject, connection, &scenarios, limit, running).await?;
    end(arguments, &checks, method, url, gathered, screen).await
}

/// Describes the number of jobs that could not be deleted, unless it is 0.
pub(crate) fn left(jobs: usize) -> Option<String> {
    (jobs > 0).then(|| format!("poll: {jobs} of the jobs could not be deleted"))
}

/// Writes the report.
async fn end(
    arguments: &Arguments,
    checks: &[&'static Check],
    method: String,
    url: String,
    gathered: Gathered,
    screen: &Screen,
) -> Result<Code, Failure> {
    if let Some(text) = left(gathered.left) {
        screen.line(&text);
    }
    if let Some(answer) = &gathered.never_deferred {
        let text = format!(
            "the server did not defer the request, but answered {}: is it slow?",
            answer.summary()
        );
        return Err(Failure::new(Code::NeverDeferred, text));
    }
    let verdict = |check: &&'static Check| (*check, check.verdict(&gathered.evidence));
    let report = Report {
        method,
        url,
        verdicts: checks.iter().map(verdict).collect(),
        requests: gathered.requests,
        jobs: gathered.jobs,
    };
    let text = match () {
        () if arguments.json => json(&report),
        () if arguments.junit => junit(&report),
        () => text(&report),
    };
    Output::default().text(&text).await?;
    Ok(match report.count("FAIL") {
        0 => Code::Success,
        _ => Code::Other,
    })
}

/// Returns the requirements that `--only` and `--skip` select.
fn selected(arguments: &Arguments) -> Result<Vec<&'static Check>, Failure> {
    for number in arguments.only.iter().chain(&arguments.skip) {
        if !CHECKS.iter().any(|check| check.number == *number) {
            let text = format!("there is no requirement {number}; see `poll check --list`");
            return Err(Failure::new(Code::Usage, text));
        }
    }
    let is_selected = |check: &&Check| {
        let is_only = arguments.only.is_empty() || arguments.only.contains(&check.number);
        is_only && !arguments.skip.contains(&check.number)
    };
    Ok(CHECKS.iter().filter(is_selected).collect())
}

/// Reads the request from the command line.
async fn subject(arguments: &Arguments, target: &Target) -> Result<Subject, Failure> {
    let mut parts = Vec::with_capacity(2 * arguments.data.len());
    for part in &arguments.data {
        if !parts.is_empty() {
            parts.push(Part::Text(Bytes::from_static(b"&")));
        }
        parts.push(part.clone());
    }
    let connection = &arguments.connection;
    let user = connection.user.as_ref().or(target.user.as_ref());
    let form = (!parts.is_empty()).then_some("application/x-www-form-urlencoded");
    let default = if parts.is_empty() {
        Method::GET
    } else {
        Method::POST
    };
    Ok(Subject {
        method: arguments.method.clone().unwrap_or(default),
        uri: target.uri.clone(),
        headers: headers(
            &connection.headers,
            &connection.keep_header,
            user.map(String::as_str),
            form,
        ),
        body: whole(&parts).await?,
        stranger: arguments.other_header.as_ref().and_then(stranger),
    })
}

fn stranger(line: &HeaderLine) -> Option<(HeaderName, HeaderValue)> {
    match line {
        HeaderLine::Set(name, value) => Some((name.clone(), value.clone())),
        HeaderLine::Remove(_) => None,
    }
}
