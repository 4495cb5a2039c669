//! The scripts that the server runs.

use std::sync::LazyLock;

use http_polling::{Problem, ProblemType};

use crate::job::newest_format;

/// A script, which the server knows by its hash once it has run it.
#[derive(Debug)]
pub(crate) struct Script {
    pub(crate) name: &'static str,
    pub(crate) source: String,
    pub(crate) hash: String,
    /// True if the number of arguments of each call is before them.
    pub(crate) counts_arguments: bool,
}

impl Script {
    fn new(name: &'static str, parts: &[&str], counts_arguments: bool) -> Self {
        let format = format!("local FORMAT = {}\n", newest_format());
        let source = parts.concat().replace("local FORMAT = 1\n", &format);
        let hash = redis::Script::new(&source).get_hash().to_owned();
        Self {
            name,
            source,
            hash,
            counts_arguments,
        }
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
const BATCH: &str = include_str!("lua/batch.lua");
const COUNTS_OF_SHARD: &str = include_str!("lua/counts_of_shard.lua");
const JOB: &str = include_str!("lua/job.lua");
const ENDING: &str = include_str!("lua/ending.lua");
const FINISH_WHOLE: &str = include_str!("lua/finish_whole.lua");
const ROW: &str = include_str!("lua/row.lua");
const CHANGE: &str = include_str!("lua/change.lua");
const GONE: &str = include_str!("lua/gone.lua");
const FINISHING: &str = include_str!("lua/finishing.lua");
const TURN: &str = include_str!("lua/turn.lua");
const LIFE: &str = include_str!("lua/life.lua");

/// The beginning of a script without a function for its most common case.
const NONE_COMMON: &str = "local common\n";

/// The function of a script for its most common case, after what it uses.
const COMMON_FINISH: &[&str] = &[ENDING, FINISH_WHOLE];

/// The function of a script that changes one job, around its parts.
const CHANGE_JOB: &str = "local function change(KEYS, ARGV)\n";
const END: &str = "end\n";

/// The functions for all changes of a job.
const ALL: &[&str] = &[ROW, CHANGE, GONE, FINISHING, TURN, LIFE];

/// Declares scripts: those that change jobs, with the parts that they use, those for the most common
/// changes only, and others. Each change creates the functions of its parts again, except in the most
/// common cases.
macro_rules! scripts {
    (
        job { $($job:ident = $job_name:literal $(commonly $common:ident)? with $parts:expr,)* }
        plain { $($plain:ident = $plain_name:literal with $plain_parts:expr,)* }
        other { $($other:ident = $other_name:literal,)* }
    ) => {
        $(pub(crate) static $job: LazyLock<Script> = LazyLock::new(|| {
            let own = include_str!(concat!("lua/", $job_name, ".lua"));
            let parts: &[&str] = $parts;
            let begin: &[&str] = &[&PROBLEMS, CLOCK, COUNTS_OF_SHARD];
            let body: &[&str] = &[CHANGE_JOB, JOB];
            let parts = [begin, &[NONE_COMMON], $($common,)? body, parts, &[own, END, BATCH]].concat();
            Script::new($job_name, &parts, true)
        });)*
        $(pub(crate) static $plain: LazyLock<Script> = LazyLock::new(|| {
            let own = include_str!(concat!("lua/", $plain_name, ".lua"));
            let parts: &[&str] = $plain_parts;
            let parts = [&[CLOCK, COUNTS_OF_SHARD], parts, &[own]].concat();
            Script::new($plain_name, &parts, false)
        });)*
        $(pub(crate) static $other: LazyLock<Script> = LazyLock::new(|| {
            let own = include_str!(concat!("lua/", $other_name, ".lua"));
            Script::new($other_name, &[CLOCK, own], false)
        });)*
    };
}

scripts! {
    job {
        CREATE = "create" with &[ROW, GONE, TURN],
        START = "start" with &[ROW, CHANGE],
        REPORT = "report" with &[ROW, CHANGE, FINISHING],
        // Of an end by a problem, which a full server admits: it is in no script with others.
        FAIL = "finish" with &[ROW, CHANGE, FINISHING],
        FINISH = "finish" commonly COMMON_FINISH with &[ROW, CHANGE, FINISHING],
        DISCARD = "discard" with ALL,
        RELEASE = "release" with ALL,
        RESUME = "resume" with ALL,
        RENEW_OUTSIDE = "renew_outside" with ALL,
        // With a report, which a full server refuses.
        REPORT_OUTSIDE = "renew_outside" with ALL,
        CANCEL = "cancel" with ALL,
        REMOVE = "remove" with ALL,
        EXTEND = "extend" with ALL,
        DELIVER = "deliver" with ALL,
        NOTIFIED = "notified" with ALL,
        CLAIM = "claim" with ALL,
        CLAIM_NOTICE = "claim_notice" with ALL,
        TICK = "tick" with ALL,
    }
    plain {
        CREATE_PLAIN = "create_plain" with &[],
        FINISH_PLAIN = "finish_plain" with &[ENDING],
    }
    other {
        LOOK_UP = "look_up",
        RENEW = "renew",
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
        LIST_OWNED = "list_owned",
        FIND = "find",
    }
}
