//! `-v`: the heads of each exchange, in curl's notation and without secrets.

use std::fmt::{self, Write};

use http::{HeaderMap, Request, Response, Version};

use crate::{request::is_credential, words};

/// Formats the head of a request. Each line begins with `> `.
pub(crate) fn request_head<B>(request: &Request<B>) -> String {
    let mut text = format!("> {} {}\n", request.method(), request.uri());
    let _ = write_headers(&mut text, "> ", request.headers(), Secrets::Hidden);
    text + ">"
}

/// Formats the head of a response. Each line begins with `< `.
pub(crate) fn response_head<B>(response: &Response<B>) -> String {
    let mut text = format!("< {}\n", status_line(response));
    let _ = write_headers(&mut text, "< ", response.headers(), Secrets::Hidden);
    text + "<"
}

/// Formats the head of the final response for `-i`.
pub(crate) fn final_head<B>(response: &Response<B>) -> String {
    let mut text = format!("{}\n", status_line(response));
    let _ = write_headers(&mut text, "", response.headers(), Secrets::Shown);
    words::lines(&text).replace('\n', "\r\n") + "\r\n"
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Secrets {
    Hidden,
    Shown,
}

fn status_line<B>(response: &Response<B>) -> String {
    let version = match response.version() {
        Version::HTTP_10 => "HTTP/1.0",
        Version::HTTP_2 => "HTTP/2",
        _ => "HTTP/1.1",
    };
    format!("{version} {}", response.status())
}

fn write_headers(
    text: &mut String,
    start: &str,
    headers: &HeaderMap,
    secrets: Secrets,
) -> fmt::Result {
    for (name, value) in headers {
        if secrets == Secrets::Hidden && is_credential(name) {
            writeln!(text, "{start}{name}: [redacted]")?;
        } else {
            let value = String::from_utf8_lossy(value.as_bytes());
            writeln!(text, "{start}{name}: {value}")?;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use http::{HeaderName, HeaderValue};

    use super::*;

    #[test]
    fn secrets_are_not_shown() {
        for name in [
            "authorization",
            "proxy-authorization",
            "cookie",
            "x-api-key",
            "x-auth-token",
            "ocp-apim-subscription-key",
        ] {
            let mut request = Request::get("http://example.com/a").body(()).unwrap();
            let name = HeaderName::from_static(name);
            let value = HeaderValue::from_static("hush");
            request.headers_mut().insert(&name, value);
            assert_eq!(
                request_head(&request),
                format!("> GET http://example.com/a\n> {name}: [redacted]\n>")
            );
        }
    }

    #[test]
    fn secrets_of_responses_are_not_shown_but_in_the_output() {
        let response = Response::builder()
            .status(303)
            .header("set-cookie", "session=hush")
            .header("retry-after", "1")
            .body(())
            .unwrap();
        assert_eq!(
            response_head(&response),
            "< HTTP/1.1 303 See Other\n< set-cookie: [redacted]\n< retry-after: 1\n<"
        );
        assert_eq!(
            final_head(&response),
            "HTTP/1.1 303 See Other\r\nset-cookie: session=hush\r\nretry-after: 1\r\n\r\n"
        );
    }
}
