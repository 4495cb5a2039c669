//! Reads a file in TOML, and the flags that take precedence over it, and checks both.

use std::{
    fs, io,
    net::IpAddr,
    path::{Path, PathBuf},
    time::Duration,
};

use base64::{Engine as _, prelude::BASE64_STANDARD};
use ipnet::IpNet;
use toml::de::DeTable;

use super::{
    CallbackHost, Callbacks, Clients, Config, Listen, Overrides, Store, Tls,
    error::{Problem, Report},
    files::secret_at,
    progress,
    read::{Fault, boolean, duration, ending, number, parsed, parsed_by, size, threads},
    routes,
    section::{Reading, Section, hide_strings},
    source::Source,
    upstreams::Upstreams,
    values::{admin, base, public_base},
};

const SECOND: Duration = Duration::from_secs(1);
const HOUR: Duration = Duration::from_secs(3600);

/// Reads and checks the settings of a file, if there is one, and of the flags.
///
/// # Errors
///
/// Fails with all errors of both.
pub(crate) fn load(path: Option<&Path>, flags: &Overrides) -> Result<(Config, Source), Report> {
    let text = match path.map(fs::read_to_string) {
        Some(Ok(text)) => text,
        Some(Err(error)) => return Err(unreadable(path.unwrap_or(Path::new("")), &error)),
        None => String::new(),
    };
    let name = path.map(|path| path.display().to_string());
    let folder = path.and_then(Path::parent).unwrap_or(Path::new(""));
    let folder = std::path::absolute(folder.join(".")).unwrap_or_else(|_| folder.to_owned());
    parse(name.unwrap_or_default(), text, folder, flags)
}

fn unreadable(path: &Path, error: &io::Error) -> Report {
    let problem = Problem::new(format!("cannot read {}: {error}", path.display()));
    Report::new(Source::default(), vec![problem])
}

/// Checks the text of a file whose relative paths begin at the folder.
pub(super) fn parse(
    path: String,
    text: String,
    folder: PathBuf,
    flags: &Overrides,
) -> Result<(Config, Source), Report> {
    let reading = Reading::new(path, text.clone(), folder);
    let (table, errors) = DeTable::parse_recoverable(&text);
    (table.get_ref().values()).for_each(|value| hide_strings(&reading, value, false));
    if !errors.is_empty() {
        // The values of a text that was not understood would be reported by mistake.
        report_syntax(&reading, &text, errors);
        return reading.finish().map(|source| (Config::default(), source));
    }
    let root = Section::new(&reading, String::new(), Some(table.get_ref()), None);
    let config = read_root(root, flags);
    Ok((config, reading.finish()?))
}

/// Reports the first error of each line, up to an array without end: the rest of the text is then
/// misunderstood.
fn report_syntax(reading: &Reading, text: &str, errors: Vec<toml::de::Error>) {
    let mut last_line = None;
    for error in errors {
        let start = error.span().map_or(0, |span| span.start);
        let line = text[..start].lines().count();
        if last_line.replace(line) == Some(line) {
            continue;
        }
        let problem = Problem::new("invalid TOML").at(error.span(), error.message());
        reading.report(problem);
        if error.message().starts_with("missing comma") {
            break;
        }
    }
}

fn read_root(root: Section<'_>, flags: &Overrides) -> Config {
    let mut config = Config::default();
    root.set(&mut config.name, "name", parsed_by(name));
    if let Some(listen) = read_listen(&root) {
        config.listen = listen;
    }
    if !flags.listen.is_empty() {
        config.listen.clone_from(&flags.listen);
    }
    config.tls = read_tls(&root);
    let admin = root.get("admin", parsed_by(admin));
    let admin = admin.map(|address| located(&root, address));
    config.admin = flags.admin.clone().or(admin);
    root.set(&mut config.base, "base", parsed_by(base));
    config.public_base = root.get("public_base", parsed_by(public_base));
    root.set(&mut config.events, "events", boolean);
    root.set(&mut config.own_jobs, "own_jobs", boolean);
    if let Some(store) = read_store(&root) {
        config.store = store;
    }
    root.set(&mut config.lease, "lease", duration(SECOND..=HOUR));
    if let Some(trusted) = root.list("trusted_proxies", parsed_by(network)) {
        config.trusted_proxies = trusted;
    }
    read_clients(&root, &mut config.clients);
    root.set(&mut config.drain_delay, "drain_delay", ending);
    root.set(&mut config.grace, "grace", ending);
    config.threads = root.get("threads", threads);
    apply(flags, &mut config);
    config.max_bytes = read_max_bytes(&root, &config.store);

    let progress = root.section("progress", "write `[progress]`, and `url` beneath it");
    config.progress = progress::read(&progress, &config.listen);
    let callbacks = root.section("callbacks", "write `[callbacks.hosts.\"HOST\"]`");
    config.callbacks = read_callbacks(&callbacks);
    let defaults = root.section(
        "defaults",
        "write `[defaults]`, and the settings beneath it",
    );
    let upstreams = Upstreams::read(&root, &defaults, flags);
    let context = routes::Context {
        flags,
        config: &config,
    };
    let table = routes::Table::read(&root, defaults, &upstreams, &context);
    config.upstreams = upstreams.by_name;
    config.routes = table.routes;
    config.fallback = table.fallback;
    check_own_jobs(&root, &config);
    progress.finish();
    callbacks.finish();
    root.finish();
    config
}

