//! The payloads of notifications: the node that sends, and hashes, never ids.

use std::fmt::Write as _;

use sha2::{Digest, Sha256};
use tower_async_job_core::JobHandle;

/// The bytes that a payload may have; PostgreSQL allows less than 8,000.
const LIMIT: usize = 7_900;

/// The digits of a number in a payload.
const DIGITS: usize = 16;

/// The random name of a handle of the store.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Node(u64);

impl Node {
    pub(super) fn random() -> Self {
        Self(JobHandle::random().to_bits())
    }
}

/// A payload that arrived.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Event {
    /// The node tests whether its notifications arrive.
    Probe,
    /// Anything may have happened.
    Everything,
    Hashes(Vec<u64>),
}

/// Returns the name of the channel of a schema, whose length is limited.
pub(super) fn channel(schema: &str) -> String {
    let digest: [u8; 32] = Sha256::digest(schema.as_bytes()).into();
    let bits = digest.first_chunk().copied().map_or(0, u64::from_be_bytes);
    format!("tower_async_job_{bits:016x}")
}

pub(super) fn probe(node: Node) -> String {
    format!("{:016x}?", node.0)
}

pub(super) fn everything(node: Node) -> String {
    format!("{:016x}*", node.0)
}

/// Returns the payloads that have all hashes.
pub(super) fn hashes(node: Node, hashes: &[u64]) -> Vec<String> {
    let payload = |hashes: &[u64]| {
        let mut text = format!("{:016x}:", node.0);
        for hash in hashes {
            let _ = write!(text, "{hash:016x}");
        }
        text
    };
    hashes.chunks(LIMIT / DIGITS - 2).map(payload).collect()
}

/// Parses a payload; `None` if it has another form, such as that of a newer release.
pub(super) fn parse(payload: &str) -> Option<(Node, Event)> {
    let number = |digits: &str| u64::from_str_radix(digits, 16).ok();
    let node = Node(number(payload.get(..DIGITS)?)?);
    let rest = payload.get(DIGITS + 1..)?;
    let event = match payload.as_bytes()[DIGITS] {
        b'?' => Event::Probe,
        b'*' => Event::Everything,
        b':' if rest.is_ascii() && rest.len().is_multiple_of(DIGITS) => {
            let digits = (0..rest.len()).step_by(DIGITS);
            let hashes = digits.map(|from| number(&rest[from..from + DIGITS]));
            Event::Hashes(hashes.collect::<Option<_>>()?)
        }
        _ => return None,
    };
    Some((node, event))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hashes_survive_in_payloads_of_limited_length() {
        let node = Node::random();
        let all: Vec<u64> = (0..2_000).map(|number| number << 40).collect();
        let payloads = hashes(node, &all);
        assert!(payloads.iter().all(|payload| payload.len() < 8_000));
        let mut found = Vec::new();
        for payload in payloads {
            let Some((sender, Event::Hashes(hashes))) = parse(&payload) else {
                panic!("{payload} has no hashes");
            };
            assert_eq!(sender, node);
            found.extend(hashes);
        }
        assert_eq!(found, all);
    }

    #[test]
    fn probes_are_told_apart_and_others_are_ignored() {
        let node = Node::random();
        assert_eq!(parse(&probe(node)), Some((node, Event::Probe)));
        assert_eq!(parse(&everything(node)), Some((node, Event::Everything)));
        for other in [
            "",
            "x",
            "0123456789abcdef",
            "0123456789abcdef!",
            "0123456789abcdef:12",
            "ééééééééé",
        ] {
            assert_eq!(parse(other), None, "{other}");
        }
    }
}
