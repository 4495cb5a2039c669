//! Which measurements make up which goal, and what they are held against.

use benches::{Headers, connection};

use crate::{
    Costs,
    table::{Row, number},
};

impl Costs {
    fn instructions(&self, case: &str) -> Option<f64> {
        self.instructions.as_ref().map(|counts| counts[case])
    }

    fn extra_instructions(&self, case: &str, bare: &str) -> Option<f64> {
        Some(self.instructions(case)? - self.instructions(bare)?)
    }

    fn extra_allocations(&self, case: &str, bare: &str) -> f64 {
        self.allocations[case] - self.allocations[bare]
    }

    /// What a case costs beyond its bare service, and what its peers do.
    fn overhead(
        &self,
        goal: &'static str,
        name: &'static str,
        (case, bare): (&str, &str),
        (instructions, allocations): (Option<f64>, Option<f64>),
        peers: &[(&str, &str)],
    ) -> [Row; 2] {
        let of_peers = |value: &dyn Fn(&str) -> Option<f64>| {
            peers
                .iter()
                .map(|(peer, case)| {
                    let value = value(case).map_or("–".to_owned(), number);
                    format!("{peer} {value}")
                })
                .collect::<Vec<_>>()
                .join(", ")
        };
        [
            Row {
                goal,
                case: name,
                unit: "instructions",
                measured: self.extra_instructions(case, bare),
                limit: instructions,
                peer: of_peers(&|case| self.extra_instructions(case, bare)),
            },
            Row {
                goal,
                case: name,
                unit: "allocations",
                measured: Some(self.extra_allocations(case, bare)),
                limit: allocations,
                peer: of_peers(&|case| Some(self.extra_allocations(case, bare))),
            },
        ]
    }

    /// A whole request to a server, held against one to another.
    fn request(
        &self,
        goal: &'static str,
        name: &'static str,
        case: &str,
        (peer, factor): (&str, Option<f64>),
    ) -> Row {
        let of_peer = self.instructions(peer);
        Row {
            goal,
            case: name,
            unit: "instructions",
            measured: self.instructions(case),
            limit: of_peer
                .zip(factor)
                .map(|(of_peer, factor)| of_peer * factor),
            peer: format!(
                "{} {}, {} to {} allocations",
                peer.trim_start_matches("connection/"),
                of_peer.map_or("–".to_owned(), number),
                number(self.allocations[case]),
                number(self.allocations[peer]),
            ),
        }
    }
}

/// All goals, in order.
pub(crate) fn rows(costs: &Costs) -> Vec<Row> {
    let mut rows = Vec::new();
    client(costs, &mut rows);
    server(costs, &mut rows);
    requests(costs, &mut rows);
    held(costs, &mut rows);
    rows
}

fn client(costs: &Costs, rows: &mut Vec<Row>) {
    rows.extend(costs.overhead(
        "1",
        "`PollLayer`, nothing to follow, no header",
        ("client/poll/0", "client/bare/0"),
        (Some(500.0), Some(0.0)),
        &[
            ("Timeout", "client/timeout/0"),
            ("Retry", "client/retry/0"),
            ("FollowRedirect", "client/redirect/0"),
        ],
    ));
    rows.extend(costs.overhead(
        "1",
        "… with a path-only URI",
        ("client/poll path/0", "client/bare path/0"),
        (Some(500.0), Some(0.0)),
        &[],
    ));
    rows.extend(costs.overhead(
        "1",
        "… eight headers made at run time, five of them kept",
        ("client/poll/8", "client/bare/8"),
        (Some(1_000.0), Some(Headers::KEPT_OF_EIGHT as f64)),
        &[
            ("Timeout", "client/timeout/8"),
            ("Retry", "client/retry/8"),
            ("FollowRedirect", "client/redirect/8"),
        ],
    ));
    rows.extend(costs.overhead(
        "1",
        "… eight static headers, five of them kept",
        ("client/poll/8 static", "client/bare/8 static"),
        (Some(1_000.0), Some(0.0)),
        &[
            ("Timeout", "client/timeout/8 static"),
            ("Retry", "client/retry/8 static"),
            ("FollowRedirect", "client/redirect/8 static"),
        ],
    ));
    rows.extend(costs.overhead(
        "2",
        "one followed hop, two headers, over one call",
        ("client/poll hop/2", "client/bare/2"),
        (Some(9_000.0), Some(8.0)),
        &[("FollowRedirect", "client/redirect hop/2")],
    ));
    rows.extend(costs.overhead(
        "2",
        "… over the two calls without anything between",
        ("client/poll hop/2", "client/two calls/2"),
        (None, None),
        &[("FollowRedirect", "client/redirect hop/2")],
    ));
}

