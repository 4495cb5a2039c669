//! The names of the routes that came last, so that their jobs share them.

use std::sync::{Arc, Mutex, PoisonError};

/// How many are kept; a power of two.
const KEPT: usize = 64;

pub(crate) struct RouteNames(Mutex<Box<[Option<Arc<str>>]>>);

impl Default for RouteNames {
    fn default() -> Self {
        Self(Mutex::new((0..KEPT).map(|_| None).collect()))
    }
}

impl RouteNames {
    /// The name of this text, which all have in common whose routes are few.
    pub(crate) fn of(&self, name: &[u8]) -> Arc<str> {
        let place = name.iter().fold(0xcbf2_9ce4_u32, |hash, byte| {
            (hash ^ u32::from(*byte)).wrapping_mul(0x0100_0193)
        });
        let place = (place ^ place >> 16) as usize % KEPT;
        let mut kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let kept = &mut kept[place];
        match kept {
            Some(kept) if kept.as_bytes() == name => kept.clone(),
            kept => kept.insert(String::from_utf8_lossy(name).into()).clone(),
        }
    }
}
