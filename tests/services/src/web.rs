//! Private web servers: programs of other languages, and nginx.

use std::{fs, net::SocketAddr, path::Path, process::Command};

use crate::{
    Missing,
    folder::{Folder, Storage},
    port::Port,
    process::Server,
    program::{installed, python_path, run},
};

/// A private web server.
#[derive(Debug)]
pub struct WebServer {
    server: Server,
    port: Port,
}

impl WebServer {
    /// Starts gunicorn with a module whose WSGI application is named `application`.
    ///
    /// # Errors
    ///
    /// Fails if there is no gunicorn, or if it does not start.
    pub fn gunicorn(module: &str) -> Result<Self, Missing> {
        // Threads that wait for a client would be waited for.
        let ending = ["--graceful-timeout", "1"];
        let options = ["-m", "gunicorn", "--threads", "8", "--no-control-socket"];
        Self::python("gunicorn", module, "Listening at", "QUIT", |address| {
            let bind = ["--bind".to_owned(), address, "module".to_owned()];
            let options = options.into_iter().chain(ending).map(str::to_owned);
            options.chain(bind).collect()
        })
    }

    /// Starts uvicorn with a module whose ASGI application is named `application`.
    ///
    /// # Errors
    ///
    /// Fails if there is no uvicorn, or no websockets for it, or if it does not start.
    pub fn uvicorn(module: &str) -> Result<Self, Missing> {
        let modules = "uvicorn, websockets";
        Self::python(modules, module, "Uvicorn running", "KILL", |address| {
            let (host, port) = address.split_once(':').unwrap_or_default();
            let arguments = ["-m", "uvicorn", "--host", host, "--port", port];
            let application = ["--interface", "asgi3", "module:application"];
            let all = arguments.into_iter().chain(application);
            all.map(str::to_owned).collect()
        })
    }

    /// Starts Node with the source of an ECMAScript module, which listens on the port in
    /// `process.argv[2]` and then prints `ready`.
    ///
    /// # Errors
    ///
    /// Fails if there is no Node, or if it does not start.
    pub fn node(module: &str) -> Result<Self, Missing> {
        let program = installed("node")?;
        let (folder, port) = (Folder::new(Storage::Memory)?, Port::reserve()?);
        let module = folder.write("module.mjs", module)?;
        let mut command = folder.command(&program);
        command.arg(module).arg(port.number().to_string());
        Self::start(folder, port, &command, "ready", "KILL")
    }

    /// Starts nginx with the directives of a server, except for `listen`.
    ///
    /// # Errors
    ///
    /// Fails if there is no nginx, or if it does not start.
    pub fn nginx(directives: &str) -> Result<Self, Missing> {
        Self::nginx_with("", directives)
    }

    /// Starts nginx like [`nginx`](Self::nginx), with further directives outside of the server.
    ///
    /// # Errors
    ///
    /// Fails if there is no nginx, or if it does not start.
    pub fn nginx_with(outside: &str, directives: &str) -> Result<Self, Missing> {
        let program = installed("nginx")?;
        let (folder, port) = (Folder::new(Storage::Memory)?, Port::reserve()?);
        let path = folder.path().display().to_string();
        let settings = format!(
            "daemon off;\n\
             master_process off;\n\
             pid {path}/pid;\n\
             error_log stderr notice;\n\
             events {{ worker_connections 256; }}\n\
             http {{\n\
             access_log off;\n\
             client_body_temp_path {path}/client;\n\
             proxy_temp_path {path}/proxy;\n\
             fastcgi_temp_path {path}/fastcgi;\n\
             uwsgi_temp_path {path}/uwsgi;\n\
             scgi_temp_path {path}/scgi;\n\
             {outside}\n\
             server {{\n\
             listen {};\n\
             {directives}\n\
             }}\n\
             }}\n",
            port.address()
        );
        let settings = folder.write("settings", &settings)?;
        let mut command = folder.command(&program);
        command.args(["-e", "stderr", "-p", &path]);
        command.arg("-c").arg(settings);
        // The sockets listen before the method of events is chosen.
        Self::start(folder, port, &command, "event method", "KILL")
    }

    fn python(
        modules: &str,
        module: &str,
        ready: &'static str,
        last: &str,
        arguments: impl FnOnce(String) -> Vec<String>,
    ) -> Result<Self, Missing> {
        python(modules)?;
        let (folder, port) = (Folder::new(Storage::Memory)?, Port::reserve()?);
        folder.write("module.py", module)?;
        let path = python_path(&[folder.path()]);
        let path = path.into_string().unwrap_or_default();
        let mut command = folder.command(Path::new("env"));
        command.args([&format!("PYTHONPATH={path}"), "PYTHONUNBUFFERED=1"]);
        command.args(["PYTHONDONTWRITEBYTECODE=1", "python3"]);
        command.args(arguments(port.address().to_string()));
        Self::start(folder, port, &command, ready, last)
    }

    fn start(
        folder: Folder,
        port: Port,
        command: &Command,
        ready: &'static str,
        last: &str,
    ) -> Result<Self, Missing> {
        let server = Server::new(folder, command, ready, last)?;
        server.start()?;
        Ok(Self { server, port })
    }

    /// Returns the URL, without a path.
    #[must_use]
    pub fn url(&self) -> String {
        format!("http://{}", self.address())
    }

    /// Returns the address.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.port.address()
    }

    /// Returns all that the server has printed.
    #[must_use]
    pub fn log(&self) -> String {
        let log = fs::read(self.server.folder().path().join("log"));
        String::from_utf8_lossy(&log.unwrap_or_default()).into_owned()
    }
}

/// Returns a command of Python, in which these modules can be imported.
///
/// # Errors
///
/// Fails if there is no Python, or if it has no such modules.
pub fn python(modules: &str) -> Result<Command, Missing> {
    installed("python3")?;
    let command = || {
        let mut command = Command::new("python3");
        command.env("PYTHONPATH", python_path(&[]));
        command
    };
    run(command().args(["-c", &format!("import {modules}")])).map_err(|error| {
        let reason = error.lines().last().unwrap_or_default().to_owned();
        Missing::new(modules, format!("{reason}; .ci/services installs it"))
    })?;
    Ok(command())
}
