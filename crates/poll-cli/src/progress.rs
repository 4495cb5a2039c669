//! Standard error: a bar on a terminal, plain lines otherwise.

use std::{
    io::{IsTerminal, Write, stderr},
    time::Duration,
};

use humantime::format_duration;
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use tower_poll::PollUpdate;

/// How often the bar is drawn anew.
const TICK: Duration = Duration::from_millis(100);

/// Where it is known how much is done, and where it is not.
const BAR: &str = "{bar:30} {elapsed_precise} {wide_msg}";
const SPINNER: &str = "{spinner} {elapsed_precise} {wide_msg}";

/// Where everything is written that is not the answer.
#[derive(Clone, Debug)]
pub(crate) struct Screen {
    bar: Option<ProgressBar>,
    silent: bool,
}

impl Screen {
    /// With `silent`, progress is not shown. Everything else is.
    pub(crate) fn new(silent: bool) -> Self {
        let bar = (!silent && stderr().is_terminal())
            .then(|| ProgressBar::with_draw_target(Some(100), ProgressDrawTarget::stderr()));
        Self { bar, silent }
    }

    /// Writes `text` and an end of line. Servers' words are in it, and must
    /// not control the terminal.
    pub(crate) fn line(&self, text: &str) {
        let mut text = printable(text);
        text.push('\n');
        // There is nobody to tell if it fails.
        let write = || {
            let _ = stderr().write_all(text.as_bytes());
        };
        match &self.bar {
            Some(bar) => bar.suspend(write),
            None => write(),
        }
    }

    /// Shows that a pending answer came.
    pub(crate) fn update(&self, update: &PollUpdate) {
        let text = describe(update);
        match &self.bar {
            Some(bar) => {
                let ratio = update.progress().and_then(|progress| progress.ratio());
                bar.set_style(style(ratio.is_some()));
                if let Some(ratio) = ratio {
                    bar.set_position((ratio * 100.0) as u64);
                }
                bar.set_message(printable(&text));
                bar.enable_steady_tick(TICK);
            }
            None if self.silent => {}
            None => self.line(&format!("poll: {text}")),
        }
    }

    /// Takes the bar away.
    pub(crate) fn clear(&self) {
        if let Some(bar) = &self.bar {
            bar.finish_and_clear();
        }
    }
}

/// What a pending answer says, in one line.
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
    if update.retries() > 0 {
        text += &format!(", failure {} in a row", update.retries());
    }
    // Whole milliseconds say enough.
    let delay = Duration::from_millis(update.delay().as_millis() as u64);
    text + &format!(
        "; poll {} in {}",
        update.polls() + 1,
        format_duration(delay)
    )
}

fn style(has_ratio: bool) -> ProgressStyle {
    let template = if has_ratio { BAR } else { SPINNER };
    ProgressStyle::with_template(template).unwrap_or_else(|_| ProgressStyle::default_bar())
}

/// `text` with its control characters replaced, but for ends of lines.
fn printable(text: &str) -> String {
    text.chars()
        .map(|c| match c {
            '\n' | '\t' => c,
            c if c.is_control() => char::REPLACEMENT_CHARACTER,
            c => c,
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_of_servers_cannot_control_the_terminal() {
        assert_eq!(
            printable("a\u{1b}[2Jb\u{9b}c\rd\ne"),
            "a\u{fffd}[2Jb\u{fffd}c\u{fffd}d\ne"
        );
    }

    #[test]
    fn styles_are_valid() {
        for template in [BAR, SPINNER] {
            assert!(ProgressStyle::with_template(template).is_ok());
        }
    }
}
