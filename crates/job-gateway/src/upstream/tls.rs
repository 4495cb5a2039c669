//! The configuration of TLS to a server.

use rustls::ClientConfig;

use crate::{
    config::Upstream,
    tls::{native_roots, provider, roots},
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
