//! The built-in dialects, which read answers to submissions and to polls.
#![no_main]

use std::time::{Duration, UNIX_EPOCH};

use http::Uri;
use http_polling::{resolve, retry_after};
use http_polling_fuzz::{Asked, Document, Head, is_pollable};
use libfuzzer_sys::fuzz_target;
use tower_poll::dialect::{
    Announced, Answer, AzureResourceManager, Dialect, FhirAsync, FinalState, ODataAsync,
    OgcProcesses, StatusResource, Step,
};

fn dialects() -> Vec<Box<dyn Dialect>> {
    let azure = AzureResourceManager::new();
    vec![
        Box::new(azure),
        Box::new(AzureResourceManager::new().poll_resources(true)),
        Box::new(azure.final_state(FinalState::Location)),
        Box::new(azure.final_state(FinalState::OriginalUri)),
        Box::new(azure.final_state(FinalState::OperationLocation)),
        Box::new(OgcProcesses::new()),
        Box::new(ODataAsync::new()),
        Box::new(FhirAsync::new()),
        Box::new(StatusResource::new()),
    ]
}

/// Adds the URIs that the answer of `asked` announces to those announced earlier.
fn note(announced: &mut Announced, asked: &Uri, head: &Head) {
    for (name, url) in [
        ("location", &mut announced.location),
        ("content-location", &mut announced.content_location),
        ("operation-location", &mut announced.operation_location),
        ("azure-asyncoperation", &mut announced.azure_async_operation),
    ] {
        if let Some(reference) = head.headers.get(name) {
            *url = resolve(asked, reference).ok();
        }
    }
}

fuzz_target!(|input: (Asked, Head, &[u8], Head, Document)| {
    let (asked, first, poll, head, Document(body)) = input;
    let now = UNIX_EPOCH + Duration::from_secs(1_800_000_000);
    let mut announced = Announced::default();
    note(&mut announced, &asked.uri, &first);
    let submission = Answer::new(
        &asked.method,
        &asked.uri,
        &announced,
        first.status,
        &first.headers,
    );
    let mut then = announced.clone();
    let polled = resolve(&asked.uri, poll).ok();
    if let Some(polled) = &polled {
        note(&mut then, polled, &head);
    }
    let poll = polled.as_ref().map(|polled| {
        let (status, headers) = (head.status, &head.headers);
        Answer::new(&asked.method, &asked.uri, &then, status, headers).to_poll_of(polled)
    });
    for dialect in dialects() {
        for answer in [Some(submission), poll].into_iter().flatten() {
            let delay = retry_after(answer.headers(), now);
            let answer = delay.map_or(answer, |delay| answer.with_retry_after(delay));
            let _ = dialect.recognises(&answer);
            let by_head = dialect.read(&answer);
            let answer = answer.with_body(&body);
            let by_body = dialect.read(&answer);
            assert_ne!(by_body.as_ref().ok(), Some(&Step::NeedsBody), "{answer:?}");
            for step in [by_head, by_body] {
                let url = match &step {
                    Ok(Step::Pending(interim)) => {
                        let progress = interim.progress.as_ref();
                        let ratio = progress.and_then(|progress| progress.ratio());
                        assert!(ratio.is_none_or(|ratio| (0.0..=1.0).contains(&ratio)));
                        &interim.url
                    }
                    Ok(Step::Fetch(url)) => url,
                    Ok(Step::Failed(state, _)) => {
                        assert!(state.is_final());
                        continue;
                    }
                    Ok(_) => continue,
                    Err(error) => {
                        assert!(!error.to_string().is_empty());
                        continue;
                    }
                };
                assert!(is_pollable(url) || *url == asked.uri, "{url}");
            }
        }
    }
});
