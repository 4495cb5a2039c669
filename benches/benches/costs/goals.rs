//! The goals, with their measurements and the peers that these are compared with.

use benches::connection;

use crate::{
    Costs,
    table::{Limit, Row, number},
};

/// Peers of the server layer.
const AXUM_ROUTE: &str = "connection/axum route";
const AXUM_POST: &str = "connection/axum POST";

impl Costs {
    fn instructions(&self, case: &str) -> Option<f64> {
        self.instructions.as_ref().map(|counts| counts[case])
    }

    /// Creates a goal for a whole request, compared with a request through a peer.
    fn request(&self, goal: &'static str, name: &str, case: &str, peer: &str, limit: Limit) -> Row {
        Row {
            goal,
            case: name.to_owned(),
            unit: "instructions",
            measured: self.instructions(case),
            peer: Some((short(peer), self.instructions(peer))),
            limit,
        }
    }

    /// The instructions of a layer beyond those of its bare service.
    fn extra(&self, goal: &'static str, name: &str, case: &str, bare: &str, limit: Limit) -> Row {
        let own = self.instructions(case).zip(self.instructions(bare));
        Row {
            goal,
            case: name.to_owned(),
            unit: "more instructions",
            measured: own.map(|(own, bare)| own - bare),
            peer: Some((short(bare), self.instructions(bare))),
            limit,
        }
    }

    /// The allocations of a layer beyond those of its bare service.
    fn allocations(
        &self,
        goal: &'static str,
        name: &str,
        (case, bare): (&str, &str),
        most: f64,
    ) -> Row {
        Row {
            goal,
            case: name.to_owned(),
            unit: "more allocations",
            measured: Some(self.allocations[case] - self.allocations[bare]),
            peer: Some((short(bare), Some(self.allocations[bare]))),
            limit: Limit::Most(most),
        }
    }

    /// The memory of a held thing, in bytes.
    fn held(
        &self,
        goal: &'static str,
        name: &str,
        (own, peer): (&str, &str),
        limits: &[Limit],
    ) -> Vec<Row> {
        let (held, of_peer) = (self.held[own], self.held[peer]);
        let row = |unit, measured, of_peer, limit| Row {
            goal,
            case: name.to_owned(),
            unit,
            measured: Some(measured),
            peer: Some((peer.to_owned(), Some(of_peer))),
            limit,
        };
        let resident =
            |limit: &Limit| row("bytes resident", held.resident, of_peer.resident, *limit);
        let mut rows: Vec<Row> = limits.iter().map(resident).collect();
        rows.push(row(
            "bytes requested",
            held.requested,
            of_peer.requested,
            Limit::None,
        ));
        rows
    }
}

/// Returns the name of a case without the common part.
fn short(case: &str) -> String {
    case.trim_start_matches("connection/").to_owned()
}

/// All goals, in order.
pub(crate) fn rows(costs: &Costs) -> Vec<Row> {
    [
        polls(costs),
        submissions(costs),
        inline(costs),
        client(costs),
        held(costs),
    ]
    .concat()
}

fn polls(costs: &Costs) -> Vec<Row> {
    let same = "connection/axum route, same answer";
    let fair = "connection/fair hand-written pending";
    let row = |name, case, peer, limit| costs.request("1", name, case, peer, limit);
    vec![
        row(
            "a pending poll",
            "connection/job pending",
            same,
            Limit::Ratio(0.80),
        ),
        row("…", "connection/job pending", fair, Limit::None),
        row(
            "…",
            "connection/job pending",
            "connection/hyper, same answer",
            Limit::None,
        ),
        row(
            "… by `Router::layer`",
            "connection/job pending, Router::layer",
            same,
            Limit::None,
        ),
        row(
            "a poll of a result of 1 KiB",
            "connection/job done",
            AXUM_ROUTE,
            Limit::Ratio(0.85),
        ),
        row(
            "…",
            "connection/job done",
            "connection/hand-written done",
            Limit::None,
        ),
        row(
            "… by `Router::layer`",
            "connection/job done, Router::layer",
            AXUM_ROUTE,
            Limit::None,
        ),
    ]
}

