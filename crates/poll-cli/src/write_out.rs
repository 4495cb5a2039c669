//! `-w`: a text about the call with variables.

use std::{
    fs::File,
    io::{Read, Write, stderr, stdin},
    str::FromStr,
    time::Duration,
};

use http::{
    HeaderName, Version,
    header::{CONTENT_TYPE, LOCATION},
};
use http_polling::resolve;

use crate::{exchange::Exchange, exit::Code, words};

/// The maximum length of a format in a file: 64 KiB.
const LIMIT: u64 = 64 * 1024;

/// A value of `-w`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Format(String);

impl FromStr for Format {
    type Err = String;

    fn from_str(value: &str) -> Result<Self, String> {
        let Some(file) = value.strip_prefix('@') else {
            return Ok(Self(value.to_owned()));
        };
        let reader: Box<dyn Read> = match file {
            "-" => Box::new(stdin()),
            file => Box::new(File::open(file).map_err(|error| format!("{file}: {error}"))?),
        };
        let mut text = String::new();
        match reader.take(LIMIT).read_to_string(&mut text) {
            Ok(_) => Ok(Self(text)),
            Err(error) => Err(format!("{file}: {error}")),
        }
    }
}

/// The facts about a call that has ended.
#[derive(Debug)]
pub(crate) struct Facts<'a> {
    pub(crate) exchange: &'a Exchange,
    pub(crate) code: Code,
    pub(crate) error: Option<&'a str>,
    pub(crate) took: Duration,
}

/// The texts for standard output and standard error.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Written {
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

impl Format {
    pub(crate) fn fill(&self, facts: &Facts<'_>) -> Written {
        let mut written = Written::default();
        let mut to_stderr = false;
        let mut rest = &*self.0;
        while let Some(first) = rest.chars().next() {
            let mut text = String::new();
            let (whole, used) = match first {
                '\\' => (escape(rest, &mut text), 2),
                '%' if rest.starts_with("%%") => {
                    text.push('%');
                    (true, 2)
                }
                '%' => match variable(rest) {
                    Some(("stdout", length)) => {
                        to_stderr = false;
                        (true, length)
                    }
                    Some(("stderr", length)) => {
                        to_stderr = true;
                        (true, length)
                    }
                    // The text after `%{onerror}` is for failures only.
                    Some(("onerror", _)) if facts.code == Code::Success => break,
                    Some(("onerror", length)) => (true, length),
                    Some((name, length)) => {
                        match facts.value(name) {
                            Some(value) => text = words::line(&value),
                            None => {
                                written.stderr +=
                                    &format!("poll: unknown variable of --write-out: '{name}'\n");
                            }
                        }
                        (true, length)
                    }
                    None => (false, 0),
                },
                _ => (false, 0),
            };
            let used = match whole {
                true => used,
                false => {
                    text.push(first);
                    first.len_utf8()
                }
            };
            let target = match to_stderr {
                true => &mut written.stderr,
                false => &mut written.stdout,
            };
            target.push_str(&text);
            rest = rest.get(used..).unwrap_or_default();
        }
        written
    }
}

impl Written {
    /// Writes the texts. A failure to write does not change the exit code.
    pub(crate) fn write(&self) {
        let mut stdout = std::io::stdout();
        let _ = stdout
            .write_all(self.stdout.as_bytes())
            .and_then(|()| stdout.flush());
        let _ = stderr().write_all(self.stderr.as_bytes());
    }
}

impl Facts<'_> {
    /// Returns the value of a variable, if it exists.
    fn value(&self, name: &str) -> Option<String> {
        let Exchange { url, method, .. } = self.exchange;
        let head = self.exchange.answer.as_ref();
        let header = |name: &HeaderName| {
            let value = head?.headers.get(name)?;
            Some(String::from_utf8_lossy(value.as_bytes()).into_owned())
        };
        if let Some(name) = name
            .strip_prefix("header{")
            .and_then(|name| name.strip_suffix('}'))
        {
            let name: HeaderName = name.parse().ok()?;
            return Some(header(&name).unwrap_or_default());
        }
        Some(match name {
            "content_type" => header(&CONTENT_TYPE).unwrap_or_default(),
            "errormsg" => self.error.unwrap_or_default().to_owned(),
            "exitcode" => (self.code as u8).to_string(),
            "http_code" | "response_code" => {
                format!("{:03}", head.map_or(0, |head| head.status.as_u16()))
            }
            "http_version" => match head.map(|head| head.version) {
                None => "0",
                Some(Version::HTTP_10) => "1.0",
                Some(Version::HTTP_2) => "2",
                Some(_) => "1.1",
            }
            .to_owned(),
            "method" => method.to_string(),
            "num_polls" => self.exchange.polls.to_string(),
            "redirect_url" => header(&LOCATION)
                .and_then(|location| resolve(url, location).ok())
                .map_or_else(String::new, |url| url.to_string()),
            "scheme" => url.scheme_str().unwrap_or_default().to_owned(),
            "size_download" => self.exchange.downloaded.to_string(),
            "time_total" => format!("{:.6}", self.took.as_secs_f64()),
            "url" => match &self.exchange.first_url {
                Some(url) => url.to_string(),
                None => String::new(),
            },
            "url_effective" => url.to_string(),
            _ => return None,
        })
    }
}

/// Appends the character of the escape at the beginning of `text` to `target`.
/// Returns whether the escape is known.
fn escape(text: &str, target: &mut String) -> bool {
    let character = match text.as_bytes().get(1) {
        Some(b'n') => '\n',
        Some(b'r') => '\r',
        Some(b't') => '\t',
        _ => return false,
    };
    target.push(character);
    true
}

/// Returns the name of the variable at the beginning of `text`, and the length
/// of its notation: `%{name}`, or `%header{name}`, whose name is `header{name}`.
fn variable(text: &str) -> Option<(&str, usize)> {
    let end = text.find('}')?;
    let whole = &text[..=end];
    if whole.starts_with("%header{") {
        return Some((&whole[1..], whole.len()));
    }
    let name = whole.strip_prefix("%{")?;
    Some((&name[..name.len() - 1], whole.len()))
}

#[cfg(test)]
mod tests;
