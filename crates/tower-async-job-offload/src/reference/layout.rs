//! The places of chunks in an object.

use std::ops::Range;

/// The chunks of an object, in the order in which they were appended. Chunks with consecutive indexes
/// and one size are one run, so a result that was written in order has one or two.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Layout(Vec<Run>);

#[derive(Clone, Copy, Debug, PartialEq)]
struct Run {
    first: u32,
    count: u32,
    /// The bytes of each chunk.
    size: u32,
}

impl Run {
    /// The bytes of a stored run.
    const LEN: usize = 12;

    fn end(&self) -> u64 {
        u64::from(self.first) + u64::from(self.count)
    }

    fn len(&self) -> u64 {
        u64::from(self.count) * u64::from(self.size)
    }
}

impl Layout {
    /// Appends a chunk. It replaces an earlier one with the same index, whose bytes stay unused.
    pub(crate) fn push(&mut self, index: u32, size: u32) {
        match self.0.last_mut() {
            Some(run) if run.end() == u64::from(index) && run.size == size => run.count += 1,
            _ => self.0.push(Run {
                first: index,
                count: 1,
                size,
            }),
        }
    }

    /// Returns the bytes of the chunk with this index.
    pub(crate) fn find(&self, index: u32) -> Option<Range<u64>> {
        let (mut offset, mut found) = (0_u64, None);
        for run in &self.0 {
            if (u64::from(run.first)..run.end()).contains(&index.into()) {
                let size = u64::from(run.size);
                let start = offset.checked_add(u64::from(index - run.first) * size)?;
                found = Some(start..start.checked_add(size)?);
            }
            offset = offset.checked_add(run.len())?;
        }
        found
    }

    /// Returns whether it has all chunks below this index.
    pub(crate) fn is_complete(&self, chunks: u32) -> bool {
        let mut runs: Vec<_> = self.0.iter().map(|run| (run.first, run.end())).collect();
        runs.sort_unstable();
        let joined = runs.into_iter().try_fold(0, |end: u64, (first, next)| {
            (u64::from(first) <= end).then(|| end.max(next))
        });
        joined.is_some_and(|end| end >= u64::from(chunks))
    }

    pub(super) fn put(&self, bytes: &mut Vec<u8>) {
        for run in &self.0 {
            for number in [run.first, run.count, run.size] {
                bytes.extend(number.to_le_bytes());
            }
        }
    }

    /// Reads a layout; `None` if the bytes are none.
    pub(super) fn read(bytes: &[u8]) -> Option<Self> {
        let (runs, []) = bytes.as_chunks::<{ Run::LEN }>() else {
            return None;
        };
        let number = |run: &[u8], at: usize| {
            let bytes = run[at..at + 4].try_into();
            bytes.map_or(0, u32::from_le_bytes)
        };
        let read = |run: &[u8; Run::LEN]| Run {
            first: number(run, 0),
            count: number(run, 4),
            size: number(run, 8),
        };
        Some(Self(runs.iter().map(read).collect()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn layout(chunks: &[(u32, u32)]) -> Layout {
        let mut layout = Layout::default();
        for &(index, size) in chunks {
            layout.push(index, size);
        }
        layout
    }

    #[test]
    fn chunks_in_order_are_one_run_and_the_last() {
        let layout = layout(&[(0, 10), (1, 10), (2, 10), (3, 4)]);
        assert_eq!(layout.0.len(), 2);
        assert_eq!(layout.find(0), Some(0..10));
        assert_eq!(layout.find(2), Some(20..30));
        assert_eq!(layout.find(3), Some(30..34));
        assert_eq!(layout.find(4), None);
        assert!(layout.is_complete(4) && !layout.is_complete(5));
    }

    #[test]
    fn the_latest_chunk_of_an_index_counts() {
        let layout = layout(&[(0, 10), (1, 10), (0, 7), (2, 10), (1, 3)]);
        let found: Vec<_> = (0..3).filter_map(|index| layout.find(index)).collect();
        assert_eq!(found, [20..27, 37..40, 27..37]);
        assert!(layout.is_complete(3));
    }

    #[test]
    fn a_layout_with_a_gap_is_not_complete() {
        assert!(!layout(&[(0, 10), (2, 10)]).is_complete(3));
        assert!(!layout(&[(1, 10)]).is_complete(1));
        assert!(layout(&[(2, 10), (0, 10), (1, 9)]).is_complete(3));
        assert!(layout(&[]).is_complete(0));
    }
}
