//! Server processes that never outlive the process of their tests.
//!
//! A shell starts each server, signals it and waits for it, as it is told over its standard input. When
//! that pipe closes, the shell ends the server and removes its folder. The pipe closes when the service
//! is dropped, and when the process of the tests ends in any way, even by `SIGKILL`.

use std::{
    fmt, fs,
    io::{self, BufRead, BufReader, Write},
    os::unix::process::CommandExt,
    process::{Child, ChildStdin, ChildStdout, Command, Stdio},
    sync::{Mutex, PoisonError},
    thread,
    time::{Duration, Instant},
};

use crate::{Missing, folder::Folder};

/// The time limit of starting a server on a busy machine.
const PATIENCE: Duration = Duration::from_secs(60);

/// The time between two looks at the log of a server that starts.
const PAUSE: Duration = Duration::from_millis(5);

/// The arguments are the folder, the last signal, and the command of the server.
const WATCHDOG: &str = r#"
folder=$1 last=$2 pid=
shift 2
end() {
    if [ "$pid" ]; then
        kill -s "$1" "$pid"
        wait "$pid"
    fi
    pid=
}
while read -r order signal; do
    case $order in
    start)
        end "$last"
        rm -f "$folder/log"
        "$@" </dev/null >"$folder/log" 2>&1 &
        pid=$!
        echo "$pid"
        ;;
    stop)
        end "$signal"
        echo stopped
        ;;
    esac
done
end "$last"
rm -rf "$folder"
"#;

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
        if self.replies.read_line(&mut reply)? == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        Ok(reply.trim_end().to_owned())
    }
}
