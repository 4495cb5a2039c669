//! `poll list`.

mod base;
mod table;

use std::{collections::HashSet, time::SystemTime};

use bytes::Bytes;
use http::{
    Request, Response, StatusCode, Uri,
    header::{DATE, LOCATION},
};
use http_body_util::{BodyExt, LengthLimitError, Limited};
use http_polling::{Problem, StatusDocument, resolve, same_origin};
use hyper::body::Incoming;
use serde_json::Value;
use tower::ServiceExt;

use self::{base::base_of, table::Table};
use super::{
    advice::{NO_CREDENTIALS, explained, hinted, sent_location},
    follow,
    session::Session,
};
use crate::{
    arguments::List,
    exchange::Submission,
    exit::{Code, Failure},
    output::Output,
    request::Whole,
    transport::Transport,
    words,
};

/// The maximum length of all pages, and of one, in bytes.
const LIST: usize = 64 << 20;
const PAGE: usize = 4 << 20;

/// The maximum number of jobs that a server puts on a page.
const JOBS_OF_A_PAGE: usize = 100;

pub(super) async fn run(list: &List, session: &Session) -> Result<Code, Failure> {
    follow::within(Some(list.limit.deadline), show(list, session)).await
}

async fn show(list: &List, session: &Session) -> Result<Code, Failure> {
    let base = base_of(&list.url.uri);
    let client = session.client(&base)?;
    let number = list.number as usize;
    let first = format!("?limit={}", number.min(JOBS_OF_A_PAGE));
    let mut next = Some(resolve(&base, first).map_err(|error| unusable(error.to_string()))?);
    let (mut jobs, mut unreadable, mut seen) = (Vec::new(), 0, HashSet::new());
    let mut room = LIST;
    while jobs.len() < number
        && let Some(url) = next.take()
    {
        if !seen.insert(url.clone()) {
            return Err(unusable("a page leads to an earlier one"));
        }
        let page = page(&client, url, session, room).await?;
        room -= page.length;
        unreadable += page.unreadable;
        jobs.extend(page.jobs);
        next = page.next;
    }
    let is_cut = jobs.len() > number || next.is_some();
    jobs.truncate(number);
    if jobs.is_empty() {
        session.screen.note("poll: there are no jobs");
    } else {
        let text = match list.json {
            true => documents(&jobs),
            false => table(&jobs)?.to_string(),
        };
        Output::default().text(&text).await?;
    }
    if is_cut {
        let text = "poll: there are more jobs; --limit shows more of them";
        session.screen.note(text);
    }
    if unreadable > 0 {
        let text = format!("poll: the server cannot read {unreadable} more");
        session.screen.note(&text);
    }
    Ok(Code::Success)
}

/// A job in the list, and the time of the answer that has it.
struct Listed {
    document: Value,
    url: String,
    at: SystemTime,
}

impl Listed {
    /// Returns its row of the table.
    fn row(&self) -> Result<[String; 5], Failure> {
        let status: StatusDocument = serde_json::from_value(self.document.clone())
            .map_err(|error| unusable(format!("a job in it cannot be read: {error}")))?;
        let mut progress = status.progress.unwrap_or_default();
        let message = progress.message.take().unwrap_or_default();
        let age = status.created.map(|created| {
            let age = self.at.duration_since(created).unwrap_or_default();
            words::delay(age)
        });
        Ok([
            self.url.clone(),
            status.state.to_string(),
            progress.to_string(),
            age.unwrap_or_default(),
            message,
        ])
    }
}

fn table(jobs: &[Listed]) -> Result<Table<5>, Failure> {
    let mut table = Table::new(["JOB", "STATE", "PROGRESS", "AGE", "MESSAGE"]);
    for job in jobs {
        table.push(job.row()?);
    }
    Ok(table)
}

/// Returns the documents as JSON, one in each line.
fn documents(jobs: &[Listed]) -> String {
    let line = |job: &Listed| words::json(&job.document.to_string());
    jobs.iter().map(line).collect::<Vec<_>>().join("\n")
}

