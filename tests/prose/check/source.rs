//! The prose of a file: its comments, or its text without code.

/// The kind of a [`Block`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// `///` or `//!`.
    Doc,
    Comment,
    Markdown,
}

/// Lines of prose that belong together, without code.
#[derive(Debug)]
pub(crate) struct Block {
    pub(crate) kind: Kind,
    /// Number and text of each line. Lines of code blocks are empty.
    pub(crate) lines: Vec<(usize, String)>,
}

impl Block {
    fn new(kind: Kind, lines: impl IntoIterator<Item = (usize, String)>) -> Self {
        let mut in_code = false;
        let lines = lines.into_iter().map(|(number, text)| {
            let is_fence = text.trim_start().starts_with("```");
            in_code ^= is_fence;
            let text = if in_code || is_fence {
                String::new()
            } else {
                text
            };
            (number, text)
        });
        Self {
            kind,
            lines: lines.collect(),
        }
    }
}

/// Returns the prose of a Markdown file.
pub(crate) fn markdown(text: &str) -> Vec<Block> {
    let lines = text.lines().map(str::to_owned);
    vec![Block::new(Kind::Markdown, (1..).zip(lines))]
}

/// Returns the comments of a Rust file.
pub(crate) fn rust(text: &str) -> Vec<Block> {
    let mut blocks: Vec<(&str, Vec<(usize, String)>)> = Vec::new();
    for comment in comments(text) {
        let own = comment.text.trim_start_matches(['/', '*', '!']);
        let marker = &comment.text[..comment.text.len() - own.len()];
        let lines = own
            .split('\n')
            .map(|line| line.trim_start_matches([' ', '*']));
        let lines = (comment.line..).zip(lines.map(str::to_owned));
        match blocks.last_mut() {
            Some((last, block))
                if comment.is_alone
                    && *last == marker
                    && block
                        .last()
                        .is_some_and(|(last, _)| last + 1 == comment.line) =>
            {
                block.extend(lines);
            }
            _ => blocks.push((marker, lines.collect())),
        }
    }
    let block = |(marker, lines)| {
        let is_doc = matches!(marker, "///" | "//!" | "/**" | "/*!");
        Block::new(if is_doc { Kind::Doc } else { Kind::Comment }, lines)
    };
    blocks.into_iter().map(block).collect()
}

struct Comment<'a> {
    line: usize,
    /// No code stands before it in its line.
    is_alone: bool,
    text: &'a str,
}

/// The comments of a Rust file, in order. Literals are passed over.
fn comments(text: &str) -> Vec<Comment<'_>> {
    let mut comments = Vec::new();
    let (mut rest, mut before) = (text, ' ');
    let (mut line, mut is_alone) = (1, true);
    while let Some(next) = rest.chars().next() {
        let length = if rest.starts_with("//") {
            rest.find('\n').unwrap_or(rest.len())
        } else if rest.starts_with("/*") {
            block_comment(rest)
        } else if let Some(length) = raw_string(rest).filter(|_| !is_of_word(before)) {
            length
        } else if next == '"' {
            quoted(rest, '"')
        } else if next == '\'' {
            character(rest)
        } else {
            next.len_utf8()
        };
        let (passed, tail) = rest.split_at(length);
        if passed.starts_with("//") || passed.starts_with("/*") {
            comments.push(Comment {
                line,
                is_alone,
                text: passed.trim_end_matches("*/"),
            });
        }
        line += passed.matches('\n').count();
        is_alone = passed == "\n" || (is_alone && passed.trim().is_empty());
        (rest, before) = (tail, next);
    }
    comments
}

fn is_of_word(c: char) -> bool {
    c.is_alphanumeric() || c == '_'
}

fn block_comment(text: &str) -> usize {
    let (mut depth, mut at) = (0, 0);
    while at < text.len() {
        match text.get(at..at + 2) {
            Some("/*") => (depth, at) = (depth + 1, at + 2),
            Some("*/") => (depth, at) = (depth - 1, at + 2),
            _ => at += 1,
        }
        if depth == 0 {
            break;
        }
    }
    at
}

/// The length of a raw string, such as `r#"…"#`, at the beginning of `text`.
fn raw_string(text: &str) -> Option<usize> {
    let rest = text.trim_start_matches(['b', 'c']).strip_prefix('r')?;
    let inner = rest.trim_start_matches('#');
    let end = format!("\"{}", &rest[..rest.len() - inner.len()]);
    let body = inner.strip_prefix('"')?;
    let start = text.len() - body.len();
    Some(
        body.find(&end)
            .map_or(text.len(), |at| start + at + end.len()),
    )
}

/// The length of a literal with escapes, which ends with `quote`.
fn quoted(text: &str, quote: char) -> usize {
    let mut escaped = false;
    for (at, c) in text.char_indices().skip(1) {
        match c {
            _ if escaped => escaped = false,
            '\\' => escaped = true,
            _ if c == quote => return at + c.len_utf8(),
            _ => {}
        }
    }
    text.len()
}

/// The length of a character, or of the quote alone if it begins a lifetime.
fn character(text: &str) -> usize {
    let mut chars = text.chars().skip(1);
    match (chars.next(), chars.next()) {
        (Some('\\'), _) | (Some(_), Some('\'')) => quoted(text, '\''),
        _ => 1,
    }
}
