//! A call to test dialects with, and tests of all dialects.

use http::{
    HeaderMap, HeaderName, HeaderValue, Method, StatusCode, Uri, header::CONTENT_LOCATION,
    header::LOCATION,
};
use http_polling::{JobState, Problem};
use proptest::{collection::vec, option, prelude::*, sample::select};
use serde_json::json;

use super::*;

pub(super) const SUBMITTED_TO: &str = "https://example.com/things/7";

/// A call so far, as in the layer.
#[derive(Debug)]
pub(super) struct Call<'a> {
    dialect: &'a dyn Dialect,
    method: Method,
    submitted_to: Uri,
    announced: Announced,
}

impl<'a> Call<'a> {
    pub(super) fn new(dialect: &'a dyn Dialect, method: Method) -> Self {
        Self {
            dialect,
            method,
            submitted_to: Uri::from_static(SUBMITTED_TO),
            announced: Announced::default(),
        }
    }

    pub(super) fn to(mut self, uri: &'static str) -> Self {
        self.submitted_to = Uri::from_static(uri);
        self
    }

    pub(super) fn recognises(&self, status: u16, headers: &[(&'static str, &str)]) -> bool {
        let headers = header_map(headers);
        let status = StatusCode::from_u16(status).unwrap();
        self.dialect.recognises(&Answer::new(
            &self.method,
            &self.submitted_to,
            &Announced::default(),
            status,
            &headers,
        ))
    }

    /// Reads the answer to the submission.
    pub(super) fn submit(
        &mut self,
        status: u16,
        headers: &[(&'static str, &str)],
        body: &str,
    ) -> Result<Step, DialectError> {
        assert!(self.recognises(status, headers), "{status} {headers:?}");
        self.read(None, status, headers, body)
    }

    /// Reads the answer to a poll of `url`.
    pub(super) fn poll(
        &mut self,
        url: &'static str,
        status: u16,
        headers: &[(&'static str, &str)],
        body: &str,
    ) -> Result<Step, DialectError> {
        let url = Uri::from_static(url);
        self.read(Some(&url), status, headers, body)
    }

    fn read(
        &mut self,
        polled: Option<&Uri>,
        status: u16,
        headers: &[(&'static str, &str)],
        body: &str,
    ) -> Result<Step, DialectError> {
        let headers = header_map(headers);
        let url = polled.unwrap_or(&self.submitted_to).clone();
        self.announced.note(&url, &headers);
        let mut answer = Answer::new(
            &self.method,
            &self.submitted_to,
            &self.announced,
            StatusCode::from_u16(status).unwrap(),
            &headers,
        );
        if polled.is_some() {
            answer = answer.to_poll_of(&url);
        }
        match self.dialect.read(&answer)? {
            Step::NeedsBody => self.dialect.read(&answer.with_body(body.as_bytes())),
            step => Ok(step),
        }
    }
}

fn header_map(fields: &[(&'static str, &str)]) -> HeaderMap {
    fields
        .iter()
        .map(|(name, value)| {
            let value = HeaderValue::from_str(value).unwrap();
            (HeaderName::from_static(name), value)
        })
        .collect()
}

/// The interim that `step` has.
pub(super) fn pending(step: Result<Step, DialectError>) -> Interim {
    match step {
        Ok(Step::Pending(interim)) => interim,
        other => panic!("not pending: {other:?}"),
    }
}

pub(super) fn failure(step: Result<Step, DialectError>) -> (JobState, Option<Box<Problem>>) {
    match step {
        Ok(Step::Failed(state, problem)) => (state, problem),
        other => panic!("not failed: {other:?}"),
    }
}

pub(super) fn error(step: Result<Step, DialectError>) -> String {
    step.expect_err("no error").to_string()
}

pub(super) fn fetch(url: &'static str) -> Step {
    Step::Fetch(Uri::from_static(url))
}

fn all() -> Vec<Chosen> {
    let built_in = chosen::BUILT_IN.iter().copied().map(Chosen::BuiltIn);
    let others = NAMES.iter().filter_map(|name| named(name)).map(Chosen::Own);
    built_in.chain(others).collect()
}

#[test]
fn each_is_had_by_its_own_name() {
    for dialect in all() {
        let found = Chosen::by_name(dialect.name(), &[]);
        assert_eq!(found.unwrap().name(), dialect.name());
    }
    for unknown in ["esperanto", "", "status-document=", "status-document"] {
        assert!(Chosen::by_name(unknown, &[]).is_none(), "{unknown}");
    }
}

#[test]
fn every_name_that_is_told_is_known() {
    for name in NAMES {
        assert!(named(name).is_some(), "{name}");
    }
}

#[test]
fn answers_of_an_async_job_layer_are_recognised_by_none_that_is_built_in() {
    let headers = [
        ("location", "/work/1"),
        ("content-location", "/work/1"),
        ("preference-applied", "respond-async"),
        ("job-status", "running"),
    ];
    for dialect in chosen::BUILT_IN {
        for status in [200, 201, 202, 303] {
            let call = Call::new(dialect, Method::POST).to("https://example.com/a/execution");
            assert!(!call.recognises(status, &headers), "{dialect:?} {status}");
        }
    }
}

#[test]
fn plain_202_with_location_is_recognised_by_none_that_is_built_in() {
    for dialect in chosen::BUILT_IN {
        let call = Call::new(dialect, Method::POST);
        assert!(!call.recognises(202, &[("location", "/1")]), "{dialect:?}");
    }
}

fn dialect() -> impl Strategy<Value = Chosen> {
    static LOCATION: AzureResourceManager = AzureResourceManager::new()
        .poll_resources(true)
        .final_state(FinalState::Location);
    let mut all = all();
    all.push(Chosen::BuiltIn(&LOCATION));
    all.extend(named("status-document=status").map(Chosen::Own));
    select(all)
}

fn method() -> impl Strategy<Value = Method> {
    select(vec![
        Method::GET,
        Method::HEAD,
        Method::PUT,
        Method::PATCH,
        Method::POST,
        Method::DELETE,
    ])
}

fn status() -> impl Strategy<Value = StatusCode> {
    prop_oneof![
        select(vec![200, 201, 202, 204, 303, 404, 500]),
        100..1000_u16,
    ]
    .prop_map(|code| StatusCode::from_u16(code).unwrap())
}

fn headers() -> impl Strategy<Value = HeaderMap> {
    let name = select(vec![
        LOCATION,
        CONTENT_LOCATION,
        HeaderName::from_static("operation-location"),
        HeaderName::from_static("azure-asyncoperation"),
        HeaderName::from_static("content-type"),
        HeaderName::from_static("x-progress"),
        HeaderName::from_static("asyncresult"),
        HeaderName::from_static("odata-version"),
        HeaderName::from_static("preference-applied"),
    ]);
    let value = prop_oneof![
        vec(any::<u8>(), 0..40).prop_map(|mut bytes| {
            bytes.iter_mut().for_each(|byte| {
                if byte.is_ascii_control() {
                    *byte = b'%';
                }
            });
            HeaderValue::from_bytes(&bytes).unwrap()
        }),
        "[0-9.]{0,5}%?".prop_map(|text| HeaderValue::from_str(&text).unwrap()),
        select(vec!["application/json", "respond-async", "/a/status", "/1"])
            .prop_map(HeaderValue::from_static),
    ];
    vec((name, value), 0..6).prop_map(|fields| fields.into_iter().collect())
}

fn uri() -> impl Strategy<Value = Uri> {
    select(vec![
        "/",
        "*",
        "//",
        "/status",
        "//status",
        "/package.Service/Method",
        "/execution",
        "example.com:443",
        "https://example.com",
        "https://example.com/a:b/status",
        "https://example.com/jobs/7/?a=b",
        "https://example.com//jobs//",
        "https://example.com/%zz/status",
        SUBMITTED_TO,
    ])
    .prop_map(Uri::from_static)
}

/// JSON of the members that dialects know, of any type and nested.
fn document() -> impl Strategy<Value = serde_json::Value> {
    let leaf = prop_oneof![
        Just(json!(null)),
        any::<bool>().prop_map(|value| json!(value)),
        any::<f64>().prop_map(|value| json!(value)),
        ".{0,8}".prop_map(|value| json!(value)),
        select(vec![
            "Succeeded",
            "FAILED",
            "canceled",
            "successful",
            "dismissed",
            "done",
            "running",
            "results",
            "https://example.com/r",
            "//",
        ])
        .prop_map(|value| json!(value)),
    ];
    let name = select(vec![
        "id",
        "status",
        "state",
        "error",
        "code",
        "message",
        "properties",
        "provisioningState",
        "percentComplete",
        "progress",
        "resourceLocation",
        "links",
        "rel",
        "href",
    ]);
    leaf.prop_recursive(3, 24, 6, move |inner| {
        prop_oneof![
            vec(inner.clone(), 0..4).prop_map(|values| json!(values)),
            vec((name.clone(), inner), 0..6).prop_map(|members| {
                let members = members
                    .into_iter()
                    .map(|(name, value)| (name.into(), value));
                serde_json::Value::Object(members.collect())
            }),
        ]
    })
}

fn body() -> impl Strategy<Value = Vec<u8>> {
    prop_oneof![
        vec(any::<u8>(), 0..64),
        document().prop_map(|document| serde_json::to_vec(&document).unwrap()),
        Just(b"[".repeat(10_000)),
        Just(br#"{"properties":"#.repeat(10_000)),
    ]
}

proptest! {
    #[test]
    fn reading_any_answer_returns(
        dialect in dialect(),
        method in method(),
        submitted_to in uri(),
        polled in option::of(uri()),
        status in status(),
        before in headers(),
        headers in headers(),
        body in body(),
    ) {
        let mut announced = Announced::default();
        let asked = polled.as_ref().unwrap_or(&submitted_to);
        // An unusable announcement ends a call, and is not read.
        announced.note(&submitted_to, &before);
        announced.note(asked, &headers);
        let mut answer = Answer::new(&method, &submitted_to, &announced, status, &headers);
        if let Some(url) = &polled {
            answer = answer.to_poll_of(url);
        }
        let _ = dialect.recognises(&answer);
        let head = dialect.read(&answer);
        let whole = dialect.read(&answer.with_body(&body));
        prop_assert_ne!(whole.as_ref().ok(), Some(&Step::NeedsBody));
        if let Ok(step) = head && step != Step::NeedsBody {
            prop_assert_eq!(Some(step), whole.ok());
        }
    }

    #[test]
    fn unknown_states_are_pending(word in "[ -~]{1,20}", azure in any::<bool>()) {
        const ENDS: [&str; 6] =
            ["succeeded", "failed", "canceled", "cancelled", "successful", "dismissed"];
        prop_assume!(!ENDS.contains(&word.to_ascii_lowercase().as_str()));
        let (dialect, announced, status): (&dyn Dialect, _, _) = match azure {
            true => (&AzureResourceManager::new(), ("operation-location", "/jobs/1"), 202),
            false => (&OgcProcesses::new(), ("location", "/jobs/1"), 201),
        };
        let mut call = Call::new(dialect, Method::POST).to("https://example.com/a/execution");
        call.submit(status, &[announced], "").unwrap();
        let body = json!({ "status": word }).to_string();
        let step = call.poll("https://example.com/jobs/1", 200, &[], &body);
        prop_assert_eq!(pending(step).url, "https://example.com/jobs/1");
    }
}
