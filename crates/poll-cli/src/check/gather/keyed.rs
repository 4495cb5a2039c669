//! A job with an idempotency key.

use bytes::{Bytes, BytesMut};
use http::{HeaderValue, Method};
use http_polling::IDEMPOTENCY_KEY;
use uuid::Uuid;

use super::{
    cancelled::found,
    client::{Client, EXCHANGE},
    deletion::{delete_job_of, not_deferred},
};
use crate::check::{evidence::Absence, location::JobUrls, record::Exchange, step::Step};

/// A key that is longer than 255 characters.
const TOO_LONG: &str = const {
    match str::from_utf8(&[b'k'; 256]) {
        Ok(key) => key,
        Err(_) => panic!("letters are text"),
    }
};

pub(super) async fn look(client: &Client) {
    let subject = &client.subject;
    if subject.method.is_safe() || subject.headers.contains_key(IDEMPOTENCY_KEY) {
        let text = match subject.method.is_safe() {
            true => "the request has a safe method, which needs no key",
            false => "the request has a key of its own",
        };
        client.lacks(Step::KeySubmitted, Absence::NotSent(text.to_owned()));
        return;
    }
    let key = key();
    let body = || client.subject.body.clone();
    let Some(submitted) = submit(client, Step::KeySubmitted, &key, body()).await else {
        return;
    };
    let Some(job) = submitted.job() else {
        not_deferred(client, &submitted, &[Step::KeyRepeated]);
        return;
    };
    let repeated = submit(client, Step::KeyRepeated, &key, body()).await;
    let too_long = HeaderValue::from_static(TOO_LONG);
    let malformed = submit(client, Step::KeyMalformed, &too_long, body()).await;
    for other in [&repeated, &malformed].into_iter().flatten() {
        let location = other.location().map(JobUrls::new);
        if location.is_some_and(|other| other.bare != job.bare) {
            delete_job_of(client, other).await;
        }
    }
    let offered = offers_keys(repeated.as_ref(), malformed.as_ref(), &job);
    if offered {
        let mut changed = BytesMut::from(&*body());
        changed.extend_from_slice(b" ");
        if let Some(changed) = submit(client, Step::KeyChanged, &key, changed.freeze()).await
            && changed
                .location()
                .map(JobUrls::new)
                .is_some_and(|other| other.bare != job.bare)
        {
            delete_job_of(client, &changed).await;
        }
    }
    let url = found(client, &job);
    client
        .ask(Step::KeyCancelled, Method::DELETE, &url, &[])
        .await;
    client
        .ask(Step::KeyDropped, Method::DELETE, &url, &[])
        .await;
    if offered {
        client.get(Step::KeyGone, &url).await;
        submit(client, Step::KeyRepeatedAfter, &key, body()).await;
    }
}

/// Returns whether the server looks at keys: a repeat leads to the same job, or a malformed key is
/// refused.
fn offers_keys(repeated: Option<&Exchange>, malformed: Option<&Exchange>, job: &JobUrls) -> bool {
    let same = repeated
        .and_then(Exchange::location)
        .is_some_and(|location| JobUrls::new(location).bare == job.bare);
    same || malformed.is_some_and(|malformed| malformed.answer.status == 400)
}

async fn submit(client: &Client, step: Step, key: &HeaderValue, body: Bytes) -> Option<Exchange> {
    client
        .submit_body(step, &[(IDEMPOTENCY_KEY, key.clone())], body, EXCHANGE)
        .await
}

/// Returns a new key: a string of a structured field.
fn key() -> HeaderValue {
    let key = format!("\"{}\"", Uuid::new_v4());
    HeaderValue::try_from(key).expect("digits are a value")
}
