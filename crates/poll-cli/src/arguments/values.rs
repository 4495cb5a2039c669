//! Parsers of option values, and the examples of the help text.

use std::sync::Arc;

use http::Method;
use tower_poll::dialect::{Dialect, NAMES, named};

use crate::exit::EXIT_CODES;

/// The examples of the help text. Each line is indented by at least two spaces.
pub(crate) const EXAMPLES: &str = r#"
  Send a report's parameters and wait for the report:
    poll -d year=2031 -o report.pdf https://example.com/report

  Send a file, for 10 minutes at most, and see what goes over the wire:
    poll -v --deadline 10m -H 'Content-Type: video/mp4' -d @a.mp4 https://example.com/transcode

  Pipe through, with credentials:
    jq .input a.json | poll -u "me:$PASSWORD" -d @- example.com/jobs | jq .result

  Upload a form, with an API key, through what the environment names as proxy:
    poll -F title=Holidays -F film=@a.mp4 -H "X-Api-Key: $KEY" https://example.com/films

  Submit now, fetch later:
    poll --no-wait --prefer-async -d @input.csv https://example.com/import > job.json
    poll status job.json
    poll resume job.json -o result.csv
    poll cancel job.json

  List the jobs that were submitted with these credentials:
    poll list -u "me:$PASSWORD" https://example.com/work

  Fetch a large result, and go on where the download broke off:
    poll --continue -d year=2031 -o film.mp4 https://example.com/film

  Create an Azure resource:
    poll -X PUT -H "Authorization: Bearer $TOKEN" -H 'Content-Type: application/json' \
        -d @vm.json "https://management.azure.com/…?api-version=2024-07-01"

  Completions and the man page:
    poll --generate bash > ~/.local/share/bash-completion/completions/poll
    poll --generate man > ~/.local/share/man/man1/poll.1
"#;

/// Returns the text after the options in the long help.
pub(super) fn after_help() -> String {
    format!("Examples:{EXAMPLES}\nExit codes:{EXIT_CODES}")
}

/// Parses a method. Methods are case-sensitive.
pub(super) fn method(text: &str) -> Result<Method, String> {
    match text.parse() {
        // The answer to CONNECT is a tunnel, which cannot be written.
        Ok(Method::CONNECT) => Err("CONNECT is not supported".to_owned()),
        Ok(method) => Ok(method),
        Err(_) => Err("must be a method, such as POST".to_owned()),
    }
}

/// Finds the kind of API with this name.
pub(super) fn dialect(name: &str) -> Result<Arc<dyn Dialect>, String> {
    named(name).ok_or_else(|| format!("must be one of {}", NAMES.join(", ")))
}
