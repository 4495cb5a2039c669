//! Answers of APIs with status documents and headers of their own.
//!
//! Most APIs announce pending work by status and headers alone: 3xx with
//! `Retry-After`, 202 with `Location` or `Content-Location`, `Job-Status`.
//! Others answer every poll with 200 and a JSON document, which has the state
//! of the work and the URL of its result. A [`Dialect`] reads the answers of
//! one such API.
//!
//! The built-in ones are recognised by the head of the answer to a submission,
//! without any setting. Other ones are put [onto the
//! layer](crate::PollLayer::dialect). [`named`] finds one of this module by
//! its name.
//!
//! | dialect | recognised by | pending | done | cancelled by |
//! |---|---|---|---|---|
//! | [`AzureResourceManager`] | 200, 201, 202 with `Azure-AsyncOperation` or `Operation-Location` | monitor: 200, any other `status` | `Succeeded`, then GET of the resource | no DELETE, APIs differ |
//! | [`AzureResourceManager::poll_resources`] | nothing, put onto the layer: as above, and a JSON answer to PUT or PATCH | resource: 200, any other `provisioningState` | `Succeeded`, or no state | no DELETE, APIs differ |
//! | [`OgcProcesses`] | 201 with `Location`, `respond-async` applied or sent to `…/execution` | job: 200, any other `status` | `successful`, then GET of the results | DELETE of the job |
//! | [`ODataAsync`] | 202 with `Location`, `respond-async` applied or `OData-Version` | 202 | 200, its status in `AsyncResult` | DELETE of the monitor |
//! | [`FhirAsync`] | 202 with `Content-Location` alone | 202, `X-Progress` | any other answer | DELETE of the status URL |
//! | [`StatusField`] | nothing, put onto the layer: 200, 201 or 202 with `Location`, or JSON in answer to GET | 200, any other word in a member of your choice | a word such as `succeeded`, then GET of its `Location` | no DELETE, APIs differ |
//! | [`BareAccepted`] | nothing, put onto the layer: 202 to GET without any URL | 202 | any other answer | no DELETE, it is the resource |
//! | [`StatusResource`] | nothing, put onto the layer: a URL that ends in `/status` | 200, `queued` or `running` | `done`, then GET of the job | DELETE of the job |
//!
//! Words for states count in any case. Unknown ones are pending, so that only
//! the deadline ends them. A missing state, or one that is no string, ends the
//! call in an error.

mod accept;
mod answer;
mod azure;
mod bare_accepted;
mod chosen;
mod document;
mod error;
mod fhir;
mod named;
mod odata;
mod ogc;
mod reader;
mod status_document;
mod status_field;
mod step;

pub(crate) use self::{
    answer::{AZURE_ASYNC_OPERATION, OPERATION_LOCATION},
    chosen::{CallContext, Chosen},
    fhir::X_PROGRESS,
};
pub use self::{
    answer::{Announced, Answer},
    azure::{AzureResourceManager, FinalState},
    bare_accepted::BareAccepted,
    error::DialectError,
    fhir::FhirAsync,
    named::{NAMES, named},
    odata::ODataAsync,
    ogc::OgcProcesses,
    reader::Dialect,
    status_document::StatusResource,
    status_field::StatusField,
    step::{Interim, Step},
};

#[cfg(test)]
mod tests;
