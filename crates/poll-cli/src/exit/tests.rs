use super::*;

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

#[test]
fn errors_within_input_and_output_errors_are_found() {
    let error = io::Error::other(io::Error::other(rustls::Error::InvalidCertificate(
        rustls::CertificateError::Expired,
    )));
    assert_eq!(code_of_transport(&error), Code::Certificate);
    let error = io::Error::other(rustls::Error::DecryptError);
    assert_eq!(code_of_transport(&error), Code::TlsHandshake);
    let error = io::Error::other(Unresolved(io::Error::other("no such host")));
    assert_eq!(code_of_transport(&error), Code::Resolve);
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
        Resolve,
        Connect,
        BadAnswer,
        Refused,
        Partial,
        HttpError,
        Write,
        Read,
        Deadline,
        TlsHandshake,
        TooManyPolls,
        NoAnswer,
        Receive,
        Certificate,
        Interrupted,
    ] {
        let number = format!("{:>5}  ", code as u8);
        assert!(
            EXIT_CODES.lines().any(|line| line.starts_with(&number)),
            "{code:?}"
        );
    }
}
