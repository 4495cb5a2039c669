use rusqlite::{
    ToSql,
    types::{FromSql, FromSqlError, FromSqlResult, ToSqlOutput, Value, ValueRef},
};
use tower_async_job_core::{Owner, Principal};

/// The owner of a job, as its row has it.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum StoredOwner {
    None,
    Named(Principal),
    Digest([u8; 32]),
}

impl StoredOwner {
    pub(crate) fn of(principal: Option<&Principal>) -> Self {
        principal.map_or(Self::None, |principal| Self::Named(principal.clone()))
    }

    pub(crate) fn shown(&self) -> Option<Owner> {
        Some(match self {
            Self::None => return None,
            Self::Named(principal) => Owner::Named(principal.clone()),
            Self::Digest(digest) => Owner::Digest(Box::new(*digest)),
        })
    }

    pub(crate) fn principal(&self) -> Option<&Principal> {
        match self {
            Self::Named(principal) => Some(principal),
            Self::None | Self::Digest(_) => None,
        }
    }

    /// Returns the part that is kept of an expired job.
    pub(crate) fn without_name(&self) -> Self {
        match self {
            Self::Named(principal) => Self::Digest(principal.digest()),
            other => other.clone(),
        }
    }
}

impl ToSql for StoredOwner {
    fn to_sql(&self) -> rusqlite::Result<ToSqlOutput<'_>> {
        Ok(match self {
            Self::None => ToSqlOutput::Owned(Value::Null),
            Self::Named(principal) => ToSqlOutput::from(principal.as_str()),
            Self::Digest(digest) => ToSqlOutput::from(&digest[..]),
        })
    }
}

impl FromSql for StoredOwner {
    fn column_result(value: ValueRef<'_>) -> FromSqlResult<Self> {
        match value {
            ValueRef::Null => Ok(Self::None),
            ValueRef::Text(_) => Ok(Self::Named(Principal::new(value.as_str()?))),
            ValueRef::Blob(_) => <[u8; 32]>::column_result(value).map(Self::Digest),
            ValueRef::Integer(_) | ValueRef::Real(_) => Err(FromSqlError::InvalidType),
        }
    }
}
