//! The places where a file breaks a rule.

use std::fmt;

use crate::{
    rules::{OPENINGS, PHRASES},
    source::{Block, Kind},
    words::{Phrase, tokens},
};

/// A line that breaks a rule.
#[derive(Debug, PartialEq)]
pub(crate) struct Finding {
    pub(crate) line: usize,
    pub(crate) text: String,
    reason: String,
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}: {}", self.line, self.reason, self.text)
    }
}

/// Returns the findings of one file, in order.
pub(crate) fn findings(blocks: &[Block]) -> Vec<Finding> {
    let mut findings: Vec<_> = blocks.iter().flat_map(of_block).collect();
    findings.sort_by_key(|finding| finding.line);
    findings
}

fn of_block(block: &Block) -> Vec<Finding> {
    let finding = |line: usize, reason: String| {
        let of_line = block.lines.iter().find(|(number, _)| *number == line);
        let text = of_line.map_or_else(String::new, |(_, text)| text.trim().to_owned());
        Finding { line, text, reason }
    };
    let mut findings = Vec::new();
    if block.kind == Kind::Doc
        && let Some((line, word)) = opening(block)
        && OPENINGS.contains(&&*word)
    {
        findings.push(finding(line, format!("the summary begins with `{word}`")));
    }
    let tokens = tokens(block);
    for (phrase, better) in PHRASES {
        for line in Phrase::new(phrase).find(&tokens) {
            findings.push(finding(line, format!("`{phrase}` (better: {better})")));
        }
    }
    findings
}

/// The first word of a summary and its line. `None` if a heading or code comes first.
fn opening(block: &Block) -> Option<(usize, String)> {
    let (line, text) = block
        .lines
        .iter()
        .find(|(_, text)| !text.trim().is_empty())?;
    let text = text.trim().trim_start_matches(['*', '_', '[', '(', '"']);
    let length = text
        .find(|c: char| !c.is_alphabetic())
        .unwrap_or(text.len());
    Some((*line, text[..length].to_lowercase()))
}
