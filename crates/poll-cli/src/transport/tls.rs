//! The configuration of rustls: root certificates and the client certificate.

use std::{path::Path, sync::Arc};

use rustls::{
    ClientConfig, DigitallySignedStruct, Error, RootCertStore, SignatureScheme,
    client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier},
    crypto::{CryptoProvider, verify_tls12_signature, verify_tls13_signature},
    pki_types::{
        CertificateDer, PrivateKeyDer, ServerName, UnixTime,
        pem::{self, PemObject},
    },
};

use crate::{
    arguments::Connection,
    exit::{Code, Failure},
};

/// Creates the configuration for the options of the command line, without ALPN.
///
/// # Errors
///
/// Fails if a file of certificates or a key cannot be read.
pub(super) fn config(connection: &Connection) -> Result<ClientConfig, Failure> {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let builder = ClientConfig::builder_with_provider(Arc::clone(&provider))
        .with_safe_default_protocol_versions()
        .map_err(|error| Failure::new(Code::Other, "cannot set up TLS").with(error))?;
    let builder = if connection.insecure {
        let verifier = Arc::new(TrustsEverybody(provider));
        builder
            .dangerous()
            .with_custom_certificate_verifier(verifier)
    } else {
        builder.with_root_certificates(roots(connection.cacert.as_deref())?)
    };
    let Some(certificate) = &connection.cert else {
        return Ok(builder.with_no_client_auth());
    };
    let unusable = |path: &Path| format!("cannot use {}", path.display());
    let chain =
        certificates(certificate).map_err(|text| Failure::new(Code::ClientCertificate, text))?;
    let key_file = connection.key.as_ref().unwrap_or(certificate);
    let key = PrivateKeyDer::from_pem_file(key_file).map_err(|error| {
        let text = format!("{}: {}", unusable(key_file), explain(&error, "private key"));
        Failure::new(Code::ClientCertificate, text)
    })?;
    builder
        .with_client_auth_cert(chain, key)
        .map_err(|error| Failure::new(Code::ClientCertificate, unusable(certificate)).with(error))
}

/// Loads the root certificates of `--cacert`, or those of the system, which
/// `SSL_CERT_FILE` and `SSL_CERT_DIR` replace.
///
/// A system without root certificates is not an error, since http needs none.
/// In that case https trusts no server.
fn roots(file: Option<&Path>) -> Result<RootCertStore, Failure> {
    let mut roots = RootCertStore::empty();
    match file {
        None => {
            let native = rustls_native_certs::load_native_certs();
            roots.add_parsable_certificates(native.certs);
        }
        Some(file) => {
            let found =
                certificates(file).map_err(|text| Failure::new(Code::RootCertificates, text))?;
            if roots.add_parsable_certificates(found).0 == 0 {
                let text = format!("no certificate of {} can be a root", file.display());
                return Err(Failure::new(Code::RootCertificates, text));
            }
        }
    }
    Ok(roots)
}

fn certificates(file: &Path) -> Result<Vec<CertificateDer<'static>>, String> {
    let cannot = |error| {
        format!(
            "cannot use {}: {}",
            file.display(),
            explain(&error, "certificate")
        )
    };
    let found: Vec<_> = CertificateDer::pem_file_iter(file)
        .and_then(Iterator::collect)
        .map_err(cannot)?;
    match found.is_empty() {
        true => Err(cannot(pem::Error::NoItemsFound)),
        false => Ok(found),
    }
}

fn explain(error: &pem::Error, what: &str) -> String {
    match error {
        pem::Error::NoItemsFound => format!("there is no {what} in it (PEM, not encrypted)"),
        pem::Error::Io(error) => error.to_string(),
        error => error.to_string(),
    }
}

/// A verifier that checks only that the server has the key of its certificate.
#[derive(Debug)]
struct TrustsEverybody(Arc<CryptoProvider>);

impl ServerCertVerifier for TrustsEverybody {
    fn verify_server_cert(
        &self,
        _: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        _: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        let algorithms = &self.0.signature_verification_algorithms;
        verify_tls12_signature(message, certificate, signed, algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        let algorithms = &self.0.signature_verification_algorithms;
        verify_tls13_signature(message, certificate, signed, algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.0.signature_verification_algorithms.supported_schemes()
    }
}
