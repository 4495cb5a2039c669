use std::{
    collections::HashMap,
    error::Error,
    fmt,
    hash::{BuildHasherDefault, Hash, Hasher},
    str::FromStr,
};

/// The id of a job: 128 random bits.
///
/// A client that knows the id may read a job without a principal, so it is a secret: there is no
/// `Display`, and `Debug` shows only its beginning. [`encode`](JobId::encode) returns all of it,
/// for URLs, and only that text parses.
///
/// ```
/// use tower_async_job_core::JobId;
///
/// let id = JobId::random();
/// assert_eq!(id.encode().as_str().parse(), Ok(id));
///
/// let id = JobId::from_bits(0x0123456789abcdef_0123456789abcdef);
/// assert_eq!(format!("{id:?}"), "JobId(01234567…)");
/// ```
// Bytes, since a `u128` with its alignment of 16 would widen every table of ids.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct JobId([u8; 16]);

impl JobId {
    /// The number of digits that [`encode`](JobId::encode) writes.
    pub const LENGTH: usize = 32;

    /// Generates an id with the thread's cryptographic generator.
    pub fn random() -> Self {
        Self(rand::random())
    }

    /// Creates the id with these bits, for stores that keep ids as numbers or bytes.
    pub const fn from_bits(bits: u128) -> Self {
        Self(bits.to_be_bytes())
    }

    /// Returns the bits of the id.
    pub const fn to_bits(self) -> u128 {
        u128::from_be_bytes(self.0)
    }

    /// Returns the id as 32 lowercase hexadecimal digits, valid in a path segment. Does not
    /// allocate.
    pub fn encode(self) -> EncodedId {
        let mut text = [0; Self::LENGTH];
        for (pair, byte) in text.chunks_exact_mut(2).zip(self.0) {
            pair[0] = DIGITS[usize::from(byte >> 4)];
            pair[1] = DIGITS[usize::from(byte & 15)];
        }
        EncodedId(text)
    }

    /// Returns the half of the bits by which tables find the id, which is random like the whole.
    pub(crate) const fn hash_bits(self) -> u64 {
        self.to_bits() as u64
    }

    /// Returns the other half, which distributes ids over tables.
    pub(crate) const fn shard_bits(self) -> u64 {
        (self.to_bits() >> 64) as u64
    }
}

impl FromStr for JobId {
    type Err = ParseJobIdError;

    /// Parses the text of [`encode`](JobId::encode): exactly 32 lowercase hexadecimal digits.
    fn from_str(text: &str) -> Result<Self, ParseJobIdError> {
        parse_digits(text).map(Self).ok_or(ParseJobIdError(()))
    }
}

/// The error of parsing a [`JobId`]. It does not show the text.
///
/// ```
/// use tower_async_job_core::JobId;
///
/// let error = "7".parse::<JobId>().unwrap_err();
/// assert_eq!(error.to_string(), "a job id is 32 hexadecimal digits");
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ParseJobIdError(());

impl fmt::Display for ParseJobIdError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a job id is 32 hexadecimal digits")
    }
}

impl Error for ParseJobIdError {}

impl Hash for JobId {
    fn hash<H: Hasher>(&self, state: &mut H) {
        state.write_u64(self.hash_bits());
    }
}

/// A map of jobs by id, which uses the id's own bits as its hash.
///
/// It resists flooding, since all ids in such a map are random: a client that requests ids of its
/// choice adds none, and so cannot cause collisions.
///
/// ```
/// use tower_async_job_core::{JobId, JobIdMap};
///
/// let id = JobId::random();
/// let mut jobs = JobIdMap::default();
/// jobs.insert(id, "a report");
/// assert_eq!(jobs.get(&id), Some(&"a report"));
/// ```
pub type JobIdMap<V> = HashMap<JobId, V, BuildHasherDefault<JobIdHasher>>;

/// The hasher of a [`JobIdMap`], which passes on the bits that it is given.
///
/// ```
/// use std::hash::{Hash, Hasher};
/// use tower_async_job_core::{JobId, JobIdHasher};
///
/// let mut hasher = JobIdHasher::default();
/// JobId::from_bits(255).hash(&mut hasher);
/// assert_eq!(hasher.finish(), 255);
/// ```
#[derive(Clone, Copy, Debug, Default)]
pub struct JobIdHasher(u64);

impl Hasher for JobIdHasher {
    fn write(&mut self, bytes: &[u8]) {
        for &byte in bytes {
            self.0 = self.0.rotate_left(8) ^ u64::from(byte);
        }
    }

    fn write_u64(&mut self, bits: u64) {
        self.0 = bits;
    }

    fn finish(&self) -> u64 {
        self.0
    }
}

impl fmt::Debug for JobId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "JobId({}…)", &self.encode().as_str()[..8])
    }
}

