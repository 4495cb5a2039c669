use http::HeaderMap;

use crate::closing;

/// Which of the headers that matter to the layer a request has. One pass over the names costs less
/// than looking each of them up, and most requests have none.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Glance {
    pub(crate) cancel_after: bool,
    pub(crate) content_type: bool,
    pub(crate) grpc_timeout: bool,
    pub(crate) idempotency_key: bool,
    pub(crate) prefer: bool,
    /// A proxy has added its headers.
    pub(crate) proxied: bool,
    pub(crate) range: bool,
    pub(crate) te: bool,
    pub(crate) upgrade: bool,
}

impl Glance {
    pub(crate) fn at(headers: &HeaderMap) -> Self {
        let mut glance = Self::default();
        for name in headers.keys() {
            match name.as_str() {
                "cancel-after" => glance.cancel_after = true,
                "content-type" => glance.content_type = true,
                "grpc-timeout" => glance.grpc_timeout = true,
                "idempotency-key" => glance.idempotency_key = true,
                "prefer" => glance.prefer = true,
                "range" => glance.range = true,
                "te" => glance.te = true,
                "upgrade" => glance.upgrade = true,
                name => glance.proxied |= closing::is_of_proxy(name),
            }
        }
        glance
    }
}
