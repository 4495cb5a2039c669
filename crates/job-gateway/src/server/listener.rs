//! The addresses of clients.

use std::{
    fs, io,
    net::{IpAddr, SocketAddr},
    os::unix::fs::FileTypeExt,
    path::{Path, PathBuf},
};

use listenfd::ListenFd;
use tokio::{
    io::{AsyncRead, AsyncWrite},
    net::{TcpListener, UnixListener},
};

use crate::config::Listen;

/// A connection of either kind.
pub(super) type Stream = Box<dyn Socket>;

pub(super) trait Socket: AsyncRead + AsyncWrite + Send + Unpin {}

impl<S: AsyncRead + AsyncWrite + Send + Unpin> Socket for S {}

/// An address on which the gateway listens.
pub(crate) enum Listener {
    Tcp(TcpListener, SocketAddr),
    Unix(UnixListener, File),
}

impl Listener {
    /// Listens on an address. The sockets that systemd passes on may be several.
    pub(super) async fn bind(address: &Listen) -> io::Result<Vec<Self>> {
        let listener = match address {
            Listen::Tcp(address) => Self::tcp(TcpListener::bind(address).await?)?,
            Listen::Unix(path) => {
                let listener = bind_socket(path)?;
                let (path, is_own) = (path.clone(), true);
                Self::Unix(listener, File { path, is_own })
            }
            Listen::Systemd => return passed_on(),
        };
        Ok(vec![listener])
    }

    fn tcp(listener: TcpListener) -> io::Result<Self> {
        let address = listener.local_addr()?;
        Ok(Self::Tcp(listener, address))
    }

    /// Returns the URL of the address, or the path of the socket.
    pub(super) fn url(&self, is_secure: bool) -> String {
        match self {
            Self::Tcp(_, address) if is_secure => format!("https://{address}"),
            Self::Tcp(_, address) => format!("http://{address}"),
            Self::Unix(_, file) => format!("unix:{}", file.path.display()),
        }
    }

    /// Waits for a client. Returns its connection and its address.
    pub(super) async fn accept(&self) -> io::Result<(Stream, Option<IpAddr>)> {
        match self {
            Self::Tcp(listener, _) => {
                let (stream, address) = listener.accept().await?;
                // Answers are written whole, so that waiting for more only delays them.
                let _ = stream.set_nodelay(true);
                Ok((Box::new(stream), Some(address.ip())))
            }
            Self::Unix(listener, ..) => {
                let (stream, _) = listener.accept().await?;
                Ok((Box::new(stream), None))
            }
        }
    }
}

/// The file of a socket. It is removed at the end, unless systemd has passed the socket on.
pub(crate) struct File {
    path: PathBuf,
    is_own: bool,
}

impl Drop for File {
    fn drop(&mut self) {
        if self.is_own {
            let _ = fs::remove_file(&self.path);
        }
    }
}

/// Listens on a socket. The file of one on which no process listens any more is replaced.
fn bind_socket(path: &Path) -> io::Result<UnixListener> {
    match UnixListener::bind(path) {
        Err(error) if error.kind() == io::ErrorKind::AddrInUse && is_left_over(path) => {
            fs::remove_file(path)?;
            UnixListener::bind(path)
        }
        bound => bound,
    }
}

fn is_left_over(path: &Path) -> bool {
    let is_socket = fs::symlink_metadata(path).is_ok_and(|file| file.file_type().is_socket());
    let connected = || std::os::unix::net::UnixStream::connect(path);
    is_socket && connected().is_err_and(|error| error.kind() == io::ErrorKind::ConnectionRefused)
}

/// Returns the sockets that systemd passes on.
fn passed_on() -> io::Result<Vec<Listener>> {
    let mut passed = ListenFd::from_env();
    let mut listeners = Vec::new();
    for index in 0..passed.len() {
        listeners.push(match passed.take_tcp_listener(index) {
            Ok(Some(listener)) => {
                listener.set_nonblocking(true)?;
                Listener::tcp(TcpListener::from_std(listener)?)?
            }
            _ => {
                let unix = passed.take_unix_listener(index)?;
                let unix = unix.ok_or_else(|| io::Error::other("a socket was passed on twice"))?;
                unix.set_nonblocking(true)?;
                let address = unix.local_addr()?;
                let path = address.as_pathname().unwrap_or(Path::new("")).to_owned();
                Listener::Unix(
                    UnixListener::from_std(unix)?,
                    File {
                        path,
                        is_own: false,
                    },
                )
            }
        });
    }
    if listeners.is_empty() {
        return Err(io::Error::other(
            "systemd has passed on no socket: the unit needs a socket unit beside it",
        ));
    }
    Ok(listeners)
}
