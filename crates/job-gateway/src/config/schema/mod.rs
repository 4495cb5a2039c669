//! The settings that a file may have: their types, defaults and meanings.
//!
//! The reference in the manual and the file that `--generate config` prints are made of these. The
//! tests hold the readers to them: each key that is read is here, and each key here is read, with the
//! default and the range that it has here.

mod routes;
mod tables;

#[cfg(test)]
mod tests;

pub(crate) use self::tables::TABLES;

/// The settings that stand beneath the same headers.
#[derive(Debug)]
pub(crate) struct Table {
    /// The headers in a file, such as `[clients]`; empty at the top. The first is the usual one.
    pub(crate) headers: &'static [&'static str],
    /// A noun phrase that says what the table is for.
    pub(crate) meaning: &'static str,
    pub(crate) settings: &'static [Setting],
}

/// A setting of a file.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Setting {
    /// The key, with dots if it stands in a table of its own.
    pub(crate) key: &'static str,
    pub(crate) kind: Kind,
    pub(crate) absent: Absent,
    pub(crate) example: Example,
    /// One sentence.
    pub(crate) meaning: &'static str,
    /// Is read at start only: a reload that changes it is refused.
    pub(crate) is_fixed: bool,
}

/// The form of a value.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Kind {
    Boolean,
    /// A time such as `"90s"`, from the least to the most.
    Time(&'static str, &'static str),
    /// A number of bytes such as `"16KiB"`, from the least to the most.
    Size(&'static str, &'static str),
    /// A number of these, from the least to the most.
    Number(&'static str, &'static str, &'static str),
    /// One of these values, in TOML.
    Choice(&'static [&'static str]),
    /// A string of this form.
    Text(&'static str),
    /// An array of strings of this form.
    List(&'static str),
    /// An array of numbers, from the least to the most.
    Numbers(&'static str, &'static str),
    /// A string of this form, or a table with the place of a secret.
    TextOrSecret(&'static str),
    /// An array of tables, each with the place of a secret.
    Secrets,
}

/// The meaning of a file without the setting.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Absent {
    /// The same as this value, in TOML.
    Value(&'static str),
    /// These words, as no value says it.
    Words(&'static str),
    /// An error.
    Required,
}

/// A value that the file of all settings shows, in TOML.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Example {
    /// The default is the example.
    Default,
    /// A value that can stand beside those of all other settings.
    Value(&'static str),
    /// A value that needs others than the defaults beside it.
    Instead(&'static str),
}

impl Absent {
    const TRUE: Self = Self::Value("true");
    const FALSE: Self = Self::Value("false");
    const NONE: Self = Self::Words("none");
    const EMPTY: Self = Self::Value("[]");
}

impl Setting {
    const fn new(key: &'static str, kind: Kind, absent: Absent, meaning: &'static str) -> Self {
        let example = Example::Default;
        let is_fixed = false;
        Self {
            key,
            kind,
            absent,
            example,
            meaning,
            is_fixed,
        }
    }

    const fn example(mut self, value: &'static str) -> Self {
        self.example = Example::Value(value);
        self
    }

    const fn instead(mut self, value: &'static str) -> Self {
        self.example = Example::Instead(value);
        self
    }

    const fn fixed(mut self) -> Self {
        self.is_fixed = true;
        self
    }
}
