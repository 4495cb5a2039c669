//! Dialects by their names.

use std::sync::Arc;

use super::{
    azure::AzureResourceManager, bare_accepted::BareAccepted, fhir::FhirAsync, odata::ODataAsync,
    ogc::OgcProcesses, reader::Dialect, status_document::StatusResource, status_field,
    status_field::StatusField,
};

/// The names that [`named`] accepts. The field follows that of a
/// [`StatusField`].
///
/// ```
/// use tower_poll::dialect::{NAMES, named};
///
/// assert!(NAMES.contains(&"azure"));
/// assert!(named("azure").is_some());
/// ```
pub const NAMES: [&str; 7] = [
    "azure",
    "ogc-processes",
    "odata",
    "fhir",
    "status-resource",
    "status-document=FIELD",
    "bare-202",
];

/// Returns the dialect of this crate by its name, in the form for the
/// [layer](crate::PollLayer::dialect): it recognises more answers than the
/// built-in one.
///
/// - `azure`: [`AzureResourceManager::poll_resources`]
/// - `ogc-processes`: [`OgcProcesses::lenient`]
/// - `odata`: [`ODataAsync::lenient`]
/// - `fhir`: [`FhirAsync::lenient`]
/// - `status-resource`: [`StatusResource::new`]
/// - `status-document=FIELD`: [`StatusField::new`]
/// - `bare-202`: [`BareAccepted::new`]
///
/// ```
/// use tower_poll::{PollLayer, dialect::named};
///
/// let layer = PollLayer::new().dialect(named("status-document=state").unwrap());
/// assert!(named("esperanto").is_none());
/// ```
#[must_use]
pub fn named(name: &str) -> Option<Arc<dyn Dialect>> {
    Some(match name {
        // Jobs are stored with the latter.
        "azure" | "azure-resources" => Arc::new(AzureResourceManager::new().poll_resources(true)),
        "ogc-processes" => Arc::new(OgcProcesses::new().lenient(true)),
        "odata" => Arc::new(ODataAsync::new().lenient(true)),
        "fhir" => Arc::new(FhirAsync::new().lenient(true)),
        "status-resource" => Arc::new(StatusResource::new()),
        "bare-202" => Arc::new(BareAccepted::new()),
        _ => {
            let field = name.strip_prefix(status_field::PREFIX)?;
            Arc::new(StatusField::new((!field.is_empty()).then_some(field)?))
        }
    })
}
