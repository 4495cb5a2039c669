//! Answers in the dialects of other APIs.

use http::{
    HeaderName, HeaderValue,
    header::{CONTENT_LOCATION, CONTENT_TYPE},
};
use http_polling::{JSON, PREFERENCE_APPLIED, StatusDocument};
use serde_json::json;

use crate::answer::Answer;

const AZURE_ASYNC_OPERATION: HeaderName = HeaderName::from_static("azure-asyncoperation");
const ODATA_VERSION: HeaderName = HeaderName::from_static("odata-version");
const ASYNC_RESULT: HeaderName = HeaderName::from_static("asyncresult");
const X_PROGRESS: HeaderName = HeaderName::from_static("x-progress");

/// Answers in the dialects of other APIs.
impl Answer {
    /// Creates the acceptance of Azure: a 202 with the status monitor in
    /// `Azure-AsyncOperation`. The monitor answers with
    /// [`status_field`](Self::status_field).
    ///
    /// ```
    /// use http::Method;
    /// use tower_poll_testkit::{Answer, Script};
    ///
    /// let script = Script::new()
    ///     .on(Method::PUT, "/disk", Answer::azure_accepted("/operation"))
    ///     .on(Method::GET, "/operation", Answer::status_field("status", "InProgress"))
    ///     .on(Method::GET, "/operation", Answer::status_field("status", "Succeeded"))
    ///     .on(Method::GET, "/disk", Answer::ok("the disk"));
    /// ```
    pub fn azure_accepted(monitor: &str) -> Self {
        Self::new(202).header(AZURE_ASYNC_OPERATION, monitor)
    }

    /// Creates the acceptance of OGC API Processes: a 201 with the job in
    /// `Location`, and with `Preference-Applied: respond-async`. The job
    /// answers with [`status_field`](Self::status_field).
    ///
    /// ```
    /// use http::Method;
    /// use tower_poll_testkit::{Answer, Script};
    ///
    /// let script = Script::new()
    ///     .on(Method::POST, "/processes/a/execution", Answer::ogc_created("/jobs/7"))
    ///     .on(Method::GET, "/jobs/7", Answer::status_field("status", "running"))
    ///     .on(Method::GET, "/jobs/7", Answer::status_field("status", "successful"))
    ///     .on(Method::GET, "/jobs/7/results", Answer::ok("a map"));
    /// ```
    pub fn ogc_created(location: &str) -> Self {
        Self::new(201)
            .header(http::header::LOCATION, location)
            .header(PREFERENCE_APPLIED, "respond-async")
            .json(&json!({ "status": "accepted" }))
    }

    /// Creates the acceptance of OData: a 202 with the status monitor in
    /// `Location`, and with `OData-Version`. The monitor answers 202, and then
    /// with [`odata_result`](Self::odata_result).
    ///
    /// ```
    /// use http::Method;
    /// use tower_poll_testkit::{Answer, Script};
    ///
    /// let script = Script::new()
    ///     .on(Method::POST, "/orders", Answer::odata_accepted("/monitor"))
    ///     .on(Method::GET, "/monitor", Answer::new(202))
    ///     .on(Method::GET, "/monitor", Answer::odata_result(201).body("{}"));
    /// ```
    pub fn odata_accepted(location: &str) -> Self {
        Self::accepted(location).header(ODATA_VERSION, "4.01")
    }

    /// Creates the result of OData: a 200 with the status code of the response
    /// in `AsyncResult`.
    ///
    /// ```
    /// let answer = tower_poll_testkit::Answer::odata_result(204);
    /// ```
    pub fn odata_result(status: u16) -> Self {
        Self::new(200).header(ASYNC_RESULT, HeaderValue::from(status))
    }

    /// Creates the acceptance of FHIR: a 202 with the status URL in
    /// `Content-Location`. That answers with
    /// [`fhir_progress`](Self::fhir_progress) until the work is done.
    ///
    /// ```
    /// use http::Method;
    /// use tower_poll_testkit::{Answer, Script};
    ///
    /// let script = Script::new()
    ///     .on(Method::GET, "/Patient/$export", Answer::fhir_accepted("/status/1"))
    ///     .on(Method::GET, "/status/1", Answer::fhir_progress("in progress: 60%"))
    ///     .on(Method::GET, "/status/1", Answer::ok("a manifest"));
    /// ```
    pub fn fhir_accepted(location: &str) -> Self {
        Self::new(202).header(CONTENT_LOCATION, location)
    }

    /// Creates the pending answer of FHIR: a 202 with `X-Progress`.
    ///
    /// ```
    /// let answer = tower_poll_testkit::Answer::fhir_progress("in progress: 60%");
    /// ```
    pub fn fhir_progress(progress: &str) -> Self {
        Self::new(202).header(X_PROGRESS, progress)
    }

    /// Creates a 200 with a JSON object of one member, as monitors with a
    /// status in their body answer.
    ///
    /// ```
    /// let answer = tower_poll_testkit::Answer::status_field("status", "Running");
    /// ```
    pub fn status_field(name: &str, value: &str) -> Self {
        Self::new(200).json(&json!({ name: value }))
    }

    /// Creates a 200 with a status document, as the status resource of
    /// `AsyncJobLayer` answers.
    ///
    /// ```
    /// use tower_poll_testkit::{
    ///     Answer,
    ///     http_polling::{JobState, StatusDocument},
    /// };
    ///
    /// let answer = Answer::status_document(&StatusDocument::new("1", JobState::Running));
    /// ```
    pub fn status_document(document: &StatusDocument) -> Self {
        Self::new(200)
            .header(CONTENT_TYPE, JSON)
            .body(document.to_json())
    }

    /// Sets the body, a JSON document, and its type.
    fn json(self, document: &serde_json::Value) -> Self {
        self.header(CONTENT_TYPE, JSON).body(document.to_string())
    }
}
