//! The reports of servers, in JSON.

use std::{collections::HashMap, fmt};

use serde_json::{Map, Value};
use tower_async_job::JobContext;

/// The bytes of all metadata of a run, with its keys.
const METADATA: usize = 64 << 10;

/// A report of progress. Members that it lacks leave those of earlier reports as they are.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Report {
    amount: Option<Amount>,
    message: Option<String>,
    partial: Option<Value>,
    metadata: Map<String, Value>,
}

/// The amount of work that is done.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Amount {
    Fraction(f64),
    Units { done: u64, total: u64 },
}

/// The reason why a report is refused.
#[derive(Debug, PartialEq)]
pub(super) struct Invalid {
    /// Empty for the report as a whole.
    member: String,
    expected: String,
}

impl Invalid {
    pub(super) fn new(member: &str, expected: impl Into<String>) -> Self {
        Self {
            member: member.to_owned(),
            expected: expected.into(),
        }
    }
}

impl fmt::Display for Invalid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.member.as_str() {
            "" => write!(f, "{}", self.expected),
            member => write!(f, "invalid member {member:?}: {}", self.expected),
        }
    }
}

impl Report {
    /// Reads a report.
    ///
    /// # Errors
    ///
    /// Fails if a member is unknown or wrong.
    pub(super) fn of(json: &[u8]) -> Result<Self, Invalid> {
        let members = match serde_json::from_slice(json) {
            Ok(Value::Object(members)) => members,
            Ok(_) => return Err(Invalid::new("", "a report is an object")),
            Err(error) => return Err(Invalid::new("", format!("this is no JSON: {error}"))),
        };
        let mut report = Self::default();
        let (mut fraction, mut done, mut total) = (None, None, None);
        for (name, value) in members {
            match name.as_str() {
                "fraction" => fraction = Some(within_bounds(&value)?),
                "done" => done = Some(whole("done", &value)?),
                "total" => total = Some(whole("total", &value)?),
                "message" => report.message = Some(text(value)?),
                "partial" => report.partial = Some(value),
                "metadata" => report.metadata = object(value)?,
                _ => return Err(Invalid::new(&shortened(&name), KNOWN)),
            }
        }
        report.amount = match (fraction, done, total) {
            (None, None, None) => None,
            (Some(fraction), None, None) => Some(Amount::Fraction(fraction)),
            (None, Some(done), Some(total)) => Some(Amount::Units { done, total }),
            (Some(_), ..) => {
                let expected = "either a fraction, or done and total";
                return Err(Invalid::new("fraction", expected));
            }
            (None, Some(_), None) => return Err(Invalid::new("done", "total is missing")),
            (None, None, Some(_)) => return Err(Invalid::new("total", "done is missing")),
        };
        Ok(report)
    }

    /// Adds a later report.
    ///
    /// # Errors
    ///
    /// Fails without any effect if there is too much metadata.
    pub(super) fn add(&mut self, later: Self) -> Result<(), Invalid> {
        if !later.metadata.is_empty() {
            let mut sizes = self.metadata_sizes();
            sizes.extend(later.metadata_sizes());
            check_metadata(sizes.values().sum())?;
        }
        self.amount = later.amount.or(self.amount);
        self.message = later.message.or(self.message.take());
        self.partial = later.partial.or(self.partial.take());
        self.metadata.extend(later.metadata);
        Ok(())
    }

    /// Returns the bytes of metadata by their keys.
    pub(super) fn metadata_sizes(&self) -> HashMap<String, usize> {
        let entries = self.metadata.iter();
        let sizes = entries.map(|(key, value)| (key.clone(), key.len() + value.to_string().len()));
        sizes.collect()
    }

    /// Passes the report on to the job.
    pub(super) fn pass_on(self, job: &JobContext) {
        match self.amount {
            Some(Amount::Fraction(fraction)) => job.progress(fraction),
            Some(Amount::Units { done, total }) => job.progress_of(done, total),
            None => {}
        }
        if let Some(message) = self.message {
            job.message(message);
        }
        if let Some(partial) = self.partial {
            job.partial(partial);
        }
        for (key, value) in self.metadata {
            job.metadata(key, value);
        }
    }
}

/// Checks the bytes of all metadata of several reports, with its keys.
pub(super) fn check_metadata(bytes: usize) -> Result<(), Invalid> {
    let refusal = || Invalid::new("metadata", "at most 64 KiB in all reports together");
    (bytes <= METADATA).then_some(()).ok_or_else(refusal)
}

const KNOWN: &str = "the members are fraction, or done and total, message, partial and metadata";

fn within_bounds(value: &Value) -> Result<f64, Invalid> {
    let fraction = value.as_f64().filter(|number| (0.0..=1.0).contains(number));
    fraction.ok_or_else(|| Invalid::new("fraction", "expected a number from 0 to 1"))
}

fn whole(member: &str, value: &Value) -> Result<u64, Invalid> {
    let number = value.as_u64();
    number.ok_or_else(|| Invalid::new(member, "expected a whole number that is not negative"))
}

fn text(value: Value) -> Result<String, Invalid> {
    match value {
        Value::String(text) => Ok(text),
        _ => Err(Invalid::new("message", "expected a string")),
    }
}

fn object(value: Value) -> Result<Map<String, Value>, Invalid> {
    match value {
        Value::Object(members) => Ok(members),
        _ => Err(Invalid::new("metadata", "expected an object")),
    }
}

/// Returns the beginning of a name, to be shown.
fn shortened(name: &str) -> String {
    name.chars().take(64).collect()
}
