//! Prints the effective settings as a file that means the same. Secrets are named by their origins.

use std::{fmt::Display, path::Path, time::Duration};

use humantime::format_duration;
use tower_async_job::PendingStatus;

use super::{
    Callbacks, Clients, Config, Credentials, Jwt, Listen, PrincipalSource, Replay, Route, Store,
    Upstream,
    read::bytes,
    secret::{Origin, Secret},
};

/// Returns the settings in TOML.
pub(crate) fn print(config: &Config) -> String {
    let mut file = File::default();
    file.line("name", quoted(&config.name));
    file.line("listen", array(config.listen.iter().map(listen)));
    file.optional("admin", config.admin.as_ref().map(listen));
    file.optional(
        "tls",
        config.tls.as_ref().map(|tls| {
            let (certificate, key) = (path(&tls.certificate), path(&tls.key));
            format!("{{ certificate = {certificate}, key = {key} }}")
        }),
    );
    file.line("base", quoted(&config.base));
    file.optional("public_base", config.public_base.as_ref().map(quoted));
    file.line("events", config.events);
    file.line("own_jobs", config.own_jobs);
    file.line("store", store(&config.store));
    file.line("lease", time(config.lease));
    let limit = config.max_bytes.map(|limit| quoted(bytes(limit)));
    file.optional("max_bytes", limit);
    file.line(
        "trusted_proxies",
        array(config.trusted_proxies.iter().map(quoted)),
    );
    file.line("drain_delay", time(config.drain_delay));
    file.line("grace", time(config.grace));
    file.optional("threads", config.threads);
    file.line("fallback", config.fallback.is_some());
    clients(&mut file, &config.clients);
    config
        .upstreams
        .values()
        .for_each(|each| upstream(&mut file, each));
    if let Some(route) = &config.fallback {
        file.header("[defaults]");
        settings(&mut file, route);
    }
    for route in &config.routes {
        file.header("[[routes]]");
        file.line("name", quoted(&route.name));
        let method = route.method.iter().map(|method| format!("{method} "));
        file.line("match", quoted(method.collect::<String>() + &route.path));
        settings(&mut file, route);
    }
    file.header("[progress]");
    file.line("listen", quoted(config.progress.listen));
    file.optional("url", config.progress.url.as_ref().map(quoted));
    callbacks(&mut file, &config.callbacks);
    file.text
}

/// The lines of a file.
#[derive(Default)]
struct File {
    text: String,
}

impl File {
    fn header(&mut self, header: impl Display) {
        self.text += &format!("\n{header}\n");
    }

    fn line(&mut self, key: &str, value: impl Display) {
        self.text += &format!("{key} = {value}\n");
    }

    fn optional(&mut self, key: &str, value: Option<impl Display>) {
        if let Some(value) = value {
            self.line(key, value);
        }
    }
}

/// Returns a text as a basic string of TOML.
fn quoted(text: impl Display) -> String {
    let mut quoted = String::from("\"");
    for char in text.to_string().chars() {
        match char {
            '"' | '\\' => quoted.extend(['\\', char]),
            char if char.is_ascii_control() => quoted += &format!("\\u{:04x}", u32::from(char)),
            char => quoted.push(char),
        }
    }
    quoted + "\""
}

fn path(path: &Path) -> String {
    quoted(path.display())
}

fn time(duration: Duration) -> String {
    quoted(format_duration(duration))
}

fn array(elements: impl Iterator<Item = String>) -> String {
    format!("[{}]", elements.collect::<Vec<_>>().join(", "))
}

fn listen(address: &Listen) -> String {
    match address {
        Listen::Tcp(address) => quoted(address),
        Listen::Unix(path) => quoted(format!("unix:{}", path.display())),
        Listen::Systemd => quoted("systemd"),
    }
}

fn secret(secret: &Secret) -> String {
    match secret.origin() {
        Origin::Plain => quoted(secret.expose()),
        Origin::File(file) => format!("{{ file = {} }}", path(file)),
        Origin::Environment(name) => format!("{{ env = {} }}", quoted(name)),
    }
}

