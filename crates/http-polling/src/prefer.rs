//! `Prefer` and `Preference-Applied` (RFC 7240).

mod callback;
mod known;
mod list;

use std::time::Duration;

use http::{HeaderMap, HeaderName};

pub use self::callback::take_callback;
use self::known::Known;

/// `Prefer`, which carries the optional wishes of a client.
pub const PREFER: HeaderName = HeaderName::from_static("prefer");

/// `Preference-Applied`, which lists the preferences that the server applied.
pub const PREFERENCE_APPLIED: HeaderName = HeaderName::from_static("preference-applied");

/// A client's preferences about waiting: `respond-async` and `wait` of `Prefer`
/// (RFC 7240, sections 4.1 and 4.3).
///
/// Several fields are read as one list, of which the first instance of a
/// preference counts. Other preferences are ignored. A `wait` that is not a
/// number of seconds and a `respond-async` with a value count as absent.
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
    /// Creates an empty set of preferences.
    ///
    /// ```
    /// use http_polling::Prefer;
    ///
    /// assert!(Prefer::new().is_empty());
    /// ```
    pub fn new() -> Self {
        Self::default()
    }

    /// Reads the preferences from the `Prefer` fields. Does not allocate.
    pub fn from_headers(headers: &HeaderMap) -> Self {
        Self(Known::read(headers, PREFER))
    }

    /// Reads the preferences and removes them from the `Prefer` fields, so that
    /// inner services do not apply them again.
    ///
    /// Other preferences are kept unchanged and in order.
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
        known::remove_members(headers, PREFER, known::is_known);
        prefer
    }

    /// Returns whether the client prefers an immediate answer over waiting.
    #[must_use]
    pub fn respond_async(&self) -> bool {
        self.0.respond_async
    }

    /// Returns the time that the client is willing to wait, in whole seconds.
    ///
    /// The client chooses this value, so that the caller must limit it.
    #[must_use]
    pub fn wait(&self) -> Option<Duration> {
        self.0.wait
    }

    /// Returns whether there is no preference.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }

    /// Adds the preference for an immediate answer.
    pub fn with_respond_async(mut self) -> Self {
        self.0.respond_async = true;
        self
    }

    /// Sets the time that the client is willing to wait, rounded up to the
    /// second.
    pub fn with_wait(mut self, wait: Duration) -> Self {
        self.0.set_wait(wait);
        self
    }

    /// Appends a `Prefer` field with these preferences to `headers`.
    ///
    /// Existing fields are kept. Appends nothing if there is no preference.
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

/// The preferences about waiting that a server applied: `respond-async` and
/// `wait` of `Preference-Applied` (RFC 7240, section 3).
///
/// The fields are read in the same way as those of [`Prefer`].
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
    /// Creates an empty set of applied preferences.
    ///
    /// ```
    /// use http_polling::PreferenceApplied;
    ///
    /// assert!(PreferenceApplied::new().is_empty());
    /// ```
    pub fn new() -> Self {
        Self::default()
    }

    /// Reads the applied preferences from the `Preference-Applied` fields. Does
    /// not allocate.
    pub fn from_headers(headers: &HeaderMap) -> Self {
        Self(Known::read(headers, PREFERENCE_APPLIED))
    }

    /// Returns whether the server answered immediately because the client
    /// preferred it.
    #[must_use]
    pub fn respond_async(&self) -> bool {
        self.0.respond_async
    }

    /// Returns the time that the server was prepared to wait, in whole seconds.
    #[must_use]
    pub fn wait(&self) -> Option<Duration> {
        self.0.wait
    }

    /// Returns whether no preference was applied.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }

    /// Declares that `respond-async` was applied.
    pub fn with_respond_async(mut self) -> Self {
        self.0.respond_async = true;
        self
    }

    /// Declares that `wait` was applied, rounded up to the second.
    pub fn with_wait(mut self, wait: Duration) -> Self {
        self.0.set_wait(wait);
        self
    }

    /// Appends a `Preference-Applied` field with these preferences to
    /// `headers`.
    ///
    /// Existing fields are kept. Appends nothing if no preference was applied.
    pub fn append_to(&self, headers: &mut HeaderMap) {
        if let Some(value) = self.0.to_header_value() {
            headers.append(PREFERENCE_APPLIED, value);
        }
    }
}

#[cfg(test)]
mod tests;
