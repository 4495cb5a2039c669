//! Content codings of documents (RFC 9110, section 8.4).

use std::borrow::Cow;

use http::{HeaderMap, header::CONTENT_ENCODING};

/// The most codings that are removed, one after the other.
const MOST: usize = 4;

/// Removes from `text` the content codings that `headers` list. `None` if one
/// is not known to this build, if `text` does not match it, or if more than
/// `limit` bytes come out.
pub(crate) fn decoded<'a>(
    headers: &HeaderMap,
    text: &'a [u8],
    limit: usize,
) -> Option<Cow<'a, [u8]>> {
    let mut text = Cow::Borrowed(text);
    let fields = headers.get_all(CONTENT_ENCODING).iter();
    let mut codings = fields
        .flat_map(|field| field.as_bytes().split(|byte| *byte == b','))
        .map(<[u8]>::trim_ascii)
        .filter(|coding| !coding.is_empty() && !coding.eq_ignore_ascii_case(b"identity"))
        .collect::<Vec<_>>();
    // Some servers set the field even without a body.
    if text.is_empty() {
        return Some(text);
    }
    if codings.len() > MOST {
        return None;
    }
    // They are listed in the order in which they were applied.
    while let Some(coding) = codings.pop() {
        text = Cow::Owned(undo(coding, &text, limit)?);
    }
    Some(text)
}

#[cfg(not(feature = "decompression"))]
fn undo(_: &[u8], _: &[u8], _: usize) -> Option<Vec<u8>> {
    None
}

#[cfg(feature = "decompression")]
use self::undoing::undo;

#[cfg(feature = "decompression")]
mod undoing {
    use std::io::Read;

    use brotli_decompressor::Decompressor;
    use flate2::read::{DeflateDecoder, MultiGzDecoder, ZlibDecoder};
    use ruzstd::decoding::StreamingDecoder;

    /// The largest window of zstd as a content coding (RFC 9659).
    const WINDOW: u64 = 8 * 1024 * 1024;

    pub(super) fn undo(coding: &[u8], text: &[u8], limit: usize) -> Option<Vec<u8>> {
        match coding.to_ascii_lowercase().as_slice() {
            b"gzip" | b"x-gzip" => read(MultiGzDecoder::new(text), limit),
            b"deflate" if is_zlib(text) => read(ZlibDecoder::new(text), limit),
            // Some servers leave out the zlib frame.
            b"deflate" => read(DeflateDecoder::new(text), limit),
            b"br" => read(Decompressor::new(text, 4096), limit),
            b"zstd" => {
                let decoder = StreamingDecoder::new_with_max_window_size(text, WINDOW);
                read(decoder.ok()?, limit)
            }
            _ => None,
        }
    }

    /// Reads all of `source`, if it is no longer than `limit`.
    fn read(source: impl Read, limit: usize) -> Option<Vec<u8>> {
        let mut text = Vec::new();
        let most = u64::try_from(limit).unwrap_or(u64::MAX);
        let mut source = source.take(most.saturating_add(1));
        source.read_to_end(&mut text).ok()?;
        (text.len() <= limit).then_some(text)
    }

    /// Returns whether a zlib stream begins here (RFC 1950, section 2.2).
    fn is_zlib(text: &[u8]) -> bool {
        matches!(text, [first, second, ..]
            if first & 0x0f == 8 && u16::from_be_bytes([*first, *second]) % 31 == 0)
    }
}

#[cfg(test)]
mod tests;
