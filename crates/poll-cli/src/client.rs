//! tower-poll's layer, configured by the command line.

use std::time::Duration;

use tower_poll::{
    Hop, PollLayer, PollPolicy, PollPolicyExt, Refusal, StandardPolicy,
    dialect::{AzureResourceManager, Dialect, FinalState},
    is_of_one_message,
    policy::{Clamp, Guarded, Jitter, Jittered, ServerDelay},
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

/// The policy for the delays and the origins of polls.
#[derive(Clone, Debug)]
pub(crate) struct Pace {
    /// The policy that allows the submission's origin and the named ones.
    named: StandardPolicy,
    /// The policy that allows every public origin, if the options permit that.
    public: Option<Public>,
}

type Public = Guarded<Guarded<Jittered<Clamp<ServerDelay>>>>;

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
            named: StandardPolicy::new().cross_origin(named),
            public: connection
                .cross_origin
                .contains(&Origin::Any)
                .then(|| public(Duration::ZERO, Duration::MAX)),
        }
    }

    fn within(self, min_delay: Duration, max_delay: Duration) -> Self {
        Self {
            named: self.named.min_delay(min_delay).max_delay(max_delay),
            public: self.public.map(|_| public(min_delay, max_delay)),
        }
    }
}

fn public(min_delay: Duration, max_delay: Duration) -> Public {
    ServerDelay::new()
        .clamp(min_delay..=max_delay)
        .jitter(Jitter::default())
        .no_downgrade()
        .refuse_private_addresses()
}

impl PollPolicy for Pace {
    fn next(&mut self, hop: &Hop<'_>) -> Result<Duration, Refusal> {
        match (self.named.next(hop), &mut self.public) {
            (Err(_), Some(public)) => public.next(hop),
            (judged, _) => judged,
        }
    }

    fn prepares_polls(&self) -> bool {
        false
    }
}

#[cfg(test)]
mod tests {
    use http::{HeaderMap, StatusCode, Uri};

    use super::*;

    fn allows(cross_origin: Vec<Origin>, to: &'static str) -> bool {
        let (from, to) = (
            Uri::from_static("https://example.com/report"),
            Uri::from_static(to),
        );
        let connection = Connection {
            cross_origin,
            ..Connection::default()
        };
        let headers = HeaderMap::new();
        let hop = Hop::new(&from, &to, StatusCode::SEE_OTHER, &headers);
        Pace::of(&connection).next(&hop).is_ok()
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
}