fn store(store: &Store) -> String {
    match store {
        Store::Memory => quoted("memory"),
        Store::Sqlite(path) => quoted(format!("sqlite:{}", path.display())),
        Store::Postgres(url) | Store::Redis(url) => secret(url),
    }
}

fn clients(file: &mut File, clients: &Clients) {
    file.header("[clients]");
    file.line("header_bytes", quoted(bytes(clients.header_bytes)));
    file.line("headers", clients.headers);
    file.line("header_timeout", time(clients.header_timeout));
    file.line("body_timeout", time(clients.body_timeout));
    file.line("idle_timeout", time(clients.idle_timeout));
    file.line("connections", clients.connections);
}

fn upstream(file: &mut File, upstream: &Upstream) {
    file.header(format!("[upstreams.{}]", quoted(&upstream.name)));
    file.line("url", quoted(&upstream.url));
    file.line("http2", upstream.http2);
    file.optional("concurrency", upstream.concurrency);
    file.line("queue", upstream.queue);
    file.line("own_host", upstream.own_host);
    file.line("connect_timeout", time(upstream.connect_timeout));
    file.line("response_timeout", time(upstream.response_timeout));
    file.line("idle_timeout", time(upstream.idle_timeout));
    file.line("max_age", time(upstream.max_age));
    file.line("tunnel_timeout", time(upstream.tunnel_timeout));
    file.optional("roots", upstream.roots.as_deref().map(path));
}

fn settings(file: &mut File, route: &Route) {
    file.line("upstream", quoted(&route.upstream.name));
    file.line("defer", route.defer);
    file.line("inline_wait", time(route.inline_wait));
    let status = match route.pending_status {
        PendingStatus::Accepted => 202,
        _ => 303,
    };
    file.line("pending_status", status);
    file.line("deadline", time(route.deadline));
    file.line("retention", time(route.retention));
    file.line("request_spool", quoted(bytes(route.request_spool)));
    file.line("result_limit", quoted(bytes(route.result_limit)));
    file.line("max_attempts", route.max_attempts);
    let replay = match route.replay {
        Replay::Idempotent => "idempotent",
        Replay::Keyed => "keyed",
        Replay::All => "all",
        Replay::None => "none",
    };
    file.line("replay", quoted(replay));
    let credentials = match route.credentials {
        Some(Credentials::Keep) => "keep",
        Some(Credentials::Drop) => "drop",
        None => "none",
    };
    file.line("credentials", quoted(credentials));
    let principal = match &route.principal {
        None => quoted("none"),
        Some(PrincipalSource::Header(name)) => format!("{{ header = {} }}", quoted(name)),
        Some(PrincipalSource::Jwt(settings)) => jwt(settings),
    };
    file.line("principal", principal);
    file.line("send_principal", route.send_principal);
    file.line("cors.origins", array(route.cors_origins.iter().map(quoted)));
    file.line("follow", route.follow);
    file.line("callback", route.callback);
    file.line("result_later", route.result_later);
    file.optional("result_timeout", route.result_timeout.map(time));
}

fn jwt(jwt: &Jwt) -> String {
    let keys = path(&jwt.keys);
    let [issuer, audience, claim] = [&jwt.issuer, &jwt.audience, &jwt.claim].map(quoted);
    let algorithms = array(jwt.algorithms.iter().map(quoted));
    format!(
        "{{ jwt = {{ keys = {keys}, issuer = {issuer}, audience = {audience}, \
         algorithms = {algorithms}, claim = {claim} }} }}"
    )
}

fn callbacks(file: &mut File, callbacks: &Callbacks) {
    file.header("[callbacks]");
    file.line(
        "allow_networks",
        array(callbacks.allow_networks.iter().map(quoted)),
    );
    for (name, host) in &callbacks.hosts {
        file.header(format!("[callbacks.hosts.{}]", quoted(name)));
        file.line("secrets", array(host.secrets.iter().map(secret)));
        file.line("ports", array(host.ports.iter().map(u16::to_string)));
    }
}
