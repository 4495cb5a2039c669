//! Server processes that never outlive the process of their tests.
//!
//! A shell starts each server, signals it and waits for it, as it is told over its standard input. When
//! that pipe closes, the shell ends the server and removes its folder. The pipe closes when the service
//! is dropped, and when the process of the tests ends in any way, even by `SIGKILL`.

use std::{
    fmt, fs,
    io::{self, BufRead, BufReader, Write},
    os::unix::{
        fs::{MetadataExt, PermissionsExt, chown},
        process::CommandExt,
    },
    path::{Path, PathBuf},
    process::{Child, ChildStdin, ChildStdout, Command, Stdio},
    sync::{Mutex, PoisonError},
    thread,
    time::{Duration, Instant},
};

use crate::Missing;

/// The time limit of starting a server on a busy machine.
const PATIENCE: Duration = Duration::from_secs(60);

/// The time between two looks at the log of a server that starts.
const PAUSE: Duration = Duration::from_millis(5);

/// The arguments are the folder, the last signal, and the command of the server.
const WATCHDOG: &str = r#"
folder=$1 last=$2 pid=
shift 2
while read -r order signal; do
    case $order in
    start)
        rm -f "$folder/log"
        "$@" </dev/null >"$folder/log" 2>&1 &
        pid=$!
        echo "$pid"
        ;;
    stop)
        if [ "$pid" ]; then
            kill -s "$signal" "$pid"
            wait "$pid"
        fi
        pid=
        echo stopped
        ;;
    esac
done
if [ "$pid" ]; then
    kill -s "$last" "$pid"
    wait "$pid"
fi
rm -rf "$folder"
"#;

/// A private folder of a service, which belongs to the user that runs the server.
#[derive(Debug)]
pub(crate) struct Folder {
    path: PathBuf,
    user: Option<(u32, u32)>,
}

impl Folder {
    /// Creates a folder for a server that runs as root if the tests do.
    pub(crate) fn new() -> Result<Self, Missing> {
        let folder = tempfile::Builder::new()
            .prefix("http-polling-")
            .tempdir()
            .map_err(|error| Missing::new("a temporary folder", error))?;
        let path = folder.keep();
        Ok(Self { path, user: None })
    }

    /// Creates a folder for a server that refuses to run as root.
    pub(crate) fn unprivileged() -> Result<Self, Missing> {
        let mut folder = Self::new()?;
        folder.user = unprivileged_user()?;
        folder.give(&folder.path)?;
        Ok(folder)
    }

    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// Writes a file that only the server can read.
    pub(crate) fn write(&self, name: &str, text: &str) -> Result<PathBuf, Missing> {
        let path = self.path.join(name);
        fs::write(&path, text)
            .and_then(|()| fs::set_permissions(&path, fs::Permissions::from_mode(0o600)))
            .map_err(|error| Missing::new(name, error))?;
        self.give(&path)?;
        Ok(path)
    }

    /// Returns a command that runs as the user of the folder.
    pub(crate) fn command(&self, program: &Path) -> Command {
        let Some((user, group)) = self.user else {
            return Command::new(program);
        };
        let mut command = Command::new("setpriv");
        command
            .arg(format!("--reuid={user}"))
            .arg(format!("--regid={group}"))
            .args(["--clear-groups", "--"])
            .arg(program);
        command
    }

    fn give(&self, path: &Path) -> Result<(), Missing> {
        let Some((user, group)) = self.user else {
            return Ok(());
        };
        chown(path, Some(user), Some(group)).map_err(|error| Missing::new("chown", error))
    }
}

/// Finds the user for servers that refuse to run as root, or none if the tests do not run as root.
fn unprivileged_user() -> Result<Option<(u32, u32)>, Missing> {
    let missing = |error| Missing::new("the user of the process", error);
    if fs::metadata("/proc/self").map_err(missing)?.uid() != 0 {
        return Ok(None);
    }
    let users = fs::read_to_string("/etc/passwd").map_err(missing)?;
    let find = |name: &str| {
        let mut fields = users
            .lines()
            .map(|line| line.split(':'))
            .find_map(|mut fields| (fields.next() == Some(name)).then_some(fields))?
            .skip(1);
        Some((fields.next()?.parse().ok()?, fields.next()?.parse().ok()?))
    };
    match find("postgres").or_else(|| find("nobody")) {
        Some(user) => Ok(Some(user)),
        None => Err(Missing::new("a user other than root", "there is no nobody")),
    }
}

