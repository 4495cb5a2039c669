use std::{error::Error, fmt, sync::Arc};

use sha2::{Digest, Sha256};

/// The owner of a job, in the application's own terms: a user id, a tenant.
///
/// Compared byte by byte. `Debug` does not show it, since it may be personal data.
///
/// ```
/// use tower_async_job_core::Principal;
///
/// let owner = Principal::new("tenant-7");
/// assert_eq!(owner.as_str(), "tenant-7");
/// assert_eq!(format!("{owner:?}"), "Principal(8 bytes)");
/// ```
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Principal(Arc<str>);

impl Principal {
    /// Creates the principal with this name.
    pub fn new(name: impl Into<Arc<str>>) -> Self {
        Self(name.into())
    }

    /// Returns the name.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Returns the SHA-256 of the name, which is all that is kept of an expired job's owner.
    pub fn digest(&self) -> [u8; 32] {
        Sha256::digest(self.0.as_bytes()).into()
    }
}

impl fmt::Debug for Principal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Principal({} bytes)", self.0.len())
    }
}

/// The owner of a job, as its store keeps it.
///
/// ```
/// use tower_async_job_core::{Owner, Principal};
///
/// let tenant = Principal::new("tenant-7");
/// let owner = Owner::Digest(Box::new(tenant.digest()));
/// assert!(owner.is(&tenant));
/// assert!(!owner.is(&Principal::new("tenant-8")));
/// ```
#[non_exhaustive]
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Owner {
    /// The name.
    Named(Principal),
    /// The [digest](Principal::digest) of the name, which is all that is kept of an expired job's
    /// owner.
    Digest(Box<[u8; 32]>),
}

impl Owner {
    /// Returns whether it is this principal.
    pub fn is(&self, principal: &Principal) -> bool {
        match self {
            Self::Named(owner) => owner == principal,
            Self::Digest(digest) => **digest == principal.digest(),
        }
    }

    /// Returns the principal, if its name is kept.
    pub fn principal(&self) -> Option<&Principal> {
        match self {
            Self::Named(owner) => Some(owner),
            Self::Digest(_) => None,
        }
    }
}

/// A client's key for one submission, so that repeating it creates no second job.
///
/// It is scoped to its [`Principal`]: the same key of another principal is another key. The
/// fingerprint distinguishes a repeat from a different request with the same key, for example a
/// digest of method, target and body.
///
/// ```
/// use tower_async_job_core::IdempotencyKey;
///
/// let key = IdempotencyKey::new("8e03978e-40d5", [7; 32])?;
/// assert_eq!(key.as_str(), "8e03978e-40d5");
/// assert!(IdempotencyKey::new("a\nb", [7; 32]).is_err());
/// # Ok::<(), tower_async_job_core::InvalidIdempotencyKey>(())
/// ```
#[derive(Clone, PartialEq, Eq)]
pub struct IdempotencyKey {
    key: Arc<str>,
    fingerprint: [u8; 32],
}

impl IdempotencyKey {
    /// The maximum length of a key, in characters.
    pub const MAX_CHARACTERS: usize = 255;

    /// Creates the key, with the fingerprint of its request.
    ///
    /// # Errors
    ///
    /// Fails if the key is empty, longer than [`MAX_CHARACTERS`](Self::MAX_CHARACTERS), or contains
    /// control characters.
    pub fn new(
        key: impl Into<Arc<str>>,
        fingerprint: [u8; 32],
    ) -> Result<Self, InvalidIdempotencyKey> {
        let key = key.into();
        let long = key.chars().nth(Self::MAX_CHARACTERS).is_some();
        if key.is_empty() || long || key.chars().any(char::is_control) {
            return Err(InvalidIdempotencyKey(()));
        }
        Ok(Self { key, fingerprint })
    }

    /// Returns the key.
    pub fn as_str(&self) -> &str {
        &self.key
    }

    /// Returns the fingerprint of the request.
    pub const fn fingerprint(&self) -> &[u8; 32] {
        &self.fingerprint
    }

    /// Returns the SHA-256 of the key within its principal, for stores to index, since a key and a
    /// name may be long. It is the same in all releases, and does not depend on the fingerprint.
    ///
    /// ```
    /// use tower_async_job_core::{IdempotencyKey, Principal};
    ///
    /// let key = IdempotencyKey::new("8e03978e-40d5", [7; 32])?;
    /// let repeated = IdempotencyKey::new("8e03978e-40d5", [8; 32])?;
    /// assert_eq!(key.digest(None), repeated.digest(None));
    /// assert_ne!(key.digest(None), key.digest(Some(&Principal::new("tenant-7"))));
    /// # Ok::<(), tower_async_job_core::InvalidIdempotencyKey>(())
    /// ```
    pub fn digest(&self, principal: Option<&Principal>) -> [u8; 32] {
        let mut digest = Sha256::new();
        // No key begins with a control character, so a key without a principal equals none with one.
        if let Some(Principal(name)) = principal {
            digest.update([0]);
            digest.update((name.len() as u64).to_le_bytes());
            digest.update(name.as_bytes());
        }
        digest.update(self.key.as_bytes());
        digest.finalize().into()
    }
}

impl fmt::Debug for IdempotencyKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "IdempotencyKey({} bytes)", self.key.len())
    }
}

/// The error of a text that is no valid [`IdempotencyKey`].
///
/// ```
/// use tower_async_job_core::IdempotencyKey;
///
/// let error = IdempotencyKey::new("", [0; 32]).unwrap_err();
/// assert_eq!(error.to_string(), "an idempotency key has 1 to 255 printable characters");
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct InvalidIdempotencyKey(());

impl fmt::Display for InvalidIdempotencyKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an idempotency key has 1 to 255 printable characters")
    }
}

impl Error for InvalidIdempotencyKey {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn s46_long_and_control_characters_are_no_key() {
        let key = |text: &str| IdempotencyKey::new(text, [0; 32]);
        assert!(key(&"ä".repeat(255)).is_ok());
        assert!(key(&"a".repeat(256)).is_err());
        for bad in ["", "a\0", "\u{7f}", "a\r\nb", "\u{85}"] {
            assert!(key(bad).is_err(), "{bad:?}");
        }
    }

    #[test]
    fn debug_shows_neither_owner_nor_key() {
        let key = IdempotencyKey::new("secret", [0; 32]).unwrap();
        let text = format!("{key:?} {:?}", Principal::new("secret"));
        assert!(!text.contains("secret"));
    }
}
