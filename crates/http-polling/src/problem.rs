//! Problem details (RFC 9457).

use std::{error::Error, fmt};

use http::StatusCode;
use serde::{Deserialize, Deserializer, Serialize, Serializer, ser::SerializeMap};
use serde_json::{Map, Value};

use crate::{
    document::{self, InvalidDocument},
    problem_type::ProblemType,
};

const NO_KIND: &str = "about:blank";
const MEMBERS: [&str; 5] = ["type", "title", "status", "detail", "instance"];

/// A problem document (RFC 9457). Its media type is
/// [`PROBLEM_JSON`](crate::PROBLEM_JSON).
///
/// Deserialization is lenient, as RFC 9457, section 3.1, requires: a member of
/// the wrong type counts as absent. Serialization omits an extension that has
/// the name of a standard member.
///
/// ```
/// use http_polling::{Problem, ProblemType};
///
/// let problem = Problem::new(ProblemType::JobFailed).with_detail("the disk is full");
/// assert_eq!(problem.to_string(), "The job failed: the disk is full");
///
/// let read = Problem::from_json(&problem.to_json()).unwrap();
/// assert_eq!(read, problem);
/// assert_eq!(read.problem_type(), Some(ProblemType::JobFailed));
/// ```
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct Problem {
    /// `type`: a URI that names the kind of problem. `about:blank` adds nothing
    /// to the status code.
    pub kind: String,
    /// A short summary of the kind of problem, for human readers.
    pub title: Option<String>,
    /// The status code that the origin server chose.
    pub status: Option<u16>,
    /// An explanation of this occurrence, for human readers.
    pub detail: Option<String>,
    /// A URI reference that identifies this occurrence.
    pub instance: Option<String>,
    /// Extension members, by name.
    pub extensions: Map<String, Value>,
}

impl Problem {
    /// Creates a problem of this kind, with its title and status code.
    ///
    /// ```
    /// use http_polling::{Problem, ProblemType};
    ///
    /// let problem = Problem::new(ProblemType::JobUnknown);
    /// assert_eq!(problem.status, Some(404));
    /// assert_eq!(problem.title.as_deref(), Some("There is no such job"));
    /// ```
    #[must_use]
    pub fn new(kind: ProblemType) -> Self {
        Self {
            kind: kind.uri().to_owned(),
            title: Some(kind.title().to_owned()),
            status: Some(kind.status().as_u16()),
            ..Self::default()
        }
    }

    /// Sets [`detail`](Self::detail), an explanation of this occurrence.
    #[must_use]
    pub fn with_detail(mut self, detail: impl Into<String>) -> Self {
        self.detail = Some(detail.into());
        self
    }

    /// Sets [`instance`](Self::instance), a URI reference that identifies this
    /// occurrence.
    #[must_use]
    pub fn with_instance(mut self, instance: impl Into<String>) -> Self {
        self.instance = Some(instance.into());
        self
    }

    /// Adds an extension member, or replaces the one of this name.
    ///
    /// ```
    /// use http_polling::{Problem, ProblemType};
    ///
    /// let problem = Problem::new(ProblemType::QuotaExceeded).with_extension("limit", 8);
    /// assert_eq!(problem.extensions["limit"], 8);
    /// ```
    #[must_use]
    pub fn with_extension(mut self, name: impl Into<String>, value: impl Into<Value>) -> Self {
        self.extensions.insert(name.into(), value.into());
        self
    }

    /// Returns the kind of problem, if this crate defines it.
    #[must_use]
    pub fn problem_type(&self) -> Option<ProblemType> {
        ProblemType::from_uri(&self.kind)
    }

    /// Returns [`status`](Self::status), if it is a valid status code.
    #[must_use]
    pub fn status_code(&self) -> Option<StatusCode> {
        self.status.and_then(|code| StatusCode::from_u16(code).ok())
    }

    /// Serializes the document as JSON.
    #[must_use]
    pub fn to_json(&self) -> Vec<u8> {
        serde_json::to_vec(self).expect("every member has a JSON form, and every key is a string")
    }

    /// Parses a document. A byte order mark before it is skipped.
    ///
    /// # Errors
    ///
    /// Fails only if the bytes are not a JSON object.
    ///
    /// ```
    /// use http_polling::Problem;
    ///
    /// let problem = Problem::from_json(br#"{"status":"soon","balance":30}"#).unwrap();
    /// assert_eq!(problem.kind, "about:blank");
    /// assert_eq!(problem.status, None);
    /// assert_eq!(problem.extensions["balance"], 30);
    /// ```
    pub fn from_json(json: &[u8]) -> Result<Self, InvalidDocument> {
        document::read(json, "problem document")
    }
}

/// A problem of no particular kind, `about:blank`, without further members.
impl Default for Problem {
    fn default() -> Self {
        Self {
            kind: NO_KIND.to_owned(),
            title: None,
            status: None,
            detail: None,
            instance: None,
            extensions: Map::new(),
        }
    }
}

impl From<ProblemType> for Problem {
    fn from(kind: ProblemType) -> Self {
        Self::new(kind)
    }
}

/// Writes the title and the detail, or the kind if both are missing.
impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (&self.title, &self.detail) {
            (Some(title), Some(detail)) => write!(f, "{title}: {detail}"),
            (Some(text), None) | (None, Some(text)) => f.write_str(text),
            (None, None) => f.write_str(&self.kind),
        }
    }
}

/// A problem can be the source of another error.
impl Error for Problem {}

impl Serialize for Problem {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut members = serializer.serialize_map(None)?;
        members.serialize_entry("type", &self.kind)?;
        if let Some(title) = &self.title {
            members.serialize_entry("title", title)?;
        }
        if let Some(status) = &self.status {
            members.serialize_entry("status", status)?;
        }
        if let Some(detail) = &self.detail {
            members.serialize_entry("detail", detail)?;
        }
        if let Some(instance) = &self.instance {
            members.serialize_entry("instance", instance)?;
        }
        for (name, value) in &self.extensions {
            if !MEMBERS.contains(&name.as_str()) {
                members.serialize_entry(name, value)?;
            }
        }
        members.end()
    }
}

impl<'de> Deserialize<'de> for Problem {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let mut members = Map::deserialize(deserializer)?;
        let mut text = |name| match members.remove(name) {
            Some(Value::String(text)) => Some(text),
            _ => None,
        };
        Ok(Self {
            kind: text("type").unwrap_or_else(|| NO_KIND.to_owned()),
            title: text("title"),
            detail: text("detail"),
            instance: text("instance"),
            status: members
                .remove("status")
                .and_then(|status| u16::try_from(status.as_u64()?).ok()),
            extensions: members,
        })
    }
}

#[cfg(test)]
mod tests;
