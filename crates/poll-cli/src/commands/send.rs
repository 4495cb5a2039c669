//! `poll URL`.

use bytes::Bytes;
use http::{
    HeaderMap, HeaderValue, Method, Request,
    header::{CONTENT_LENGTH, TRANSFER_ENCODING},
};
use http_body::Body;
use http_polling::IDEMPOTENCY_KEY;
use tower::{BoxError, Layer};
use tower_poll::{PendingJob, PreferAsync, Submitted};

use super::{
    download::{self, Subject},
    follow,
    session::Session,
};
use crate::{
    arguments::Send as Arguments,
    client::following,
    exchange::{Submission, name},
    exit::{Code, Failure},
    job::{offer, to_json},
    output::Output,
    request::{
        HeaderLine, Part, Streamed, Target, Whole, form, headers, repeatable_form, streamed, whole,
        with_query,
    },
    transport::{Transport, may_be_repeated, resending},
};

/// The number of retries that `--idempotent` implies.
const RETRIES: u32 = 3;

pub(super) async fn run(arguments: &Arguments, session: &Session) -> Result<Code, Failure> {
    let Some(target) = &arguments.url else {
        return Err(Failure::new(Code::Usage, "there is no URL"));
    };
    follow::within(arguments.follow.deadline, send(arguments, target, session)).await
}

async fn send(arguments: &Arguments, target: &Target, session: &Session) -> Result<Code, Failure> {
    let data = if arguments.get { &*arguments.data } else { &[] };
    let target = with_query(target, &arguments.url_query, data).await?;
    let subject = Subject::Submission(name(&method(arguments), &target.uri), &target.uri);
    if let Some(code) = download::go_on(subject, session, &arguments.follow).await? {
        return Ok(code);
    }
    let (parts, content_type) = content(arguments).await?;
    let user = session.connection.user.as_ref().or(target.user.as_ref());
    let headers = headers(
        &session.connection.headers,
        &session.connection.keep_header,
        user.map(String::as_str),
        content_type.as_deref(),
    );
    let head = Head {
        arguments,
        target: &target,
        headers,
    };
    let default = if arguments.idempotent { RETRIES } else { 0 };
    match arguments.retry.unwrap_or(default) {
        0 => {
            let (body, length) = match content_type {
                None => (Streamed::default(), None),
                Some(_) => streamed(&parts).await?,
            };
            let mut request = head.request(body);
            let headers = request.headers_mut();
            if let Some(length) = length
                && !headers.contains_key(TRANSFER_ENCODING)
            {
                headers.insert(CONTENT_LENGTH, HeaderValue::from(length));
            }
            let client = session.client(&target.uri)?;
            submit(client, request, arguments, session).await
        }
        retries => {
            let request = head.request(Whole::new(whole(&parts).await?));
            if !arguments.idempotent && !may_be_repeated(&request) {
                session.screen.note(&format!(
                    "poll: {} is not sent again without --idempotent or an Idempotency-Key",
                    request.method()
                ));
            }
            let client = session.client(&target.uri)?;
            submit(resending(client, retries), request, arguments, session).await
        }
    }
}

/// Returns the parts of the body and its type, or no type if there is no body.
async fn content(arguments: &Arguments) -> Result<(Vec<Part>, Option<String>), Failure> {
    if !arguments.json.is_empty() {
        let json = "application/json".to_owned();
        return Ok((arguments.json.clone(), Some(json)));
    }
    let fields = [&*arguments.form, &*arguments.form_string].concat();
    if !fields.is_empty() {
        let has_key = |line: &HeaderLine| *line.name() == IDEMPOTENCY_KEY;
        let is_keyed = arguments.connection.headers.iter().any(has_key);
        let (parts, content_type) = match is_keyed {
            true => repeatable_form(&fields).await?,
            false => form(&fields),
        };
        return Ok((parts, Some(content_type)));
    }
    if arguments.data.is_empty() || arguments.get {
        return Ok((Vec::new(), None));
    }
    let mut parts = Vec::with_capacity(2 * arguments.data.len());
    for part in &arguments.data {
        if !parts.is_empty() {
            parts.push(Part::Text(Bytes::from_static(b"&")));
        }
        parts.push(part.clone());
    }
    let form = "application/x-www-form-urlencoded".to_owned();
    Ok((parts, Some(form)))
}

/// A request without its body.
struct Head<'a> {
    arguments: &'a Arguments,
    target: &'a Target,
    headers: HeaderMap,
}

impl Head<'_> {
    fn request<B>(self, body: B) -> Request<B> {
        let mut request = Request::new(body);
        *request.method_mut() = method(self.arguments);
        *request.uri_mut() = self.target.uri.clone();
        *request.headers_mut() = self.headers;
        request.extensions_mut().insert(Submission);
        if self.arguments.prefer_async {
            request.extensions_mut().insert(PreferAsync);
        }
        request
    }
}

fn method(arguments: &Arguments) -> Method {
    match &arguments.method {
        Some(method) => method.clone(),
        None if arguments.head => Method::HEAD,
        None if arguments.has_body() && !arguments.get => Method::POST,
        None => Method::GET,
    }
}

async fn submit<B>(
    client: Transport<B>,
    request: Request<B>,
    arguments: &Arguments,
    session: &Session,
) -> Result<Code, Failure>
where
    B: Body<Data = Bytes> + Default + Send + Unpin + 'static,
    B::Error: Into<BoxError>,
{
    let mut follow = arguments.follow.clone();
    follow.include |= arguments.head;
    let follow = &follow;
    let layer = following(&session.connection, follow, &session.screen)
        .idempotency_keys(arguments.idempotent);
    let job = match layer.layer(client).submit(request).await {
        Ok(Submitted::Final(response)) => {
            let code = follow::write(response, session, follow).await?;
            return Ok(match code {
                Code::Success if arguments.no_wait => Code::FinalAtOnce,
                code => code,
            });
        }
        Ok(Submitted::Pending(job)) => job,
        Err(error) => return Err(follow::fail(error, session, follow).await?),
    };
    if let Some(file) = &arguments.job_file {
        hand_over(&job.pending(), &Output::to(file.clone()), session).await?;
    } else if arguments.no_wait {
        hand_over(&job.pending(), &follow.output(), session).await?;
    }
    match arguments.no_wait {
        true => Ok(Code::Success),
        false => follow::to_the_end(job, session, follow).await,
    }
}

/// Writes the handle of an accepted job.
async fn hand_over(job: &PendingJob, output: &Output, session: &Session) -> Result<(), Failure> {
    let written = output.secret(&to_json(job)).await;
    if written.is_err() {
        session.screen.clear();
        session.screen.lines(&offer(job));
    }
    written
}
