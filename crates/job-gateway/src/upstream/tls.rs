//! The configuration of TLS to a server.

use rustls::{ClientConfig, RootCertStore};

use crate::{
    config::Upstream,
    tls::{provider, roots},
};

/// Creates the configuration, without ALPN.
///
/// # Errors
///
/// Fails if there are no root certificates.
pub(super) fn config(upstream: &Upstream) -> Result<ClientConfig, String> {
    let roots = match &upstream.roots {
        Some(file) => roots(file)?,
        None => native_roots()?,
    };
    let config = ClientConfig::builder_with_provider(provider())
        .with_safe_default_protocol_versions()
        .expect("ring has the ciphers of all versions");
    Ok(config.with_root_certificates(roots).with_no_client_auth())
}

fn native_roots() -> Result<RootCertStore, String> {
    let mut roots = RootCertStore::empty();
    roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
    match roots.is_empty() {
        true => Err("the system has no root certificates: install them, or set `roots`".to_owned()),
        false => Ok(roots),
    }
}