/// Reports a list of own jobs that no client could read, since none has a principal.
fn check_own_jobs(root: &Section<'_>, config: &Config) {
    let mut routes = config.routes.iter().chain(&config.fallback);
    if !config.own_jobs || routes.any(|route| route.principal.is_some()) {
        return;
    }
    let problem = Problem::new("`own_jobs` needs principals");
    let problem = problem.at(root.span_of("own_jobs"), "no route has a `principal`");
    let help = "name the source of principals, such as `principal = { header = \"X-User\" }` in \
                `[defaults]`";
    root.reading.report(problem.help(help.to_owned()));
}

fn apply(flags: &Overrides, config: &mut Config) {
    if let Some(base) = &flags.base {
        config.base.clone_from(base);
    }
    if let Some(store) = &flags.store {
        config.store = store.clone();
    }
    config.public_base = flags.public_base.clone().or(config.public_base.take());
    config.drain_delay = flags.drain_delay.unwrap_or(config.drain_delay);
    config.grace = flags.grace.unwrap_or(config.grace);
    config.threads = flags.threads.or(config.threads);
}

fn read_listen(root: &Section<'_>) -> Option<Vec<Listen>> {
    let listen: Vec<_> = root.list("listen", parsed)?;
    let listen: Vec<_> = (listen.into_iter())
        .map(|address| located(root, address))
        .collect();
    let elements = root.elements("listen")?;
    if elements.is_empty() {
        let problem = Problem::new("invalid `listen`");
        let problem = problem.at(root.span_of("listen"), "expected at least one address");
        root.reading.report(problem);
    }
    for (number, element) in elements
        .iter()
        .enumerate()
        .filter(|_| listen.len() == elements.len())
    {
        let first = listen[..number]
            .iter()
            .position(|other| *other == listen[number]);
        // Each of several ports 0 is another one.
        let is_free = matches!(&listen[number], Listen::Tcp(address) if address.port() == 0);
        if let (Some(first), false) = (first, is_free) {
            let problem = Problem::new("an address is listed twice").at(Some(element.span()), "");
            let first = elements[first].span();
            root.reading
                .report(problem.context(Some(first), "the first one"));
        }
    }
    Some(listen)
}

/// Returns an address whose path begins at the configuration's folder.
fn located(root: &Section<'_>, address: Listen) -> Listen {
    match address {
        Listen::Unix(path) => Listen::Unix(root.reading.folder.join(path)),
        address => address,
    }
}

fn read_tls(root: &Section<'_>) -> Option<Tls> {
    let section = root.section("tls", "write { certificate = \"FILE\", key = \"FILE\" }");
    section.require("certificate");
    let certificate = section.file("certificate");
    section.require("key");
    let key = section.file("key");
    section.finish();
    Some(Tls {
        certificate: certificate?,
        key: key?,
    })
}

/// Reads the name of the gateway: a token (RFC 9110, section 5.6.2), as `Via` and `Proxy-Status` have it.
fn name(text: &str) -> Result<String, String> {
    let is_usual = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte);
    let begins = text.starts_with(|first: char| first.is_ascii_alphabetic());
    match begins && text.len() <= 64 && text.bytes().all(is_usual) {
        true => Ok(text.to_owned()),
        false => Err(
            "a name is a letter, and at most 63 letters, digits, hyphens, dots and underscores"
                .to_owned(),
        ),
    }
}

