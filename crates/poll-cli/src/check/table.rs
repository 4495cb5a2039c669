//! The table of requirements.

use Scenario::{Browser, Cancel, Deadline, End, Key, NeverDeferred, Pending, Stranger, Wait};

use super::{
    requirement::{Check, rule, unseen},
    rules::{
        browsers, cancelling, documents, job, keys, never_deferred, polls, results, stranger,
        submission,
    },
    scenario::Scenario,
};

/// The requirements of sections 1, 2, 3 and 6, which are those for servers.
#[rustfmt::skip]
pub(super) const CHECKS: &[Check] = &[
    rule(1, 1, "An answer within the inline wait is the handler's", submission::inline, &[Wait]),
    rule(1, 2, "A deferral is 303 or 202, and its job ends", submission::deferral, &[End]),
    rule(1, 3, "A pending answer has its fields and document", submission::acceptance, &[]),
    rule(1, 4, "Retry-After is whole seconds, also in ms", submission::delays, &[Pending]),
    rule(1, 5, "Location does not depend on Host", submission::hosts, &[Pending, Browser]),
    rule(1, 6, "Hints count polls, and are not relied on", submission::hints, &[Pending, Cancel]),
    rule(1, 7, "Preference-Applied tells the wait", submission::preferences, &[Wait]),
    rule(1, 8, "Some requests stay inline", never_deferred::never_deferred, &[NeverDeferred]),
    unseen(1, 9, "A full server refuses, slow uploads end", "it would take an overload"),
    rule(1, 10, "A key leads to one job", keys::keys, &[Key]),
    rule(1, 11, "Cancel-After is a time limit", never_deferred::deadline, &[Pending, Deadline]),
    unseen(1, 12, "Quotas concern one principal", "it would take an overload"),
    unseen(1, 13, "A panic ends one call", "no request makes a function of the server panic"),
    unseen(1, 14, "Layers within layers defer once", "the layers of a server look like one"),
    unseen(1, 15, "Limits hold for streams too", "it would take an overload"),
    unseen(1, 16, "Room is reserved for results", "it would take a full store"),
    unseen(1, 17, "Too long a path is refused", "the limit is the server's own"),
    unseen(1, 18, "A job keeps its place until it is stored", "places are not told"),
    unseen(1, 19, "Unread uploads are kept to a limit", "the limit is the server's own"),
    unseen(1, 20, "A stored request can run again", "it would take the crash of a node"),
    unseen(1, 21, "A later run has the stored request", "it would take the crash of a node"),
    unseen(1, 22, "Runs can be left to other nodes", "nodes are not told apart"),
    rule(2, 1, "Job-Status and no-store in every answer", job::fields, ALL_OF_JOBS),
    rule(2, 2, "The state decides the answer", job::states, ALL_OF_JOBS),
    rule(2, 3, "A result is replayed as it was", results::replay, &[End]),
    rule(2, 4, "A result stays until its retention ends", results::retention, &[End]),
    rule(2, 5, "HEAD is like GET, and consumes nothing", polls::head_and_conditions, POLLS),
    rule(2, 6, "The status document is there in every state", job::status_document, ALL_OF_JOBS),
    rule(2, 7, "DELETE cancels, or drops the result", cancelling::delete, DELETION),
    rule(2, 8, "OPTIONS tells the methods, others are 405", polls::methods, &[Pending]),
    rule(2, 9, "Ids are 32 digits, others unknown", submission::ids, &[Pending]),
    unseen(2, 10, "gRPC jobs end trailers-only", "the request is no gRPC call"),
    rule(2, 11, "Prefer: wait holds a poll until the end", polls::held, &[End]),
    rule(2, 12, "Early polls are held in 303 mode", polls::early, &[Pending, Cancel, End]),
    rule(2, 13, "Another principal sees no job", stranger::stranger, &[Stranger, End]),
    unseen(2, 14, "A node that shuts down serves its clients", "it would take a shutdown"),
    unseen(2, 15, "Long delays close the connection", "learned delays and guesses look alike"),
    rule(2, 16, "A key outlives its result", keys::key_after_deletion, &[Key]),
    unseen(2, 17, "Too large a result fails the job", "the limit is the server's own"),
    unseen(2, 18, "A broken result is cut off", "it would take damage to the store"),
    unseen(2, 19, "Damaged records are told", "it would take damage to the store"),
    rule(2, 20, "A result has validators", results::validators, &[End]),
    rule(2, 21, "Preconditions and ranges are evaluated", results::preconditions, &[End]),
    rule(3, 1, "The status document has its members", documents::status_documents, ALL_OF_JOBS),
    rule(3, 2, "Problems have their types", documents::problems, ALL_OF_JOBS),
    unseen(3, 3, "The OpenAPI document is complete", "its URL is the server's own"),
    rule(6, 1, "Only navigations get the page", browsers::navigation, &[Pending]),
    rule(6, 2, "Browsers are accepted with 303", browsers::submission, &[Pending, Browser]),
    rule(6, 3, "The page refreshes itself", browsers::head_of_the_page, &[Pending]),
    rule(6, 4, "The page is safe", browsers::safety_of_the_page, &[Pending]),
    rule(6, 5, "A browser gets the answer in the end", browsers::end_for_browsers, &[Pending, End]),
    rule(6, 6, "Scripts of other origins can poll", browsers::other_origins, &[Pending]),
];

const POLLS: &[Scenario] = &[Pending, End];
const DELETION: &[Scenario] = &[Pending, Cancel, End, Key];
const ALL_OF_JOBS: &[Scenario] = &[Pending, Cancel, End, Deadline];

#[cfg(test)]
mod tests;
