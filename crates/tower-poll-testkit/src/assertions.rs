//! Assertions about the client of a scripted server.

use std::{fmt::Write as _, time::Duration};

use http::{
    HeaderName, HeaderValue,
    header::{AUTHORIZATION, COOKIE, PROXY_AUTHORIZATION},
};
use http_polling::same_origin;

use crate::{received::ReceivedRequest, server::ScriptedServer};

/// The headers that are credentials under any value.
const CREDENTIALS: [HeaderName; 9] = [
    AUTHORIZATION,
    COOKIE,
    PROXY_AUTHORIZATION,
    HeaderName::from_static("api-key"),
    HeaderName::from_static("x-api-key"),
    HeaderName::from_static("x-auth-token"),
    HeaderName::from_static("x-goog-api-key"),
    HeaderName::from_static("x-functions-key"),
    HeaderName::from_static("ocp-apim-subscription-key"),
];

/// The least length of a credential that is searched for in other values.
/// Shorter ones occur in them by chance.
const SEARCHED: usize = 6;

/// Assertions.
impl ScriptedServer {
    /// Asserts that each step of the script got the request that it expects,
    /// and that no other request came.
    ///
    /// # Panics
    ///
    /// Panics with the first step that differs or is left, and all requests.
    ///
    /// ```should_panic
    /// let server = tower_poll_testkit::Script::new().response(200, "").server();
    /// server.assert_finished(); // step 1 of 1 (answers 200) got no request
    /// ```
    #[track_caller]
    pub fn assert_finished(&self) {
        if let Some(difference) = self.difference() {
            panic!("{difference}\n{}", self.listed());
        }
    }

    /// Asserts the method and the target of each request, as `GET /work/1`.
    ///
    /// # Panics
    ///
    /// Panics with both lists if they differ.
    ///
    /// ```should_panic
    /// let server = tower_poll_testkit::Script::new().server();
    /// server.assert_requests(["POST /report"]);
    /// ```
    #[track_caller]
    pub fn assert_requests<T: AsRef<str>>(&self, expected: impl IntoIterator<Item = T>) {
        let requests = self.requests();
        let sent: Vec<String> = requests.iter().map(ToString::to_string).collect();
        let expected: Vec<T> = expected.into_iter().collect();
        let is_equal = sent.len() == expected.len()
            && sent.iter().zip(&expected).all(|(a, b)| a == b.as_ref());
        if !is_equal {
            let lines: String = expected
                .iter()
                .map(|request| format!("\n  {}", request.as_ref()))
                .collect();
            panic!("expected requests:{lines}\n{}", self.listed());
        }
    }

    /// Asserts the number of [polls](Self::polls).
    ///
    /// # Panics
    ///
    /// Panics with all requests if there were more or fewer.
    ///
    /// ```
    /// let server = tower_poll_testkit::Script::new().server();
    /// server.assert_polls(0);
    /// ```
    #[track_caller]
    pub fn assert_polls(&self, expected: usize) {
        let polls = self.polls();
        assert!(
            polls == expected,
            "expected {expected} polls, and the client sent {polls}\n{}",
            self.listed(),
        );
    }

    /// Asserts all [delays](Self::delays), exactly. The client must not add
    /// jitter, and the time must be paused.
    ///
    /// # Panics
    ///
    /// Panics with the first delay that differs, and all requests.
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread", start_paused = true)]
    /// # async fn main() {
    /// use std::time::Duration;
    /// use http::Request;
    /// use tower::{Layer, ServiceExt};
    /// use tower_poll::{PollLayer, StandardPolicy};
    /// use tower_poll_testkit::Script;
    ///
    /// let server = Script::new()
    ///     .pending("/work/1", Duration::from_secs(3))
    ///     .pending("/work/1", Duration::from_secs(1))
    ///     .response(200, "")
    ///     .server();
    /// let policy = StandardPolicy::new().jittered(false);
    /// let client = PollLayer::with_policy(policy).layer(server.clone());
    /// client.oneshot(Request::new(String::new())).await.unwrap();
    /// server.assert_delays([3, 1].map(Duration::from_secs));
    /// # }
    /// ```
    #[track_caller]
    pub fn assert_delays(&self, expected: impl IntoIterator<Item = Duration>) {
        let delays = self.delays();
        let expected: Vec<Duration> = expected.into_iter().collect();
        assert!(
            delays.len() == expected.len(),
            "expected {} delays, and the client made {}\n{}",
            expected.len(),
            delays.len(),
            self.listed(),
        );
        for (number, (delay, expected)) in delays.iter().zip(&expected).enumerate() {
            assert!(
                delay == expected,
                "expected {expected:?} before request {}, and the client waited {delay:?}\n{}",
                number + 2,
                self.listed(),
            );
        }
    }

