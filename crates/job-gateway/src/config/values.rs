//! The settings that are written as one word.

use std::{env, fmt, net::SocketAddr, path::PathBuf, str::FromStr};

use http::Uri;

use super::{
    Listen, Replay, Store,
    secret::{Origin, Secret},
};

impl FromStr for Listen {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        if text == "systemd" {
            return Ok(Self::Systemd);
        }
        if let Some(path) = text.strip_prefix("unix:") {
            return match path {
                "" => Err("a socket has a path: unix:PATH".to_owned()),
                path => Ok(Self::Unix(PathBuf::from(path))),
            };
        }
        text.parse::<SocketAddr>().map(Self::Tcp).map_err(|_| {
            format!("{text:?} is no address: ADDRESS:PORT, such as 127.0.0.1:8080, unix:PATH, or systemd")
        })
    }
}

impl fmt::Display for Listen {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Tcp(address) => write!(f, "{address}"),
            Self::Unix(path) => write!(f, "unix:{}", path.display()),
            Self::Systemd => f.write_str("systemd"),
        }
    }
}

impl Store {
    /// Returns the greatest size of the store unless the settings have another; `None` for a
    /// database, which has its own limits.
    pub(super) fn usual_limit(&self) -> Option<usize> {
        match self {
            Self::Memory => Some(256 << 20),
            Self::Sqlite(_) => Some(4 << 30),
            Self::Postgres(_) | Self::Redis(_) => None,
        }
    }

    /// Reads a URL from this place.
    pub(super) fn of_url(text: &str, origin: Origin) -> Result<Self, String> {
        let secret = || Secret::new(origin, text.to_owned());
        // Not the whole text, which may contain a password.
        let (kind, rest) = text.split_once(':').unwrap_or((text, ""));
        match (kind, rest) {
            ("memory", "") => Ok(Self::Memory),
            ("sqlite", "") => Err("the store in SQLite has a file: sqlite:FILE".to_owned()),
            ("sqlite", file) if file.starts_with("//") && !file.starts_with("///") => Err(format!(
                "the store in SQLite is a file and has no host: sqlite:{} or sqlite:{}",
                file.trim_start_matches('/'),
                &file[1..]
            )),
            ("sqlite", file) => Ok(Self::Sqlite(PathBuf::from(file))),
            ("postgres" | "postgresql", _) => Ok(Self::Postgres(secret())),
            ("redis" | "rediss", _) => Ok(Self::Redis(secret())),
            _ if text.contains(':') => Err(format!(
                "a store is memory, sqlite:FILE, postgres://… or redis://…, not {kind}:…"
            )),
            _ => Err("a store is memory, sqlite:FILE, postgres://… or redis://…".to_owned()),
        }
    }
}

impl FromStr for Store {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        Self::of_url(text, origin(text)?)
    }
}

impl FromStr for Replay {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text {
            "idempotent" => Ok(Self::Idempotent),
            "keyed" => Ok(Self::Keyed),
            "all" => Ok(Self::All),
            "none" => Ok(Self::None),
            _ => Err(format!(
                "requests that can be run again are idempotent, keyed, all or none, not {text:?}"
            )),
        }
    }
}

/// Reads an address that only this machine reaches.
pub(crate) fn admin(text: &str) -> Result<Listen, String> {
    match text.parse()? {
        Listen::Tcp(address) if !address.ip().is_loopback() => Err(
            "operators are not authenticated: expected an address of this machine, such as \
                 127.0.0.1:9090, or unix:PATH"
                .to_owned(),
        ),
        listen => Ok(listen),
    }
}

/// The variable of a store whose URL has a password.
pub(crate) const STORE_VARIABLE: &str = "JOB_GATEWAY_STORE";

/// Returns the origin of a URL: the environment, or a place where it must not have a password.
fn origin(url: &str) -> Result<Origin, String> {
    match env::var(STORE_VARIABLE).is_ok_and(|value| value == url) {
        true => Ok(Origin::Environment(STORE_VARIABLE.to_owned())),
        false if has_password(url) => Err(format!(
            "the URL has a password, which others could read here: set {STORE_VARIABLE}, or write \
             `store = {{ file = \"PATH\" }}` in a file"
        )),
        false => Ok(Origin::Plain),
    }
}

