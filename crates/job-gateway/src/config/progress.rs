//! The listener for reports of progress.

use std::net::SocketAddr;

use http::Uri;

use super::{Listen, Progress, error::Problem, read::parsed_by, section::Section};

/// Reads `[progress]`, beside the addresses of clients.
pub(super) fn read(section: &Section<'_>, clients: &[Listen]) -> Progress {
    let mut progress = Progress::default();
    section.set(&mut progress.listen, "listen", parsed_by(address));
    progress.url = section.get("url", parsed_by(url));
    if progress.url.is_some() && progress.listen.port() == 0 {
        let problem = Problem::new("`url` needs a `listen` with a port");
        let problem = problem.at(section.span_of("url"), "");
        let help = "write `listen` beneath `[progress]`, such as \"0.0.0.0:8081\"".to_owned();
        section.reading.report(problem.help(help));
    }
    let is_taken = clients.contains(&Listen::Tcp(progress.listen));
    if is_taken && progress.listen.port() != 0 {
        let problem = Problem::new("an address is that of clients");
        let label = "clients must not report progress";
        let problem = problem.at(section.span_of("listen"), label);
        let help = "choose another port".to_owned();
        section.reading.report(problem.help(help));
    }
    progress
}

fn address(text: &str) -> Result<SocketAddr, String> {
    let address = text.parse();
    address.map_err(|_| "expected ADDRESS:PORT, such as 127.0.0.1:8081".to_owned())
}

fn url(text: &str) -> Result<Uri, String> {
    let url: Option<Uri> = text.parse().ok();
    url.filter(|url| matches!(url.scheme_str(), Some("http" | "https")))
        .filter(|url| url.path() == "/" && url.query().is_none() && !text.contains('@'))
        .ok_or("expected http:// or https://, a host and a port, without a path".to_owned())
}