/// A server, which is ended and whose folder is removed when this is dropped.
pub(crate) struct Server {
    folder: Folder,
    ready: &'static str,
    shell: Mutex<Shell>,
}

struct Shell {
    child: Child,
    // None once the shell was told to end.
    orders: Option<ChildStdin>,
    replies: BufReader<ChildStdout>,
}

impl Server {
    /// Prepares a server without starting it.
    ///
    /// Its log contains `ready` as soon as it accepts connections. It is ended by the signal `last`.
    pub(crate) fn new(
        folder: Folder,
        command: &Command,
        ready: &'static str,
        last: &str,
    ) -> Result<Self, Missing> {
        let child = Command::new("sh")
            .args(["-c", WATCHDOG, "watchdog"])
            .args([folder.path().as_os_str(), last.as_ref()])
            .arg(command.get_program())
            .args(command.get_args())
            // Signals of the terminal concern only the tests.
            .process_group(0)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .map_err(|error| Missing::new("sh", error))?;
        let shell = Shell::new(child);
        Ok(Self {
            folder,
            ready,
            shell: Mutex::new(shell),
        })
    }

    pub(crate) fn folder(&self) -> &Folder {
        &self.folder
    }

    /// Starts the process and waits until it accepts connections.
    pub(crate) fn start(&self) -> Result<(), Missing> {
        let process = self.launch()?;
        self.await_ready(&process)
    }

    /// Starts the process, and returns its number.
    pub(crate) fn launch(&self) -> Result<String, Missing> {
        self.order("start")
            .map_err(|error| Missing::new("the shell", error))
    }

    /// Waits until the process accepts connections.
    pub(crate) fn await_ready(&self, process: &str) -> Result<(), Missing> {
        let log = self.folder.path().join("log");
        let begun = Instant::now();
        loop {
            let text = fs::read(&log).unwrap_or_default();
            let text = String::from_utf8_lossy(&text);
            if text.contains(self.ready) {
                return Ok(());
            }
            if has_ended(process) || begun.elapsed() > PATIENCE {
                return Err(Missing::new(
                    "a server",
                    format!("it did not start: {text}"),
                ));
            }
            thread::sleep(PAUSE);
        }
    }

    /// Sends this signal, and waits until the process has ended.
    pub(crate) fn stop(&self, signal: &str) {
        let reply = self.order(&format!("stop {signal}"));
        reply.expect("the shell that stops the server ended");
    }

    fn order(&self, order: &str) -> io::Result<String> {
        let mut shell = self.shell.lock().unwrap_or_else(PoisonError::into_inner);
        shell.order(order)
    }
}

/// Returns whether the process with this number is one that its parent has not waited for, or none.
fn has_ended(process: &str) -> bool {
    fs::read_to_string(format!("/proc/{process}/stat"))
        .map_or(true, |status| status.contains(") Z "))
}

impl Drop for Server {
    fn drop(&mut self) {
        let shell = self.shell.get_mut().unwrap_or_else(PoisonError::into_inner);
        shell.orders = None;
        // The shell has ended the server and removed its folder.
        let _ = shell.child.wait();
    }
}

impl fmt::Debug for Server {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Server")
            .field("folder", &self.folder)
            .finish_non_exhaustive()
    }
}

impl Shell {
    fn new(mut child: Child) -> Self {
        let orders = child.stdin.take();
        let replies = child.stdout.take().expect("the output is piped");
        Self {
            child,
            orders,
            replies: BufReader::new(replies),
        }
    }

    fn order(&mut self, order: &str) -> io::Result<String> {
        if let Some(orders) = &mut self.orders {
            writeln!(orders, "{order}")?;
        }
        let mut reply = String::new();
        self.replies.read_line(&mut reply)?;
        Ok(reply.trim_end().to_owned())
    }
}