fn server(costs: &Costs, rows: &mut Vec<Row>) {
    for (name, case, bare, instructions, allocations) in [
        (
            "`AsyncJobLayer` matched out, no header",
            "server/matched out/0",
            "server/bare/0",
            Some(150.0),
            Some(0.0),
        ),
        (
            "… eight headers",
            "server/matched out/8",
            "server/bare/8",
            Some(150.0),
            Some(0.0),
        ),
        (
            "handler ready at once, no context, no header",
            "server/inline, no context/0",
            "server/bare/0",
            Some(300.0),
            Some(1.0),
        ),
        (
            "… eight headers",
            "server/inline, no context/8",
            "server/bare/8",
            None,
            None,
        ),
        (
            "handler ready at once, defaults, no header",
            "server/inline/0",
            "server/bare/0",
            None,
            None,
        ),
        (
            "… eight headers",
            "server/inline/8",
            "server/bare/8",
            Some(2_200.0),
            Some(5.0),
        ),
    ] {
        rows.extend(costs.overhead("3", name, (case, bare), (instructions, allocations), &[]));
    }
}

fn requests(costs: &Costs, rows: &mut Vec<Row>) {
    let route = ("connection/axum route", Some(1.0));
    let submission = ("connection/hand-written submission", Some(1.2));
    for (name, case, peer) in [
        ("a poll, pending", "connection/job pending", route),
        ("a poll, done, 1 KiB", "connection/job done", route),
        (
            "a submission, no wait",
            "connection/job submission",
            submission,
        ),
        (
            "a poll, pending, by `Router::layer`",
            "connection/job pending, Router::layer",
            route,
        ),
        (
            "a poll, done, 1 KiB, by `Router::layer`",
            "connection/job done, Router::layer",
            route,
        ),
        (
            "a submission, no wait, by `Router::layer`",
            "connection/job submission, Router::layer",
            submission,
        ),
        (
            "hand-written poll, pending",
            "connection/hand-written pending",
            ("connection/axum route", None),
        ),
        (
            "hand-written poll, done, 1 KiB",
            "connection/hand-written done",
            ("connection/axum route", None),
        ),
        (
            "a fast POST, defaults",
            "connection/inline POST",
            ("connection/axum POST", None),
        ),
    ] {
        rows.push(costs.request("4", name, case, peer));
    }
}

fn held(costs: &Costs, rows: &mut Vec<Row>) {
    for (case, name, peer, limit) in [
        (
            "a parked job",
            "parked job",
            "parked, hand-written",
            Some(640.0),
        ),
        (
            "… without context",
            "parked job, no context",
            "parked, hand-written",
            None,
        ),
        (
            "a stored result of 1 KiB",
            "stored result",
            "stored result, hand-written",
            Some(1.4 * 1024.0),
        ),
    ] {
        let (own, peer) = (costs.held[name], costs.held[peer]);
        for (unit, measured, peer, limit) in [
            ("bytes resident (glibc)", own.resident, peer.resident, limit),
            ("bytes requested", own.requested, peer.requested, None),
        ] {
            rows.push(Row {
                goal: "5",
                case,
                unit,
                measured: Some(measured),
                limit,
                peer: format!("hand-written {}", number(peer)),
            });
        }
    }
}

/// What goes over the connections of goal 4, for the share of the kernel that is not counted.
pub(crate) fn traffic() -> String {
    let mut text =
        String::from("| case | reads | writes | bytes written |\n|---|---:|---:|---:|\n");
    const REQUESTS: u64 = 100;
    for case in [
        "axum route",
        "hand-written pending",
        "job pending",
        "hand-written done",
        "job done",
        "hand-written submission",
        "job submission",
    ] {
        let tally = connection::tally(&format!("connection/{case}"), REQUESTS);
        let each = |count: u64| number(count as f64 / REQUESTS as f64);
        text.push_str(&format!(
            "| {case} | {} | {} | {} |\n",
            each(tally.reads),
            each(tally.writes),
            each(tally.bytes),
        ));
    }
    text
}

/// Every case as it was counted.
pub(crate) fn everything(costs: &Costs) -> String {
    let mut text = String::from("| case | instructions | allocations |\n|---|---:|---:|\n");
    for (case, allocations) in &costs.allocations {
        let instructions = costs.instructions(case).map_or("–".to_owned(), number);
        let allocations = number(*allocations);
        text.push_str(&format!("| {case} | {instructions} | {allocations} |\n"));
    }
    text
}
