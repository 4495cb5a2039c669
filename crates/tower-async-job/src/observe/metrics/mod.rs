//! Metrics through the `metrics` facade, with the feature `metrics`.
//!
//! | name | kind | unit | labels | meaning |
//! |---|---|---|---|---|
//! | `async_job_inline_total` | counter | calls | | deferrable requests that the handler answered in their connection |
//! | `async_job_accepted_total` | counter | jobs | | requests that became jobs |
//! | `async_job_refused_total` | counter | calls | `reason` | requests that the layer refused; the last part of the problem's type, such as `capacity-exhausted` |
//! | `async_job_running` | gauge | jobs | | jobs whose handlers run in this process |
//! | `async_job_queued` | gauge | jobs | | jobs that wait in this process for a place to run |
//! | `async_job_ended_total` | counter | jobs | `state` | jobs ended by this process: `done`, `failed`, `timed-out`, `cancelled`; `lost` if they were released and no worker may run them again |
//! | `async_job_stopped_total` | counter | runs | `reason` | runs that this process stopped before their end: `cancelled` (on any node), `released` (to run again), `lease-lost` |
//! | `async_job_duration_seconds` | histogram | seconds | `state`, `route` | from the acceptance to the end, of jobs that ended with an outcome: `done`, `failed`, `timed-out` |
//! | `async_job_polls` | histogram | polls | | the number of polls until a result, by the hint in the polled URL; 0 without the hint |
//! | `async_job_held_polls` | gauge | polls | | polls that are held, and open streams of events |
//! | `async_job_lost_total` | counter | jobs | | jobs that ended because their runs did, on a node that has died or gave them up: `lost`, or `failed` after the last attempt; counted once, by the node that ended them |
//! | `async_job_rerun_total` | counter | runs | | runs by workers of this process of jobs that have run before |
//! | `async_job_notifications_total` | counter | attempts | `result` | attempts of this process to notify of ends of jobs: `done`, `refused` (the receiver wants none), `again` (to be repeated); `given-up` in addition if the job expires before the next one |
//! | `async_job_renewals_lost_total` | counter | leases | `result` | leases of runs in this process that the store did not renew: `lost` (held by another node, or the job has ended), `missing` (the store has lost the record) |
//! | `async_job_store_up` | gauge | | `store` | 1 while the store answers the calls of this process, else 0 |
//! | `async_job_store_call_seconds` | histogram | seconds | `store`, `method` | calls to a store that other processes may use |
//! | `async_job_store_errors_total` | counter | calls | `store`, `method`, `kind` | those of these calls that failed: `unavailable`, `full`, `corrupt`, `unsupported` (a newer format, or an unknown key) |
//! | `async_job_store_pending` | gauge | jobs | `store` | jobs that are pending on all nodes, as of the latest sweep |
//! | `async_job_store_oldest_due_seconds` | gauge | seconds | `store` | the time for which the next job has waited to be claimed, as of the latest sweep; 0 if none waits. A store that does not note it tells the time since its creation |
//! | `async_job_store_nodes` | gauge | nodes | `store` | the nodes that share the store, as of the latest sweep |
//! | `async_job_store_bytes` | gauge | bytes | `store` | the stored and reserved bytes of the store, if it reports them immediately |
//! | `async_job_delivery_delay_seconds` | histogram | seconds | | from the end of a handler to the first answer with its result |
//!
//! The label `store` is the [name](tower_async_job_core::StoreProperties::name) of the store's kind.
//! With [`Builder::node_name`](crate::Builder::node_name), every metric has the label `node` too.
//!
//! The label `route` needs a function for routes ([`Builder::route`](crate::Builder::route)) with
//! few different values: the default, method and path, has as many as there are paths.
//!
//! A result's polls and delivery delay are recorded once, at its first answer to a GET, for the
//! latest 10,000 jobs whose handlers ran in this process. Durations are by tokio's clock.

#[cfg(not(feature = "metrics"))]
mod off;
#[cfg(feature = "metrics")]
mod on;

#[cfg(not(feature = "metrics"))]
pub(crate) use off::*;
#[cfg(feature = "metrics")]
pub(crate) use on::*;

#[cfg(test)]
mod tests {
    /// Returns the table's rows: the rest of the lines with the prefix.
    fn rows<'t>(text: &'t str, prefix: &str) -> Vec<&'t str> {
        let lines = text.lines().filter_map(|line| line.strip_prefix(prefix));
        lines
            .filter(|row| row.starts_with("| `async_job_"))
            .collect()
    }

    #[test]
    fn readme_has_the_same_table() {
        let documented = rows(include_str!("mod.rs"), "//! ");
        let readme = rows(include_str!("../../../README.md"), "");
        assert_eq!(documented, readme);
        assert_eq!(documented.len(), 22);
    }

    #[test]
    fn every_metric_is_documented() {
        let names = include_str!("on.rs").lines().filter_map(|line| {
            let (_, name) = line.strip_prefix("const ")?.split_once("\"async_job_")?;
            name.strip_suffix("\";")
        });
        let documented = rows(include_str!("mod.rs"), "//! ");
        let names: Vec<&str> = names.collect();
        assert_eq!(names.len(), documented.len());
        for name in names {
            let cell = format!("| `async_job_{name}` |");
            assert!(
                documented.iter().any(|row| row.starts_with(&cell)),
                "{name}"
            );
        }
    }
}
