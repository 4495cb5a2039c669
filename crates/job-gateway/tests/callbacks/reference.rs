//! Callbacks are verified by the reference libraries of Standard Webhooks.

use std::{
    collections::BTreeMap,
    io::Write,
    process::{Command, Stdio},
};

use test_services::{Missing, available, node_webhooks, python_webhooks};

use crate::{
    SECRETS, asking,
    receiver::{Callback, Receiver},
    slow, start,
    support::send,
};

/// Reads a callback from the standard input, verifies it by a secret, and prints the state of its job.
const PYTHON: [&str; 2] = [
    "-c",
    r#"
import json, sys
from standardwebhooks.webhooks import Webhook
callback = json.load(sys.stdin)
print(Webhook(sys.argv[1]).verify(callback["body"], callback["headers"])["data"]["state"])
"#,
];

const NODE: [&str; 2] = [
    "-e",
    r#"
const { Webhook } = require("standardwebhooks");
const callback = JSON.parse(require("fs").readFileSync(0, "utf8"));
console.log(new Webhook(process.argv[1]).verify(callback.body, callback.headers).data.state);
"#,
];

/// Runs a program, and returns what it prints, or its error.
fn verify(mut program: Command, secret: &str, callback: &Callback) -> Result<String, String> {
    let fields = callback.headers.iter();
    let fields = fields.map(|(name, value)| (name.as_str(), value.to_str().unwrap()));
    let input = serde_json::json!({
        "headers": fields.collect::<BTreeMap<_, _>>(),
        "body": std::str::from_utf8(&callback.body).unwrap(),
    });
    program
        .arg(secret)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    let mut process = program.spawn().unwrap();
    let mut stdin = process.stdin.take().unwrap();
    stdin.write_all(input.to_string().as_bytes()).unwrap();
    drop(stdin);
    let output = process.wait_with_output().unwrap();
    match output.status.success() {
        true => Ok(String::from_utf8(output.stdout).unwrap().trim().to_owned()),
        false => Err(String::from_utf8_lossy(&output.stderr).into_owned()),
    }
}

/// Has a program verify a callback by either secret, and refuse others.
async fn verified_by(program: fn() -> Result<Command, Missing>, code: [&str; 2]) {
    if available(program()).is_none() {
        return;
    }
    let verify = |secret, callback: &Callback| {
        let mut program = program().unwrap();
        program.args(code);
        verify(program, secret, callback)
    };
    let (upstream, receiver) = (slow().await, Receiver::answering([]).await);
    let gateway = start(&upstream, &receiver, "memory").await;
    send(asking(&gateway, "/called", &receiver.preference())).await;
    let callback = receiver.received(1).await.remove(0);
    for secret in SECRETS {
        assert_eq!(verify(secret, &callback).as_deref(), Ok("done"));
    }
    let mut forged = callback.clone();
    let body = String::from_utf8(forged.body.to_vec()).unwrap();
    forged.body = body.replace("done", "lost").into();
    let other = "whsec_BBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBB";
    for (secret, callback) in [(SECRETS[0], &forged), (other, &callback)] {
        let refused = verify(secret, callback).unwrap_err();
        assert!(refused.contains("WebhookVerificationError"), "{refused}");
    }
}

#[tokio::test]
async fn callback_is_verified_by_the_library_for_python() {
    verified_by(python_webhooks, PYTHON).await;
}

#[tokio::test]
async fn callback_is_verified_by_the_library_for_node() {
    verified_by(node_webhooks, NODE).await;
}
