//! The display of the progress, and of the timeline at the end.

use indicatif::{ProgressBar, ProgressStyle};

use crate::watch::Exchange;

/// The length of the bar.
const THOUSANDTHS: f64 = 1000.0;

/// The display of the progress on standard error: a bar on a terminal, otherwise a line for each
/// pending answer.
#[derive(Clone)]
pub(crate) struct ProgressDisplay {
    bar: ProgressBar,
}

impl ProgressDisplay {
    pub(crate) fn new() -> Self {
        let style = ProgressStyle::with_template("{elapsed:>4} {bar:30} {wide_msg}")
            .expect("the template is valid");
        let bar = ProgressBar::new(THOUSANDTHS as u64).with_style(style);
        Self { bar }
    }

    /// Shows the progress in a pending answer.
    pub(crate) fn show(&self, exchange: &Exchange) {
        let Some(document) = &exchange.document else {
            return;
        };
        let mut message = state(exchange);
        if let Some(progress) = &document.progress {
            message = format!("{message}, {progress}");
            self.bar
                .set_position((progress.ratio().unwrap_or(0.0) * THOUSANDTHS) as u64);
        }
        if self.bar.is_hidden() {
            eprintln!("{message}");
        }
        self.bar.set_message(message);
    }

    pub(crate) fn finish(&self) {
        self.bar.finish_and_clear();
    }
}

/// Prints the exchanges, a line for each request.
pub(crate) fn print_timeline(exchanges: &[Exchange]) {
    let titles = [
        "sent",
        "method",
        "path",
        "status",
        "Job-Status",
        "Retry-After",
        "Location",
    ];
    let mut rows = vec![titles.map(str::to_owned)];
    rows.extend(exchanges.iter().map(row));
    let widths: [usize; 7] = std::array::from_fn(|column| {
        let lengths = rows.iter().map(|row| row[column].chars().count());
        lengths.max().unwrap_or(0)
    });
    for row in rows {
        let cells = row
            .iter()
            .zip(widths)
            .map(|(cell, width)| format!("{cell:width$}"));
        println!("{}", cells.collect::<Vec<_>>().join("  ").trim_end());
    }
}

fn row(exchange: &Exchange) -> [String; 7] {
    let path = exchange
        .uri
        .path_and_query()
        .map_or("/", |path| path.as_str());
    [
        format!("{:.3} s", exchange.sent.as_secs_f64()),
        exchange.method.to_string(),
        shorten(path),
        exchange.status.as_str().to_owned(),
        state(exchange),
        retry_after(exchange),
        exchange
            .location
            .as_deref()
            .map(shorten)
            .unwrap_or_default(),
    ]
}

/// Formats the state of a job, with the attempt if the job is run again.
fn state(exchange: &Exchange) -> String {
    let state = exchange.job.map_or("", |state| state.as_str());
    match exchange.later_attempt() {
        Some(attempt) => format!("{state}, attempt {attempt}"),
        None => state.to_owned(),
    }
}

/// Formats the delay in an answer. `retry-after-ms` is more precise than `Retry-After`, which is in
/// whole seconds.
fn retry_after(exchange: &Exchange) -> String {
    match (&exchange.retry_after, &exchange.retry_after_ms) {
        (Some(seconds), Some(millis)) => format!("{seconds} ({millis} ms)"),
        (Some(seconds), None) => seconds.clone(),
        (None, _) => String::new(),
    }
}

/// Shortens a job's id, which gives access to the result and must not appear in logs.
fn shorten(path: &str) -> String {
    let cut = || {
        let (id, query) = path.strip_prefix("/work/")?.split_at_checked(32)?;
        Some(format!("/work/{}…{query}", id.get(..8)?))
    };
    cut().unwrap_or_else(|| path.to_owned())
}
