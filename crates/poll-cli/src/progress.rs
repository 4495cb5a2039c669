//! Standard error: a bar on a terminal, plain lines otherwise.

use std::{
    io::{IsTerminal, Write, stderr},
    time::Duration,
};

use http_polling::Progress;
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use tower_poll::PollUpdate;

use crate::words;

/// The interval at which the bar is drawn.
const TICK: Duration = Duration::from_millis(100);

/// The templates of the bar with and without a known ratio. Both leave more
/// than 60 of 80 columns to the message.
const BAR: &str = "{bar:10} {elapsed} {wide_msg}";
const SPINNER: &str = "{spinner} {elapsed} {wide_msg}";

/// Standard error, which shows everything except the answer.
#[derive(Clone, Debug)]
pub(crate) struct Screen {
    bar: Option<ProgressBar>,
    silent: bool,
}

impl Screen {
    /// Creates a screen. `silent` hides progress and nothing else.
    pub(crate) fn new(silent: bool) -> Self {
        let bar = (!silent && stderr().is_terminal())
            .then(|| ProgressBar::with_draw_target(Some(100), ProgressDrawTarget::stderr()));
        Self { bar, silent }
    }

    /// Writes `text` as one line.
    pub(crate) fn line(&self, text: &str) {
        self.write(words::line(text));
    }

    /// Writes several lines. Text of servers in them must not contain line
    /// feeds.
    pub(crate) fn lines(&self, text: &str) {
        self.write(words::lines(text));
    }

    /// Writes an informational line, unless `silent` is set.
    pub(crate) fn note(&self, text: &str) {
        if !self.silent {
            self.line(text);
        }
    }

    fn write(&self, mut text: String) {
        text.push('\n');
        // A failure cannot be reported.
        let write = || {
            let _ = stderr().write_all(text.as_bytes());
        };
        match &self.bar {
            Some(bar) => bar.suspend(write),
            None => write(),
        }
    }

    /// Shows a pending answer.
    pub(crate) fn update(&self, update: &PollUpdate) {
        match &self.bar {
            Some(bar) => {
                let ratio = update.progress().and_then(Progress::ratio);
                bar.set_style(style(ratio.is_some()));
                if let Some(ratio) = ratio {
                    bar.set_position((ratio * 100.0) as u64);
                }
                bar.set_message(words::line(&describe_briefly(update)));
                bar.enable_steady_tick(TICK);
            }
            None => self.note(&format!("poll: {}", describe(update))),
        }
    }

    /// Removes the bar.
    pub(crate) fn clear(&self) {
        if let Some(bar) = &self.bar {
            bar.finish_and_clear();
        }
    }
}

/// Describes a pending answer in one line.
pub(crate) fn describe(update: &PollUpdate) -> String {
    let mut text = "pending".to_owned();
    if let Some(state) = update.state() {
        text += &format!(" ({state})");
    }
    let progress = match (update.progress(), update.x_progress()) {
        (Some(progress), _) => progress.to_string(),
        (None, Some(progress)) => progress.to_owned(),
        (None, None) => String::new(),
    };
    if !progress.is_empty() {
        text += &format!(", {progress}");
    }
    text + &next(update)
}

/// Describes a pending answer for the bar.
///
/// The server's text comes last, so that a narrow terminal cuts only that.
fn describe_briefly(update: &PollUpdate) -> String {
    let mut text = match update.state() {
        Some(state) => state.to_string(),
        None => "pending".to_owned(),
    };
    let mut message = update.x_progress().map(str::to_owned);
    if let Some(progress) = update.progress() {
        let mut numbers = progress.clone();
        message = numbers.message.take().or(message);
        let numbers = numbers.to_string();
        if !numbers.is_empty() {
            text += &format!(", {numbers}");
        }
    }
    text += &next(update);
    match message {
        Some(message) => format!("{text}: {message}"),
        None => text,
    }
}

fn next(update: &PollUpdate) -> String {
    let failures = match update.retries() {
        0 => String::new(),
        retries => format!(", failure {retries} in a row"),
    };
    let delay = words::delay(update.delay());
    format!(
        "{failures}; poll {} in {delay}",
        update.polls().saturating_add(1)
    )
}

fn style(has_ratio: bool) -> ProgressStyle {
    let template = if has_ratio { BAR } else { SPINNER };
    ProgressStyle::with_template(template).unwrap_or_else(|_| ProgressStyle::default_bar())
}

#[cfg(test)]
mod tests;
