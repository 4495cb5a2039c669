//! The settings of the treatment of requests.

use super::{
    Absent::{self, Required, Value, Words},
    Kind::{Boolean, Choice, List, Number, Size, Text, Time},
    Setting,
};

/// The settings of `[defaults]` and `[[routes]]`.
pub(super) const ROUTE: &[Setting] = &[
    Setting::new(
        "upstream",
        Text("name"),
        Words("the only one"),
        "The server; required where the file has several.",
    )
    .example(r#""app""#),
    Setting::new("defer", Boolean, Absent::TRUE, "Lets requests become jobs."),
    Setting::new(
        "inline_wait",
        Time("0s", "1h"),
        Value(r#""1s""#),
        "The time for a response before the request becomes a job.",
    ),
    Setting::new(
        "pending_status",
        Choice(&["303", "202"]),
        Value("303"),
        "The status that announces a job: 202 for browsers' fetch and programs that follow no redirect.",
    ),
    Setting::new(
        "deadline",
        Time("1s", "30days"),
        Value(r#""1h""#),
        "The time for the work; then the job ends.",
    ),
    Setting::new(
        "retention",
        Time("1s", "1year"),
        Value(r#""1h""#),
        "The time for which a result can be fetched.",
    ),
    Setting::new(
        "request_spool",
        Size("0B", "1GiB"),
        Value(r#""2MiB""#),
        "The bytes of a request's body that are read ahead; a longer one cannot be sent again.",
    ),
    Setting::new(
        "result_limit",
        Size("1B", "1TiB"),
        Value(r#""16MiB""#),
        "The bytes of a stored result.",
    ),
    Setting::new(
        "max_attempts",
        Number("attempts", "1", "100"),
        Value("3"),
        "The times that a request is sent, apart from refused connections.",
    ),
    Setting::new(
        "replay",
        Choice(&[r#""idempotent""#, r#""keyed""#, r#""all""#, r#""none""#]),
        Value(r#""idempotent""#),
        "The requests that may be sent [again](#jobs-that-run-again).",
    ),
    Setting::new(
        "credentials",
        Choice(&[r#""keep""#, r#""drop""#, r#""none""#]),
        Value(r#""none""#),
        "The treatment of credentials in stored requests; with `\"none\"` a request that has some is \
         not stored.",
    ),
    Setting::new(
        "principal",
        Text("`\"none\"`, or one of the following tables"),
        Value(r#""none""#),
        "The source of the principal, who alone may use the job.",
    ),
    Setting::new(
        "principal.header",
        Text("name of a field"),
        Absent::NONE,
        "A field that a trusted proxy sets; needs `trusted_proxies`.",
    )
    .instead(r#""x-user""#),
    Setting::new(
        "principal.jwt.keys",
        Text("file with a JWK Set"),
        Required,
        "The keys that sign tokens: the principal is then that of a JSON Web Token in `Authorization`.",
    )
    .example(r#""keys.json""#),
    Setting::new(
        "principal.jwt.issuer",
        Text("text"),
        Required,
        "The `iss` that a token must have.",
    )
    .example(r#""https://id.example""#),
    Setting::new(
        "principal.jwt.audience",
        Text("text"),
        Required,
        "The `aud` that a token must have.",
    )
    .example(r#""reports""#),
    Setting::new(
        "principal.jwt.algorithms",
        List(
            "`RS256`, `RS384`, `RS512`, `PS256`, `PS384`, `PS512`, `ES256`, `ES384`, `EdDSA`, `HS256`, \
             `HS384` or `HS512`",
        ),
        Value(r#"["RS256", "ES256", "EdDSA"]"#),
        "The algorithms that are accepted.",
    ),
    Setting::new(
        "principal.jwt.claim",
        Text("text"),
        Value(r#""sub""#),
        "The claim that names the principal.",
    ),
    Setting::new(
        "send_principal",
        Boolean,
        Absent::TRUE,
        "Sends the principal to the server as `Job-Principal`.",
    ),
    Setting::new(
        "cors.origins",
        List("origins, such as `https://app.example`"),
        Absent::EMPTY,
        "The origins whose [pages](#pages-of-other-origins) may send requests and read answers.",
    )
    .instead(r#"["https://app.example"]"#),
    Setting::new(
        "follow",
        Boolean,
        Absent::FALSE,
        "Polls the server's [own jobs](#servers-with-jobs-of-their-own), and answers with their results.",
    ),
    Setting::new(
        "callback",
        Boolean,
        Absent::FALSE,
        "Lets clients ask for a [callback](#callbacks); needs a host in `[callbacks]`.",
    ),
    Setting::new(
        "result_later",
        Boolean,
        Absent::FALSE,
        "Lets the server deliver its [result later](#results-later); needs a `url` in `[progress]`.",
    ),
    Setting::new(
        "result_timeout",
        Time("1s", "30days"),
        Words("until `deadline`"),
        "The time for which such a server may neither deliver nor report.",
    )
    .example(r#""10m""#),
];

/// The settings of `[[routes]]` alone.
pub(super) const MATCH: &[Setting] = &[
    Setting::new(
        "match",
        Text("`/path`, or `METHOD /path`"),
        Required,
        "The requests, by a path with `{name}` for a segment and `{*rest}` for all further ones; the \
         most specific route wins.",
    )
    .example(r#""POST /report/{id}""#),
    Setting::new(
        "name",
        Text("at most 100 characters of ASCII"),
        Words("`match`"),
        "The name in metrics and lists.",
    )
    .example(r#""report""#),
];
