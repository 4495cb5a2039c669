//! The settings that a running gateway cannot change.

use super::{
    Config, Store,
    error::{Problem, Report},
    source::Source,
};

/// The settings of the parts that are made once, and live as long as the process: no reload changes
/// them. Such a part sees no other settings, so that a reload replaces all that it does not refuse.
#[derive(Debug, PartialEq)]
pub(crate) struct Fixed<'a> {
    /// The path of jobs.
    pub(crate) base: &'a str,
    /// The path or URL of jobs as clients see it, if it differs.
    pub(crate) public_base: Option<&'a str>,
    /// Jobs have events.
    pub(crate) events: bool,
    /// Clients can list the jobs of their principal.
    pub(crate) own_jobs: bool,
    pub(crate) store: &'a Store,
}

impl Config {
    pub(crate) fn fixed(&self) -> Fixed<'_> {
        Fixed {
            base: &self.base,
            public_base: self.public_base.as_deref(),
            events: self.events,
            own_jobs: self.own_jobs,
            store: &self.store,
        }
    }
}

/// Checks that a configuration may replace the running one: its listeners, store and paths of jobs
/// are the same.
///
/// # Errors
///
/// Fails with all settings that differ.
pub(crate) fn check_swap(running: &Config, new: &Config, source: Source) -> Result<(), Report> {
    // Each kind of store has a default of its own.
    let is_said = running.store == new.store || source.places.contains_key("max_bytes");
    let is_resized = is_said && running.max_bytes != new.max_bytes;
    let differences = [
        ("name", running.name != new.name),
        ("listen", running.listen != new.listen),
        ("admin", running.admin != new.admin),
        ("tls", running.tls.is_some() != new.tls.is_some()),
        ("base", running.base != new.base),
        ("public_base", running.public_base != new.public_base),
        ("events", running.events != new.events),
        ("own_jobs", running.own_jobs != new.own_jobs),
        ("store", running.store != new.store),
        ("lease", running.lease != new.lease),
        ("max_bytes", is_resized),
        ("threads", running.threads != new.threads),
        (
            "progress.listen",
            running.progress.listen != new.progress.listen,
        ),
    ];
    let differences = differences.into_iter().filter(|(_, differs)| *differs);
    let problems: Vec<_> = differences
        .map(|(key, _)| {
            Problem::new(format!("`{key}` cannot change while the gateway runs"))
                .at_key(&source, key, "")
                .help("restart the gateway to change it".to_owned())
        })
        .collect();
    match problems.is_empty() {
        true => Ok(()),
        false => Err(Report::new(source, problems)),
    }
}
