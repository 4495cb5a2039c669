//! The readers of single values, with the ranges of numbers, durations and sizes.

use std::{fmt::Display, ops::RangeInclusive, str::FromStr, time::Duration};

use bytesize::ByteSize;
use humantime::format_duration;
use toml::de::DeValue;

use super::words::{article, nearest, or};

const HOUR: Duration = Duration::from_secs(3600);

/// The reason why a value is refused.
#[derive(Debug)]
pub(super) struct Fault {
    /// The words beneath the value.
    pub(super) label: String,
    pub(super) help: Option<String>,
}

impl Fault {
    pub(super) fn new(label: impl Into<String>) -> Self {
        Self {
            label: label.into(),
            help: None,
        }
    }

    pub(super) fn help(mut self, help: impl Into<String>) -> Self {
        self.help = Some(help.into());
        self
    }
}

fn mismatch(expected: &str, found: &DeValue<'_>) -> Fault {
    let found = article(found.type_str());
    Fault::new(format!("expected {expected}, found {found}"))
}

pub(super) fn boolean(value: &DeValue<'_>) -> Result<bool, Fault> {
    value
        .as_bool()
        .ok_or_else(|| mismatch("true or false", value))
}

pub(super) fn text(value: &DeValue<'_>) -> Result<String, Fault> {
    let text = value.as_str().ok_or_else(|| mismatch("a string", value))?;
    match text {
        "" => Err(Fault::new("this is empty")),
        text => Ok(text.to_owned()),
    }
}

/// Reads a string in the form of this type.
pub(super) fn parsed<T: FromStr<Err = String>>(value: &DeValue<'_>) -> Result<T, Fault> {
    parsed_by(str::parse)(value)
}

pub(super) fn parsed_by<T>(
    parse: impl Fn(&str) -> Result<T, String>,
) -> impl Fn(&DeValue<'_>) -> Result<T, Fault> {
    move |value| parse(&text(value)?).map_err(Fault::new)
}

/// Reads one of these words.
pub(super) fn choice<T: Copy>(words: &[(&str, T)]) -> impl Fn(&DeValue<'_>) -> Result<T, Fault> {
    move |value| {
        let word = text(value)?;
        if let Some((_, value)) = words.iter().find(|(name, _)| *name == word) {
            return Ok(*value);
        }
        let quoted: Vec<_> = words.iter().map(|(name, _)| format!("{name:?}")).collect();
        let fault = Fault::new(format!("expected {}", or(&quoted)));
        Err(match nearest(&word, words.iter().map(|(name, _)| *name)) {
            Some(word) => fault.help(format!("did you mean {word:?}?")),
            None => fault,
        })
    }
}

/// Reads a whole number in this range.
pub(super) fn number<T>(range: RangeInclusive<T>) -> impl Fn(&DeValue<'_>) -> Result<T, Fault>
where
    T: TryFrom<i128> + PartialOrd + Display,
{
    move |value| {
        let number = value
            .as_integer()
            .ok_or_else(|| mismatch("a whole number", value))?;
        i128::from_str_radix(number.as_str(), number.radix())
            .ok()
            .and_then(|number| T::try_from(number).ok())
            .filter(|number| range.contains(number))
            .ok_or_else(|| out_of(range.start(), range.end()))
    }
}

/// Reads a duration in this range, in seconds.
pub(super) fn duration(
    range: RangeInclusive<Duration>,
) -> impl Fn(&DeValue<'_>) -> Result<Duration, Fault> {
    const FORM: &str = "write a number and a unit, such as \"500ms\", \"10s\" or \"1h 30m\"";
    move |value| {
        let text = value
            .as_str()
            .ok_or_else(|| mismatch("a duration", value).help(FORM))?;
        let duration = humantime::parse_duration(text)
            .map_err(|_| Fault::new("this is no duration").help(FORM))?;
        if range.contains(&duration) {
            return Ok(duration);
        }
        let (least, most) = (
            format_duration(*range.start()),
            format_duration(*range.end()),
        );
        Err(out_of(&least, &most))
    }
}

/// Reads a number of bytes in this range.
pub(super) fn size(range: RangeInclusive<usize>) -> impl Fn(&DeValue<'_>) -> Result<usize, Fault> {
    const FORM: &str = "write a number and a unit, such as \"16KiB\" or \"2MiB\"";
    move |value| {
        let text = value
            .as_str()
            .ok_or_else(|| mismatch("a size", value).help(FORM))?;
        let size: ByteSize = text
            .parse()
            .map_err(|_| Fault::new("this is no size").help(FORM))?;
        usize::try_from(size.0)
            .ok()
            .filter(|size| range.contains(size))
            .ok_or_else(|| out_of(&bytes(*range.start()), &bytes(*range.end())))
    }
}

fn out_of(least: &dyn Display, most: &dyn Display) -> Fault {
    Fault::new(format!("must be from {least} to {most}"))
}

/// Returns a size in the largest unit that has no fraction.
pub(super) fn bytes(size: usize) -> String {
    let units = [(40, "TiB"), (30, "GiB"), (20, "MiB"), (10, "KiB")];
    let unit = units
        .iter()
        .find(|(bits, _)| size > 0 && size.trailing_zeros() >= *bits);
    match unit {
        Some((bits, unit)) => format!("{}{unit}", size >> bits),
        None => format!("{size}B"),
    }
}

/// Reads the time for a response before the request becomes a job.
pub(super) fn inline_wait(value: &DeValue<'_>) -> Result<Duration, Fault> {
    duration(Duration::ZERO..=HOUR)(value)
}

/// Reads a time of the end of the process.
pub(super) fn ending(value: &DeValue<'_>) -> Result<Duration, Fault> {
    duration(Duration::ZERO..=HOUR)(value)
}

pub(super) fn threads(value: &DeValue<'_>) -> Result<usize, Fault> {
    number(1..=1024)(value)
}

pub(super) fn concurrency(value: &DeValue<'_>) -> Result<usize, Fault> {
    number(1..=1_000_000)(value)
}
