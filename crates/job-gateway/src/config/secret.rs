//! Texts that are never printed.

use std::{fmt, path::PathBuf};

/// A text that is printed by its source.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct Secret {
    origin: Origin,
    text: String,
}

/// The place that a text was read from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Origin {
    /// The configuration or the command line, which hold only what may be printed.
    Plain,
    File(PathBuf),
    /// An environment variable.
    Environment(String),
}

impl Secret {
    pub(crate) fn new(origin: Origin, text: String) -> Self {
        Self { origin, text }
    }

    /// Creates a secret of a test.
    #[cfg(test)]
    pub(crate) fn plain(text: &str) -> Self {
        Self::new(Origin::Plain, text.to_owned())
    }

    pub(crate) fn origin(&self) -> &Origin {
        &self.origin
    }

    /// Returns the text, which must not be printed.
    pub(crate) fn expose(&self) -> &str {
        &self.text
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.origin {
            Origin::Plain => self.text.fmt(f),
            origin => origin.fmt(f),
        }
    }
}