/// Parses lowercase hexadecimal digits, exactly two for each byte.
fn parse_digits<const N: usize>(text: &str) -> Option<[u8; N]> {
    if text.len() != 2 * N {
        return None;
    }
    // Without early return, so that the compiler vectorises it.
    let (mut bytes, mut seen) = ([0; N], 0);
    for (byte, pair) in bytes.iter_mut().zip(text.as_bytes().chunks_exact(2)) {
        let (high, low) = (value(pair[0]), value(pair[1]));
        seen |= high | low;
        *byte = high << 4 | low;
    }
    (seen < 16).then_some(bytes)
}

/// Returns the value of a lowercase hexadecimal digit, or 255.
fn value(digit: u8) -> u8 {
    let (decimal, letter) = (digit.wrapping_sub(b'0'), digit.wrapping_sub(b'a'));
    if letter < 6 {
        letter + 10
    } else if decimal < 10 {
        decimal
    } else {
        255
    }
}

const DIGITS: &[u8; 16] = b"0123456789abcdef";

/// The text of a [`JobId`]: 32 hexadecimal digits. It is a secret; do not log it.
///
/// ```
/// use tower_async_job_core::JobId;
///
/// let path = format!("/work/{}", JobId::from_bits(10).encode());
/// assert_eq!(path, "/work/0000000000000000000000000000000a");
/// ```
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct EncodedId([u8; JobId::LENGTH]);

impl EncodedId {
    /// Returns the digits.
    pub fn as_str(&self) -> &str {
        // Digits are ASCII, so this never fails.
        str::from_utf8(&self.0).unwrap_or_default()
    }
}

impl AsRef<str> for EncodedId {
    fn as_ref(&self) -> &str {
        self.as_str()
    }
}

impl fmt::Display for EncodedId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

impl fmt::Debug for EncodedId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "EncodedId({}…)", &self.as_str()[..8])
    }
}

/// The public name of a job, for operators. It is random and independent of the id, so that a list
/// of handles does not give access to results.
///
/// ```
/// use tower_async_job_core::JobHandle;
///
/// let handle: JobHandle = "00000000000000ff".parse()?;
/// assert_eq!(handle.to_bits(), 255);
/// assert_eq!(handle.to_string(), "00000000000000ff");
/// # Ok::<(), tower_async_job_core::ParseJobHandleError>(())
/// ```
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct JobHandle(u64);

impl JobHandle {
    /// Generates a handle with the thread's cryptographic generator.
    pub fn random() -> Self {
        Self(rand::random())
    }

    /// Creates the handle with these bits, for stores that keep handles as numbers.
    pub const fn from_bits(bits: u64) -> Self {
        Self(bits)
    }

    /// Returns the bits of the handle.
    pub const fn to_bits(self) -> u64 {
        self.0
    }
}

impl fmt::Display for JobHandle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:016x}", self.0)
    }
}

impl fmt::Debug for JobHandle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "JobHandle({self})")
    }
}

impl FromStr for JobHandle {
    type Err = ParseJobHandleError;

    /// Parses the text of `Display`: exactly 16 lowercase hexadecimal digits.
    fn from_str(text: &str) -> Result<Self, ParseJobHandleError> {
        let bits = parse_digits(text).map(u64::from_be_bytes);
        bits.map(Self).ok_or(ParseJobHandleError(()))
    }
}

/// The error of parsing a [`JobHandle`].
///
/// ```
/// use tower_async_job_core::JobHandle;
///
/// assert!("FF".parse::<JobHandle>().is_err());
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ParseJobHandleError(());

impl fmt::Display for ParseJobHandleError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a job handle is 16 hexadecimal digits")
    }
}

impl Error for ParseJobHandleError {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn s48_only_32_lowercase_digits_are_an_id() {
        let good = "0123456789abcdef0123456789abcdef";
        assert_eq!(
            good.parse::<JobId>()
                .map(|id| id.encode().to_string())
                .as_deref(),
            Ok(good)
        );
        for bad in [
            "",
            "0",
            "0123456789abcdef0123456789abcde",
            "0123456789abcdef0123456789abcdef0",
            "0123456789ABCDEF0123456789abcdef",
            "+123456789abcdef0123456789abcdef",
            "0x23456789abcdef0123456789abcdef",
            "../3456789abcdef0123456789abcdef",
            "0123456789abcdef0123456789abcdé",
            "%30123456789abcdef0123456789abcd",
        ] {
            assert!(bad.parse::<JobId>().is_err(), "{bad:?}");
        }
    }

    #[test]
    fn ids_are_not_logged_whole() {
        let id = JobId::random();
        let logged = format!("{id:?} {:?}", id.encode());
        assert!(!logged.contains(&id.encode().as_str()[8..]));
    }

    #[test]
    fn bits_survive() {
        let id = JobId::random();
        assert_eq!(JobId::from_bits(id.to_bits()), id);
        let handle = JobHandle::random();
        assert_eq!(handle.to_string().parse(), Ok(handle));
        assert!("00000000000000FF".parse::<JobHandle>().is_err());
    }

    #[test]
    fn ids_take_sixteen_bytes_without_padding() {
        assert_eq!(size_of::<JobId>(), 16);
        assert_eq!(align_of::<JobId>(), 1);
    }
}
