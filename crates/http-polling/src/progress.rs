//! The progress of a job.

use std::fmt;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// The progress of a job, as its handler reports it.
///
/// Every member is optional. JSON omits absent members.
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
    /// The fraction of the work that is done, from 0 to 1.
    ///
    /// Serialization and deserialization clamp other numbers to this range and
    /// drop NaN.
    #[serde(
        skip_serializing_if = "is_no_number",
        serialize_with = "write_fraction",
        deserialize_with = "read_fraction"
    )]
    pub fraction: Option<f64>,
    /// The number of units that are done, in the handler's own unit.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub done: Option<u64>,
    /// The total number of units.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub total: Option<u64>,
    /// A description of the current step, for human readers.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub message: Option<String>,
}

impl Progress {
    /// Creates a progress from the fraction that is done, from 0 to 1.
    ///
    /// Clamps other numbers to this range and drops NaN.
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

    /// Creates a progress of `done` units out of `total`.
    ///
    /// The fraction is computed from them. It is absent if `total` is 0.
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

    /// Sets [`message`](Self::message), a description of the current step.
    #[must_use]
    pub fn with_message(mut self, message: impl Into<String>) -> Self {
        self.message = Some(message.into());
        self
    }

    /// Returns the fraction of the work that is done, from 0 to 1.
    ///
    /// Uses the [`fraction`](field@Self::fraction) or, if that is absent, the
    /// quotient of [`done`](Self::done) and [`total`](Self::total). Returns
    /// `None` if neither is known.
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
            // Rounded down, so that only complete work shows 100 %.
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