/// Reads a network, or an address as the network of it alone.
fn network(text: &str) -> Result<IpNet, String> {
    let network = text.parse::<IpNet>();
    network
        .or_else(|_| text.parse::<IpAddr>().map(IpNet::from))
        .map_err(|_| "this is no network, such as 10.0.0.0/8 or fd00::/8".to_owned())
        .and_then(|network| match network.trunc() == network {
            true => Ok(network),
            false => Err(format!(
                "the address has bits beyond the mask: the network is {}",
                network.trunc()
            )),
        })
}

fn read_store(root: &Section<'_>) -> Option<Store> {
    let value = root.value("store")?;
    if value.get_ref().is_table() {
        let is_store = |text: &str| Store::of_url(text, super::secret::Origin::Plain).map(drop);
        let check = |text: &str| is_store(text).map_err(Fault::new);
        let secret = secret_at(root, "store".to_owned(), "store", value, check)?;
        return Store::of_url(secret.expose(), secret.origin().clone()).ok();
    }
    root.get("store", parsed).map(|store| match store {
        Store::Sqlite(path) => Store::Sqlite(root.reading.folder.join(path)),
        store => store,
    })
}

fn read_max_bytes(root: &Section<'_>, store: &Store) -> Option<usize> {
    let limit = root.get("max_bytes", size(1 << 20..=1 << 46));
    let usual = store.usual_limit();
    if limit.is_some() && usual.is_none() {
        let problem = Problem::new("invalid `max_bytes`");
        let label = "the store is a database, which has limits of its own";
        let problem = problem.at(root.span_of("max_bytes"), label);
        root.reading.report(problem);
    }
    usual.map(|usual| limit.unwrap_or(usual))
}

fn read_clients(root: &Section<'_>, clients: &mut Clients) {
    let section = root.section("clients", "write `[clients]`, and the limits beneath it");
    // hyper needs at least 8 KiB for its buffer.
    section.set(
        &mut clients.header_bytes,
        "header_bytes",
        size(8 << 10..=1 << 20),
    );
    section.set(&mut clients.headers, "headers", number(10..=1000));
    let times = [
        (&mut clients.header_timeout, "header_timeout"),
        (&mut clients.body_timeout, "body_timeout"),
        (&mut clients.idle_timeout, "idle_timeout"),
    ];
    for (setting, key) in times {
        section.set(setting, key, duration(SECOND / 10..=HOUR));
    }
    section.set(
        &mut clients.connections,
        "connections",
        number(1..=10_000_000),
    );
    section.finish();
}

fn read_callbacks(section: &Section<'_>) -> Callbacks {
    const FORM: &str = "write `[callbacks.hosts.\"HOST\"]`, and `secrets` beneath it";
    let mut hosts = Vec::new();
    for (name, host) in section.named("hosts", FORM) {
        let is_host = name
            .parse::<http::uri::Authority>()
            .is_ok_and(|authority| authority.host() == name && name.parse::<IpAddr>().is_err());
        if !is_host || name != name.to_lowercase() {
            let problem = Problem::new(format!("invalid host {name:?}"));
            let label = "expected the name of a host in small letters, without a port";
            section.reading.report(problem.at(host.span.clone(), label));
        }
        host.require("secrets");
        let elements = host.elements("secrets").unwrap_or_default();
        if host.span_of("secrets").is_some() && !matches!(elements.len(), 1 | 2) {
            let problem = Problem::new("invalid `secrets`").at(
                host.span_of("secrets"),
                "expected one secret, or two while they are rotated",
            );
            section.reading.report(problem);
        }
        let mut secrets = Vec::new();
        for (number, element) in elements.iter().enumerate() {
            let name = format!("callbacks.hosts.{name}.secrets[{number}]");
            secrets.extend(secret_at(&host, name, "secrets", element, signing_secret));
        }
        let ports = host
            .list("ports", number(1..=u16::MAX))
            .unwrap_or(vec![443]);
        host.finish();
        hosts.push((name, CallbackHost { secrets, ports }));
    }
    Callbacks {
        hosts: hosts.into_iter().collect(),
        allow_networks: section
            .list("allow_networks", parsed_by(network))
            .unwrap_or_default(),
    }
}

/// Checks a secret in the form of Standard Webhooks.
fn signing_secret(text: &str) -> Result<(), Fault> {
    let key = BASE64_STANDARD.decode(text.strip_prefix("whsec_").unwrap_or(text));
    match key {
        Ok(key) if (24..=64).contains(&key.len()) => Ok(()),
        _ => Err(Fault::new("expected whsec_ and 24 to 64 bytes in Base64")
            .help("create one by `echo whsec_$(openssl rand -base64 32)`")),
    }
}