/// Returns whether a URL has a password before its host, or as a parameter.
pub(super) fn has_password(url: &str) -> bool {
    let (url, query) = url.split_once('?').unwrap_or((url, ""));
    let authority = url.split_once("://").map_or("", |(_, rest)| rest);
    let authority = authority.split('/').next().unwrap_or_default();
    let user = authority.rsplit_once('@').map_or("", |(user, _)| user);
    let has_parameter = query.split('&').any(|pair| pair.starts_with("password="));
    has_parameter
        || user
            .split_once(':')
            .is_some_and(|(_, password)| !password.is_empty())
}

/// Reads the URL of a server: a scheme and an authority.
pub(crate) fn upstream_url(text: &str) -> Result<Uri, String> {
    let url: Uri = text.parse().map_err(|_| "this is no URL".to_owned())?;
    match url.scheme_str() {
        Some("http" | "https" | "h2c") => {}
        _ => return Err("the URL begins with http://, https:// or h2c://".to_owned()),
    }
    if url
        .authority()
        .is_some_and(|authority| authority.as_str().contains('@'))
    {
        return Err("the URL names a user, which is not sent".to_owned());
    }
    if url.path() != "/" || url.query().is_some() {
        return Err("the URL has a path, which is not sent: requests keep theirs".to_owned());
    }
    Ok(url)
}

/// Reads the path of jobs.
pub(crate) fn base(text: &str) -> Result<String, String> {
    let path = text.trim_end_matches('/');
    let is_plain = |segment: &str| {
        let mut bytes = segment.bytes();
        !matches!(segment, "" | "." | "..")
            && bytes.all(|byte| byte.is_ascii_alphanumeric() || b"-._~".contains(&byte))
    };
    match path.strip_prefix('/') {
        Some(segments) if segments.split('/').all(is_plain) => Ok(path.to_owned()),
        _ => Err("the path of jobs is of letters, digits, -, ., _ and ~, such as /work".to_owned()),
    }
}

/// Reads the path or URL of jobs as clients see it.
pub(crate) fn public_base(text: &str) -> Result<String, String> {
    let url = text.trim_end_matches('/');
    let is_absolute = url.parse::<Uri>().is_ok_and(|uri| {
        url.starts_with('/') || matches!(uri.scheme_str(), Some("http" | "https"))
    });
    match is_absolute && !url.contains(['?', '#', '@']) {
        true => Ok(url.to_owned()),
        false => Err(
            "expected a path or a URL without query, such as https://example.com/work".to_owned(),
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_store_that_is_unknown_is_refused_without_its_password() {
        let error = Store::of_url("mysql://me:secret@db/jobs", Origin::Plain).unwrap_err();
        assert!(!error.contains("secret"), "{error}");
        assert!(error.contains("mysql:"), "{error}");
    }

    #[test]
    fn a_password_is_refused_and_not_repeated() {
        for url in [
            "postgres://me:secret@db/jobs",
            "postgres://db/jobs?user=me&password=secret",
            "redis://:secret@db:6379",
        ] {
            let error = url.parse::<Store>().unwrap_err();
            assert!(!error.contains("secret"), "{error}");
            assert!(error.contains(STORE_VARIABLE), "{error}");
        }
        for url in ["postgres://me@db/jobs", "redis://db:6379/0"] {
            assert!(url.parse::<Store>().is_ok(), "{url}");
        }
    }

    #[test]
    fn a_server_is_a_scheme_and_an_authority() {
        assert!(upstream_url("http://127.0.0.1:3000").is_ok());
        assert!(upstream_url("h2c://app:50051/").is_ok());
        for refused in [
            "127.0.0.1:3000",
            "/report",
            "ftp://app",
            "http://app/v1",
            "http://app/?a=1",
            "http://me:secret@app",
        ] {
            assert!(upstream_url(refused).is_err(), "{refused}");
        }
    }

    #[test]
    fn a_base_is_a_path_of_plain_segments() {
        assert_eq!(base("/work/"), Ok("/work".to_owned()));
        for refused in ["", "/", "work", "/a//b", "/a/../b", "/a b", "/a?b", "/{a}"] {
            assert!(base(refused).is_err(), "{refused}");
        }
    }

    #[test]
    fn an_address_is_of_tcp_of_a_file_or_of_systemd() {
        let tcp = SocketAddr::from(([127, 0, 0, 1], 8080));
        assert_eq!("127.0.0.1:8080".parse(), Ok(Listen::Tcp(tcp)));
        assert_eq!("unix:/run/a".parse(), Ok(Listen::Unix("/run/a".into())));
        assert_eq!("systemd".parse(), Ok(Listen::Systemd));
        assert!("8080".parse::<Listen>().is_err());
        assert!("unix:".parse::<Listen>().is_err());
    }
}
