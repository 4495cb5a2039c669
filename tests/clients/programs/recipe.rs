//! The recipes that poll, as they stand in `docs/recipes.md`.

use std::{fs, time::Duration};

use anyhow::{Result, ensure};
use libtest_mimic::{Completion, Trial};
use test_services::{not_run, program, recipe, recipes};
use tokio::runtime::Runtime;

use crate::{
    program::{Program, run},
    site::Site,
};

const SECOND: Duration = Duration::from_secs(1);

/// The recipes with the programs that run them: the name of the file, and the command before it.
const RECIPES: [(&str, &str, &[&str]); 7] = [
    ("curl: follow the redirects", "recipe.sh", &["sh"]),
    ("curl: a loop", "recipe.sh", &["sh"]),
    ("curl: retry with a key", "recipe.sh", &["sh"]),
    ("Python: urllib", "recipe.py", &["python3"]),
    ("Python: requests", "recipe.py", &["python3"]),
    ("JavaScript: fetch", "recipe.mjs", &["node"]),
    ("Go: net/http", "recipe.go", &["go", "run"]),
];

pub(crate) fn trials() -> Vec<Trial> {
    let all = Trial::test("recipes_are_all_run", || {
        let ours = RECIPES.iter().map(|(name, ..)| *name);
        // The gateway's tests run the receivers of callbacks.
        let others = recipes().into_iter();
        let others = others.filter(|name| !name.starts_with("Callbacks: "));
        match others.eq(ours) {
            true => Ok(()),
            false => Err(format!("{:?}", recipes()).into()),
        }
    });
    let each = RECIPES.map(|(name, file, command)| {
        let title = name.replace(|c: char| !c.is_alphanumeric(), "_");
        Trial::ignorable_test(format!("recipe_{}", title.to_lowercase()), move || {
            if let Some(outcome) = missing(name) {
                return outcome;
            }
            let outcome = Runtime::new()?.block_on(runs(name, file, command));
            outcome.map_err(|error| format!("{error:#}"))?;
            Ok(Completion::Completed)
        })
    });
    [all].into_iter().chain(each).collect()
}

/// Returns the outcome of a test whose program is missing.
fn missing(name: &str) -> Option<Result<Completion, libtest_mimic::Failed>> {
    let reason = match name {
        // Go is large, and newer versions first compile their library, so that it may be missing.
        "Go: net/http" => {
            let reason = program(&["go"]).err()?;
            return Some(Ok(Completion::ignored_with(reason)));
        }
        "Python: urllib" => Program::Urllib.missing(),
        "Python: requests" => Program::Requests.missing(),
        "JavaScript: fetch" => Program::Fetch.missing(),
        _ => Program::Curl.missing(),
    };
    reason.map(|reason| not_run(&reason))
}

async fn runs(name: &str, file: &str, command: &[&str]) -> Result<()> {
    let folder = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR"))?;
    let path = folder.path().join(file);
    fs::write(&path, recipe(name))?;
    let path = path.to_str().expect("text");
    let call = async |site: &Site| {
        let url = site.url();
        let arguments = [&command[1..], &[path, &url]].concat();
        run(command[0], &arguments).await
    };

    let site = Site::slow(3 * SECOND).await?;
    let result = call(&site).await?;
    ensure!(result.trim_end() == "the report", "{result}");
    let requests = site.requests();
    ensure!(requests[0] == "POST /report", "{requests:?}");
    // Three would do; polls are neither many nor too early.
    ensure!((2..=6).contains(&requests.len()), "{requests:?}");
    ensure!(requests[1..].iter().all(|poll| poll == "GET /work/{id}"));
    ensure!(site.runs() == 1);

    let site = Site::failing().await?;
    let error = call(&site).await.expect_err("the work has failed");
    ensure!(error.to_string().contains("ended with"), "{error}");

    if name == "curl: retry with a key" {
        let site = Site::losing(3 * SECOND).await?;
        ensure!(call(&site).await? == "the report");
        let posts = site.requests();
        let posts = posts.iter().filter(|line| line.starts_with("POST"));
        ensure!(posts.count() == 2 && site.runs() == 1, "{}", site.runs());
    }
    if name == "JavaScript: fetch" {
        let site = Site::accepting(2 * SECOND).await?;
        ensure!(call(&site).await?.trim_end() == "the report");
    }
    Ok(())
}
