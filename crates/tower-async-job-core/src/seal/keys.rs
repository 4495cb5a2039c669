use std::{error::Error, fmt, str::FromStr};

use base64::{Engine, alphabet, engine};
use chacha20poly1305::{AeadInOut, KeyInit, Tag, XChaCha20Poly1305, XNonce, aead::Generate};
use zeroize::{Zeroize, Zeroizing};

use super::{Seal, SealContext};
use crate::{codec::corrupt, error::StoreError};

/// The first byte of sealed bytes. Its value is none of those that begin unsealed contents.
const LAYOUT: u8 = 0xe1;

const NONCE: usize = size_of::<XNonce>();
const TAG: usize = size_of::<Tag>();

/// The length of a key, in bytes.
const KEY: usize = 32;

/// The maximum length of the id of a key, in bytes.
const MAX_ID: usize = 32;

/// The maximum number of keys.
const MAX_KEYS: usize = 64;

/// Standard base64, with or without padding.
const BASE64: engine::GeneralPurpose = engine::GeneralPurpose::new(
    &alphabet::STANDARD,
    engine::GeneralPurposeConfig::new()
        .with_decode_padding_mode(engine::DecodePaddingMode::Indifferent),
);

/// Keys that encrypt the data of clients in a store, for [`Sealed`](crate::Sealed). Requires the
/// feature `encryption`.
///
/// The first key seals, and all open. The cipher is XChaCha20-Poly1305, with a nonce of 192 bits
/// from the operating system's source of random numbers for each part of a job. Every change of the
/// sealed bytes is detected, as is moving them to another job, part, run or index. Putting back an
/// older version of the same part is not.
///
/// Keys are parsed from a list of `ID:KEY`, separated by commas or white space, so that the list
/// can be the value of an environment variable or the contents of a file. `ID` is a name with up to
/// 32 of the characters `A`–`Z`, `a`–`z`, `0`–`9`, `.`, `_` and `-`, which is stored in the clear.
/// `KEY` is base64 of 32 random bytes, for example from `openssl rand -base64 32`.
///
/// ```
/// use tower_async_job_core::{EncryptionKeys, MemoryStore, Sealed};
///
/// # let variable = "2026:qqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqo=";
/// // let variable = std::env::var("JOB_KEYS")?;
/// let keys: EncryptionKeys = variable.parse()?;
/// let store = Sealed::new(MemoryStore::new(), keys);
/// # drop(store);
/// # Ok::<(), tower_async_job_core::InvalidEncryptionKeys>(())
/// ```
///
/// # Rotation
///
/// Several nodes can use one store, and jobs outlive a restart, so a key is replaced in three
/// steps:
///
/// 1. Append the new key to the list of every node, and restart them: `old:…,new:…`. All still seal
///    with the old key.
/// 2. Put the new key first, and restart all nodes: `new:…,old:…`.
/// 3. Remove the old key after the longest time that a job takes, plus the retention of results: no
///    stored job is sealed with it any more.
///
/// If a key is missing, jobs sealed with it are left as they are: reads fail with
/// [`is_unknown_key`](StoreError::is_unknown_key), and claims leave the jobs to other nodes. Once
/// the key is back, all of them can be read.
#[derive(Clone)]
pub struct EncryptionKeys(Vec<Key>);

#[derive(Clone)]
struct Key {
    id: Box<str>,
    /// Overwrites its key when it is dropped.
    cipher: XChaCha20Poly1305,
}

impl EncryptionKeys {
    /// Creates keys of one, which seals and opens.
    ///
    /// ```
    /// use tower_async_job_core::EncryptionKeys;
    ///
    /// # let (old, new) = ([1; 32], [2; 32]);
    /// let keys = EncryptionKeys::new("2026", new)?.with_older("2025", old)?;
    /// assert_eq!(format!("{keys:?}"), r#"EncryptionKeys(["2026", "2025"])"#);
    /// # Ok::<(), tower_async_job_core::InvalidEncryptionKeys>(())
    /// ```
    ///
    /// # Errors
    ///
    /// Fails if the id is empty, too long, or has other characters than ids may have.
    pub fn new(id: &str, key: [u8; 32]) -> Result<Self, InvalidEncryptionKeys> {
        Self(Vec::new()).with_older(id, key)
    }

    /// Adds a key that only opens.
    ///
    /// # Errors
    ///
    /// Fails like [`new`](Self::new), if there is a key with this id, or if there are 64 keys.
    pub fn with_older(
        mut self,
        id: &str,
        mut key: [u8; 32],
    ) -> Result<Self, InvalidEncryptionKeys> {
        let cipher = XChaCha20Poly1305::new((&key).into());
        key.zeroize();
        let is_name = |byte: u8| byte.is_ascii_alphanumeric() || b"._-".contains(&byte);
        let problem = if id.is_empty() || id.len() > MAX_ID || !id.bytes().all(is_name) {
            Problem::Id
        } else if self.find(id.as_bytes()).is_some() {
            Problem::Repeated
        } else if self.0.len() == MAX_KEYS {
            Problem::TooMany
        } else {
            let id = id.into();
            self.0.push(Key { id, cipher });
            return Ok(self);
        };
        let number = self.0.len() + 1;
        Err(InvalidEncryptionKeys { number, problem })
    }

