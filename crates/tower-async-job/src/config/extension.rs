//! The extensions of requests that are stored, and restored when a request is replayed.

use http::Extensions;
use serde::{Serialize, de::DeserializeOwned};
use serde_json::{Error, Value, from_value, to_value};

/// A type of extension that is stored under a name.
pub(crate) struct KeptExtension {
    pub(crate) name: &'static str,
    /// Returns the stored form of the extension, if a request has it.
    pub(crate) store: fn(&Extensions) -> Result<Option<Value>, Error>,
    pub(crate) restore: fn(Value, &mut Extensions) -> Result<(), Error>,
}

impl KeptExtension {
    pub(crate) fn of<T>(name: &'static str) -> Self
    where
        T: Serialize + DeserializeOwned + Clone + Send + Sync + 'static,
    {
        Self {
            name,
            store: |extensions| extensions.get::<T>().map(to_value).transpose(),
            restore: |stored, extensions| {
                extensions.insert(from_value::<T>(stored)?);
                Ok(())
            },
        }
    }
}
