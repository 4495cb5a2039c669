use http::HeaderValue;

use super::*;

fn headers(codings: &[&'static str]) -> HeaderMap {
    let fields = codings.iter().map(|coding| {
        let value = HeaderValue::from_static(coding);
        (CONTENT_ENCODING, value)
    });
    fields.collect()
}

#[test]
fn identity_and_nothing_leave_the_text_alone() {
    for codings in [&[][..], &["identity"], &["Identity, identity", ""]] {
        let text = decoded(&headers(codings), b"text", 4);
        assert_eq!(text.as_deref(), Some(&b"text"[..]), "{codings:?}");
    }
    let empty = decoded(&headers(&["gzip"]), b"", 4);
    assert_eq!(empty.as_deref(), Some(&b""[..]));
}

#[test]
fn unknown_codings_are_not_passed_over() {
    for codings in [&["snappy"][..], &["identity, snappy"], &["gzip"]] {
        assert_eq!(decoded(&headers(codings), b"text", 4), None, "{codings:?}");
    }
}

#[cfg(feature = "decompression")]
mod with_decompression {
    use std::io::Write;

    use flate2::{
        Compression,
        write::{DeflateEncoder, GzEncoder, ZlibEncoder},
    };
    use ruzstd::encoding::{CompressionLevel, compress_to_vec};

    use super::*;

    const TEXT: &[u8] = br#"{"status":"Succeeded"}"#;

    fn gzip(text: &[u8]) -> Vec<u8> {
        let mut encoder = GzEncoder::new(Vec::new(), Compression::default());
        encoder.write_all(text).unwrap();
        encoder.finish().unwrap()
    }

    fn zlib(text: &[u8]) -> Vec<u8> {
        let mut encoder = ZlibEncoder::new(Vec::new(), Compression::default());
        encoder.write_all(text).unwrap();
        encoder.finish().unwrap()
    }

    fn raw_deflate(text: &[u8]) -> Vec<u8> {
        let mut encoder = DeflateEncoder::new(Vec::new(), Compression::default());
        encoder.write_all(text).unwrap();
        encoder.finish().unwrap()
    }

    /// One block that is not compressed, and an empty last one (RFC 7932,
    /// section 9).
    fn brotli(text: &[u8]) -> Vec<u8> {
        let head = (text.len() as u32 - 1) << 4 | 1 << 20;
        [&head.to_le_bytes()[..3], text, &[3]].concat()
    }

    fn zstd(text: &[u8]) -> Vec<u8> {
        compress_to_vec(text, CompressionLevel::Fastest)
    }

    #[test]
    fn c30_every_coding_is_undone() {
        for (codings, text) in [
            (&["gzip"][..], gzip(TEXT)),
            (&["X-GZip"], gzip(TEXT)),
            (&["deflate"], zlib(TEXT)),
            (&["deflate"], raw_deflate(TEXT)),
            (&["br"], brotli(TEXT)),
            (&["zstd"], zstd(TEXT)),
            (&["gzip, identity, br"], brotli(&gzip(TEXT))),
            (&["gzip", "br"], brotli(&gzip(TEXT))),
        ] {
            let text = decoded(&headers(codings), &text, 3 * TEXT.len());
            assert_eq!(text.as_deref(), Some(TEXT), "{codings:?}");
        }
    }

    #[test]
    fn c30_what_comes_out_is_bounded() {
        let zeros = vec![0; 1 << 20];
        for (coding, text) in [
            ("gzip", gzip(&zeros)),
            ("deflate", zlib(&zeros)),
            ("br", brotli(TEXT)),
            ("zstd", zstd(&zeros)),
        ] {
            let text = decoded(&headers(&[coding]), &text, TEXT.len() - 1);
            assert_eq!(text, None, "{coding}");
        }
        let mut nested = TEXT.to_vec();
        for _ in 0..=MOST {
            nested = gzip(&nested);
        }
        let text = decoded(&headers(&["gzip,gzip,gzip,gzip,gzip"]), &nested, 1 << 20);
        assert_eq!(text, None);
    }

    #[test]
    fn c30_broken_text_gives_nothing() {
        for (coding, text) in [
            ("gzip", gzip(TEXT)),
            ("deflate", zlib(TEXT)),
            ("br", brotli(TEXT)),
            ("zstd", zstd(TEXT)),
        ] {
            let half = &text[..text.len() / 2];
            assert_eq!(decoded(&headers(&[coding]), half, 1000), None, "{coding}");
            assert_eq!(decoded(&headers(&[coding]), TEXT, 1000), None, "{coding}");
        }
    }

    /// The frame says that its window is 1 GiB.
    #[test]
    fn c30_window_of_zstd_is_bounded() {
        let frame = [0x28, 0xb5, 0x2f, 0xfd, 0x00, 20 << 3, 0x01, 0x00, 0x00];
        assert_eq!(decoded(&headers(&["zstd"]), &frame, 1000), None);
    }
}