    fn find(&self, id: &[u8]) -> Option<&Key> {
        self.0.iter().find(|key| key.id.as_bytes() == id)
    }
}

impl Seal for EncryptionKeys {
    fn overhead(&self) -> usize {
        2 + self.0[0].id.len() + NONCE + TAG
    }

    fn seal(&self, context: &SealContext, plain: &[u8]) -> Result<Vec<u8>, StoreError> {
        let Key { id, cipher } = &self.0[0];
        let nonce = XNonce::try_generate().map_err(StoreError::unavailable)?;
        let mut sealed = Vec::with_capacity(self.overhead() + plain.len());
        // The length is at most `MAX_ID`.
        sealed.extend([LAYOUT, id.len() as u8]);
        sealed.extend(id.as_bytes());
        sealed.extend(nonce);
        let head = sealed.len();
        sealed.extend(plain);
        let tag = cipher
            .encrypt_inout_detached(&nonce, &context.to_bytes(), sealed[head..].as_mut().into())
            .map_err(|_| StoreError::unavailable("it is too long to be sealed"))?;
        sealed.extend(tag);
        Ok(sealed)
    }

    fn open(&self, context: &SealContext, sealed: &[u8]) -> Result<Vec<u8>, StoreError> {
        let short = || corrupt("it ends too early");
        let (&layout, rest) = sealed.split_first().ok_or_else(short)?;
        if layout != LAYOUT {
            return Err(StoreError::unsupported_version(layout.into())
                .with_source("it is not sealed by these keys"));
        }
        let (&length, rest) = rest.split_first().ok_or_else(short)?;
        let (id, rest) = rest.split_at_checked(length.into()).ok_or_else(short)?;
        let (nonce, rest) = rest.split_first_chunk::<NONCE>().ok_or_else(short)?;
        let (text, tag) = rest.split_last_chunk::<TAG>().ok_or_else(short)?;
        let Some(Key { cipher, .. }) = self.find(id) else {
            return Err(StoreError::unknown_key(&String::from_utf8_lossy(id)));
        };
        let mut plain = text.to_vec();
        cipher
            .decrypt_inout_detached(
                &(*nonce).into(),
                &context.to_bytes(),
                plain.as_mut_slice().into(),
                &(*tag).into(),
            )
            .map_err(|_| corrupt("its seal is broken"))?;
        Ok(plain)
    }
}

impl FromStr for EncryptionKeys {
    type Err = InvalidEncryptionKeys;

    fn from_str(list: &str) -> Result<Self, Self::Err> {
        let entries = list.split(|c: char| c == ',' || c.is_whitespace());
        let mut keys = Self(Vec::new());
        for entry in entries.filter(|entry| !entry.is_empty()) {
            let number = keys.0.len() + 1;
            let (id, text) = entry.split_once(':').ok_or(InvalidEncryptionKeys {
                number,
                problem: Problem::Entry,
            })?;
            let mut buffer = Zeroizing::new([0; KEY + 4]);
            let length = BASE64.decode_slice(text, &mut buffer[..]);
            if length != Ok(KEY) {
                let problem = Problem::Key;
                return Err(InvalidEncryptionKeys { number, problem });
            }
            let mut key = Zeroizing::new([0; KEY]);
            key.copy_from_slice(&buffer[..KEY]);
            keys = keys.with_older(id, *key)?;
        }
        if keys.0.is_empty() {
            let (number, problem) = (1, Problem::Entry);
            return Err(InvalidEncryptionKeys { number, problem });
        }
        Ok(keys)
    }
}

impl fmt::Debug for EncryptionKeys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let ids: Vec<&str> = self.0.iter().map(|key| &*key.id).collect();
        f.debug_tuple("EncryptionKeys").field(&ids).finish()
    }
}

/// The error of keys that are malformed. It contains no part of them.
///
/// ```
/// use tower_async_job_core::EncryptionKeys;
///
/// let error = "2026:short".parse::<EncryptionKeys>().unwrap_err();
/// assert_eq!(error.to_string(), "encryption key 1 is not base64 of 32 bytes");
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct InvalidEncryptionKeys {
    /// The number of the key in the list, from 1.
    number: usize,
    problem: Problem,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Problem {
    Entry,
    Id,
    Key,
    Repeated,
    TooMany,
}

impl fmt::Display for InvalidEncryptionKeys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let problem = match self.problem {
            Problem::Entry => "is missing, or not of the form `ID:KEY`",
            Problem::Id => "has an id that is not 1 to 32 letters, digits, dots, `_` or `-`",
            Problem::Key => "is not base64 of 32 bytes",
            Problem::Repeated => "has the id of an earlier one",
            Problem::TooMany => "is one too many",
        };
        write!(f, "encryption key {} {problem}", self.number)
    }
}

impl Error for InvalidEncryptionKeys {}
