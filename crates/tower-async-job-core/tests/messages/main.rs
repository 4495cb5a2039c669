//! Messages as stores keep them.

mod coding;
mod formats;
