//! The subcommand that checks a server.

use std::{fmt, str::FromStr, time::Duration};

use clap::Args;
use http::Method;

use super::{connection::Connection, values::method};
use crate::{
    request::{HeaderLine, Part, Target},
    words::limit,
};

/// The arguments of `check`.
#[derive(Debug, Args)]
pub(crate) struct Check {
    /// The URL of a slow request; http:// may be omitted
    #[arg(required_unless_present = "list", value_name = "URL")]
    pub(crate) url: Option<Target>,
    /// The method. GET by default, POST with -d
    #[arg(short = 'X', long = "request", value_name = "METHOD", value_parser = method)]
    pub(crate) method: Option<Method>,
    /// Sends this as the body: the text, @FILE, or @- for standard input
    ///
    /// Several values are joined by `&`. The type is
    /// application/x-www-form-urlencoded unless -H sets another.
    #[arg(
        short,
        long,
        visible_alias = "data-binary",
        value_name = "DATA|@FILE|@-"
    )]
    pub(crate) data: Vec<Part>,
    /// A header of another principal, who must not see the jobs of the first
    #[arg(long, value_name = "NAME: VALUE")]
    pub(crate) other_header: Option<HeaderLine>,
    /// Checks only these requirements, such as 2.7,2.8
    #[arg(long, value_name = "NUMBER", value_delimiter = ',')]
    pub(crate) only: Vec<Number>,
    /// Does not check these requirements
    #[arg(long, value_name = "NUMBER", value_delimiter = ',')]
    pub(crate) skip: Vec<Number>,
    /// Lists the requirements and those that a client cannot see, and sends
    /// nothing
    #[arg(long)]
    pub(crate) list: bool,
    /// Writes the outcome as JSON
    #[arg(long, conflicts_with_all = ["junit", "list"])]
    pub(crate) json: bool,
    /// Writes the outcome as XML for CI systems
    #[arg(long, conflicts_with = "list")]
    pub(crate) junit: bool,
    /// The longest time for the whole check; 0 is none
    #[arg(
        short = 'm',
        long,
        visible_alias = "max-time",
        value_name = "DURATION",
        value_parser = limit,
        default_value = "2min"
    )]
    pub(crate) deadline: Duration,
    #[command(flatten)]
    pub(crate) connection: Connection,
}

/// The number of a requirement of the protocol: that of its section, and its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Number(pub(crate) u8, pub(crate) u8);

impl fmt::Display for Number {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.0, self.1)
    }
}

impl FromStr for Number {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let numbers = text.split_once('.');
        let number =
            numbers.and_then(|(section, own)| Some(Self(section.parse().ok()?, own.parse().ok()?)));
        number.ok_or_else(|| "must be the number of a requirement, such as 2.7".to_owned())
    }
}
