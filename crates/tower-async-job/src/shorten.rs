//! Shortening of texts whose length a client or a handler chooses.

/// Returns the beginning of a text, of at most `longest` bytes.
pub(crate) fn shorten(text: &str, longest: usize) -> &str {
    if text.len() <= longest {
        return text;
    }
    let mut end = longest;
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    &text[..end]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_are_cut_between_characters() {
        assert_eq!(shorten("short", 5), "short");
        assert_eq!(shorten("longer", 5), "longe");
        assert_eq!(shorten("aä", 2), "a");
        assert_eq!(shorten("ä", 1), "");
    }
}
