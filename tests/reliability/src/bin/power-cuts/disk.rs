//! A disk that keeps what was synced, and anything of what was not.

mod sectors;
#[cfg(test)]
mod tests;
mod unsynced;

use std::collections::{BTreeMap, HashMap};

use anyhow::{Context, Result};
use fastrand::Rng;

use self::{sectors::Sectors, unsynced::Unsynced};
use crate::log::{Event, Synced};

/// The files of a folder by their names.
pub(crate) type Files = BTreeMap<String, Vec<u8>>;

/// The folder, as it is on the disk and in the memory of the operating system.
#[derive(Debug, Default)]
pub(crate) struct Disk {
    files: Vec<File>,
    /// The places in `files` by inode. An inode is used again once its file is gone.
    inodes: HashMap<u64, usize>,
    names: BTreeMap<String, usize>,
    unsynced: Unsynced<NameChange>,
}

#[derive(Debug, Default)]
struct File {
    /// The contents that were synced.
    contents: Vec<u8>,
    unsynced: Unsynced<Change>,
}

/// A change of the contents of a file.
#[derive(Debug)]
enum Change {
    Write { at: usize, data: Vec<u8> },
    Resize(usize),
}

/// A change of names, which a disk makes wholly or not at all.
#[derive(Debug)]
enum NameChange {
    Add(String, usize),
    Remove(String),
    Rename(String, String),
}

/// The folder after a power cut.
#[derive(Debug, Default)]
pub(crate) struct Remains {
    pub(crate) files: Files,
    /// The number of writes of which a part is left.
    pub(crate) torn: usize,
}

impl Disk {
    /// Makes a change, or syncs.
    pub(crate) fn apply(&mut self, event: &Event) -> Result<()> {
        match event {
            Event::Create { inode, name } => {
                self.inodes.insert(*inode, self.files.len());
                self.unsynced
                    .push(NameChange::Add(name.clone(), self.files.len()));
                self.files.push(File::default());
            }
            Event::Write { inode, at, data } => {
                let data = data.clone();
                self.file(*inode)?
                    .unsynced
                    .push(Change::Write { at: *at, data });
            }
            Event::Resize { inode, size } => {
                self.file(*inode)?.unsynced.push(Change::Resize(*size));
            }
            Event::Link { inode, name } => {
                let place = *self
                    .inodes
                    .get(inode)
                    .context("a link to an unknown file")?;
                self.unsynced.push(NameChange::Add(name.clone(), place));
            }
            Event::Unlink { name } => self.unsynced.push(NameChange::Remove(name.clone())),
            Event::Rename { from, to } => {
                self.unsynced
                    .push(NameChange::Rename(from.clone(), to.clone()));
            }
            Event::SyncBegin {
                of: Synced::Folder,
                number,
            } => self.unsynced.begin(*number),
            Event::SyncEnd {
                of: Synced::Folder,
                number,
            } => {
                for change in self.unsynced.end(*number) {
                    change.apply(&mut self.names);
                }
            }
            Event::SyncBegin {
                of: Synced::File(inode),
                number,
            } => {
                self.file(*inode)?.unsynced.begin(*number);
            }
            Event::SyncEnd {
                of: Synced::File(inode),
                number,
            } => {
                let file = self.file(*inode)?;
                for change in file.unsynced.end(*number) {
                    change.apply(&mut file.contents);
                }
            }
        }
        Ok(())
    }

    fn file(&mut self, inode: u64) -> Result<&mut File> {
        let place = self
            .inodes
            .get(&inode)
            .context("a change of an unknown file")?;
        Ok(&mut self.files[*place])
    }

    /// Returns the files as the processes see them.
    pub(crate) fn current(&self) -> Files {
        let mut names = self.names.clone();
        for change in self.unsynced.iter() {
            change.apply(&mut names);
        }
        let contents = |place: usize| {
            let file = &self.files[place];
            let mut contents = file.contents.clone();
            for change in file.unsynced.iter() {
                change.apply(&mut contents);
            }
            contents
        };
        names
            .into_iter()
            .map(|(name, place)| (name, contents(place)))
            .collect()
    }

    /// Cuts the power: of what was not synced, an arbitrary part is on the disk.
    pub(crate) fn cut(&self, random: &mut Rng) -> Remains {
        let share = share(random);
        let mut names = self.names.clone();
        let mut lost: Vec<&str> = Vec::new();
        for change in self.unsynced.iter() {
            let both = change.names();
            // Changes of one name are made in their order.
            let is_lost = both.iter().any(|name| lost.contains(name)) || random.f64() >= share;
            if is_lost {
                lost.extend(both);
            } else {
                change.apply(&mut names);
            }
        }
        let mut remains = Remains::default();
        let size = *random.choice(&[512, 4096]).unwrap_or(&512);
        for (name, place) in names {
            let mut sectors = Sectors::new(size, share, random);
            let contents = sectors.remains(&self.files[place]);
            remains.torn += sectors.torn();
            remains.files.insert(name, contents);
        }
        remains
    }
}

/// Chooses the share of the changes that are on the disk before their sync: none, all, or some.
fn share(random: &mut Rng) -> f64 {
    *random
        .choice(&[0.0, 0.1, 0.5, 0.5, 0.9, 1.0])
        .unwrap_or(&0.5)
}

impl Change {
    fn apply(&self, contents: &mut Vec<u8>) {
        match self {
            Self::Write { at, data } => {
                let end = at + data.len();
                if contents.len() < end {
                    contents.resize(end, 0);
                }
                contents[*at..end].copy_from_slice(data);
            }
            Self::Resize(size) => contents.resize(*size, 0),
        }
    }
}

impl NameChange {
    fn apply(&self, names: &mut BTreeMap<String, usize>) {
        match self {
            Self::Add(name, place) => {
                names.insert(name.clone(), *place);
            }
            Self::Remove(name) => {
                names.remove(name);
            }
            Self::Rename(from, to) => {
                if let Some(place) = names.remove(from) {
                    names.insert(to.clone(), place);
                }
            }
        }
    }

    fn names(&self) -> Vec<&str> {
        match self {
            Self::Add(name, _) | Self::Remove(name) => vec![name],
            Self::Rename(from, to) => vec![from, to],
        }
    }
}