    /// Asserts that no request came earlier than the answer before it asked for
    /// by `Retry-After` or `retry-after-ms`.
    ///
    /// A policy's `max_delay` (60 s by default) may be a reason to poll earlier.
    ///
    /// # Panics
    ///
    /// Panics with the first request that came too early, and all requests.
    ///
    /// ```should_panic
    /// # #[tokio::main(flavor = "current_thread", start_paused = true)]
    /// # async fn main() {
    /// use std::time::Duration;
    /// use http::Request;
    /// use tower::ServiceExt;
    /// use tower_poll_testkit::Script;
    ///
    /// let server = Script::new()
    ///     .pending("/work/1", Duration::from_secs(3))
    ///     .response(200, "")
    ///     .server();
    /// // A client that follows the redirect at once.
    /// server.clone().oneshot(Request::post("/report").body(()).unwrap()).await.unwrap();
    /// server.clone().oneshot(Request::get("/work/1").body(()).unwrap()).await.unwrap();
    /// server.assert_retry_after_kept();
    /// # }
    /// ```
    #[track_caller]
    pub fn assert_retry_after_kept(&self) {
        let requests = self.requests();
        let asked = requests.iter().map(|request| request.retry_after);
        for (number, (asked, delay)) in asked.zip(self.delays()).enumerate() {
            let Some(asked) = asked else { continue };
            assert!(
                delay >= asked,
                "request {} came after {delay:?}, and the answer before it asked for \
                 {asked:?}\n{}",
                number + 2,
                self.listed(),
            );
        }
    }

    /// Asserts that no credentials of the first request were sent to another
    /// origin (scheme, host and port).
    ///
    /// Credentials are `Authorization`, `Proxy-Authorization`, cookies, the
    /// usual headers of API keys, and every value that is marked
    /// [sensitive](HeaderValue::set_sensitive). A request to another origin must
    /// have none of them, and no credential of the first request in any
    /// value or in its URI. Credentials of less than 6 bytes are searched for
    /// in headers of their own name only.
    ///
    /// # Panics
    ///
    /// Panics with the request and the name of the header.
    ///
    /// ```should_panic
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() {
    /// use http::Request;
    /// use tower::ServiceExt;
    /// use tower_poll_testkit::{Answer, Script};
    ///
    /// let server = Script::new().always(Answer::ok("")).server();
    /// for uri in ["https://api.test/report", "https://elsewhere.test/work/1"] {
    ///     let request = Request::get(uri).header("authorization", "Bearer secret");
    ///     server.clone().oneshot(request.body(()).unwrap()).await.unwrap();
    /// }
    /// server.assert_no_credentials_elsewhere();
    /// # }
    /// ```
    #[track_caller]
    pub fn assert_no_credentials_elsewhere(&self) {
        let requests = self.requests();
        let Some((first, later)) = requests.split_first() else {
            return;
        };
        let secrets = secrets(first);
        for (number, request) in (2..).zip(later) {
            if same_origin(&first.uri, &request.uri) {
                continue;
            }
            if let Some(place) = credential_in(request, &secrets) {
                panic!(
                    "request {number} took credentials to another origin, {}://{}, in {place}\n{}",
                    request.uri.scheme_str().unwrap_or_default(),
                    request
                        .uri
                        .authority()
                        .map_or("", |authority| authority.as_str()),
                    self.listed(),
                );
            }
        }
    }

    /// Lists the requests, with their times.
    fn listed(&self) -> String {
        let requests = self.requests();
        if requests.is_empty() {
            return "the client sent no request".to_owned();
        }
        let mut text = "the client sent:".to_owned();
        for (number, request) in (1..).zip(&requests) {
            // Writing to a text does not fail.
            let _ = write!(text, "\n  {number}. {request} at {:?}", request.at);
        }
        text
    }
}

fn is_credential(name: &HeaderName, value: &HeaderValue) -> bool {
    value.is_sensitive() || CREDENTIALS.contains(name)
}

/// The credentials of a request: the values of its cookies, the part of
/// `Authorization` after the scheme, and other values as a whole.
fn secrets(request: &ReceivedRequest) -> Vec<Vec<u8>> {
    let headers = request.headers.iter();
    let credentials = headers.filter(|(name, value)| is_credential(name, value));
    let secrets = credentials.flat_map(|(name, value)| -> Vec<&[u8]> {
        let value = value.as_bytes();
        if *name == COOKIE {
            let cookies = value.split(|byte| *byte == b';');
            cookies.map(|cookie| after(b'=', cookie)).collect()
        } else if *name == AUTHORIZATION || *name == PROXY_AUTHORIZATION {
            vec![after(b' ', value)]
        } else {
            vec![value]
        }
    });
    secrets
        .filter(|secret| secret.len() >= SEARCHED)
        .map(<[u8]>::to_vec)
        .collect()
}

/// Returns the part of `text` after the first `byte`, or all of it without one.
fn after(byte: u8, text: &[u8]) -> &[u8] {
    let place = text.iter().position(|other| *other == byte);
    &text[place.map_or(0, |place| place + 1)..]
}

/// Returns the part of `request` that has a credential.
fn credential_in(request: &ReceivedRequest, secrets: &[Vec<u8>]) -> Option<String> {
    let has_secret = |text: &[u8]| {
        let mut secrets = secrets.iter();
        secrets.any(|secret| text.windows(secret.len()).any(|part| part == secret))
    };
    if has_secret(request.uri.to_string().as_bytes()) {
        return Some("its URI".to_owned());
    }
    let mut headers = request.headers.iter();
    let (name, _) =
        headers.find(|(name, value)| is_credential(name, value) || has_secret(value.as_bytes()))?;
    Some(format!("`{name}`"))
}
