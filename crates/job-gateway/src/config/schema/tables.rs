//! The table of all settings.

use super::{
    Absent::{Required, Value, Words},
    Kind::{Boolean, Choice, List, Number, Numbers, Secrets, Size, Text, TextOrSecret, Time},
    Setting, Table,
};

const TRUE: super::Absent = Value("true");
const FALSE: super::Absent = Value("false");
const NONE: super::Absent = Words("none");
const EMPTY: super::Absent = Value("[]");

/// All settings, in the order of the reference.
pub(crate) const TABLES: &[Table] = &[
    Table {
        headers: &[],
        meaning: "The gateway itself",
        settings: TOP,
    },
    Table {
        headers: &["[clients]"],
        meaning: "The limits of clients' connections",
        settings: CLIENTS,
    },
    Table {
        headers: &["[upstreams.NAME]"],
        meaning: "A server behind the gateway, by a name of your choice",
        settings: UPSTREAM,
    },
    Table {
        headers: &["[defaults]", "[[routes]]"],
        meaning: "The treatment of requests: of all, and of those that a route matches",
        settings: ROUTE,
    },
    Table {
        headers: &["[[routes]]"],
        meaning: "The requests of a route",
        settings: MATCH,
    },
    Table {
        headers: &["[progress]"],
        meaning: "The listener for reports of progress by servers",
        settings: PROGRESS,
    },
    Table {
        headers: &["[callbacks]"],
        meaning: "The calls to clients' own servers",
        settings: CALLBACKS,
    },
    Table {
        headers: &["[callbacks.hosts.\"HOST\"]"],
        meaning: "A host that may be called",
        settings: HOST,
    },
];

