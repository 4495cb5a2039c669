//! The outcome of a run, by requirement.

use std::collections::BTreeMap;

use serde_json::Value;

use crate::poll::{Ran, run};

/// The verdicts by requirement.
#[derive(Debug)]
pub(crate) struct Outcome {
    pub(crate) ran: Ran,
    pub(crate) verdicts: BTreeMap<String, String>,
}

impl Outcome {
    /// Returns the requirements with this verdict.
    pub(crate) fn with(&self, verdict: &str) -> Vec<&str> {
        let all = self.verdicts.iter();
        all.filter(|(_, other)| *other == verdict)
            .map(|(number, _)| &**number)
            .collect()
    }

    /// Asserts that nothing failed, and that only these requirements do not apply.
    #[track_caller]
    pub(crate) fn is_clean_without(&self, not_applicable: &[&str]) {
        let document: Value = serde_json::from_str(&self.ran.stdout).unwrap();
        let checks = document["checks"].as_array().unwrap().iter();
        let bad: Vec<_> = checks
            .filter(|check| check["verdict"] != "pass" && check["verdict"] != "n/a")
            .collect();
        assert!(bad.is_empty(), "{bad:#?}");
        let unexpected: Vec<_> = document["checks"]
            .as_array()
            .unwrap()
            .iter()
            .filter(|check| check["verdict"] == "n/a")
            .filter(|check| {
                !check["reason"]
                    .as_str()
                    .unwrap()
                    .starts_with("not observable")
            })
            .filter(|check| !not_applicable.contains(&check["requirement"].as_str().unwrap()))
            .collect();
        assert!(unexpected.is_empty(), "{unexpected:?}");
        assert_eq!(self.ran.code, 0, "{:?}", self.ran);
    }
}

/// Checks the server as one principal, with another one as the stranger.
pub(crate) async fn check(url: &str) -> Outcome {
    check_with(url, &["-d", "year=2031"]).await
}

pub(crate) async fn check_with(url: &str, arguments: &[&str]) -> Outcome {
    let users = ["-H", "x-user: alice", "--other-header", "x-user: bob"];
    check_as(url, &[&users, arguments].concat()).await
}

/// Checks the server with these arguments alone.
pub(crate) async fn check_as(url: &str, arguments: &[&str]) -> Outcome {
    let all = [&["check", "--json"], arguments, &[url]].concat();
    let ran = run(&all).await;
    let document: Value = serde_json::from_str(&ran.stdout).unwrap_or_else(|_| panic!("{ran:?}"));
    let text = |check: &Value, name: &str| check[name].as_str().unwrap().to_owned();
    let checks = document["checks"].as_array().unwrap().iter();
    let verdicts = checks
        .map(|check| (text(check, "requirement"), text(check, "verdict")))
        .collect();
    assert!(document["submissions"].as_u64() <= Some(12));
    assert!(document["requests"].as_u64() <= Some(200));
    Outcome { ran, verdicts }
}
