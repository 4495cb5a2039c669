//! The words of messages.

/// Returns the word that a misspelt one probably is.
pub(super) fn nearest<'a>(word: &str, known: impl Iterator<Item = &'a str>) -> Option<&'a str> {
    let lower = word.to_lowercase();
    known
        .map(|name| {
            (
                strsim::damerau_levenshtein(&lower, &name.to_lowercase()),
                name,
            )
        })
        .filter(|(distance, name)| *distance <= 1.max(name.len() / 3))
        .min()
        .map(|(_, name)| name)
}

/// Returns the words in backquotes, with commas and "and" between them.
pub(super) fn listed<T: AsRef<str>>(words: &[T]) -> String {
    let quoted: Vec<_> = words
        .iter()
        .map(|word| format!("`{}`", word.as_ref()))
        .collect();
    joined(&quoted, "and")
}

/// Returns the words with commas and "or" between them.
pub(super) fn or(words: &[String]) -> String {
    joined(words, "or")
}

fn joined(words: &[String], last: &str) -> String {
    match words {
        [first @ .., end] if !first.is_empty() => format!("{} {last} {end}", first.join(", ")),
        words => words.concat(),
    }
}

/// Returns the name of a type with its article.
pub(super) fn article(kind: &str) -> String {
    match kind.starts_with(['a', 'i']) {
        true => format!("an {kind}"),
        false => format!("a {kind}"),
    }
}
