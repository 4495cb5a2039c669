//! `poll URL`.

use bytes::Bytes;
use http::{
    HeaderValue, Method, Request,
    header::{CONTENT_LENGTH, TRANSFER_ENCODING},
};
use http_body::Body;
use tower::{BoxError, Layer};
use tower_poll::{PreferAsync, Submitted};

use super::{Session, follow};
use crate::{
    arguments::{Connection, Send as Arguments},
    client::following,
    exit::{Code, Failure},
    job::{offer, to_json},
    request::{Streamed, Target, headers, streamed, whole},
    transport::{Transport, client, resending},
};

pub(super) async fn run(arguments: &Arguments, session: &Session) -> Result<Code, Failure> {
    let Some(target) = &arguments.url else {
        return Err(Failure::new(Code::Usage, "there is no URL"));
    };
    let shown = session.shown();
    let http2 = session.connection.http2;
    follow::within(arguments.follow.deadline, async {
        if arguments.idempotent {
            let body = whole(&arguments.data).await?;
            let request = request(arguments, target, body);
            let client = resending(client(http2, shown)?);
            submit(client, request, arguments, session).await
        } else {
            let (body, length) = match arguments.data.is_empty() {
                true => (Streamed::default(), None),
                false => streamed(&arguments.data).await?,
            };
            let mut request = request(arguments, target, body);
            let headers = request.headers_mut();
            if let Some(length) = length
                && !headers.contains_key(TRANSFER_ENCODING)
            {
                headers.insert(CONTENT_LENGTH, HeaderValue::from(length));
            }
            submit(client(http2, shown)?, request, arguments, session).await
        }
    })
    .await
}

fn request<B>(arguments: &Arguments, target: &Target, body: B) -> Request<B> {
    let Connection {
        headers: lines,
        user,
        ..
    } = &arguments.connection;
    let has_body = !arguments.data.is_empty();
    let user = user.as_ref().or(target.user.as_ref());
    let mut request = Request::new(body);
    *request.method_mut() = match &arguments.method {
        Some(method) => method.clone(),
        None if has_body => Method::POST,
        None => Method::GET,
    };
    *request.uri_mut() = target.uri.clone();
    *request.headers_mut() = headers(lines, user.map(String::as_str), has_body);
    if arguments.prefer_async {
        request.extensions_mut().insert(PreferAsync);
    }
    request
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
    let output = arguments.follow.output();
    let layer = following(&session.connection, &arguments.follow, &session.screen)
        .idempotency_keys(arguments.idempotent);
    let job = match layer.layer(client).submit(request).await {
        Ok(Submitted::Final(response)) => return follow::write(response, session, &output).await,
        Ok(Submitted::Pending(job)) => job,
        Err(error) => return Err(follow::fail(error, session, &output).await?),
    };
    if !arguments.no_wait {
        return follow::to_the_end(job, session, &output).await;
    }
    let job = job.pending();
    session.screen.clear();
    let written = output.text(&to_json(&job)).await;
    if written.is_err() {
        // Nothing else knows of the job.
        session.screen.line(&offer(&job));
    }
    written.map(|()| Code::Success)
}
