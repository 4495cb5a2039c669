//! `--check` and `--print-config`, and settings with which no gateway starts.

use std::{fs, process::Output};

use rcgen::generate_simple_self_signed;
use tempfile::TempDir;

use crate::{
    file::file,
    support::{command, soon},
};

async fn run(arguments: &[&str]) -> Output {
    soon(command(arguments).output()).await.unwrap()
}

fn text(bytes: &[u8]) -> &str {
    std::str::from_utf8(bytes).unwrap()
}

/// Returns a folder with a certificate, its key, and a file with these settings.
fn folder(settings: &str) -> (TempDir, String) {
    let folder = TempDir::new().unwrap();
    let pair = generate_simple_self_signed(["localhost".to_owned()]).unwrap();
    for (name, text) in [
        ("a.pem", pair.cert.pem()),
        ("a.key", pair.signing_key.serialize_pem()),
        ("none.json", r#"{"keys": []}"#.to_owned()),
        ("gateway.toml", settings.to_owned()),
    ] {
        fs::write(folder.path().join(name), text).unwrap();
    }
    let path = folder.path().join("gateway.toml");
    (folder, path.display().to_string())
}

#[tokio::test]
async fn settings_that_can_be_used_pass_the_check_and_leave_nothing() {
    let (folder, path) = folder(
        r#"
        tls = { certificate = "a.pem", key = "a.key" }
        store = "sqlite:jobs.db"

        [upstreams.app]
        url = "http://localhost:3000"
        "#,
    );
    let done = run(&["--config", &path, "--check"]).await;
    assert_eq!(text(&done.stderr), "");
    assert_eq!(text(&done.stdout), "the settings can be used\n");
    assert_eq!(done.status.code(), Some(0));
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 4);
}

#[tokio::test]
async fn the_check_shows_all_settings_that_cannot_be_used() {
    let (folder, path) = folder(
        r#"tls = { certificate = "none.json", key = "a.key" }
store = "sqlite:/absent/jobs.db"

[upstreams.app]
url = "http://app.invalid:3000"

[defaults]
principal.jwt = { keys = "none.json", issuer = "https://id.example", audience = "a" }

[[routes]]
match = "/a"
principal.jwt = { keys = "a.pem", issuer = "https://id.example", audience = "a" }
"#,
    );
    let done = run(&["--config", &path, "--check"]).await;
    assert_eq!(done.status.code(), Some(2));
    let folder = format!("{}/", folder.path().display());
    let found = text(&done.stderr).replace(&folder, "");
    assert!(
        found.contains("the folder `/absent` does not exist"),
        "{found}"
    );
    // The words of the system's resolver and of SQLite are not compared.
    let without_reason = |line: &str| {
        let known = ["cannot be resolved: ", "cannot be opened: "];
        let end = known
            .iter()
            .find_map(|words| Some(line.find(words)? + words.len()));
        line[..end.unwrap_or(line.len())].to_owned() + "\n"
    };
    let found: String = found.lines().map(without_reason).collect();
    assert_eq!(
        found,
        r#"error: `certificate` cannot be used
 --> gateway.toml:1:23
  |
1 | tls = { certificate = "none.json", key = "a.key" }
  |                       ^^^^^^^^^^^ none.json has no certificate in PEM

error: `store` cannot be used
 --> gateway.toml:2:9
  |
2 | store = "sqlite:/absent/jobs.db"
  |         ^^^^^^^^^^^^^^^^^^^^^^^^ the store cannot be opened: 

error: `url` cannot be used
 --> gateway.toml:5:7
  |
5 | url = "http://app.invalid:3000"
  |       ^^^^^^^^^^^^^^^^^^^^^^^^^ the name app.invalid cannot be resolved: 

error: `keys` cannot be used
 --> gateway.toml:8:26
  |
8 | principal.jwt = { keys = "none.json", issuer = "https://id.example", audience = "a" }
  |                          ^^^^^^^^^^^ none.json has no key of the accepted algorithms

error: `keys` cannot be used
  --> gateway.toml:12:26
   |
12 | principal.jwt = { keys = "a.pem", issuer = "https://id.example", audience = "a" }
   |                          ^^^^^^^ a.pem is no JWK Set, as it is no JSON: invalid number at line 1 column 2
"#
    );

    let started = run(&["--config", &path]).await;
    assert_eq!(started.status.code(), Some(2));
    let started = text(&started.stderr);
    assert!(
        started.contains("error: `certificate` cannot be used"),
        "{started}"
    );
}

