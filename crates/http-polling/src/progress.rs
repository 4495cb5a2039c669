//! How far a job has come.

use std::fmt;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// How far a job has come, as far as its handler tells.
///
/// Every member is optional. In JSON, absent members are not written.
///
/// ```
/// use http_polling::Progress;
///
/// let progress = Progress::of(3, 12).with_message("reading the third file");
/// assert_eq!(progress.ratio(), Some(0.25));
/// assert_eq!(
///     progress.to_string(),
///     "25 % (3 of 12): reading the third file",
/// );
/// ```
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
#[non_exhaustive]
pub struct Progress {
    /// The part that is done, from 0 to 1.
    ///
    /// Written and read within these bounds: what lies outside is clamped,
    /// and what is no number is dropped.
    #[serde(
        skip_serializing_if = "is_no_number",
        serialize_with = "write_fraction",
        deserialize_with = "read_fraction"
    )]
    pub fraction: Option<f64>,
    /// How many units are done, in the handler's own unit.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub done: Option<u64>,
    /// How many units there are in all.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub total: Option<u64>,
    /// What the job is at, for people.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub message: Option<String>,
}

impl Progress {
    /// The part that is done, from 0 to 1. What lies outside is clamped, and
    /// what is no number is dropped.
    ///
    /// ```
    /// use http_polling::Progress;
    ///
    /// assert_eq!(Progress::fraction(0.5).ratio(), Some(0.5));
    /// assert_eq!(Progress::fraction(7.0).ratio(), Some(1.0));
    /// assert_eq!(Progress::fraction(f64::NAN).ratio(), None);
    /// ```
    #[must_use]
    pub fn fraction(fraction: f64) -> Self {
        Self {
            fraction: within_bounds(fraction),
            ..Self::default()
        }
    }

    /// `done` units of `total`. The fraction follows from them, and is absent
    /// where `total` is 0.
    ///
    /// ```
    /// use http_polling::Progress;
    ///
    /// assert_eq!(Progress::of(1, 4).fraction, Some(0.25));
    /// assert_eq!(Progress::of(1, 0).fraction, None);
    /// ```
    #[must_use]
    pub fn of(done: u64, total: u64) -> Self {
        Self {
            fraction: quotient(done, total),
            done: Some(done),
            total: Some(total),
            message: None,
        }
    }

    /// Adds what the job is at, for people.
    #[must_use]
    pub fn with_message(mut self, message: impl Into<String>) -> Self {
        self.message = Some(message.into());
        self
    }

    /// The part that is done, from 0 to 1: the fraction, else what `done` and
    /// `total` amount to. `None` where neither can be told.
    #[must_use]
    pub fn ratio(&self) -> Option<f64> {
        self.fraction
            .and_then(within_bounds)
            .or_else(|| quotient(self.done?, self.total?))
    }
}

impl fmt::Display for Progress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut parts = 0;
        if let Some(ratio) = self.ratio() {
            // Rounded down: 100 % is said of what is complete.
            write!(f, "{:.0} %", (ratio * 100.0).floor())?;
            parts += 1;
        }
        if let (Some(done), Some(total)) = (self.done, self.total) {
            let open = if parts > 0 { " (" } else { "(" };
            write!(f, "{open}{done} of {total})")?;
            parts += 1;
        }
        if let Some(message) = &self.message {
            let separator = if parts > 0 { ": " } else { "" };
            write!(f, "{separator}{message}")?;
        }
        Ok(())
    }
}

fn within_bounds(fraction: f64) -> Option<f64> {
    (!fraction.is_nan()).then(|| fraction.clamp(0.0, 1.0))
}

fn quotient(done: u64, total: u64) -> Option<f64> {
    (total > 0).then(|| (done as f64 / total as f64).min(1.0))
}

fn is_no_number(fraction: &Option<f64>) -> bool {
    fraction.and_then(within_bounds).is_none()
}

fn write_fraction<S: Serializer>(fraction: &Option<f64>, serializer: S) -> Result<S::Ok, S::Error> {
    fraction.and_then(within_bounds).serialize(serializer)
}

fn read_fraction<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<f64>, D::Error> {
    let fraction = Option::<f64>::deserialize(deserializer)?;
    Ok(fraction.and_then(within_bounds))
}

#[cfg(test)]
mod tests;
