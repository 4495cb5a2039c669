//! Jobs that do not exist, or that another principal asks for.

use http::{HeaderName, HeaderValue, Uri};
use http_polling::same_origin;

use super::client::Client;
use crate::check::{
    evidence::Absence,
    location::{JobUrls, below, id},
    step::{Moment, Step, Way},
};

/// The least length of random ids. Shorter ones may be numbers, so that another id is another job.
const RANDOM: usize = 16;

/// Asks for jobs that do not exist.
pub(super) async fn look(client: &Client, job: &JobUrls) {
    let reason = || Absence::NotSent("the URL of the job does not end in an id".to_owned());
    let Some(unknown) = job.with_id(other_id) else {
        for step in [
            Step::UnknownJob,
            Step::UnknownStatus,
            Step::CapitalId,
            Step::LongerId,
        ] {
            client.lacks(step, reason());
        }
        return;
    };
    client.get(Step::UnknownJob, &unknown).await;
    client.get(Step::UnknownStatus, &below(&unknown)).await;
    match job
        .with_id(str::to_ascii_uppercase)
        .filter(|url| *url != job.bare)
    {
        Some(url) => drop(client.get(Step::CapitalId, &url).await),
        None => client.lacks(
            Step::CapitalId,
            Absence::NotSent("ids have no letters".to_owned()),
        ),
    }
    if let Some(url) = job.with_id(|id| format!("{id}0")) {
        client.get(Step::LongerId, &url).await;
    }
}

/// Asks for a pending job as another principal.
pub(super) async fn pending_stranger(client: &Client, job: &JobUrls) {
    stranger(client, job, Moment::Pending).await;
    if client.subject.stranger.is_some() {
        client.get(Step::AfterStranger, &job.status()).await;
    }
}

/// Asks for the job in every way as another principal, and for one that does not exist.
pub(super) async fn stranger(client: &Client, job: &JobUrls, moment: Moment) {
    let Some(header) = client.subject.stranger.clone() else {
        let text = "--other-header names no other principal".to_owned();
        client.lacks(Step::Stranger(moment, Way::Get), Absence::NotSent(text));
        return;
    };
    let Some(unknown) = job.with_id(other_id) else {
        let text = "the URL of the job does not end in an id".to_owned();
        client.lacks(Step::Stranger(moment, Way::Get), Absence::NotSent(text));
        return;
    };
    if !same_origin(&job.bare, &client.subject.uri) {
        let text = "the job is at another origin, which gets no credentials".to_owned();
        client.lacks(Step::Stranger(moment, Way::Get), Absence::NotSent(text));
        return;
    }
    let is_random = id(&unknown).len() >= RANDOM;
    for way in Way::ALL {
        ask(client, Step::Stranger(moment, way), &job.bare, way, &header).await;
        if !(is_random || way.method().is_safe()) {
            continue;
        }
        ask(
            client,
            Step::StrangerUnknown(moment, way),
            &unknown,
            way,
            &header,
        )
        .await;
    }
}

async fn ask(client: &Client, step: Step, url: &Uri, way: Way, header: &(HeaderName, HeaderValue)) {
    let url = match way {
        Way::Status => below(url),
        _ => url.clone(),
    };
    let fields = [header.clone()];
    let limit = client.left();
    client
        .ask_within(step, way.method(), &url, &fields, limit)
        .await;
}

/// Returns another id of the same form. Its first digits are those of the id, so that the two
/// differ in nothing but the job.
fn other_id(id: &str) -> String {
    let other = |c: char| match c {
        '0'..='8' => char::from(c as u8 + 1),
        '9' => '0',
        'a'..='e' | 'A'..='E' => char::from(c as u8 + 1),
        'f' => 'a',
        'F' => 'A',
        c => c,
    };
    let changed: String = id.chars().map(other).collect();
    match changed == id {
        true => format!("{id}0"),
        false => changed,
    }
}