#[tokio::test]
async fn settings_with_errors_start_no_gateway() {
    let settings = file("listen = 8080\n");
    let path = settings.path().display().to_string();
    for command in [vec![], vec!["--check"], vec!["--print-config"]] {
        let done = run(&[&["--config", &path][..], &command].concat()).await;
        assert_eq!(done.status.code(), Some(2), "{command:?}");
        assert_eq!(text(&done.stdout), "");
        let found = text(&done.stderr).replace(&path, "gateway.toml");
        assert_eq!(
            found,
            "error: there is no upstream\n |\n = help: give `--upstream URL`, or `[upstreams.NAME]` \
             with `url` in a file\n\nerror: invalid `listen`\n --> gateway.toml:1:10\n  |\n1 | listen \
             = 8080\n  |          ^^^^ expected an array, found an integer\n"
        );
    }
    let done = run(&["--config", "/absent/gateway.toml"]).await;
    assert_eq!(done.status.code(), Some(2));
    assert_eq!(
        text(&done.stderr),
        "error: cannot read /absent/gateway.toml: No such file or directory (os error 2)\n"
    );
}

#[tokio::test]
async fn printed_settings_are_a_file_with_the_flags_and_without_secrets() {
    let settings = file("[upstreams.app]\nurl = \"http://a\"\n");
    let path = settings.path().display().to_string();
    let print = async |flags: &[&str]| {
        let mut printing = command(flags);
        printing.env("JOB_GATEWAY_STORE", "redis://me:hunter2@db");
        let printed = soon(printing.output()).await.unwrap();
        text(&printed.stdout).to_owned()
    };
    let printed = print(&[
        "--config",
        &path,
        "--upstream",
        "http://b",
        "--print-config",
    ])
    .await;
    assert!(
        printed.contains("\nstore = { env = \"JOB_GATEWAY_STORE\" }\n"),
        "{printed}"
    );
    assert!(printed.contains("\nurl = \"http://b/\"\n"), "{printed}");
    assert!(!printed.contains("hunter2"), "{printed}");

    let again = file(&printed);
    let path = again.path().display().to_string();
    assert_eq!(print(&["--config", &path, "--print-config"]).await, printed);
}

#[tokio::test]
async fn a_password_on_the_command_line_is_refused() {
    let flags = ["--upstream", "http://a", "--store", "redis://me:hunter2@db"];
    let done = run(&flags).await;
    assert_eq!(done.status.code(), Some(2));
    assert!(text(&done.stderr).contains("set JOB_GATEWAY_STORE"));
}

#[tokio::test]
async fn roots_that_cannot_be_used_are_shown_and_start_no_gateway() {
    let (folder, path) = folder(
        r#"
[upstreams.app]
url = "https://localhost:3000"
roots = "a.key"
"#,
    );
    let path_of = format!("{}/", folder.path().display());
    for arguments in [
        &["--config", &path, "--check"] as &[_],
        &["--config", &path],
    ] {
        let done = run(arguments).await;
        assert_eq!(done.status.code(), Some(2));
        assert_eq!(
            text(&done.stderr).replace(&path_of, ""),
            r#"error: `roots` cannot be used
 --> gateway.toml:4:9
  |
4 | roots = "a.key"
  |         ^^^^^^^ a.key has no certificate in PEM
"#
        );
    }
}

#[tokio::test]
async fn the_settings_in_the_manual_pass_the_check() {
    let manual = include_str!("../../../../docs/gateway.md");
    let mut blocks = manual.split("```toml\n").skip(1);
    let mut checked = 0;
    while let Some((block, _)) = blocks.next().and_then(|block| block.split_once("```")) {
        let server = "\n[upstreams.app]\nurl = \"http://127.0.0.1:3000\"\n";
        let whole = match block.contains("[upstreams") {
            true => block.to_owned(),
            false => format!("{block}{server}"),
        };
        // The folder of the unit, which is not there.
        let whole = whole.replace("/var/lib/job-gateway/", "");
        let (folder, path) = folder(&whole);
        let secret = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";
        fs::write(folder.path().join("hook.secret"), secret).unwrap();
        let done = run(&["--config", &path, "--check"]).await;
        assert_eq!(text(&done.stderr), "", "{whole}");
        checked += 1;
    }
    assert_eq!(checked, 7);
}
