//! The document itself: valid, complete, and without dangling references.

use std::{collections::BTreeSet, time::Duration};

use super::{EVENTS, JOB, STATUS, builder, json_of, merged, resolve};
use crate::support::eager;
use http_polling::{JobState, Problem, ProblemType, Progress, StatusDocument};
use serde_json::{Value, json};
use tower_async_job::{AsyncJobLayer, PendingStatus};

fn conforms(document: &Value, name: &str, value: &Value) -> bool {
    let root = json!({
        "$ref": format!("#/components/schemas/{name}"),
        "components": document["components"],
    });
    jsonschema::draft202012::options()
        .should_validate_formats(true)
        .build(&root)
        .expect("a JSON Schema")
        .is_valid(value)
}

fn references(value: &Value, found: &mut BTreeSet<String>) {
    match value {
        Value::Object(members) => {
            if let Some(reference) = members.get("$ref").and_then(Value::as_str) {
                found.insert(reference.to_owned());
            }
            members
                .values()
                .for_each(|member| references(member, found));
        }
        Value::Array(items) => items.iter().for_each(|item| references(item, found)),
        _ => {}
    }
}

#[test]
fn another_reader_of_openapi_understands_it() {
    for layer in [
        AsyncJobLayer::new(),
        eager(builder().pending_status(PendingStatus::Accepted)),
        eager(builder().events(true)),
    ] {
        let has_events = layer.openapi().paths.paths.contains_key(EVENTS);
        let json = merged(&layer).to_json().expect("json");
        let document = oas3::from_json(&json).expect("an OpenAPI document");
        let version = document.validate_version().expect("a known version");
        assert_eq!((version.major, version.minor), (3, 1));
        let operations: BTreeSet<(String, String)> = document
            .operations()
            .map(|(path, method, operation)| {
                let described = operation.responses.as_ref().expect("responses").len();
                assert_eq!(
                    operation.responses(&document).len(),
                    described,
                    "a reference of {method} {path} leads nowhere"
                );
                (path, method.to_string())
            })
            .collect();
        let expected = [
            ("/report", "POST"),
            (JOB, "DELETE"),
            (JOB, "GET"),
            (JOB, "HEAD"),
            (JOB, "OPTIONS"),
            (STATUS, "GET"),
            (STATUS, "HEAD"),
            (STATUS, "OPTIONS"),
        ];
        let events = [(EVENTS, "GET"), (EVENTS, "OPTIONS")].into_iter();
        let expected = expected.into_iter().chain(events.filter(|_| has_events));
        let expected = expected.map(|(path, method)| (path.to_owned(), method.to_owned()));
        assert_eq!(operations, expected.collect());
    }
}

#[test]
fn merged_into_another_document_no_reference_leads_nowhere() {
    let see_other = AsyncJobLayer::new();
    let accepted = builder()
        .pending_status(PendingStatus::Accepted)
        .base("/jobs")
        .build()
        .expect("valid");
    let mut api = merged(&see_other);
    api.merge(accepted.openapi());
    let document = json_of(&api);
    let mut found = BTreeSet::new();
    references(&document, &mut found);
    assert!(found.len() > 10);
    for reference in &found {
        resolve(&document, &json!({ "$ref": reference }));
    }
    assert!(found.contains("#/components/responses/JobSeeOther"));
    assert!(found.contains("#/components/responses/JobAccepted"));
    // The common parts are the same in both.
    let both =
        [see_other.openapi(), accepted.openapi()].map(|one| json_of(&one)["components"].clone());
    for kind in ["schemas", "responses"] {
        for (name, component) in both[0][kind].as_object().expect("components") {
            assert!(name.starts_with("Job"));
            if let Some(other) = both[1][kind].get(name) {
                assert_eq!(component, other, "{name}");
            }
        }
    }
}

#[test]
fn paths_stand_below_the_public_base() {
    for (base, path, server) in [
        ("/api/work", "/api/work/{id}", None),
        (
            "https://api.example:8443/v1/work/",
            "/v1/work/{id}",
            Some("https://api.example:8443"),
        ),
        ("https://api.example", "/{id}", Some("https://api.example")),
    ] {
        let layer = builder().public_base(base).build().expect("valid");
        let document = json_of(&layer.openapi());
        let item = &document["paths"][path];
        assert!(item.is_object(), "{base}: {}", document["paths"]);
        let url = item["servers"][0]["url"].as_str();
        assert_eq!(url, server, "{base}");
    }
}

#[test]
fn documents_conform_to_their_schemas_and_others_do_not() {
    let document = json_of(&AsyncJobLayer::new().openapi());
    let mut status = StatusDocument::new("8f14", JobState::Running)
        .with_retry_after(Duration::from_millis(1500));
    assert!(conforms(
        &document,
        "JobStatusDocument",
        &serde_json::to_value(&status).expect("json")
    ));
    status.created = Some(std::time::SystemTime::UNIX_EPOCH);
    status.started = status.created;
    status.ended = status.created;
    status.attempt = 3;
    status.progress = Some(Progress::of(1, 3).with_message("one"));
    status.partial = Some(json!([1, "two", null]));
    status.metadata = Some([("a".to_owned(), json!({}))].into_iter().collect());
    let full = serde_json::to_value(&status).expect("json");
    assert!(conforms(&document, "JobStatusDocument", &full));
    // Exactly the members that are written are described.
    let described =
        document["components"]["schemas"]["JobStatusDocument"]["properties"].as_object();
    let described: BTreeSet<&String> = described.expect("properties").keys().collect();
    assert_eq!(
        full.as_object()
            .expect("members")
            .keys()
            .collect::<BTreeSet<_>>(),
        described
    );
    for (member, wrong) in [
        ("state", json!("weird")),
        ("attempt", json!(-1)),
        ("created", json!("yesterday")),
        ("progress", json!({ "fraction": 2 })),
        ("metadata", json!("text")),
        ("retry_after_ms", json!(1.5)),
    ] {
        let mut broken = full.clone();
        broken[member] = wrong;
        assert!(
            !conforms(&document, "JobStatusDocument", &broken),
            "{member}"
        );
    }
    for kind in [
        ProblemType::JobFailed,
        ProblemType::JobUnknown,
        ProblemType::StoreUnavailable,
    ] {
        let problem = Problem::new(kind)
            .with_detail("why")
            .with_instance("/work/1")
            .with_extension("more", 1);
        let problem = serde_json::to_value(problem).expect("json");
        assert!(conforms(&document, "JobProblem", &problem));
    }
    assert!(!conforms(
        &document,
        "JobProblem",
        &json!({ "status": "500" })
    ));
}

#[test]
fn every_state_of_a_job_is_described() {
    let document = json_of(&AsyncJobLayer::new().openapi());
    let states = document["components"]["schemas"]["JobState"]["enum"]
        .as_array()
        .expect("states");
    for state in states {
        let known: Result<JobState, _> = state.as_str().expect("text").parse();
        assert!(known.is_ok(), "{state}");
    }
    for state in [
        JobState::Queued,
        JobState::Running,
        JobState::Done,
        JobState::Failed,
        JobState::TimedOut,
        JobState::Lost,
        JobState::Cancelled,
        JobState::Expired,
        JobState::Unknown,
    ] {
        assert!(states.contains(&state.as_str().into()), "{state}");
    }
}
