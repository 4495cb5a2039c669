//! The meaning of an answer.

use std::time::Duration;

use http::{StatusCode, Uri};
use http_polling::{JobState, NextPoll, Problem, Progress};

/// The meaning of an answer.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub enum Step {
    /// The meaning of its status and headers alone
    /// ([`Exchange::read`](http_polling::Exchange::read)). To a poll, 404 and
    /// 410 are errors; after a DELETE they are the response, as 200.
    AsHead,
    /// Unknown without the body. Valid only if
    /// [`Answer::body`](super::Answer::body) is `None`.
    NeedsBody,
    /// The work goes on.
    Pending(Interim),
    /// The work is done, and this answer is the response. If its body has been
    /// read, it is fetched again from the same URL.
    Done,
    /// The work is done, and this answer is the response but for its status.
    DoneAs(StatusCode),
    /// The work is done, and the response comes by GET from this URL.
    Fetch(Uri),
    /// The work has ended in this state, without a response.
    Failed(JobState, Option<Box<Problem>>),
}

/// The content of a pending answer.
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
    /// The URL of the next poll.
    pub url: Uri,
    /// The delay before it. `None` if the answer has none.
    pub retry_after: Option<Duration>,
    /// The state of the job.
    pub state: Option<JobState>,
    /// The progress of the job.
    pub progress: Option<Progress>,
}

impl From<NextPoll> for Interim {
    fn from(next: NextPoll) -> Self {
        Self {
            url: next.uri,
            retry_after: next.retry_after,
            state: next.state,
            progress: None,
        }
    }
}

impl Interim {
    /// A pending answer with `url` and nothing more.
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
