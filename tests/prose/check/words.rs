//! The words of a block, and phrases among them.

use crate::source::Block;

/// A part of a text.
#[derive(Debug, PartialEq)]
pub(crate) enum Token {
    /// A word in lower case, and the number of its line.
    Word(String, usize),
    /// Code, or punctuation within a sentence.
    Break,
    /// The end of a sentence, a paragraph or an item.
    End,
}

/// Returns the words of `block` without inline code and addresses.
pub(crate) fn tokens(block: &Block) -> Vec<Token> {
    let mut tokens = vec![Token::End];
    let mut in_code = false;
    for (number, line) in &block.lines {
        let text = line.trim();
        if text.is_empty() {
            in_code = false;
        }
        if text.is_empty() || text.starts_with(['#', '|', '-', '>']) {
            tokens.push(Token::End);
        }
        for chunk in text.split_whitespace() {
            if chunk.contains("://") {
                tokens.push(Token::Break);
                continue;
            }
            let mut word = String::new();
            for c in chunk.chars().chain([' ']) {
                let is_of_word = c.is_alphanumeric() || c == '\'' || c == '_';
                if is_of_word && !in_code {
                    word.extend(c.to_lowercase());
                    continue;
                }
                if !word.is_empty() {
                    tokens.push(Token::Word(std::mem::take(&mut word), *number));
                }
                match c {
                    '`' => {
                        in_code = !in_code;
                        tokens.push(Token::Break);
                    }
                    _ if in_code || c == ' ' => {}
                    '.' | '!' | '?' | ':' | ';' | '|' => tokens.push(Token::End),
                    _ => tokens.push(Token::Break),
                }
            }
        }
    }
    tokens
}

/// A phrase, as [`PHRASES`](crate::rules::PHRASES) describes it, split at its spaces and bars.
pub(crate) struct Phrase<'a>(Vec<Vec<&'a str>>);

impl<'a> Phrase<'a> {
    pub(crate) fn new(text: &'a str) -> Self {
        let parts = text.split(' ');
        Self(parts.map(|part| part.split('|').collect()).collect())
    }

    /// Returns the lines in which the phrase begins.
    pub(crate) fn find(&self, tokens: &[Token]) -> Vec<usize> {
        (0..tokens.len())
            .filter_map(|at| self.begins(&tokens[at..]))
            .collect()
    }

    fn begins(&self, tokens: &[Token]) -> Option<usize> {
        let mut line = None;
        let mut tokens = tokens.iter();
        for part in &self.0 {
            let matches = match (tokens.next(), part[0].starts_with('!')) {
                (Some(Token::Word(word, number)), false) => {
                    line.get_or_insert(*number);
                    part.iter().any(|own| is_like(word, own))
                }
                (Some(Token::Word(word, _)), true) => {
                    !part.iter().any(|own| word == own.trim_start_matches('!'))
                }
                (Some(Token::End), false) => part[0] == "^",
                (_, is_negative) => is_negative,
            };
            matches.then_some(())?;
        }
        line
    }
}

fn is_like(word: &str, own: &str) -> bool {
    match own.strip_suffix('*') {
        Some(prefix) => word.starts_with(prefix),
        None => word == own,
    }
}
