//! The errors that a scripted server returns.

use std::{error::Error, fmt};

/// The error of a scripted server, of any type.
pub type BoxError = Box<dyn Error + Send + Sync>;

/// A scripted failure of the connection, with its message as text.
///
/// ```
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() {
/// use http::Request;
/// use tower::ServiceExt;
/// use tower_poll_testkit::{ConnectionFailure, Script};
///
/// let server = Script::new().failure("connection reset").server();
/// let error = server.oneshot(Request::new(())).await.unwrap_err();
/// assert!(error.is::<ConnectionFailure>());
/// assert_eq!(error.to_string(), "connection reset");
/// # }
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConnectionFailure(pub(crate) String);

impl fmt::Display for ConnectionFailure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl Error for ConnectionFailure {}

/// The error of a request that is not in the script. All later requests get
/// it too, and
/// [`assert_finished`](crate::ScriptedServer::assert_finished) panics with it.
///
/// ```
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() {
/// use http::{Method, Request};
/// use tower::ServiceExt;
/// use tower_poll_testkit::{Answer, Script, ScriptError};
///
/// let server = Script::new().on(Method::POST, "/report", Answer::ok("")).server();
/// let error = server.oneshot(Request::new(())).await.unwrap_err();
/// assert!(error.is::<ScriptError>());
/// assert_eq!(
///     error.to_string(),
///     "step 1 of 1 expects `POST /report`, and the client sent `GET /`",
/// );
/// # }
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ScriptError(pub(crate) String);

impl fmt::Display for ScriptError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl Error for ScriptError {}
