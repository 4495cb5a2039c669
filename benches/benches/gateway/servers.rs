//! The gateway and nginx, before the same server.

use std::{
    env, fs,
    fs::File,
    io::{BufRead, BufReader, ErrorKind},
    net::{SocketAddr, TcpListener, TcpStream},
    path::{Path, PathBuf},
    process::Command,
    thread,
    time::{Duration, Instant},
};

use tempfile::TempDir;

use crate::{Outcome, program::Program};

/// The maximum time until a server is ready, also under valgrind.
const PATIENCE: Duration = Duration::from_secs(30);

/// A server that passes requests on.
pub(crate) struct Server {
    pub(crate) program: Program,
    pub(crate) address: SocketAddr,
    folder: TempDir,
}

/// The terms of a measurement.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Terms<'a> {
    /// Each request that nginx passes on is a line of a file.
    pub(crate) logs: bool,
    /// The number of requests that the gateway sends to the server at once.
    pub(crate) concurrency: Option<usize>,
    /// The folder of a profile, if instructions are counted.
    pub(crate) profile: Option<&'a Path>,
}

impl Terms<'_> {
    /// Returns the command of a program, which valgrind runs if instructions are counted.
    fn command(&self, program: &Path, profile: &str) -> Command {
        let Some(folder) = self.profile else {
            return Command::new(program);
        };
        let mut command = Command::new("valgrind");
        let file = folder.join(profile);
        command.args(["--tool=callgrind", "--quiet"]);
        command.arg(format!("--callgrind-out-file={}", file.display()));
        command.arg(program);
        command
    }
}

/// Starts the gateway.
pub(crate) fn gateway(upstream: SocketAddr, terms: Terms<'_>) -> Outcome<Server> {
    let folder = memory_folder()?;
    let concurrency = terms.concurrency.map_or_else(String::new, |concurrency| {
        format!("concurrency = {concurrency}\n")
    });
    let settings = format!(
        "listen = [\"127.0.0.1:0\"]\n\
         [clients]\nconnections = 18000\nidle_timeout = \"1h\"\n\
         [upstreams.app]\nurl = \"http://{upstream}\"\n{concurrency}\
         response_timeout = \"1h\"\n\
         [defaults]\nretention = \"1m\"\n\
         [[routes]]\nmatch = \"/held/{{*rest}}\"\ndefer = false\n"
    );
    let file = folder.path().join("settings.toml");
    fs::write(&file, settings)?;
    let mut command = terms.command(&program()?, "gateway");
    command.args(["--threads", "1", "--config"]).arg(&file);
    let log = File::create(folder.path().join("log"))?;
    let mut program = Program::start(&command, log.into())?;
    let output = program.child().stdout.take().ok_or("no output")?;
    let mut address = None;
    for line in BufReader::new(output).lines() {
        let line = line?;
        if let Some(listening) = line.strip_prefix("listening on http://") {
            address = Some(listening.parse()?);
        }
        if line == "ready" {
            let address = address.ok_or("the gateway listens nowhere")?;
            return Ok(Server {
                program,
                address,
                folder,
            });
        }
    }
    let log = fs::read_to_string(folder.path().join("log"))?;
    Err(format!("the gateway has ended: {log}").into())
}

/// Returns the program of the gateway, beside which cargo puts the benches.
fn program() -> Outcome<PathBuf> {
    let program = env::current_exe()?.with_file_name("../job-gateway");
    match program.exists() {
        true => Ok(program.canonicalize()?),
        false => {
            Err("there is no gateway: build it by `cargo build --release -p job-gateway`".into())
        }
    }
}

/// Starts nginx.
pub(crate) fn nginx(upstream: SocketAddr, terms: Terms<'_>) -> Outcome<Server> {
    let folder = memory_folder()?;
    // Free again once this is dropped.
    let address = TcpListener::bind("127.0.0.1:0")?.local_addr()?;
    let path = folder.path().display();
    let log = match terms.logs {
        true => format!("{path}/access"),
        false => "off".to_owned(),
    };
    let settings = format!(
        "daemon off;\nmaster_process off;\npid {path}/pid;\n\
         events {{ worker_connections 19000; }}\n\
         http {{\n\
         access_log {log};\nkeepalive_requests 1000000000;\nkeepalive_timeout 1h;\n\
         client_body_temp_path {path}/client;\nproxy_temp_path {path}/proxy;\n\
         fastcgi_temp_path {path}/fastcgi;\nuwsgi_temp_path {path}/uwsgi;\nscgi_temp_path {path}/scgi;\n\
         upstream app {{ server {upstream}; keepalive 64; keepalive_requests 1000000000; }}\n\
         server {{\n\
         listen {address} backlog=4096;\n\
         location / {{\n\
         proxy_pass http://app;\nproxy_http_version 1.1;\nproxy_read_timeout 1h;\n\
         proxy_set_header Connection \"\";\nproxy_set_header Host $http_host;\n\
         proxy_set_header X-Forwarded-For $proxy_add_x_forwarded_for;\n\
         proxy_set_header X-Forwarded-Host $http_host;\n\
         proxy_set_header X-Forwarded-Proto $scheme;\n\
         }}\n}}\n}}\n"
    );
    let file = folder.path().join("settings");
    fs::write(&file, settings)?;
    let mut command = terms.command(Path::new("nginx"), "nginx");
    command.args(["-e", "stderr", "-p"]).arg(folder.path());
    command.arg("-c").arg(&file);
    let log = File::create(folder.path().join("log"))?;
    let program = Program::start(&command, log.into())?;
    let begun = Instant::now();
    while TcpStream::connect(address).is_err() {
        if begun.elapsed() > PATIENCE {
            let log = fs::read_to_string(folder.path().join("log"))?;
            return Err(
                format!("nginx does not start (apt-get install nginx-light): {log}").into(),
            );
        }
        thread::sleep(Duration::from_millis(20));
    }
    Ok(Server {
        program,
        address,
        folder,
    })
}

impl Server {
    /// Empties the log, so that it stays small.
    pub(crate) fn empty_log(&self) -> Outcome<()> {
        for name in ["log", "access"] {
            match File::options()
                .write(true)
                .open(self.folder.path().join(name))
            {
                Ok(file) => file.set_len(0)?,
                Err(error) if error.kind() == ErrorKind::NotFound => {}
                Err(error) => return Err(error.into()),
            }
        }
        Ok(())
    }
}

/// Creates a folder in memory, so that the disk has no part in the figures.
fn memory_folder() -> Outcome<TempDir> {
    Ok(TempDir::new_in("/dev/shm")?)
}
