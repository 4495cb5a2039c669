//! Files, and the errors that they have.

use std::{env, fs, path::Path};

use super::{
    Config, Listen, Overrides, PrincipalSource, Replay, Report, Source, Store,
    file::{load, parse},
    print::print,
    swap::check_swap,
};

fn parsed(text: &str, flags: &Overrides) -> Result<(Config, Source), Report> {
    parse(
        "gateway.toml".to_owned(),
        text.to_owned(),
        folder().to_owned(),
        flags,
    )
}

fn folder() -> &'static Path {
    Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/config"))
}

/// Compares the errors of each `NAME.toml` with `NAME.txt`. With `UPDATE_EXPECTED=1` in the
/// environment, the messages are written instead.
#[test]
fn each_error_has_its_line_and_a_hint() {
    let mut files: Vec<_> = fs::read_dir(folder())
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.extension().is_some_and(|end| end == "toml"))
        .collect();
    files.sort();
    assert!(files.len() > 10, "{files:?}");
    let mut differences = String::new();
    for file in files {
        let report = load(Some(&file), &Overrides::default()).unwrap_err();
        let folder = folder().display().to_string();
        let found = format!("{report}\n").replace(&format!("{folder}/"), "");
        let mut each: Vec<_> = found.trim_end().split("\n\n").collect();
        each.sort_unstable();
        let number = each.len();
        each.dedup();
        assert_eq!(each.len(), number, "an error twice in {}", file.display());
        let expected = file.with_extension("txt");
        if env::var_os("UPDATE_EXPECTED").is_some() {
            fs::write(&expected, &found).unwrap();
        }
        let wanted = fs::read_to_string(&expected).unwrap_or_default();
        if found != wanted {
            differences += &format!(
                "{}\n--- expected\n{wanted}--- found\n{found}",
                file.display()
            );
        }
    }
    assert!(differences.is_empty(), "{differences}");
}

#[test]
fn a_file_that_is_too_long_is_not_read() {
    let long = tempfile::NamedTempFile::new().unwrap();
    long.as_file().set_len((1 << 20) + 1).unwrap();
    let path = long.path().display();
    let text = format!("store = {{ file = \"{path}\" }}\n");
    let report = parsed(&text, &Overrides::default())
        .unwrap_err()
        .to_string();
    let told = format!("cannot read {path}: it is longer than 1MiB");
    assert!(report.contains(&told), "{report}");
}

#[test]
fn a_flag_of_one_upstream_says_so_if_there_are_several() {
    let text = "[upstreams.a]\nurl = \"http://a\"\n[upstreams.b]\nurl = \"http://b\"\n";
    let (mut upstream, mut concurrency) = (Overrides::default(), Overrides::default());
    upstream.upstream = Some("http://c".parse().unwrap());
    concurrency.concurrency = Some(1);
    for (flag, flags) in [("--upstream", upstream), ("--concurrency", concurrency)] {
        let report = parsed(text, &flags).unwrap_err().to_string();
        let told = format!("`{flag}` needs one upstream, and the file has several");
        assert!(report.contains(&told), "{report}");
        assert!(
            report.contains("name one by `upstream` in `[defaults]`"),
            "{report}"
        );
    }
}

#[test]
fn no_message_has_a_secret() {
    for file in fs::read_dir(folder()).unwrap() {
        let path = file.unwrap().path();
        if path.extension().is_some_and(|end| end == "txt") {
            let message = fs::read_to_string(&path).unwrap();
            assert!(!message.contains("hunter2"), "{}", path.display());
            assert!(!message.contains("aHVudGVy"), "{}", path.display());
        }
    }
}

/// Each setting once, with a value that is not its default.
const ALL: &str = r#"
listen = ["127.0.0.1:8443", "unix:gateway.socket", "systemd"]
admin = "unix:/run/admin.socket"
tls = { certificate = "certificate.pem", key = "key.pem" }
base = "/jobs"
public_base = "https://example.com/app/jobs"
name = "edge"
store = "sqlite:jobs.db"
lease = "10s"
max_bytes = "3GiB"
trusted_proxies = ["10.0.0.0/8", "192.168.1.1"]
drain_delay = "1s 500ms"
grace = "1m"
threads = 3

[clients]
header_bytes = "32KiB"
headers = 50
header_timeout = "5s"
body_timeout = "6s"
idle_timeout = "7s"
connections = 8

[upstreams."the app"]
url = "h2c://127.0.0.1:3000"
concurrency = 64
queue = 1000
own_host = true
connect_timeout = "1s"
response_timeout = "2s"
idle_timeout = "3s"
max_age = "4s"
tunnel_timeout = "5m"

[upstreams.reports]
url = "https://reports"
http2 = true
roots = "certificate.pem"

[defaults]
upstream = "the app"
defer = false
inline_wait = "0s"
pending_status = 202
deadline = "2h"
retention = "3h"
request_spool = "1MiB"
result_limit = "1001B"
max_attempts = 5
replay = "all"
credentials = "keep"
principal = { header = "X-User" }
send_principal = false
cors.origins = ["https://app.example", "http://localhost:3000"]
follow = true
callback = true

[[routes]]
name = "report \"PDF\""
match = "POST /report/{id}"
upstream = "reports"
credentials = "none"
principal.jwt = { keys = "keys.json", issuer = "https://id.example", audience = "reports", algorithms = ["ES256"], claim = "e\\tmail" }
cors.origins = []

[[routes]]
match = "/static/{*rest}"
principal = "none"

[progress]
listen = "0.0.0.0:8081"
url = "http://10.0.0.1:8081"

[callbacks]
allow_networks = ["10.1.0.0/16"]

