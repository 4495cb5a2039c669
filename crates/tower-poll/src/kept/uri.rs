//! The URI of a poll, kept beside the request that takes it along.

use http::{
    Uri,
    uri::{Authority, Parts, PathAndQuery, Scheme},
};

/// The longest path that is copied in place.
const INLINE: usize = 87;

/// A URI that can be had back.
///
/// The path of a poll is a text of its own, and the first clone of a text
/// allocates its count. A short one is copied in place of that, since the URI
/// of the last poll is hardly ever asked for.
#[derive(Debug)]
pub(crate) enum KeptUri {
    Whole(Uri),
    Short {
        origin: Option<(Scheme, Authority)>,
        length: u8,
        path: [u8; INLINE],
    },
}

impl KeptUri {
    pub(crate) fn keep(uri: &Uri) -> Self {
        let origin = match (uri.scheme(), uri.authority()) {
            (Some(scheme), Some(authority)) => Some((scheme.clone(), authority.clone())),
            (None, None) => None,
            _ => return Self::Whole(uri.clone()),
        };
        let text = uri.path_and_query().map_or("", PathAndQuery::as_str);
        let mut path = [0; INLINE];
        match (path.get_mut(..text.len()), u8::try_from(text.len())) {
            (Some(start), Ok(length)) if length > 0 => {
                start.copy_from_slice(text.as_bytes());
                Self::Short {
                    origin,
                    length,
                    path,
                }
            }
            _ => Self::Whole(uri.clone()),
        }
    }

    pub(crate) fn restore(&self) -> Uri {
        match self {
            Self::Whole(uri) => uri.clone(),
            Self::Short {
                origin,
                length,
                path,
            } => {
                let mut parts = Parts::default();
                if let Some((scheme, authority)) = origin {
                    parts.scheme = Some(scheme.clone());
                    parts.authority = Some(authority.clone());
                }
                // The parts are those of a `Uri`, and make one.
                parts.path_and_query = PathAndQuery::try_from(&path[..usize::from(*length)]).ok();
                Uri::from_parts(parts).unwrap_or_default()
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_form_comes_back() {
        let long = format!("/{}?q=1", "x".repeat(300));
        let long_and_absolute = format!("https://example.com{long}");
        for text in [
            "/",
            "*",
            "/pkg.Service/Method",
            "/a?b=c",
            "https://example.com/a?b=c",
            "https://me@example.com:8443",
            "example.com:443",
            long.as_str(),
            long_and_absolute.as_str(),
        ] {
            let uri: Uri = text.parse().unwrap();
            assert_eq!(KeptUri::keep(&uri).restore(), uri, "{text}");
        }
        let default = Uri::default();
        assert_eq!(KeptUri::keep(&default).restore(), default);
    }
}
