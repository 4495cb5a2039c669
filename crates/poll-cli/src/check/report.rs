//! The outcome of a check, as text, JSON or JUnit.

pub(super) mod json;
pub(super) mod junit;
pub(super) mod text;

use super::{requirement::Check, verdict::Verdict};

/// The verdicts on a server.
pub(super) struct Report<'a> {
    pub(super) method: String,
    pub(super) url: String,
    pub(super) verdicts: Vec<(&'a Check, Verdict)>,
    pub(super) requests: u32,
    pub(super) jobs: u32,
}

impl Report<'_> {
    /// Counts the verdicts with this word.
    pub(super) fn count(&self, word: &str) -> usize {
        let words = self.verdicts.iter().map(|(_, verdict)| verdict.word());
        words.filter(|other| *other == word).count()
    }
}

#[cfg(test)]
mod tests;
