//! `Prefer` and `Preference-Applied` (RFC 7240).

mod known;
mod list;

use std::time::Duration;

use http::{HeaderMap, HeaderName};

use self::known::Known;

/// `Prefer`: what a client would like, and can do without.
pub const PREFER: HeaderName = HeaderName::from_static("prefer");

/// `Preference-Applied`: what of it the server did.
pub const PREFERENCE_APPLIED: HeaderName = HeaderName::from_static("preference-applied");

/// What a request's `Prefer` fields say about waiting (RFC 7240, sections 4.1
/// and 4.3).
///
/// Several fields are read as one list, the first instance of a preference
/// counts, and everything that is not known is left alone. A `wait` that is
/// no number of seconds, and a `respond-async` that has a value, count as
/// absent.
///
/// ```
/// use http::{HeaderMap, HeaderValue};
/// use http_polling::{PREFER, Prefer};
/// use std::time::Duration;
///
/// let mut headers = HeaderMap::new();
/// headers.insert(PREFER, HeaderValue::from_static("respond-async, wait=10"));
///
/// let prefer = Prefer::from_headers(&headers);
/// assert!(prefer.respond_async());
/// assert_eq!(prefer.wait(), Some(Duration::from_secs(10)));
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[must_use]
pub struct Prefer(Known);

impl Prefer {
    /// No preference.
    ///
    /// ```
    /// use http_polling::Prefer;
    ///
    /// assert!(Prefer::new().is_empty());
    /// ```
    pub fn new() -> Self {
        Self::default()
    }

    /// What the `Prefer` fields say. Allocates nothing.
    pub fn from_headers(headers: &HeaderMap) -> Self {
        Self(Known::read(headers, PREFER))
    }

    /// Reads the preferences and removes them from the `Prefer` fields, so
    /// that nobody behind applies them again. Preferences that are not known
    /// stay, in order and as they are.
    ///
    /// ```
    /// use http::{HeaderMap, HeaderValue};
    /// use http_polling::{PREFER, Prefer};
    ///
    /// let mut headers = HeaderMap::new();
    /// headers.insert(PREFER, HeaderValue::from_static("respond-async, return=minimal"));
    /// assert!(Prefer::take(&mut headers).respond_async());
    /// assert_eq!(headers[PREFER], "return=minimal");
    /// ```
    pub fn take(headers: &mut HeaderMap) -> Self {
        let prefer = Self::from_headers(headers);
        known::remove(headers, PREFER);
        prefer
    }

    /// Whether the client would rather have an answer at once than wait.
    #[must_use]
    pub fn respond_async(&self) -> bool {
        self.0.respond_async
    }

    /// How long the client would wait, in whole seconds. It may be absurdly
    /// long, and wants a cap.
    #[must_use]
    pub fn wait(&self) -> Option<Duration> {
        self.0.wait
    }

    /// Whether nothing is preferred.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }

    /// Prefers to have an answer at once.
    pub fn with_respond_async(mut self) -> Self {
        self.0.respond_async = true;
        self
    }

    /// Prefers to wait for `wait`, rounded up to the second.
    pub fn with_wait(mut self, wait: Duration) -> Self {
        self.0.set_wait(wait);
        self
    }

    /// Adds a `Prefer` field that says this, beside those that are there.
    /// Adds nothing where nothing is preferred.
    ///
    /// ```
    /// use http::HeaderMap;
    /// use http_polling::{PREFER, Prefer};
    /// use std::time::Duration;
    ///
    /// let mut headers = HeaderMap::new();
    /// Prefer::new().with_wait(Duration::from_secs(20)).append_to(&mut headers);
    /// assert_eq!(headers[PREFER], "wait=20");
    /// ```
    pub fn append_to(&self, headers: &mut HeaderMap) {
        if let Some(value) = self.0.to_header_value() {
            headers.append(PREFER, value);
        }
    }
}

/// What a response's `Preference-Applied` fields say about waiting (RFC 7240,
/// section 3). Read as [`Prefer`] is.
///
/// ```
/// use http::HeaderMap;
/// use http_polling::{PREFERENCE_APPLIED, PreferenceApplied};
///
/// let mut headers = HeaderMap::new();
/// PreferenceApplied::new().with_respond_async().append_to(&mut headers);
/// assert_eq!(headers[PREFERENCE_APPLIED], "respond-async");
/// assert!(PreferenceApplied::from_headers(&headers).respond_async());
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[must_use]
pub struct PreferenceApplied(Known);

impl PreferenceApplied {
    /// No preference.
    ///
    /// ```
    /// use http_polling::PreferenceApplied;
    ///
    /// assert!(PreferenceApplied::new().is_empty());
    /// ```
    pub fn new() -> Self {
        Self::default()
    }

    /// What the `Preference-Applied` fields say. Allocates nothing.
    pub fn from_headers(headers: &HeaderMap) -> Self {
        Self(Known::read(headers, PREFERENCE_APPLIED))
    }

    /// Whether the answer came at once because the client preferred it.
    #[must_use]
    pub fn respond_async(&self) -> bool {
        self.0.respond_async
    }

    /// How long the server was prepared to wait, in whole seconds.
    #[must_use]
    pub fn wait(&self) -> Option<Duration> {
        self.0.wait
    }

    /// Whether nothing was applied.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }

    /// Says that `respond-async` was applied.
    pub fn with_respond_async(mut self) -> Self {
        self.0.respond_async = true;
        self
    }

    /// Says that `wait` was applied, rounded up to the second.
    pub fn with_wait(mut self, wait: Duration) -> Self {
        self.0.set_wait(wait);
        self
    }

    /// Adds a `Preference-Applied` field that says this, beside those that
    /// are there. Adds nothing where nothing was applied.
    pub fn append_to(&self, headers: &mut HeaderMap) {
        if let Some(value) = self.0.to_header_value() {
            headers.append(PREFERENCE_APPLIED, value);
        }
    }
}

#[cfg(test)]
mod tests;
