//! Certificates and keys, read from files in PEM.

use std::{path::Path, sync::Arc};

use rustls::{
    RootCertStore, ServerConfig,
    crypto::{CryptoProvider, ring},
    pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject as _},
};

use crate::config::Tls;

/// Returns the library of cryptography.
pub(crate) fn provider() -> Arc<CryptoProvider> {
    Arc::new(ring::default_provider())
}

/// Reads the certificate of the gateway and its key. Clients may choose HTTP/2 or HTTP/1.1.
///
/// # Errors
///
/// Fails if a file has none, or if the key is not that of the certificate.
pub(crate) fn server(tls: &Tls) -> Result<ServerConfig, Unusable> {
    let certificates = certificates(&tls.certificate).map_err(Unusable::Certificate)?;
    let key = PrivateKeyDer::from_pem_file(&tls.key).map_err(|error| {
        Unusable::Key(format!("{} has no private key: {error}", tls.key.display()))
    })?;
    let config = ServerConfig::builder_with_provider(provider())
        .with_safe_default_protocol_versions()
        .expect("ring has the ciphers of all versions")
        .with_no_client_auth()
        .with_single_cert(certificates, key);
    let mut config = config.map_err(|error| match error {
        rustls::Error::InconsistentKeys(_) => {
            Unusable::Key(format!("{} is of another certificate", tls.key.display()))
        }
        error => Unusable::Certificate(format!("{}: {error}", tls.certificate.display())),
    })?;
    config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    Ok(config)
}

/// The file that makes a certificate unusable, and the reason.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Unusable {
    Certificate(String),
    Key(String),
}

/// Reads the certificates that are trusted instead of the system's.
///
/// # Errors
///
/// Fails if the file has no certificate.
pub(crate) fn roots(path: &Path) -> Result<RootCertStore, String> {
    let mut roots = RootCertStore::empty();
    for certificate in certificates(path)? {
        let added = roots.add(certificate);
        added.map_err(|error| format!("{} is no root: {error}", path.display()))?;
    }
    Ok(roots)
}

/// Returns the certificates that the system trusts.
///
/// # Errors
///
/// Fails if there are none.
pub(crate) fn native_roots() -> Result<RootCertStore, String> {
    let mut roots = RootCertStore::empty();
    roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
    match roots.is_empty() {
        true => Err("the system has no root certificates: install them, or set `roots`".to_owned()),
        false => Ok(roots),
    }
}

fn certificates(path: &Path) -> Result<Vec<CertificateDer<'static>>, String> {
    let certificates = CertificateDer::pem_file_iter(path)
        .and_then(Iterator::collect::<Result<Vec<_>, _>>)
        .map_err(|error| format!("{} has no certificate: {error}", path.display()))?;
    match certificates.is_empty() {
        true => Err(format!("{} has no certificate in PEM", path.display())),
        false => Ok(certificates),
    }
}

#[cfg(test)]
mod tests {
    use std::{fs, path::PathBuf};

    use rcgen::generate_simple_self_signed;
    use tempfile::TempDir;

    use super::*;

    fn written(folder: &TempDir, name: &str, text: &str) -> PathBuf {
        let path = folder.path().join(name);
        fs::write(&path, text).unwrap();
        path
    }

    /// Returns a certificate and its key.
    fn pair(folder: &TempDir, name: &str) -> Tls {
        let pair = generate_simple_self_signed(["localhost".to_owned()]).unwrap();
        let key = pair.signing_key.serialize_pem();
        Tls {
            certificate: written(folder, &format!("{name}.pem"), &pair.cert.pem()),
            key: written(folder, &format!("{name}.key"), &key),
        }
    }

    #[test]
    fn a_certificate_and_its_key_serve_both_protocols() {
        let folder = TempDir::new().unwrap();
        let config = server(&pair(&folder, "a")).unwrap();
        assert_eq!(config.alpn_protocols, [&b"h2"[..], b"http/1.1"]);
    }

    #[test]
    fn the_file_that_is_unusable_is_named() {
        let folder = TempDir::new().unwrap();
        let (a, b) = (pair(&folder, "a"), pair(&folder, "b"));
        let error = |certificate: &Path, key: &Path| {
            server(&Tls {
                certificate: certificate.to_owned(),
                key: key.to_owned(),
            })
            .unwrap_err()
        };
        let file = |name: &str| folder.path().join(name).display().to_string();
        assert_eq!(
            error(&a.certificate, &b.key),
            Unusable::Key(format!("{} is of another certificate", file("b.key")))
        );
        assert_eq!(
            error(&a.key, &a.key),
            Unusable::Certificate(format!("{} has no certificate in PEM", file("a.key")))
        );
        let Unusable::Key(error) = error(&a.certificate, &a.certificate) else {
            panic!("the certificate is usable");
        };
        assert!(
            error.starts_with(&format!("{} has no private key", file("a.pem"))),
            "{error}"
        );
    }

    #[test]
    fn roots_are_certificates() {
        let folder = TempDir::new().unwrap();
        let pair = pair(&folder, "a");
        assert_eq!(roots(&pair.certificate).unwrap().len(), 1);
        let error = roots(&pair.key).unwrap_err();
        assert!(
            error.ends_with("a.key has no certificate in PEM"),
            "{error}"
        );
        let broken = "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n";
        let error = roots(&written(&folder, "broken.pem", broken)).unwrap_err();
        assert!(error.contains("broken.pem is no root"), "{error}");
    }
}