const TOP: &[Setting] = &[
    Setting::new(
        "listen",
        List("addresses: `ADDRESS:PORT`, `unix:PATH`, or `systemd` for the sockets that systemd passes on"),
        Value(r#"["127.0.0.1:8080"]"#),
        "The addresses for clients.",
    )
    .fixed(),
    Setting::new(
        "tls.certificate",
        Text("file in PEM"),
        Words("plain HTTP"),
        "The certificate for clients, with its chain; HTTP/2 is then offered by ALPN. A reload reads \
         it again, and only cannot add or remove it.",
    )
    .example(r#""certificate.pem""#)
    .fixed(),
    Setting::new(
        "tls.key",
        Text("file in PEM"),
        Words("plain HTTP"),
        "The private key of the certificate.",
    )
    .example(r#""key.pem""#)
    .fixed(),
    Setting::new(
        "admin",
        Text("loopback address with a port, or `unix:PATH`"),
        NONE,
        "The address for operators: probes, metrics and the list of jobs, without authentication.",
    )
    .example(r#""127.0.0.1:9090""#)
    .fixed(),
    Setting::new(
        "base",
        Text("path"),
        Value(r#""/work""#),
        "The path of jobs, which no route can match.",
    )
    .fixed(),
    Setting::new(
        "public_base",
        Text("path or URL"),
        Words("`base`"),
        "The path or URL of jobs as clients see it, where a proxy before the gateway strips a prefix.",
    )
    .example(r#""https://example.com/work""#)
    .fixed(),
    Setting::new(
        "name",
        Text("letter, and at most 63 letters, digits, `-`, `.` and `_`"),
        Value(r#""job-gateway""#),
        "The name in `Via` and `Proxy-Status`; gateways in a chain need different ones.",
    )
    .fixed(),
    Setting::new(
        "store",
        TextOrSecret("`memory`, `sqlite:FILE`, `postgres://…` or `redis://…`"),
        Value(r#""memory""#),
        "The place of jobs; a URL with a password must be a secret.",
    )
    .instead(r#"{ env = "JOB_GATEWAY_STORE" }"#)
    .fixed(),
    Setting::new(
        "lease",
        Time("1s", "1h"),
        Value(r#""30s""#),
        "The time after which the jobs of a gateway that died run again, or are lost. The same for all \
         gateways of a store.",
    )
    .fixed(),
    Setting::new(
        "max_bytes",
        Size("1MiB", "64TiB"),
        Words("256 MiB in memory, 4 GiB in SQLite"),
        "The greatest size of the store: its data in memory, or its file. Databases have limits of \
         their own.",
    )
    .example(r#""1GiB""#)
    .fixed(),
    Setting::new(
        "trusted_proxies",
        List("networks or addresses"),
        EMPTY,
        "The proxies whose `Forwarded`, `X-Forwarded-*` and principals are believed; clients of a \
         Unix socket always are.",
    )
    .instead(r#"["10.0.0.0/8", "fd00::/8"]"#),
    Setting::new(
        "drain_delay",
        Time("0s", "1h"),
        Value(r#""0s""#),
        "The time between SIGTERM and the refusal of new requests, in which load balancers notice \
         that `/readyz` fails.",
    ),
    Setting::new(
        "grace",
        Time("0s", "1h"),
        Value(r#""25s""#),
        "The time for running jobs after that.",
    ),
    Setting::new(
        "threads",
        Number("threads", "1", "1024"),
        Words("one per core"),
        "The threads that serve.",
    )
    .example("2")
    .fixed(),
    Setting::new(
        "fallback",
        Boolean,
        TRUE,
        "Sends requests that match no route to the default server; else they are answered with 404.",
    ),
];

const CLIENTS: &[Setting] = &[
    Setting::new(
        "header_bytes",
        Size("8KiB", "1MiB"),
        Value(r#""16KiB""#),
        "The size of a request's head.",
    ),
    Setting::new(
        "headers",
        Number("fields", "10", "1000"),
        Value("100"),
        "The number of a request's fields.",
    ),
    Setting::new(
        "header_timeout",
        Time("100ms", "1h"),
        Value(r#""10s""#),
        "The time for a request's head.",
    ),
    Setting::new(
        "body_timeout",
        Time("100ms", "1h"),
        Value(r#""30s""#),
        "The time for which a request's body may stall, or an answer be left unread.",
    ),
    Setting::new(
        "idle_timeout",
        Time("100ms", "1h"),
        Value(r#""75s""#),
        "The time for which a connection without a request stays open.",
    ),
    Setting::new(
        "connections",
        Number("connections", "1", "10000000"),
        Value("10000"),
        "The connections at once; further ones wait in the system's queue.",
    ),
];

const UPSTREAM: &[Setting] = &[
    Setting::new(
        "url",
        Text("`http://`, `https://` or `h2c://`, with host and port"),
        Required,
        "The address of the server; `h2c` is HTTP/2 without TLS.",
    )
    .example(r#""http://127.0.0.1:3000""#),
    Setting::new(
        "http2",
        Boolean,
        Words("`true` with `h2c`, else `false`"),
        "Offers HTTP/2 by ALPN to a server with `https`.",
    )
    .example("false"),
    Setting::new(
        "concurrency",
        Number("requests", "1", "1000000"),
        Words("no limit"),
        "The requests that the server gets at once; others wait, and principals take turns.",
    )
    .example("64"),
    Setting::new(
        "queue",
        Number("requests", "0", "10000000"),
        Value("10000"),
        "The requests that may wait for `concurrency`; further ones are answered with 503.",
    ),
    Setting::new(
        "own_host",
        Boolean,
        FALSE,
        "Sends the server's own name as Host instead of the client's.",
    ),
    Setting::new(
        "connect_timeout",
        Time("10ms", "5m"),
        Value(r#""5s""#),
        "The time for a connection.",
    ),
    Setting::new(
        "response_timeout",
        Time("100ms", "1day"),
        Value(r#""60s""#),
        "The time for the head of a response that cannot become a job.",
    ),
    Setting::new(
        "idle_timeout",
        Time("0s", "1h"),
        Value(r#""4s""#),
        "The time for which a connection may be idle: less than the server's own.",
    ),
    Setting::new(
        "max_age",
        Time("1s", "1day"),
        Value(r#""60s""#),
        "The time after which a connection takes no further request, so that changed names are seen.",
    ),
    Setting::new(
        "tunnel_timeout",
        Time("100ms", "7days"),
        Value(r#""1h""#),
        "The time for which a websocket may be silent both ways.",
    ),
    Setting::new(
        "roots",
        Text("file in PEM"),
        Words("the system's"),
        "The certificates by which the server's own is verified.",
    )
    .example(r#""certificate.pem""#),
];

const ROUTE: &[Setting] = &[
    Setting::new(
        "upstream",
        Text("name"),
        Words("the only one"),
        "The server; required where the file has several.",
    )
    .example(r#""app""#),
    Setting::new("defer", Boolean, TRUE, "Lets requests become jobs."),
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
        NONE,
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
        TRUE,
        "Sends the principal to the server as `Job-Principal`.",
    ),
    Setting::new(
        "cors.origins",
        List("origins, such as `https://app.example`"),
        EMPTY,
        "The origins whose [pages](#pages-of-other-origins) may send requests and read answers.",
    )
    .instead(r#"["https://app.example"]"#),
    Setting::new(
        "follow",
        Boolean,
        FALSE,
        "Polls the server's [own jobs](#servers-with-jobs-of-their-own), and answers with their results.",
    ),
    Setting::new(
        "callback",
        Boolean,
        FALSE,
        "Lets clients ask for a [callback](#callbacks); needs a host in `[callbacks]`.",
    ),
    Setting::new(
        "result_later",
        Boolean,
        FALSE,
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

const MATCH: &[Setting] = &[
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

const PROGRESS: &[Setting] = &[
    Setting::new(
        "listen",
        Text("`ADDRESS:PORT`"),
        Value(r#""127.0.0.1:0""#),
        "The address for reports, which clients must not reach; port 0 is any free one.",
    )
    .fixed(),
    Setting::new(
        "url",
        Text("`http://` or `https://`, with host and port"),
        Words("that of `listen`"),
        "The address as servers see it; needs a `listen` with a port.",
    )
    .instead(r#""http://10.0.0.5:8081""#),
];

const CALLBACKS: &[Setting] = &[Setting::new(
    "allow_networks",
    List("networks or addresses"),
    EMPTY,
    "The networks that are not public and may be called all the same.",
)
.instead(r#"["10.1.0.0/16"]"#)];

const HOST: &[Setting] = &[
    Setting::new(
        "secrets",
        Secrets,
        Required,
        "The secret that signs, such as `whsec_…`, or two while they are rotated.",
    )
    .example(r#"[{ file = "hook.secret" }]"#),
    Setting::new(
        "ports",
        Numbers("1", "65535"),
        Value("[443]"),
        "The ports that may be called.",
    ),
];