fn submissions(costs: &Costs) -> Vec<Row> {
    let fair = "connection/fair hand-written submission";
    let row = |name, case, peer, limit| costs.request("2", name, case, peer, limit);
    vec![
        row(
            "a submission",
            "connection/job submission",
            fair,
            Limit::Ratio(0.85),
        ),
        row("…", "connection/job submission", AXUM_POST, Limit::None),
        row(
            "… by `Router::layer`",
            "connection/job submission, Router::layer",
            fair,
            Limit::None,
        ),
    ]
}

fn inline(costs: &Costs) -> Vec<Row> {
    let extra = |name, case, bare, limit| costs.extra("3", name, case, bare, limit);
    let most = Limit::Most(330.0);
    let without = ("server/inline, no context/0", "server/bare/0");
    vec![
        costs.request(
            "3",
            "a fast POST",
            "connection/inline POST",
            AXUM_POST,
            Limit::Ratio(1.15),
        ),
        costs.request(
            "3",
            "… by `Router::layer`",
            "connection/inline POST, Router::layer",
            AXUM_POST,
            Limit::None,
        ),
        extra(
            "matched out, no header",
            "server/matched out/0",
            "server/bare/0",
            most,
        ),
        extra(
            "… eight headers",
            "server/matched out/8",
            "server/bare/8",
            most,
        ),
        extra(
            "ready at once, without context",
            without.0,
            without.1,
            Limit::None,
        ),
        costs.allocations("3", "…", without, 1.0),
        extra(
            "ready at once, eight headers",
            "server/inline/8",
            "server/bare/8",
            Limit::None,
        ),
    ]
}

fn client(costs: &Costs) -> Vec<Row> {
    let extra = |name, case, bare, limit| costs.extra("4", name, case, bare, limit);
    let hop = |case: &str| {
        costs
            .instructions(case)
            .zip(costs.instructions("client/bare/2"))
    };
    let hop = |case: &str| hop(case).map(|(hop, bare)| hop - bare);
    vec![
        extra(
            "pass-through, no header",
            "client/poll/0",
            "client/bare/0",
            Limit::Most(500.0),
        ),
        costs.allocations("4", "…", ("client/poll/0", "client/bare/0"), 0.0),
        extra(
            "… path-only URI",
            "client/poll path/0",
            "client/bare path/0",
            Limit::Most(500.0),
        ),
        extra(
            "… eight headers, five kept",
            "client/poll/8",
            "client/bare/8",
            Limit::Most(1_050.0),
        ),
        costs.allocations("4", "…", ("client/poll/8", "client/bare/8"), 0.0),
        extra(
            "tower's Timeout, eight headers",
            "client/timeout/8",
            "client/bare/8",
            Limit::None,
        ),
        extra(
            "tower's Retry, eight headers",
            "client/retry/8",
            "client/bare/8",
            Limit::None,
        ),
        extra(
            "tower-http's FollowRedirect, eight headers",
            "client/redirect/8",
            "client/bare/8",
            Limit::None,
        ),
        Row {
            goal: "4",
            case: "one hop, two headers".to_owned(),
            unit: "more instructions",
            measured: hop("client/poll hop/2"),
            peer: Some((
                "tower-http's FollowRedirect".to_owned(),
                hop("client/redirect hop/2"),
            )),
            limit: Limit::Ratio(0.60),
        },
        costs.allocations("4", "…", ("client/poll hop/2", "client/bare/2"), 8.0),
    ]
}

fn held(costs: &Costs) -> Vec<Row> {
    let fair = "parked, fair hand-written";
    let parked = [Limit::Ratio(0.85), Limit::Most(760.0)];
    let stored = ("stored result", "stored result, hand-written");
    [
        costs.held("5", "a parked job", ("parked job", fair), &parked),
        costs.held(
            "5",
            "a stored result of 1 KiB",
            stored,
            &[Limit::Ratio(0.70)],
        ),
        costs.held(
            "10",
            "a client's waiting call",
            ("waiting call", "held call"),
            &[Limit::Ratio(0.25)],
        ),
    ]
    .concat()
}

/// The traffic of the connections, for the share of the kernel that is not counted.
pub(crate) fn traffic() -> String {
    let mut text =
        String::from("| case | reads | writes | bytes written |\n|---|---:|---:|---:|\n");
    const REQUESTS: u64 = 100;
    for case in [
        "axum route",
        "axum route, same answer",
        "fair hand-written pending",
        "job pending",
        "hand-written done",
        "job done",
        "fair hand-written submission",
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
