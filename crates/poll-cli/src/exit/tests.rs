use std::io;

use super::{transport::judge, *};

#[test]
fn chain_is_one_line_without_repetition() {
    let inner = io::Error::other("connection reset");
    let failure = Failure::new(Code::Read, "cannot read a.json").with(Unread(inner));
    assert_eq!(
        failure.to_string(),
        "cannot read a.json: cannot read the body to send: connection reset"
    );
    let twice = io::Error::other(io::Error::other("reset"));
    assert_eq!(
        Failure::new(Code::Read, "broken").with(twice).to_string(),
        "broken: reset"
    );
}

fn judged(source: impl std::error::Error + Send + Sync + 'static) -> (Code, String) {
    let peer = "a.example:443".to_owned();
    let source = Box::new(io::Error::other(io::Error::other(source)));
    judge(&Unanswered { peer, source }).unwrap()
}

#[test]
fn errors_within_input_and_output_errors_are_found_and_put_in_words() {
    use rustls::{AlertDescription, CertificateError, InvalidMessage};

    for (error, code, words) in [
        (
            rustls::Error::InvalidCertificate(CertificateError::Expired),
            Code::Certificate,
            "the certificate of a.example:443 cannot be trusted: it has expired",
        ),
        (
            rustls::Error::InvalidMessage(InvalidMessage::InvalidContentType),
            Code::TlsHandshake,
            "TLS with a.example:443 failed: the answer is not TLS; is it a server of http:// ?",
        ),
        (
            rustls::Error::AlertReceived(AlertDescription::CertificateRequired),
            Code::TlsHandshake,
            "TLS with a.example:443 failed: the server wants a client certificate that it trusts \
             (--cert)",
        ),
    ] {
        assert_eq!(judged(error), (code, words.to_owned()));
    }
    let (code, text) = judged(Unresolved(io::Error::other("no such host")));
    assert_eq!(code, Code::Resolve);
    assert_eq!(
        text,
        "cannot resolve the name of a.example:443: no such host"
    );
    assert_eq!(
        judged(ConnectTimedOut(std::time::Duration::from_secs(30))).0,
        Code::Deadline
    );
}

#[test]
fn closed_pipe_is_told_from_other_failures() {
    let pipe = io::Error::from(io::ErrorKind::BrokenPipe);
    assert!(Failure::of_output(pipe, "standard output").is_broken_pipe());
    let full = io::Error::from(io::ErrorKind::StorageFull);
    assert!(!Failure::of_output(full, "a").is_broken_pipe());
}

#[test]
fn every_code_is_documented() {
    use Code::*;
    for code in [
        Success,
        Other,
        Usage,
        NeverDeferred,
        ResolveProxy,
        Resolve,
        Connect,
        BadAnswer,
        Refused,
        Partial,
        FinalAtOnce,
        HttpError,
        Write,
        Read,
        Deadline,
        Range,
        TlsHandshake,
        TooManyPolls,
        NoAnswer,
        Receive,
        ClientCertificate,
        Certificate,
        RootCertificates,
        Interrupted,
        Terminated,
    ] {
        let number = format!("{:>5}  ", code as u8);
        assert!(
            EXIT_CODES.lines().any(|line| line.starts_with(&number)),
            "{code:?}"
        );
    }
}
