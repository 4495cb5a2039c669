//! The meaning of an answer.

use std::time::Duration;

use http::{StatusCode, Uri};
use http_polling::{JobState, Pending, Problem, Progress};

/// What an answer means.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub enum Step {
    /// What its status and headers say by themselves
    /// ([`Exchange::read`](http_polling::Exchange::read)). Of a poll, 404 and
    /// 410 are errors; after a DELETE they are the response, as 200.
    AsHead,
    /// The head does not tell. To be returned only where [`Answer::body`] is
    /// `None`.
    NeedsBody,
    /// The work goes on.
    Pending(Interim),
    /// The work is done, and this answer is the response. Where its body has
    /// been read to know that, it is fetched again from the same URL.
    Done,
    /// The work is done, and this answer is the response but for its status.
    DoneAs(StatusCode),
    /// The work is done, and the response is to be had by GET from there.
    Fetch(Uri),
    /// The work has ended in this state, without a response.
    Failed(JobState, Option<Box<Problem>>),
}

/// What a pending answer says.
///
/// ```
/// use http::Uri;
/// use tower_poll::dialect::Interim;
///
/// let interim = Interim::at(Uri::from_static("https://example.com/jobs/7"));
/// assert_eq!(interim.retry_after, None);
/// ```
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct Interim {
    /// Where to ask next.
    pub url: Uri,
    /// How long to wait. `None` where the answer does not say.
    pub retry_after: Option<Duration>,
    /// Where the job stands.
    pub state: Option<JobState>,
    /// How far it has come.
    pub progress: Option<Progress>,
}

impl From<Pending> for Interim {
    fn from(pending: Pending) -> Self {
        Self {
            url: pending.uri,
            retry_after: pending.retry_after,
            state: pending.state,
            progress: None,
        }
    }
}

impl Interim {
    /// Pending at `url`, and nothing more.
    #[must_use]
    pub fn at(url: Uri) -> Self {
        Self {
            url,
            retry_after: None,
            state: None,
            progress: None,
        }
    }
}
