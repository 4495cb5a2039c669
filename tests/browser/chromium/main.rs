//! The job resource in a browser: the page of a pending job, and `fetch` from another origin.
//!
//! The tests need `chromium` and `chromedriver` on the path, by these names or by those in `CHROMIUM` and
//! `CHROMEDRIVER`. Without them, the tests are reported as ignored, with the reason, or fail if
//! `HTTP_POLLING_REQUIRE_SERVICES=1` is set. Screenshots are saved in `target/tmp`, cargo's directory for
//! temporary files of tests.

mod browser;
mod cors;
mod declarations;
mod events;
mod example;
mod form;
mod poll;
mod site;

use std::sync::OnceLock;

use libtest_mimic::{Arguments, Completion, Trial};
use tokio::runtime::Runtime;

use self::browser::{Browser, Driver, Script};

fn main() {
    example::run_if_asked();
    let mut arguments = Arguments::from_args();
    // Each browser needs several processors.
    arguments.test_threads = arguments.test_threads.or(Some(2));
    let trials = vec![
        Trial::ignorable_test("declarations_of_poll_js_fit_its_use", declarations::checked),
        Trial::ignorable_test("poll_js_has_at_most_60_lines", poll::small),
        trial(
            "a_form_posted_to_a_slow_route_shows_its_progress_and_then_its_response",
            Script::On,
            form::with_script,
        ),
        trial(
            "a_form_posted_without_script_ends_with_its_response_too",
            Script::Off,
            form::without_script,
        ),
        trial(
            "a_browser_is_led_to_the_page_where_others_get_202",
            Script::On,
            form::accepted,
        ),
        trial("the_button_cancels_the_job", Script::On, form::cancelled),
        trial(
            "what_the_handler_says_cannot_become_markup",
            Script::On,
            form::hostile,
        ),
        trial(
            "the_page_goes_on_when_the_server_comes_back",
            Script::On,
            form::interrupted,
        ),
        trial(
            "the_page_promises_nothing_of_the_run_before",
            Script::On,
            form::run_again,
        ),
        trial("the_page_looks_as_it_should", Script::On, form::pictures),
        trial(
            "another_origin_gets_the_result_by_fetch",
            Script::On,
            cors::fetched,
        ),
        trial(
            "another_origin_cancels_by_fetch",
            Script::On,
            cors::cancelled,
        ),
        scripted(
            "poll_js_finds_its_job_after_a_reload_before_the_acceptance",
            poll::reloaded_before_acceptance,
        ),
        scripted(
            "poll_js_keeps_a_body_only_if_told_to",
            poll::body_kept_by_option_only,
        ),
        scripted(
            "poll_js_finds_its_job_after_a_reload",
            poll::reloaded_after_acceptance,
        ),
        scripted("poll_js_cancels_its_job", poll::cancelled),
        scripted("poll_js_calls_another_origin", poll::elsewhere),
        scripted("poll_js_listens_to_events", events::listening),
        scripted(
            "poll_js_polls_where_there_are_no_events",
            events::polling_instead,
        ),
        scripted(
            "poll_js_polls_at_once_when_its_stream_breaks",
            events::broken,
        ),
        scripted("two_tabs_follow_one_job_by_poll_js", poll::duplicated),
        scripted("poll_js_works_without_room_to_store", poll::without_room),
        scripted("poll_js_survives_outages", poll::interrupted),
        scripted("poll_js_gets_the_result_of_redirects", poll::redirecting),
        scripted("poll_js_polls_when_its_page_is_shown", poll::shown_again),
        scripted("poll_js_waits_as_it_is_asked_to", poll::waits),
        scripted("poll_js_exports_what_is_declared", poll::declared),
        scripted(
            "the_example_shows_progress_failure_and_cancellation",
            example::progress,
        ),
        scripted(
            "the_example_gets_its_report_though_its_server_is_killed",
            example::killed,
        ),
    ];
    let conclusion = libtest_mimic::run(&arguments, trials);
    if let Some(Ok(driver)) = DRIVER.get() {
        driver.shut_down();
    }
    conclusion.exit();
}

/// The chromedriver of all tests, which the first test starts.
static DRIVER: OnceLock<Result<Driver, String>> = OnceLock::new();

fn scripted<F>(name: &str, test: fn(Browser) -> F) -> Trial
where
    F: Future<Output = anyhow::Result<()>> + Send + 'static,
{
    trial(name, Script::On, test)
}

fn trial<F>(name: &str, script: Script, test: fn(Browser) -> F) -> Trial
where
    F: Future<Output = anyhow::Result<()>> + Send + 'static,
{
    Trial::ignorable_test(name, move || {
        let driver = match DRIVER.get_or_init(Driver::start) {
            Ok(driver) => driver,
            Err(reason) => return test_services::not_run(reason),
        };
        let outcome = Runtime::new()?.block_on(Browser::run(driver, script, test));
        outcome.map_err(|error| format!("{error:#}"))?;
        Ok(Completion::Completed)
    })
}
