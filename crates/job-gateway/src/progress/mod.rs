//! Progress of running requests, which their servers report.
//!
//! Each attempt at a request has a URL of its own, whose last segment is a secret. The server sends its
//! reports there by PUT, and the answer has the state of the job and the time that is left: a server
//! that does not notice the end of its connection learns here that the job is cancelled. The URLs have
//! a listener of their own; the listeners of clients have none of them.
//!
//! A server that delivers its result later does so there too. All that is to be known of such a run is in
//! its URLs and in the store, so that any gateway on the store serves them.

mod answer;
mod listener;
mod paced;
mod parties;
mod party;
mod reach;
mod refusal;
mod report;
mod result;
mod runs;
mod token;

#[cfg(test)]
mod tests;

pub(crate) use self::{
    listener::Listener,
    parties::Parties,
    party::Party,
    reach::Reach,
    runs::{Run, Runs},
};
