//! Runs fronts and workers as processes on each store, and ends them while clients wait.

mod data;
mod faults;
mod program;

use anyhow::Result;
use libtest_mimic::{Arguments, Completion, Trial};
use tokio::runtime::Runtime;

use self::data::{Data, Kind};

fn main() {
    let mut arguments = Arguments::from_args();
    // The tests mostly wait, so that several run concurrently.
    arguments.test_threads = arguments.test_threads.or(Some(4));
    let mut trials = vec![
        alone("the_demonstration_ends_well", program::demonstration),
        alone("probes_tell_whether_a_node_takes_requests", program::probes),
        alone("errors_name_what_is_wrong", program::errors),
    ];
    for kind in Kind::ALL {
        trials.extend([
            on(
                kind,
                "s03_each_process_is_killed_while_its_clients_get_one_answer",
                faults::kills,
            ),
            on(
                kind,
                "s39_each_process_is_replaced_while_its_clients_get_one_answer",
                faults::deploy,
            ),
            on(
                kind,
                "s13_job_that_is_cancelled_at_the_other_front_stops_at_its_worker",
                faults::cancel,
            ),
        ]);
        if matches!(kind, Kind::Postgres | Kind::Redis) {
            trials.push(on(
                kind,
                "s17_s19_database_is_restarted_while_clients_get_one_answer",
                faults::restart,
            ));
        }
    }
    libtest_mimic::run(&arguments, trials).exit();
}

/// Creates a test of the program.
fn alone<F>(name: &str, test: fn() -> F) -> Trial
where
    F: Future<Output = Result<()>> + 'static,
{
    Trial::test(name, move || {
        let outcome = Runtime::new()?.block_on(test());
        outcome.map_err(|error| format!("{error:#}").into())
    })
}

/// Creates a test on a store of this kind, which is not run if its server is missing.
fn on<F>(kind: Kind, name: &str, test: fn(Data) -> F) -> Trial
where
    F: Future<Output = Result<()>> + 'static,
{
    let test = move || {
        let data = match Data::start(kind) {
            Ok(data) => data,
            Err(missing) => return test_services::not_run(&missing.to_string()),
        };
        let outcome = Runtime::new()?.block_on(test(data));
        outcome.map_err(|error| format!("{error:#}"))?;
        Ok(Completion::Completed)
    };
    Trial::ignorable_test(name, test).with_kind(kind.name())
}
