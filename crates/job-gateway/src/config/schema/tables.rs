//! The table of all settings.

use super::{
    Absent::{self, Required, Value, Words},
    Kind::{Boolean, List, Number, Numbers, Secrets, Size, Text, TextOrSecret, Time},
    Setting, Table,
    routes::{MATCH, ROUTE},
};

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
        Absent::NONE,
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
        "events",
        Boolean,
        Absent::FALSE,
        "Sends [live events](#live-events) of each job at its URL with `/events`.",
    )
    .fixed(),
    Setting::new(
        "own_jobs",
        Boolean,
        Absent::FALSE,
        "Lists to each client [its own jobs](#own-jobs) at `base`; needs a `principal`.",
    )
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
        Absent::EMPTY,
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
        Absent::TRUE,
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
        Absent::FALSE,
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
    Absent::EMPTY,
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
