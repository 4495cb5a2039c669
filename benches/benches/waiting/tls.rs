//! A certificate for `localhost`, which is made for each run.

use std::{fs, io::ErrorKind, path::PathBuf, sync::Arc};

use rcgen::CertifiedKey;
use tokio_rustls::rustls::{
    ClientConfig, RootCertStore, ServerConfig,
    crypto::{CryptoProvider, ring},
    pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer},
};

use crate::Outcome;

/// The certificate and its key, in files for other processes. The files are deleted on drop.
pub(crate) struct Identity(());

impl Identity {
    pub(crate) fn create() -> Outcome<Self> {
        let CertifiedKey { cert, signing_key } =
            rcgen::generate_simple_self_signed(["localhost".to_owned()])?;
        fs::write(file("certificate"), cert.der())?;
        fs::write(file("key"), signing_key.serialize_der())?;
        Ok(Self(()))
    }
}

impl Drop for Identity {
    fn drop(&mut self) {
        let _ = fs::remove_file(file("certificate"));
        let _ = fs::remove_file(file("key"));
    }
}

fn file(name: &str) -> PathBuf {
    [env!("CARGO_TARGET_TMPDIR"), &format!("waiting-{name}.der")]
        .iter()
        .collect()
}

fn provider() -> Arc<CryptoProvider> {
    Arc::new(ring::default_provider())
}

/// Creates the server's configuration, with session tickets.
pub(crate) fn server() -> Outcome<Arc<ServerConfig>> {
    let certificate = CertificateDer::from(fs::read(file("certificate"))?);
    let key = PrivatePkcs8KeyDer::from(fs::read(file("key"))?);
    let mut config = ServerConfig::builder_with_provider(provider())
        .with_safe_default_protocol_versions()?
        .with_no_client_auth()
        .with_single_cert(vec![certificate], PrivateKeyDer::Pkcs8(key))?;
    config.ticketer = ring::Ticketer::new()?;
    Ok(Arc::new(config))
}

/// Creates a client's configuration, which trusts only that server.
pub(crate) fn client() -> Outcome<ClientConfig> {
    let mut roots = RootCertStore::empty();
    match fs::read(file("certificate")) {
        Ok(certificate) => roots.add(CertificateDer::from(certificate))?,
        // The servers use no TLS.
        Err(error) if error.kind() == ErrorKind::NotFound => {}
        Err(error) => return Err(error.into()),
    }
    Ok(ClientConfig::builder_with_provider(provider())
        .with_safe_default_protocol_versions()?
        .with_root_certificates(roots)
        .with_no_client_auth())
}
