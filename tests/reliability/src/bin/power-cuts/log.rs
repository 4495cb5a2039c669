//! The log of a process: all changes of its files, in their order.

use std::path::Path;

use anyhow::{Context, Result, bail};

/// One record of the log, which `preload/record.c` writes.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Event {
    Create {
        inode: u64,
        name: String,
    },
    Write {
        inode: u64,
        at: usize,
        data: Vec<u8>,
    },
    Resize {
        inode: u64,
        size: usize,
    },
    SyncBegin {
        of: Synced,
        number: u64,
    },
    SyncEnd {
        of: Synced,
        number: u64,
    },
    Link {
        inode: u64,
        name: String,
    },
    Unlink {
        name: String,
    },
    Rename {
        from: String,
        to: String,
    },
}

/// A file, or the folder, that is synced.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Synced {
    Folder,
    File(u64),
}

/// Reads a log.
pub(crate) fn read(path: &Path) -> Result<Vec<Event>> {
    let log = std::fs::read(path).with_context(|| format!("cannot read `{}`", path.display()))?;
    let mut rest = &log[..];
    let mut events = Vec::new();
    while !rest.is_empty() {
        let (header, after) = rest.split_at_checked(32).context("half a header")?;
        let mut numbers = header.chunks_exact(8);
        let [kind, inode, place, bytes] = [(); 4].map(|()| {
            let number = numbers.next().unwrap_or_default().try_into();
            u64::from_ne_bytes(number.unwrap_or_default())
        });
        let half = "half a record";
        let (data, after) = after.split_at_checked(bytes as usize).context(half)?;
        events.push(event(kind, inode, place as usize, data)?);
        rest = after;
    }
    Ok(events)
}

fn event(kind: u64, inode: u64, place: usize, data: &[u8]) -> Result<Event> {
    let name = || Ok::<_, std::str::Utf8Error>(std::str::from_utf8(data)?.to_owned());
    let number = place as u64;
    let of = match inode {
        u64::MAX => Synced::Folder,
        inode => Synced::File(inode),
    };
    Ok(match kind {
        1 => Event::Create {
            inode,
            name: name()?,
        },
        2 => Event::Write {
            inode,
            at: place,
            data: data.to_vec(),
        },
        3 => Event::Resize { inode, size: place },
        4 => Event::SyncBegin { of, number },
        5 => Event::SyncEnd { of, number },
        6 => Event::Link {
            inode,
            name: name()?,
        },
        7 => Event::Unlink { name: name()? },
        8 => {
            let names = name()?;
            let (from, to) = names.split_once('\0').context("one name of two")?;
            Event::Rename {
                from: from.to_owned(),
                to: to.to_owned(),
            }
        }
        kind => bail!("a record of the unknown kind {kind}"),
    })
}
