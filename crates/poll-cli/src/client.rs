//! tower-poll's layer, configured by the command line.

use std::{mem, time::Duration};

use http::{HeaderMap, StatusCode, Uri};
use tower_poll::{
    Hop, PollLayer, PollPolicy, PollPolicyExt, Refusal, StandardPolicy,
    dialect::{AzureResourceManager, Dialect, FinalState},
    is_of_one_message,
    policy::{Guarded, ServerDelay},
};

use crate::{
    arguments::{self, Connection, Follow},
    progress::Screen,
    request::{HeaderLine, Origin},
};

/// Creates a layer that polls at the origins that `connection` allows.
pub(crate) fn layer(connection: &Connection) -> PollLayer<Pace> {
    let layer = PollLayer::with_policy(Pace::of(connection));
    speaking(layer, connection)
}

/// Adds the headers and dialects of `connection` to `layer`.
fn speaking(mut layer: PollLayer<Pace>, connection: &Connection) -> PollLayer<Pace> {
    for dialect in connection.dialects() {
        layer = layer.dialect(dialect);
    }
    for name in connection.headers.iter().map(HeaderLine::name) {
        if !is_of_one_message(name) {
            layer = layer.keep_header(name.clone());
        }
    }
    for name in &connection.keep_header {
        layer = layer.keep_header(name.clone());
    }
    layer
}

/// Creates a [`layer`] with the limits of `follow`, which shows every pending
/// answer on `screen`.
pub(crate) fn following(
    connection: &Connection,
    follow: &Follow,
    screen: &Screen,
) -> PollLayer<Pace> {
    let pace = Pace::of(connection).within(follow.min_delay, follow.max_delay);
    let screen = screen.clone();
    let mut layer = PollLayer::with_policy(pace);
    if let Some(state) = follow.final_state {
        // Takes precedence over the one of the same kind that --dialect names.
        layer = layer.dialect(azure(state, connection));
    }
    layer = speaking(layer, connection)
        .observe(move |update| screen.update(update))
        .not_found_grace(follow.not_found_grace)
        .poll_retries(follow.poll_retries)
        .max_polls(follow.max_polls);
    if let Some(deadline) = follow.deadline {
        layer = layer.deadline(deadline);
    }
    if let Some(wait) = follow.wait {
        layer = layer.prefer_wait(wait).long_poll(wait);
    }
    layer
}

/// Creates Azure's dialect with the final state that the operation's
/// description names. It reads resources too if `--dialect` asks for that.
fn azure(state: arguments::FinalState, connection: &Connection) -> AzureResourceManager {
    let resources = AzureResourceManager::new().poll_resources(true);
    let mut dialects = connection.dialects();
    let azure = match dialects.any(|dialect| dialect.name() == resources.name()) {
        true => resources,
        false => AzureResourceManager::new(),
    };
    azure.final_state(match state {
        arguments::FinalState::Location => FinalState::Location,
        arguments::FinalState::OriginalUri => FinalState::OriginalUri,
        arguments::FinalState::OperationLocation => FinalState::OperationLocation,
        arguments::FinalState::AzureAsyncOperation => FinalState::AzureAsyncOperation,
    })
}

/// Returns whether a job of `from` may be asked for at `to`.
pub(crate) fn allows(connection: &Connection, from: &Uri, to: &Uri) -> bool {
    let headers = HeaderMap::new();
    let hop = Hop::new(from, to, StatusCode::SEE_OTHER, &headers);
    Pace::of(connection).next(&hop).is_ok()
}

/// The policy for the delays and the origins of polls.
#[derive(Clone, Debug)]
pub(crate) struct Pace {
    /// The policy for the submission's origin and the allowed ones.
    allowed: StandardPolicy,
    /// The condition for other origins to be allowed, if the options permit every public one.
    public: Option<Guarded<Guarded<ServerDelay>>>,
}

impl Pace {
    fn of(connection: &Connection) -> Self {
        let named = connection
            .cross_origin
            .iter()
            .filter_map(|origin| match origin {
                Origin::One(uri) => Some(uri.clone()),
                Origin::Any => None,
            });
        Self {
            allowed: StandardPolicy::new().cross_origin(named),
            public: connection
                .cross_origin
                .contains(&Origin::Any)
                .then(|| ServerDelay::new().no_downgrade().refuse_private_addresses()),
        }
    }

    /// Sets the bounds of the delays. Without `max_delay`, the upper one is that of
    /// [`StandardPolicy`].
    fn within(mut self, min_delay: Duration, max_delay: Option<Duration>) -> Self {
        self.allowed = self.allowed.min_delay(min_delay);
        if let Some(max_delay) = max_delay {
            self.allowed = self.allowed.max_delay(max_delay);
        }
        self
    }
}

impl PollPolicy for Pace {
    fn next(&mut self, hop: &Hop<'_>) -> Result<Duration, Refusal> {
        match (self.allowed.next(hop), &mut self.public) {
            (Err(_), Some(public)) => {
                public.next(hop)?;
                self.allowed = mem::take(&mut self.allowed).cross_origin([hop.to().clone()]);
                self.allowed.next(hop)
            }
            (judged, _) => judged,
        }
    }

    fn prepares_polls(&self) -> bool {
        false
    }
}

#[cfg(test)]
mod tests {
    use http::{HeaderMap, HeaderValue, StatusCode, Uri};
    use http_polling::JobState;

    use super::*;

    fn allows(cross_origin: Vec<Origin>, to: &'static str) -> bool {
        let connection = Connection {
            cross_origin,
            ..Connection::default()
        };
        let from = Uri::from_static("https://example.com/report");
        super::allows(&connection, &from, &Uri::from_static(to))
    }

    #[test]
    fn other_origins_are_refused_unless_allowed() {
        let named = || Origin::One(Uri::from_static("https://10.0.0.1"));
        for (to, by_default, by_name, all_public) in [
            ("https://example.com/work/1", true, true, true),
            ("https://jobs.example.com/work/1", false, false, true),
            ("https://10.0.0.1/work/1", false, true, false),
            ("https://169.254.169.254/work/1", false, false, false),
            ("http://example.com/work/1", false, false, false),
        ] {
            assert_eq!(allows(vec![], to), by_default, "{to}");
            assert_eq!(allows(vec![named()], to), by_name, "{to}");
            assert_eq!(allows(vec![Origin::Any], to), all_public, "{to}");
        }
    }

    #[test]
    fn delays_are_those_of_the_server_unless_bounded() {
        let connection = Connection {
            cross_origin: vec![Origin::Any],
            ..Connection::default()
        };
        let second = Duration::from_secs(1);
        let mut headers = HeaderMap::new();
        headers.insert("job-status", HeaderValue::from_static("running"));
        headers.insert("retry-after-ms", HeaderValue::from_static("600000"));
        let from = Uri::from_static("https://example.com/report");
        for to in ["https://example.com/work/1", "https://jobs.example.com/1"] {
            let to = Uri::from_static(to);
            let hop = Hop::new(&from, &to, StatusCode::SEE_OTHER, &headers)
                .with_state(JobState::Running)
                .with_retry_after(600 * second);
            let delay = |max| Pace::of(&connection).within(second, max).next(&hop).ok();
            assert_eq!(delay(None), Some(600 * second), "{to}");
            let bounded = delay(Some(60 * second)).unwrap_or_default();
            assert!((60 * second..=61 * second).contains(&bounded), "{to}");
        }
    }
}
