use std::collections::HashMap;

use fastrand::Rng;

use super::{Change, File};

/// The state of each sector of a file after a power cut: that after some of its changes.
pub(super) struct Sectors<'a> {
    size: usize,
    share: f64,
    random: &'a mut Rng,
    /// The number of changes of the file that each sector has seen, from the first.
    seen: HashMap<usize, usize>,
    torn: usize,
}

impl<'a> Sectors<'a> {
    /// Creates sectors of this size; this share of them has seen all changes.
    pub(super) fn new(size: usize, share: f64, random: &'a mut Rng) -> Self {
        Self {
            size,
            share,
            random,
            seen: HashMap::new(),
            torn: 0,
        }
    }

    /// Returns the number of writes of which a part is left.
    pub(super) fn torn(&self) -> usize {
        self.torn
    }

    /// Returns the contents that are left of a file.
    pub(super) fn remains(&mut self, file: &File) -> Vec<u8> {
        let count = file.unsynced.iter().len();
        let mut contents = file.contents.clone();
        let mut length = contents.len();
        // The length is on the disk apart from the contents.
        let length_seen = self.draw(count);
        let mut length_left = length;
        for (place, change) in file.unsynced.iter().enumerate() {
            match change {
                Change::Write { at, data } => {
                    length = length.max(at + data.len());
                    contents.resize(length.max(contents.len()), 0);
                    let kept = self.write(&mut contents, *at, data, place, count);
                    self.torn += usize::from(kept > 0 && kept < data.len());
                }
                Change::Resize(size) => {
                    if let Some(cut) = length.checked_sub(*size) {
                        self.write(&mut contents, *size, &vec![0; cut], place, count);
                    }
                    length = *size;
                    contents.resize(length.max(contents.len()), 0);
                }
            }
            if place < length_seen {
                length_left = length;
            }
        }
        contents.resize(length_left, 0);
        contents
    }

    /// Writes to the sectors that have seen this change, and returns the number of bytes.
    fn write(
        &mut self,
        contents: &mut [u8],
        at: usize,
        data: &[u8],
        place: usize,
        count: usize,
    ) -> usize {
        let (mut done, mut kept) = (0, 0);
        while done < data.len() {
            let begin = at + done;
            let sector = begin / self.size;
            let part = (self.size - begin % self.size).min(data.len() - done);
            let seen = match self.seen.get(&sector) {
                Some(seen) => *seen,
                None => {
                    let seen = self.draw(count);
                    *self.seen.entry(sector).or_insert(seen)
                }
            };
            if place < seen {
                contents[begin..begin + part].copy_from_slice(&data[done..done + part]);
                kept += part;
            }
            done += part;
        }
        kept
    }

    /// Draws the number of changes that are seen: all, none, or the first ones.
    fn draw(&mut self, count: usize) -> usize {
        match self.random.f64() {
            draw if draw < self.share => count,
            draw if draw < f64::midpoint(self.share, 1.0) => 0,
            _ if self.share == 0.0 => 0,
            _ => self.random.usize(..=count),
        }
    }
}