[callbacks.hosts."hooks.example.com"]
secrets = [{ file = "hook.secret" }]
ports = [443, 8443]
"#;

#[test]
fn printed_settings_mean_the_same() {
    let (config, _) = parsed(ALL, &Overrides::default()).unwrap();
    let printed = print(&config);
    let (again, _) = parsed(&printed, &Overrides::default()).unwrap();
    assert_eq!(again, config, "{printed}");
    assert!(!printed.contains("aHVudGVy"), "{printed}");

    let flags = Overrides {
        upstream: Some("http://127.0.0.1:3000".parse().unwrap()),
        ..Overrides::default()
    };
    let (config, _) = load(None, &flags).unwrap();
    let (again, _) = parsed(&print(&config), &Overrides::default()).unwrap();
    assert_eq!(again, config);
}

#[test]
fn each_key_is_printed() {
    let (config, _) = parsed(ALL, &Overrides::default()).unwrap();
    let printed = print(&config);
    for line in ALL.lines() {
        if let Some((key, _)) = line.split_once(" = ") {
            let key = key.split('.').next().unwrap();
            assert!(
                printed.contains(&format!("{key} = ")) || key == "cors",
                "{key}\n{printed}"
            );
        }
    }
}

#[test]
fn relative_paths_begin_at_the_folder_of_the_file() {
    let (config, _) = parsed(ALL, &Overrides::default()).unwrap();
    assert_eq!(config.tls.unwrap().key, folder().join("key.pem"));
    assert_eq!(config.store, Store::Sqlite(folder().join("jobs.db")));
    assert_eq!(
        config.listen[1],
        Listen::Unix(folder().join("gateway.socket"))
    );
}

#[test]
fn flags_take_precedence_over_the_file() {
    let flags = Overrides {
        upstream: Some("http://127.0.0.1:4000".parse().unwrap()),
        concurrency: Some(7),
        listen: vec![Listen::Systemd],
        store: Some(Store::Memory),
        base: Some("/flag".to_owned()),
        replay: Some(Replay::None),
        threads: Some(1),
        ..Overrides::default()
    };
    let (config, _) = parsed(ALL, &flags).unwrap();
    assert_eq!(config.upstreams["the app"].url, "http://127.0.0.1:4000/");
    assert_eq!(config.upstreams["the app"].concurrency, Some(7));
    assert_eq!(config.upstreams["reports"].concurrency, None);
    assert_eq!(config.listen, [Listen::Systemd]);
    assert_eq!(config.store, Store::Memory);
    assert_eq!(config.base, "/flag");
    assert_eq!(config.routes[1].replay, Replay::None);
    assert_eq!(config.threads, Some(1));
}

#[test]
fn a_route_has_the_defaults_that_it_does_not_replace() {
    let (config, _) = parsed(ALL, &Overrides::default()).unwrap();
    let [report, assets] = &config.routes[..] else {
        panic!("{:?}", config.routes);
    };
    assert_eq!(report.max_attempts, 5);
    assert!(matches!(report.principal, Some(PrincipalSource::Jwt(_))));
    assert_eq!(report.credentials, None);
    assert!(report.cors_origins.is_empty());
    assert_eq!(assets.principal, None);
    assert_eq!(assets.upstream.name, "the app");
    assert_eq!(&*assets.name, "/static/{*rest}");
}

#[test]
fn a_running_gateway_keeps_its_listeners_store_and_base() {
    let (running, _) = parsed(ALL, &Overrides::default()).unwrap();
    let swapped = ALL
        .replace("max_attempts = 5", "max_attempts = 6")
        .replace("https://reports", "https://other");
    let (new, source) = parsed(&swapped, &Overrides::default()).unwrap();
    check_swap(&running, &new, source).unwrap();

    let text = "base = \"/other\"\nstore = \"memory\"\n[upstreams.app]\nurl = \"http://app\"\n";
    let (new, source) = parsed(text, &Overrides::default()).unwrap();
    let report = check_swap(&running, &new, source).unwrap_err();
    let help = "  |\n  = help: restart the gateway to change it";
    let without_place = |key| {
        format!(
            "error: `{key}` cannot change while the gateway runs\n |\n = help: restart the gateway \
             to change it\n\n"
        )
    };
    let expected = [
        "name",
        "listen",
        "admin",
        "tls",
        "public_base",
        "lease",
        "threads",
        "progress.listen",
    ]
    .map(without_place)
    .concat()
        + &format!(
            "error: `base` cannot change while the gateway runs\n --> gateway.toml:1:8\n  |\n1 | \
             base = \"/other\"\n  |        ^^^^^^^^\n{help}\n\n\
             error: `store` cannot change while the gateway runs\n --> gateway.toml:2:9\n  |\n2 | \
             store = \"memory\"\n  |         ^^^^^^^^\n{help}"
        );
    assert_eq!(report.to_string(), expected);
}

/// Each mistake of a single character is accepted or reported, and no report fails.
#[test]
fn no_text_is_too_strange_for_a_report() {
    let replacements = [
        "", "\"", "[", "]", "{", "=", "\n", "é", "\u{202e}", "\0", "9", "whsec_",
    ];
    let mut reports = 0;
    for (number, (at, char)) in ALL.char_indices().enumerate() {
        let replacement = replacements[number % replacements.len()];
        let end = at + char.len_utf8();
        let changed = format!("{}{replacement}{}", &ALL[..at], &ALL[end..]);
        let cut = ALL[..at].to_owned() + replacement;
        for text in [changed, cut] {
            if let Err(report) = parsed(&text, &Overrides::default()) {
                assert!(report.to_string().starts_with("error: "), "{report}");
                reports += 1;
            }
        }
    }
    assert!(reports > ALL.len(), "{reports} of {}", 2 * ALL.len());
}
