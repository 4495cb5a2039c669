use std::collections::VecDeque;

use bytes::Bytes;
use object_store::PutPayload;

/// Bytes that wait for their upload, in the pieces in which they came.
#[derive(Debug, Default)]
pub(super) struct Gathered {
    pieces: VecDeque<Bytes>,
    len: usize,
}

impl Gathered {
    pub(super) fn push(&mut self, data: Bytes) {
        self.len += data.len();
        self.pieces.push_back(data);
    }

    pub(super) const fn len(&self) -> usize {
        self.len
    }

    /// Takes the first bytes, at most `limit` of them. Nothing is copied.
    pub(super) fn take(&mut self, limit: usize) -> PutPayload {
        let (mut taken, mut left) = (Vec::new(), limit);
        while left > 0
            && let Some(mut piece) = self.pieces.pop_front()
        {
            let part = piece.split_to(left.min(piece.len()));
            if !piece.is_empty() {
                self.pieces.push_front(piece);
            }
            left -= part.len();
            taken.push(part);
        }
        self.len -= limit - left;
        taken.into_iter().collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_are_taken_in_parts_of_any_size() {
        let all: Vec<u8> = (0..100).collect();
        for (piece, part) in [(10, 10), (7, 30), (30, 7), (100, 3), (3, 1000)] {
            let mut gathered = Gathered::default();
            for piece in all.chunks(piece) {
                gathered.push(Bytes::copy_from_slice(piece));
            }
            assert_eq!(gathered.len(), 100);
            let mut taken: Vec<u8> = Vec::new();
            while gathered.len() > 0 {
                let payload = gathered.take(part);
                let len = payload.content_length();
                assert!(len == part || gathered.len() == 0, "{len}");
                taken.extend(payload.iter().flatten().copied());
            }
            assert_eq!(taken, all);
        }
    }
}
