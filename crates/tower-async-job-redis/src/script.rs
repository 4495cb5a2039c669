//! The scripts that the server runs.

use std::sync::LazyLock;

use http_polling::{Problem, ProblemType};

use crate::job::FORMAT;

/// A script, which the server knows by its hash once it has run it.
#[derive(Debug)]
pub(crate) struct Script {
    pub(crate) source: String,
    pub(crate) hash: String,
}

impl Script {
    fn new(parts: &[&str]) -> Self {
        let format = format!("local FORMAT = {}\n", FORMAT.newest());
        let source = parts.concat().replace("local FORMAT = 1\n", &format);
        let hash = redis::Script::new(&source).get_hash().to_owned();
        Self { source, hash }
    }
}

/// The problem documents of jobs that end without their holder, as constants of scripts.
static PROBLEMS: LazyLock<String> = LazyLock::new(|| {
    let problem = |kind, detail: &str| {
        let problem = Problem::new(kind);
        let problem = match detail {
            "" => problem,
            detail => problem.with_detail(detail.to_owned()),
        };
        String::from_utf8(problem.to_json().to_vec()).unwrap_or_default()
    };
    format!(
        "local PROBLEM_TIMED_OUT = [==[{}]==]\n\
         local PROBLEM_ATTEMPTS = [==[{}]==]\n\
         local PROBLEM_REQUEST = [==[{}]==]\n",
        problem(ProblemType::JobTimedOut, ""),
        problem(
            ProblemType::JobFailed,
            "none of its % attempts came to an end"
        ),
        problem(ProblemType::JobFailed, "the stored request cannot be read"),
    )
});

const CLOCK: &str = include_str!("lua/clock.lua");
const ROW: &str = include_str!("lua/row.lua");
const LIFE: &str = include_str!("lua/life.lua");

/// Declares scripts: those that change one job, and others.
macro_rules! scripts {
    (job { $($job:ident = $job_name:literal,)* } other { $($other:ident = $other_name:literal,)* }) => {
        $(pub(crate) static $job: LazyLock<Script> = LazyLock::new(|| {
            let own = include_str!(concat!("lua/", $job_name, ".lua"));
            Script::new(&[&PROBLEMS, CLOCK, ROW, LIFE, own])
        });)*
        $(pub(crate) static $other: LazyLock<Script> = LazyLock::new(|| {
            let own = include_str!(concat!("lua/", $other_name, ".lua"));
            Script::new(&[CLOCK, own])
        });)*
    };
}

scripts! {
    job {
        CREATE = "create",
        DISCARD = "discard",
        START = "start",
        REPORT = "report",
        FINISH = "finish",
        RELEASE = "release",
        RESUME = "resume",
        RENEW_OUTSIDE = "renew_outside",
        CANCEL = "cancel",
        REMOVE = "remove",
        EXTEND = "extend",
        DELIVER = "deliver",
        NOTIFIED = "notified",
        CLAIM = "claim",
        CLAIM_NOTICE = "claim_notice",
        TICK = "tick",
    }
    other {
        LOOK_UP = "look_up",
        RENEW = "renew",
        READ = "read",
        WRITE_CHUNK = "write_chunk",
        READ_CHUNK = "read_chunk",
        COLLECT = "collect",
        PENDING = "pending",
        WORK = "work",
        DUE = "due",
        READY = "ready",
        NOTICES = "notices",
        WAITING = "waiting",
        COUNTS = "counts",
        NODES = "nodes",
        LIST = "list",
        FIND = "find",
    }
}