/// A page of the list.
struct Page {
    jobs: Vec<Listed>,
    next: Option<Uri>,
    unreadable: u64,
    /// Its length in bytes.
    length: usize,
}

async fn page(
    client: &Transport<Whole>,
    url: Uri,
    session: &Session,
    room: usize,
) -> Result<Page, Failure> {
    let mut request = Request::new(Whole::default());
    *request.uri_mut() = url.clone();
    *request.headers_mut() = session.headers.clone();
    request.extensions_mut().insert(Submission);
    let response = client.clone().oneshot(request).await;
    let response = response.map_err(Failure::of_transport)?;
    let status = response.status();
    let date = response.headers().get(DATE);
    let date = date.and_then(|date| httpdate::parse_http_date(date.to_str().ok()?).ok());
    let at = date.unwrap_or_else(SystemTime::now);
    let location = response.headers().get(LOCATION).cloned();
    let body = whole(response, room.min(PAGE)).await?;
    if status != StatusCode::OK {
        let mut failure = refused(status);
        failure.notes.extend(location.as_ref().map(sent_location));
        if let Ok(problem) = Problem::from_json(&body) {
            failure.notes.push(explained(&problem.to_string()));
        }
        if status.is_client_error() && !session.connection.has_credentials() {
            failure.notes.push(hinted(NO_CREDENTIALS));
        }
        return Err(failure);
    }
    read(&body, &url, at)
}

/// Reads the body of an answer, up to its limit.
async fn whole(response: Response<Incoming>, limit: usize) -> Result<Bytes, Failure> {
    match Limited::new(response.into_body(), limit).collect().await {
        Ok(body) => Ok(body.to_bytes()),
        Err(error) if error.is::<LengthLimitError>() => Err(unusable("it is too long")),
        Err(error) => Err(Failure::of_body(error)),
    }
}

fn read(body: &[u8], url: &Uri, at: SystemTime) -> Result<Page, Failure> {
    let mut list: Value = serde_json::from_slice(body).map_err(|_| no_list())?;
    let Some(Value::Array(jobs)) = list.get_mut("jobs").map(Value::take) else {
        return Err(no_list());
    };
    let next = match list["next"].as_str() {
        Some(_) if jobs.is_empty() => return Err(unusable("an empty page leads to another one")),
        Some(next) => {
            let next = resolve(url, next).map_err(|error| unusable(error.to_string()))?;
            if !same_origin(&next, url) {
                let text = "the next page of jobs is at another origin";
                return Err(Failure::new(Code::Refused, text));
            }
            Some(next)
        }
        None => None,
    };
    let listed = |document: Value| {
        let href = document["href"].as_str().unwrap_or_default();
        let located = resolve(url, href).map(|url| url.to_string());
        Listed {
            url: located.unwrap_or_else(|_| href.to_owned()),
            document,
            at,
        }
    };
    Ok(Page {
        jobs: jobs.into_iter().map(listed).collect(),
        next,
        unreadable: list["unreadable"].as_u64().unwrap_or(0),
        length: body.len(),
    })
}

fn no_list() -> Failure {
    Failure::new(Code::BadAnswer, "the server does not list jobs at this URL")
}

fn unusable(reason: impl Into<String>) -> Failure {
    let text = format!("the list of jobs cannot be used: {}", reason.into());
    Failure::new(Code::BadAnswer, text)
}

/// Returns the failure of a request for the list that is answered with this status.
fn refused(status: StatusCode) -> Failure {
    let text = match status {
        StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN => {
            "the server lists no jobs to this client"
        }
        StatusCode::NOT_FOUND => {
            "the server does not list jobs at this URL, or does not know the client"
        }
        status if status.is_server_error() => "the server cannot list jobs now",
        _ => "the server does not list jobs at this URL",
    };
    Failure::new(Code::HttpError, text)
}
