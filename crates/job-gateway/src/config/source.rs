//! The text of a configuration, and the places of its values.

use std::{collections::BTreeMap, ops::Range};

/// A file, with the places at which later errors can point.
#[derive(Clone, Debug, Default)]
pub(crate) struct Source {
    /// The path as the operator wrote it; empty without a file.
    pub(super) path: String,
    pub(super) text: String,
    /// The values by their dotted keys, such as `upstreams.app.url`.
    pub(super) places: BTreeMap<String, Range<usize>>,
    /// The secrets that should not be in the file.
    pub(super) hidden: Vec<Range<usize>>,
}

impl Source {
    /// Returns the text with asterisks in place of secrets, byte by byte.
    pub(super) fn printable(&self) -> String {
        let mut text = self.text.clone();
        for span in &self.hidden {
            let asterisks: String = text[span.clone()]
                .bytes()
                .map(|byte| if byte == b'\n' { '\n' } else { '*' })
                .collect();
            text.replace_range(span.clone(), &asterisks);
        }
        text
    }
}
