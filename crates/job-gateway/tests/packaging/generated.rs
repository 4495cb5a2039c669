//! The files that `--generate` prints.

use std::{fs, path::Path, process::Stdio};

use rcgen::generate_simple_self_signed;
use tempfile::TempDir;
use test_services::{available, installed};
use tokio::{io::AsyncWriteExt, process::Command};

use crate::support::{command, soon};

/// Returns the output of a command that succeeds.
pub(crate) async fn output(arguments: &[&str]) -> String {
    let done = soon(command(arguments).stderr(Stdio::piped()).output());
    let done = done.await.unwrap();
    let errors = String::from_utf8_lossy(&done.stderr);
    assert!(done.status.success(), "{arguments:?}: {errors}");
    String::from_utf8(done.stdout).unwrap()
}

/// The key of RFC 7515, A.3.
const KEYS: &str = r#"{"keys": [{"kty": "EC", "crv": "P-256",
    "x": "f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU",
    "y": "x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0"}]}"#;

/// Writes the files that the examples of settings name.
fn write_files(folder: &Path) {
    let pair = generate_simple_self_signed(["localhost".to_owned()]).unwrap();
    for (name, text) in [
        ("certificate.pem", pair.cert.pem()),
        ("key.pem", pair.signing_key.serialize_pem()),
        ("keys.json", KEYS.to_owned()),
        (
            "hook.secret",
            "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw".to_owned(),
        ),
    ] {
        fs::write(folder.join(name), text).unwrap();
    }
}

#[tokio::test]
async fn the_file_of_all_settings_passes_the_check_without_its_comments() {
    let folder = TempDir::new().unwrap();
    write_files(folder.path());
    let file = folder.path().join("gateway.toml");
    let path = file.to_str().unwrap();
    let template = output(&["--generate", "config"]).await;
    let commented = |line: &&str| line.is_empty() || line.starts_with('#');
    assert!(template.lines().all(|line| commented(&line)), "{template}");
    assert!(template.lines().all(|line| line.chars().count() <= 120));

    fs::write(&file, &template).unwrap();
    let flags = ["--config", path, "--upstream", "http://127.0.0.1:3000"];
    let defaults = output(&[&flags[..], &["--print-config"]].concat()).await;
    assert_eq!(
        defaults,
        output(&[&flags[2..], &["--print-config"]].concat()).await
    );

    let set = template.lines().map(|line| match line.strip_prefix('#') {
        Some(setting) if !setting.starts_with(' ') => setting,
        _ => line,
    });
    fs::write(&file, set.collect::<Vec<_>>().join("\n")).unwrap();
    assert_eq!(
        output(&["--config", path, "--check"]).await,
        "the settings can be used\n"
    );
    let printed = output(&["--config", path, "--print-config"]).await;
    for shown in [
        "threads = 2",
        "[[routes]]",
        "issuer = ",
        "hook.secret",
        "concurrency = 64",
    ] {
        assert!(printed.contains(shown), "{shown}\n{printed}");
    }
}

#[tokio::test]
async fn the_page_of_man_has_each_flag_and_no_warnings() {
    let page = output(&["--generate", "man"]).await;
    let help = output(&["--help"]).await;
    let flags = help
        .lines()
        .filter_map(|line| line.trim_start().strip_prefix("--"));
    let mut count = 0;
    for flag in flags.filter_map(|line| line.split([' ', '\n']).next()) {
        let flag = flag.replace('-', r"\-");
        assert!(page.contains(&format!(r"\-\-{flag}")), "{flag}\n{page}");
        count += 1;
    }
    assert!(count > 15, "{help}");
    for section in ["SIGNALS", "ENVIRONMENT", "EXIT STATUS", "EXAMPLES", "FILES"] {
        assert!(page.contains(&format!(".SH \"{section}\"\n")), "{section}");
    }
}

#[tokio::test]
async fn completions_are_programs_of_their_shells() {
    for shell in ["bash", "elvish", "fish", "powershell", "zsh"] {
        let script = output(&["--generate", shell]).await;
        assert!(
            script.contains("job-gateway") && script.contains("pending-status"),
            "{shell}"
        );
    }
    let Some(bash) = available(installed("bash")) else {
        return;
    };
    let script = output(&["--generate", "bash"]).await
        + "\nCOMP_WORDS=(job-gateway --rep) COMP_CWORD=1; _job__gateway job-gateway --rep job-gateway\n\
           echo \"${COMPREPLY[@]}\"\n";
    let mut bash = Command::new(bash);
    bash.stdin(Stdio::piped()).stdout(Stdio::piped());
    let mut bash = bash.spawn().unwrap();
    let mut input = bash.stdin.take().unwrap();
    input.write_all(script.as_bytes()).await.unwrap();
    drop(input);
    let done = soon(bash.wait_with_output()).await.unwrap();
    assert_eq!(String::from_utf8_lossy(&done.stdout), "--replay\n");
}

#[tokio::test]
async fn nothing_is_generated_beside_a_check() {
    let both = ["--generate", "man", "--check"];
    let done = soon(command(both).output()).await.unwrap();
    assert_eq!(done.status.code(), Some(2));
}
