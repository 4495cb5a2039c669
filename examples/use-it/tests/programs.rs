//! Runs both programs together.

use std::{
    io::{BufRead, BufReader},
    process::{Child, Command, Stdio},
};

/// A process that ends with the test.
struct Server(Child);

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

#[test]
fn the_client_shows_the_progress_and_receives_the_report_of_the_server() {
    let server = Command::new(env!("CARGO_BIN_EXE_server"))
        .arg("127.0.0.1:0")
        .stdout(Stdio::piped())
        .spawn();
    let mut server = Server(server.unwrap());
    let mut line = String::new();
    let printed = server.0.stdout.as_mut().unwrap();
    BufReader::new(printed).read_line(&mut line).unwrap();
    let url = line.trim().strip_prefix("listening on ").unwrap();

    let client = Command::new(env!("CARGO_BIN_EXE_client")).arg(url).output();
    let client = client.unwrap();
    let progress = String::from_utf8_lossy(&client.stderr);
    assert!(client.status.success(), "{progress}");
    let report = String::from_utf8_lossy(&client.stdout);
    assert_eq!(report, "ten chapters on tides\n");
    assert!(progress.contains("% ("), "{progress}");
    assert!(progress.contains(" of 10)"), "{progress}");
}
