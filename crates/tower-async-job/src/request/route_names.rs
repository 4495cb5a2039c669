//! The names of recent routes, so that jobs share them.

use std::sync::{Arc, Mutex, PoisonError};

use crate::shorten::shorten;

/// The number of names that are kept. A name replaces another that hashes to its place.
const PLACES: usize = 64;

/// The longest name, in bytes. Names derive from paths, whose length clients choose.
pub(crate) const LONGEST: usize = 256;

#[derive(Debug)]
pub(crate) struct RouteNames {
    places: Mutex<Box<[Option<Arc<str>>]>>,
}

impl Default for RouteNames {
    fn default() -> Self {
        Self {
            places: Mutex::new(vec![None; PLACES].into()),
        }
    }
}

impl RouteNames {
    /// Returns a name shared with recent jobs of the same route. A long name is cut.
    pub(crate) fn share(&self, text: &[u8]) -> Arc<str> {
        if text.len() > LONGEST {
            let text = String::from_utf8_lossy(text);
            return self.share(shorten(&text, LONGEST).as_bytes());
        }
        // FNV-1a. Names crafted to collide are merely not shared.
        let hash = text.iter().fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| {
            (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3)
        });
        let place = hash as usize % PLACES;
        let mut places = self.places.lock().unwrap_or_else(PoisonError::into_inner);
        match &mut places[place] {
            Some(name) if name.as_bytes() == text => name.clone(),
            place => place.insert(String::from_utf8_lossy(text).into()).clone(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn equal_names_are_shared_and_others_are_not() {
        let names = RouteNames::default();
        let first = names.share(b"POST /report");
        assert!(Arc::ptr_eq(&first, &names.share(b"POST /report")));
        assert_eq!(&*names.share(b"POST /other"), "POST /other");
    }

    #[test]
    fn s69_long_names_are_cut() {
        let names = RouteNames::default();
        let long = "a".repeat(64_000);
        assert_eq!(&*names.share(long.as_bytes()), &long[..LONGEST]);
    }
}
