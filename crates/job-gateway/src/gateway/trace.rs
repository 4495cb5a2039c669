//! Traces (W3C Trace Context): a request that belongs to none begins one.

use http::{HeaderMap, HeaderName, HeaderValue};

use crate::text::push_hexadecimal;

const TRACEPARENT: HeaderName = HeaderName::from_static("traceparent");
const TRACESTATE: HeaderName = HeaderName::from_static("tracestate");

/// Returns the `traceparent` of a request. One without a valid one begins a trace, which is not
/// sampled.
pub(super) fn of(headers: &mut HeaderMap) -> String {
    let mut parents = headers.get_all(TRACEPARENT).iter();
    if let (Some(parent), None) = (parents.next(), parents.next())
        && is_valid(parent)
        && let Ok(parent) = parent.to_str()
    {
        return parent.to_owned();
    }
    headers.remove(TRACESTATE);
    let mut parent = String::with_capacity(55);
    parent.push_str("00-");
    push_hexadecimal(&mut parent, fastrand::u128(1..), 32);
    parent.push('-');
    push_hexadecimal(&mut parent, fastrand::u64(1..).into(), 16);
    parent.push_str("-00");
    parent
}

/// Returns whether a value has the form of the first version. Later ones may have further parts.
fn is_valid(parent: &HeaderValue) -> bool {
    let parent = parent.as_bytes();
    let is_hex = |byte: &u8| byte.is_ascii_digit() || (b'a'..=b'f').contains(byte);
    let part = |from: usize, to: usize| parent.get(from..to).unwrap_or_default();
    let is_id = |id: &[u8]| !id.is_empty() && id.iter().any(|byte| *byte != b'0');
    let dashes = [2, 35, 52].iter().all(|at| parent.get(*at) == Some(&b'-'));
    let parts = [part(0, 2), part(3, 35), part(36, 52), part(53, 55)];
    let is_whole = match part(0, 2) {
        b"00" => parent.len() == 55,
        b"ff" => false,
        _ => parent.len() == 55 || parent.get(55) == Some(&b'-'),
    };
    dashes
        && is_whole
        && parts.iter().all(|part| part.iter().all(is_hex))
        && is_id(parts[1])
        && is_id(parts[2])
}

#[cfg(test)]
mod tests {
    use super::*;

    const PARENT: &str = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";

    fn begun(parents: &[&str]) -> String {
        let mut headers = HeaderMap::new();
        for parent in parents {
            headers.append(TRACEPARENT, HeaderValue::from_str(parent).unwrap());
        }
        of(&mut headers)
    }

    #[test]
    fn a_trace_is_continued() {
        assert_eq!(begun(&[PARENT]), PARENT);
        let later = PARENT.replacen("00", "01", 1) + "-more";
        assert_eq!(begun(&[&later]), later);
    }

    #[test]
    fn a_trace_that_is_malformed_is_replaced() {
        let zeros = "00-00000000000000000000000000000000-b7ad6b7169203331-01";
        let upper = PARENT.to_uppercase();
        let long = PARENT.to_owned() + "-more";
        for parents in [
            &[] as &[&str],
            &[zeros],
            &[&upper],
            &[&long],
            &["x"],
            &[&PARENT.replacen("00", "ff", 1)],
            &[PARENT, PARENT],
        ] {
            let parent = begun(parents);
            assert!(parent.len() == 55 && parent.ends_with("-00"), "{parents:?}");
            assert!(is_valid(&HeaderValue::from_str(&parent).unwrap()));
        }
    }
}
