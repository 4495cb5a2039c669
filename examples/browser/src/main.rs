//! A page that orders a report and shows its progress, without a library.
//!
//! ```text
//! cargo run -p browser                      # then open http://127.0.0.1:3000/
//! cargo run -p browser -- --store jobs.db   # jobs outlive the process
//! ```
//!
//! The page can be reloaded at any time: `poll.js` finds the job again. With `--store`, the process can
//! be killed and started again as well: the report is written again, and the page gets it.

use clap::Parser;

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    browser::serve(browser::Args::parse()).await
}
