//! The filter for text of servers.

use std::fmt::Write;

/// The maximum length of a text of a server that is shown, in characters.
const SHOWN: usize = 500;

/// Returns the part of a server's text that is shown.
pub(crate) fn start(text: &str) -> String {
    let mut characters = text.chars();
    let mut start: String = characters.by_ref().take(SHOWN).collect();
    if characters.next().is_some() {
        start += " …";
    }
    start
}

/// Replaces each character of `text` by U+FFFD that could control a terminal,
/// end a line or change the direction of text.
pub(crate) fn line(text: &str) -> String {
    text.chars().map(shown).collect()
}

/// Filters `text` like [`line`](fn@line), but keeps line feeds.
///
/// Text of servers within `text` must not contain line feeds.
pub(crate) fn lines(text: &str) -> String {
    let keep = |c| if c == '\n' { c } else { shown(c) };
    text.chars().map(keep).collect()
}

/// Escapes the same characters in a JSON document of one line.
///
/// They occur only within strings, so that the document keeps its meaning.
pub(crate) fn json(document: &str) -> String {
    let mut text = String::with_capacity(document.len());
    for c in document.chars() {
        if is_harmless(c) {
            text.push(c);
        } else {
            // All of them are in the basic multilingual plane.
            let _ = write!(text, "\\u{:04x}", u32::from(c));
        }
    }
    text
}

fn shown(c: char) -> char {
    match c {
        '\t' => ' ',
        c if is_harmless(c) => c,
        _ => char::REPLACEMENT_CHARACTER,
    }
}

fn is_harmless(c: char) -> bool {
    let controls_direction = matches!(
        c,
        '\u{61c}' | '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}'
    );
    let ends_line = matches!(c, '\u{2028}' | '\u{2029}');
    !(c.is_control() || controls_direction || ends_line)
}

#[cfg(test)]
mod tests {
    use super::*;

    const HOSTILE: &str = "a\u{1b}[2J\u{9b}b\u{7f}\r\nc\u{85}d\u{2028}e\u{202e}f\u{2066}g\th";

    #[test]
    fn servers_cannot_control_the_terminal_or_make_lines() {
        assert_eq!(
            line(HOSTILE),
            "a\u{fffd}[2J\u{fffd}b\u{fffd}\u{fffd}\u{fffd}c\u{fffd}d\u{fffd}e\u{fffd}f\u{fffd}g h"
        );
    }

    #[test]
    fn lines_of_the_command_stay_lines() {
        assert_eq!(lines("a\u{1b}\r\nb"), "a\u{fffd}\u{fffd}\nb");
    }

    #[test]
    fn filtered_json_is_the_same_document() {
        let document = serde_json::json!({ "title": HOSTILE, "ä": [1, "\u{202e}"] });
        let text = json(&document.to_string());
        assert_eq!(line(&text), text);
        let read: serde_json::Value = serde_json::from_str(&text).unwrap();
        assert_eq!(read, document);
    }
}
