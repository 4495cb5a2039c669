//! `--generate man`: the page of the program.

use std::io;

use clap::CommandFactory;
use clap_mangen::Man;

use crate::arguments::Arguments;

/// The sections after those of the command line, each a title and lines of roff.
const SECTIONS: [(&str, &str); 5] = [
    (
        "SIGNALS",
        ".TP\n.B SIGTERM, SIGINT\nRefuses new requests after \\-\\-drain\\-delay, answers polls, gives \
         running jobs the time of \\-\\-grace, and hands those that can run again back to the store. A \
         second signal ends the process at once.\n\
         .TP\n.B SIGHUP\nReads the file of settings again. After an error the old ones stay.",
    ),
    (
        "ENVIRONMENT",
        ".TP\n.B JOB_GATEWAY_STORE\nThe URL of the store, where \\-\\-store is not given.\n\
         .TP\n.B NOTIFY_SOCKET, LISTEN_FDS, LISTEN_PID\nAre set by systemd: the socket for its \
         notifications, and the sockets of \\-\\-listen systemd.",
    ),
    (
        "EXIT STATUS",
        ".TP\n.B 0\nThe gateway has ended after a signal, or the settings can be used.\n\
         .TP\n.B 1\nThe gateway cannot begin: an address is taken, or the store cannot be opened.\n\
         .TP\n.B 2\nThe command line or the settings cannot be used.",
    ),
    (
        "EXAMPLES",
        "A server on port 3000, whose jobs outlive the gateway:\n.PP\n.RS\njob\\-gateway \\-\\-upstream \
         http://127.0.0.1:3000 \\-\\-store sqlite:jobs.db\n.RE\n.PP\nA file of all settings, and its \
         check:\n.PP\n.RS\n.nf\njob\\-gateway \\-\\-generate config > gateway.toml\njob\\-gateway \
         \\-\\-config gateway.toml \\-\\-check\n.fi\n.RE",
    ),
    (
        "FILES",
        ".TP\n.I /etc/job\\-gateway/gateway.toml\nThe settings, with the units of \\-\\-generate unit \
         and socket.\n.TP\n.I /var/lib/job\\-gateway\nThe folder of that unit for jobs.",
    ),
];

/// Returns the page in roff.
///
/// # Errors
///
/// Fails if the page cannot be written to memory.
pub(super) fn man() -> io::Result<String> {
    let mut page = Vec::new();
    Man::new(Arguments::command()).render(&mut page)?;
    let mut page = String::from_utf8_lossy(&page).into_owned();
    for (title, lines) in SECTIONS {
        page += &format!(".SH \"{title}\"\n{lines}\n");
    }
    Ok(page)
}
