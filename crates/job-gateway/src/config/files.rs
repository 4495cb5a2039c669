//! The files and secrets that a configuration names.

use std::{
    env, fs,
    io::{self, Read as _},
    path::{Path, PathBuf},
};

use toml::de::DeValue;

use super::{
    read::{Fault, text},
    secret::{Origin, Secret},
    section::Section,
};

/// The longest file that is read: keys, certificates and secrets are shorter.
const LIMIT: u64 = 1 << 20;
pub(super) const SECRET: &str = "write { file = \"PATH\" } or { env = \"NAME\" }";

impl<'a> Section<'a> {
    /// Reads the path of a file that must be readable. Relative paths begin at the configuration's
    /// folder.
    pub(super) fn file(&self, key: &'static str) -> Option<PathBuf> {
        let path = self.get(key, text)?;
        let path = self.reading.folder.join(path);
        let span = self.span_of(key)?;
        self.check(key, span, content(&path).map(|_| path))
    }

    /// Reads a secret, which is a table. A text in its place is kept out of messages.
    pub(super) fn secret(self, check: impl Fn(&str) -> Result<(), Fault>) -> Option<Secret> {
        let span = self.span.clone()?;
        let file = self.get("file", text);
        let variable = self.get("env", text);
        let place = match (&file, &variable) {
            (Some(_), None) => self.span_of("file"),
            (None, Some(_)) => self.span_of("env"),
            _ => None,
        };
        let secret = match (file, variable) {
            (Some(file), None) => {
                let path = self.reading.folder.join(file);
                content(&path)
                    .and_then(|bytes| {
                        String::from_utf8(bytes)
                            .map_err(|_| Fault::new("the file is no UTF-8 text"))
                    })
                    .map(|text| Secret::new(Origin::File(path), text.trim_end().to_owned()))
            }
            (None, Some(name)) => env::var(&name)
                .map_err(|_| Fault::new(format!("the environment has no {name}, or not as UTF-8")))
                .map(|text| Secret::new(Origin::Environment(name), text)),
            _ if !self.is_present() => return None,
            _ => Err(Fault::new("a secret is from one file or one variable").help(SECRET)),
        };
        let secret = secret.and_then(|secret| match secret.expose() {
            "" => Err(Fault::new("the secret is empty")),
            text => check(text).map(|()| secret),
        });
        let secret = self.check("secret", place.unwrap_or(span), secret);
        self.finish();
        secret
    }
}

/// Reads a secret in an array or by a key.
pub(super) fn secret_at<'a>(
    section: &Section<'a>,
    name: String,
    key: &str,
    value: &'a toml::Spanned<DeValue<'a>>,
    check: impl Fn(&str) -> Result<(), Fault>,
) -> Option<Secret> {
    if value.get_ref().is_str() {
        section.reading.hide(value.span());
        let fault = Fault::new("secrets do not stand in the configuration").help(SECRET);
        return section.check("secret", value.span(), Err(fault));
    }
    Section::of_value(section.reading, name, key, value, SECRET).secret(check)
}

/// Returns the content of a file, or the reason why it cannot be read.
pub(super) fn content(path: &Path) -> Result<Vec<u8>, Fault> {
    let read = || {
        let mut content = Vec::new();
        let size = fs::File::open(path)?
            .take(LIMIT + 1)
            .read_to_end(&mut content)?;
        match size as u64 > LIMIT {
            true => Err(io::Error::other("it is longer than 1MiB")),
            false => Ok(content),
        }
    };
    read().map_err(|error: io::Error| {
        let reason = match error.kind() {
            io::ErrorKind::NotFound => "there is no such file".to_owned(),
            io::ErrorKind::PermissionDenied => "permission denied".to_owned(),
            io::ErrorKind::IsADirectory => "it is a folder".to_owned(),
            _ => error.to_string(),
        };
        Fault::new(format!("cannot read {}: {reason}", path.display()))
    })
}
