//! The dialect of one call.

use std::{fmt, ops::Deref, sync::Arc};

use http::{HeaderMap, Method, StatusCode, Uri};
use http_polling::JOB_STATUS;

use super::{
    answer::{Announced, Answer},
    azure::AzureResourceManager,
    fhir::FhirAsync,
    named::named,
    odata::ODataAsync,
    ogc::OgcProcesses,
    reader::Dialect,
};

static AZURE: AzureResourceManager = AzureResourceManager::new();
static OGC: OgcProcesses = OgcProcesses::new();
static ODATA: ODataAsync = ODataAsync::new();
static FHIR: FhirAsync = FhirAsync::new();

/// The first one that recognises an answer reads the call, so that the more
/// specific ones come first.
pub(super) static BUILT_IN: [&dyn Dialect; 4] = [&AZURE, &OGC, &ODATA, &FHIR];

/// A dialect of the user's, or a built-in one.
#[derive(Clone)]
pub(crate) enum Chosen {
    Own(Arc<dyn Dialect>),
    BuiltIn(&'static dyn Dialect),
}

impl Deref for Chosen {
    type Target = dyn Dialect;

    fn deref(&self) -> &(dyn Dialect + 'static) {
        match self {
            Self::Own(own) => &**own,
            Self::BuiltIn(built_in) => *built_in,
        }
    }
}

impl fmt::Debug for Chosen {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl Chosen {
    /// Returns the dialect of this name: one of the user's `own`, or one of
    /// this crate.
    pub(crate) fn by_name(name: &str, own: &[Arc<dyn Dialect>]) -> Option<Self> {
        if let Some(own) = own.iter().find(|own| own.name() == name) {
            return Some(Self::Own(Arc::clone(own)));
        }
        let mut built_in = BUILT_IN.iter();
        match built_in.find(|built_in| built_in.name() == name) {
            Some(built_in) => Some(Self::BuiltIn(*built_in)),
            // It was put onto a layer, and precedes `Job-Status`.
            None => named(name).map(Self::Own),
        }
    }

    /// Returns the dialect that recognises an answer: one of the user's `own`,
    /// or a built-in one if the answer looks like theirs.
    pub(crate) fn recognise(answer: &Answer<'_>, own: &[Arc<dyn Dialect>]) -> Option<Self> {
        if let Some(own) = own.iter().find(|own| own.recognises(answer)) {
            return Some(Self::Own(Arc::clone(own)));
        }
        // `Job-Status` takes precedence over built-in dialects.
        let may_be = matches!(
            answer.status(),
            StatusCode::OK | StatusCode::CREATED | StatusCode::ACCEPTED
        ) && !answer.headers().contains_key(JOB_STATUS);
        let mut candidates = BUILT_IN.iter().filter(|_| may_be);
        candidates
            .find(|built_in| built_in.recognises(answer))
            .map(|built_in| Self::BuiltIn(*built_in))
    }
}

/// The parts of a call that its dialect reads answers with.
#[derive(Clone, Debug)]
pub(crate) struct CallContext {
    pub(crate) method: Method,
    pub(crate) submission: Uri,
    pub(crate) announced: Announced,
}

impl CallContext {
    pub(crate) fn new(method: &Method, submission: &Uri) -> Self {
        Self {
            method: method.clone(),
            submission: submission.clone(),
            announced: Announced::default(),
        }
    }

    /// The answer of this head to the submission.
    pub(crate) fn answer<'a>(&'a self, status: StatusCode, headers: &'a HeaderMap) -> Answer<'a> {
        Answer::new(
            &self.method,
            &self.submission,
            &self.announced,
            status,
            headers,
        )
    }
}
