//! The commands and the settings of others in the manual run as they stand there.

use std::{env, fs, os::unix::fs::symlink, process::Stdio};

use http::StatusCode;
use tempfile::TempDir;
use test_services::{WebServer, available, installed};
use tokio::{net::TcpListener, process::Command};

use crate::support::{Gateway, Upstream, full, get, soon};

const MANUAL: &str = include_str!("../../../../docs/gateway.md");

/// Returns the blocks of code of a section in this language.
fn blocks(section: &str, language: &str) -> Vec<&'static str> {
    let (_, section) = MANUAL.split_once(&format!("\n{section}\n")).unwrap();
    let section = section.split("\n## ").next().unwrap();
    let begin = format!("```{language}\n");
    let blocks = section.split(&*begin).skip(1);
    blocks
        .map(|block| block.split("```").next().unwrap())
        .collect()
}

/// Returns a port that was free just now.
async fn free_port() -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    listener.local_addr().unwrap().port()
}

#[tokio::test]
async fn five_minutes_lead_to_a_durable_slow_endpoint() {
    let programs = ["bash", "curl", "python3"].map(|name| available(installed(name)));
    let [Some(bash), Some(_), Some(_)] = programs else {
        return;
    };
    let section = "## Five minutes to a durable slow endpoint";
    let folder = TempDir::new().unwrap();
    let (server, gateway) = (free_port().await.to_string(), free_port().await.to_string());
    let here = |text: &str| text.replace("3000", &server).replace("8080", &gateway);
    let [slow] = blocks(section, "python")[..] else {
        panic!("one server");
    };
    fs::write(folder.path().join("slow.py"), here(slow)).unwrap();
    symlink(
        env!("CARGO_BIN_EXE_job-gateway"),
        folder.path().join("job-gateway"),
    )
    .unwrap();

    let [install, commands @ ..] = &blocks(section, "sh")[..] else {
        panic!("commands");
    };
    assert_eq!(*install, "cargo install --path crates/job-gateway\n");
    // Readers are slower than a shell: both servers accept connections before their next command.
    let flags = "--silent --output /dev/null";
    let wait = format!(
        "until curl {flags} http://127.0.0.1:{server} && curl {flags} http://127.0.0.1:{gateway}; do \
         sleep 0.05; done"
    );
    let mut script = String::from("trap 'kill $(jobs -p)' EXIT\nset -e\n");
    for block in commands {
        // The default address is that of another gateway on a machine that has one.
        let listen = format!("--listen 127.0.0.1:{gateway} --store");
        for line in here(block).replace("--store", &listen).lines() {
            script += &format!("{line}\n");
            if line.starts_with("job-gateway ") {
                script += &format!("{wait}\n");
            }
        }
    }
    let path = env::join_paths(
        [folder.path().into()]
            .into_iter()
            .chain(env::split_paths(&env::var_os("PATH").unwrap_or_default())),
    );
    let mut shell = Command::new(bash);
    shell
        .args(["-c", &script])
        .current_dir(&folder)
        .env("PATH", path.unwrap());
    let done = soon(shell.kill_on_drop(true).stderr(Stdio::piped()).output())
        .await
        .unwrap();
    let (said, errors) = (
        String::from_utf8(done.stdout).unwrap(),
        String::from_utf8_lossy(&done.stderr),
    );
    assert!(done.status.success(), "{said}\n{errors}");
    assert!(said.ends_with("done\n"), "{said}\n{errors}");
    assert_eq!(said.matches("\ndone\n").count(), 2, "{said}");
    assert!(said.contains("HTTP/1.1 303 See Other\r\n"), "{said}");
    assert!(said.contains("\nretry-after: "), "{said}");
}

#[tokio::test(flavor = "multi_thread")]
async fn nginx_with_the_directives_of_the_manual_leads_to_jobs() {
    let upstream = Upstream::of_requests(|request| async move {
        let forwarded = request.headers().get("x-forwarded-for");
        let forwarded = forwarded.map_or("none".to_owned(), |it| it.to_str().unwrap().to_owned());
        tokio::time::sleep(std::time::Duration::from_millis(300)).await;
        http::Response::new(full(forwarded))
    })
    .await;
    let settings = format!(
        "trusted_proxies = [\"127.0.0.1\"]\n[upstreams.app]\nurl = \"{}\"\n[defaults]\n\
         inline_wait = \"100ms\"\n",
        upstream.url()
    );
    let gateway = Gateway::with(&settings).await;
    let [directives] = blocks("## In production", "nginx")[..] else {
        panic!("one block");
    };
    let directives = directives.replace("http://127.0.0.1:8080", &gateway.url(""));
    let Some(nginx) = available(WebServer::nginx(&directives)) else {
        return;
    };
    let mut answer = get(format!("{}/report", nginx.url())).await;
    assert_eq!(answer.status, StatusCode::SEE_OTHER, "{answer:?}");
    while answer.status == StatusCode::SEE_OTHER {
        let job = answer.header("location").to_owned();
        assert!(job.starts_with("/work/"), "{job}");
        answer = get(format!("{}{job}", nginx.url())).await;
    }
    assert_eq!(answer.text(), "127.0.0.1, 127.0.0.1");
}
