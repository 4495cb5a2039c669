//! The rules, and the places that they do not apply to.

/// Words that no summary of a doc comment begins with: a summary is a noun phrase or a third-person
/// verb.
pub(crate) const OPENINGS: [&str; 6] = ["what", "how", "who", "where", "whether", "when"];

/// Phrases that are not used, with better ones.
///
/// A phrase consists of words that follow each other without punctuation. `|` separates alternatives of
/// a word, and `*` ends a prefix. `^` stands for the beginning of a sentence, and a word after `!` must
/// not follow.
pub(crate) const PHRASES: &[(&str, &str)] = &[
    // The subject is a named thing.
    (
        "whoever|whomever|whosoever",
        "name the client, caller or node",
    ),
    (
        "somebody|nobody|anybody|everybody",
        "name the client, caller or node",
    ),
    ("he|him|his|himself", "it, its"),
    ("^ who", "the client that"),
    // The usual word.
    ("of late", "recent"),
    ("reckon*", "measure, count, compute"),
    ("dress|dresses|dressed", "protocol, form"),
    (
        "go|goes|went|gone|going before",
        "takes precedence, precedes",
    ),
    (
        "tell|tells|told|telling of",
        "announces, reports, describes",
    ),
    ("answers for", "serves"),
    ("has|have|had enough of", "gave up"),
    ("is|are said of", "applies to"),
    ("so many !that", "the number, as `n`"),
    ("so much !that|as", "the amount, as `n`"),
    ("for so long", "for this time, as `time`"),
    ("its|their likes", "related fields"),
    ("all else", "everything else"),
    ("save for", "except for"),
    ("be it", "whether, either"),
    // Archaic words.
    ("amiss|anew|lest|ere|nought|naught|aught", "the modern word"),
    ("whence|whither|hither|thither|thence", "the modern word"),
    (
        "thereof|therein|whereof|wherein|wherefore",
        "the modern word",
    ),
];

/// A finding that is allowed.
#[derive(Debug)]
pub(crate) struct Exception {
    pub(crate) file: &'static str,
    /// A part of the line of the finding.
    pub(crate) text: &'static str,
    pub(crate) reason: &'static str,
}

/// Findings that are allowed. Each must be needed.
pub(crate) const EXCEPTIONS: &[Exception] = &[];
