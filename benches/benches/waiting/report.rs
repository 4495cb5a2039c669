//! The tables, in Markdown.

use std::{fmt::Write, time::Duration};

use crate::{
    Case, SHORT_WORK,
    client::{Kind, Lateness},
    server::Answering,
};

/// The figures of a server while all clients wait, and until they have their answers.
#[derive(Debug)]
pub(crate) struct Waiting {
    pub(crate) case: Case,
    pub(crate) sockets: usize,
    /// The memory in bytes.
    pub(crate) memory: u64,
    pub(crate) cpu: Duration,
    pub(crate) lateness: Lateness,
}

/// The head of the table, whose rows [`row`] makes.
pub(crate) const HEADER: &str = "\
| clients that wait at once | open sockets | server memory | each | CPU a job | late, p50 | late, p99 |
|---|---:|---:|---:|---:|---:|---:|
";

pub(crate) fn row(waiting: &Waiting) -> String {
    let clients = waiting.case.clients();
    let milliseconds = |time: Duration| time.as_secs_f64() * 1e3;
    format!(
        "| {clients} {} | {} | {:.1} MB | {:.1} kB | {:.0} µs | {:.1} ms | {:.1} ms |",
        waiting.case.name,
        waiting.sockets,
        waiting.memory as f64 / 1e6,
        waiting.memory as f64 / clients as f64 / 1e3,
        waiting.cpu.as_secs_f64() / clients as f64 * 1e6,
        milliseconds(waiting.lateness.p50),
        milliseconds(waiting.lateness.p99),
    )
}

/// Formats goals 7 to 9. `calm` and `busy` are for short work, with few and with many jobs per second.
pub(crate) fn goals(all: &[Waiting], calm: Lateness, busy: Lateness) -> String {
    let mut table =
        "| goal | case | measured | goal | kept |\n|---|---|---:|---:|---|\n".to_owned();
    let mut row = |goal: u8, case: &str, unit: &str, measured: f64, limit: f64| {
        let kept = if measured <= limit { "yes" } else { "no" };
        let _ = writeln!(
            table,
            "| {goal} | {case} | {measured:.2} {unit} | ≤ {limit} | {kept} |"
        );
    };
    for waiting in all
        .iter()
        .filter(|waiting| waiting.case.answering == Answering::Jobs)
    {
        let case = waiting.case;
        let held = all
            .iter()
            .find(|held| held.case.answering == Answering::Held && held.case.tls == case.tls);
        let Some(held) = held else {
            continue;
        };
        let (goal, memory_limit) = match case.client {
            Kind::Naive => (8, 1.0),
            _ => (7, 0.2),
        };
        let memory = waiting.memory as f64 / held.memory as f64;
        let cpu = waiting.cpu.as_secs_f64() / held.cpu.as_secs_f64();
        row(
            goal,
            &format!("{}: memory", case.name),
            "times held",
            memory,
            memory_limit,
        );
        row(
            goal,
            &format!("{}: CPU a job", case.name),
            "times held",
            cpu,
            1.3,
        );
        if goal == 7 {
            let sockets = waiting.sockets as f64 * 1e3 / case.clients() as f64;
            row(
                goal,
                &format!("{}: open sockets", case.name),
                "of 1,000",
                sockets,
                1.0,
            );
        }
    }
    let part = |late: Duration| 100.0 * late.as_secs_f64() / SHORT_WORK.as_secs_f64();
    row(
        9,
        "work of 2 s, 50 jobs/s: lateness, p50",
        "%",
        part(calm.p50),
        2.0,
    );
    row(
        9,
        "work of 2 s, 1,000 jobs/s: lateness, p99",
        "%",
        part(busy.p99),
        10.0,
    );
    table
}
