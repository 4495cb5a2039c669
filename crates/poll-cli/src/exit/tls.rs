//! Messages for TLS errors.

use rustls::{AlertDescription as Alert, CertificateError as Certificate, Error};

use super::code::Code;

/// Returns the exit code and the message for an error of TLS with `peer`.
pub(super) fn judge(error: &Error, peer: &str) -> (Code, String) {
    match error {
        Error::InvalidCertificate(reason) => (
            Code::Certificate,
            format!(
                "the certificate of {peer} cannot be trusted: {}",
                distrust(reason)
            ),
        ),
        error => (
            Code::TlsHandshake,
            format!("TLS with {peer} failed: {}", failure(error)),
        ),
    }
}

fn distrust(reason: &Certificate) -> String {
    let text = match reason {
        Certificate::UnknownIssuer => {
            "no root certificate here vouches for it (--cacert names others)"
        }
        Certificate::Expired | Certificate::ExpiredContext { .. } => "it has expired",
        Certificate::NotValidYet | Certificate::NotValidYetContext { .. } => {
            "it is not valid yet; is the clock right?"
        }
        Certificate::NotValidForName => "it is for another name",
        Certificate::Revoked => "it has been revoked",
        Certificate::BadSignature => "its signature is wrong",
        Certificate::BadEncoding => "it cannot be read",
        Certificate::InvalidPurpose | Certificate::InvalidPurposeContext { .. } => {
            "it is not one for servers"
        }
        other => return other.to_string(),
    };
    text.to_owned()
}

fn failure(error: &Error) -> String {
    let text = match error {
        Error::InvalidMessage(_) => "the answer is not TLS; is it a server of http:// ?",
        Error::PeerIncompatible(_) => "there is no version or cipher in common",
        Error::NoApplicationProtocol | Error::AlertReceived(Alert::NoApplicationProtocol) => {
            "the server does not speak the version of HTTP that was asked for"
        }
        Error::AlertReceived(
            Alert::BadCertificate
            | Alert::CertificateRequired
            | Alert::CertificateUnknown
            | Alert::CertificateExpired
            | Alert::CertificateRevoked
            | Alert::UnsupportedCertificate
            | Alert::UnknownCA
            | Alert::AccessDenied,
        ) => "the server wants a client certificate that it trusts (--cert)",
        Error::AlertReceived(Alert::HandshakeFailure | Alert::ProtocolVersion) => {
            "the server found no version or cipher in common"
        }
        Error::AlertReceived(Alert::UnrecognisedName) => "the server does not serve this name",
        other => return other.to_string(),
    };
    text.to_owned()
}
