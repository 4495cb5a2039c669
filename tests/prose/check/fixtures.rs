//! Each rule catches what it is for, and nothing else.

use crate::{
    findings::findings,
    rules::OPENINGS,
    source::{self, Block},
};

/// The lines of a Rust file that have findings.
fn lines(text: &str) -> Vec<usize> {
    lines_of(&source::rust(text))
}

fn lines_of_markdown(text: &str) -> Vec<usize> {
    lines_of(&source::markdown(text))
}

fn lines_of(blocks: &[Block]) -> Vec<usize> {
    let mut lines: Vec<_> = findings(blocks)
        .iter()
        .map(|finding| finding.line)
        .collect();
    lines.dedup();
    lines
}

#[test]
fn summaries_that_begin_with_a_question_word_are_found() {
    for word in OPENINGS {
        let word = format!("{}{}", word[..1].to_uppercase(), &word[1..]);
        assert_eq!(
            lines(&format!("/// {word} it stands.\nfn a() {{}}\n")),
            [1],
            "{word}"
        );
        assert_eq!(lines(&format!("//! {word} it stands.\n")), [1], "{word}");
        assert_eq!(
            lines(&format!("/// **{word}** it stands.\n")),
            [1],
            "{word}"
        );
    }
}

#[test]
fn only_the_summary_may_not_begin_so() {
    let later = "/// A place.\n///\n/// When it stands, it\n/// stands. How? So.\n";
    let heading = "/// # Errors\n///\n/// When it fails.\n";
    let code = "/// ```\n/// // What it is.\n/// ```\n/// When it is.\n";
    let longer = "/// Whatever stands. Whenever, however, wherever.\n";
    let comment = "// When it stands, it stands.\n";
    for text in [later, heading, longer, comment] {
        assert_eq!(lines(text), [0; 0], "{text}");
    }
    assert_eq!(lines(code), [4]);
}

#[test]
fn each_comment_is_a_block_of_its_own() {
    let text = "/// A place.\nstruct A {\n    /// Where it is.\n    b: u8, // who\n    /// When it is.\n    c: u8,\n}\n";
    assert_eq!(lines(text), [3, 4, 5]);
}

#[test]
fn phrases_are_found_in_comments_of_each_kind() {
    for phrase in [
        "for whoever asks",
        "told by nobody",
        "until he asks",
        "Who asks, waits",
        "jobs of late",
        "is reckoned",
        "the dress of it",
        "it goes before that",
        "nobody",
        "told of it",
        "it answers for GET",
        "had enough of it",
        "takes so many bytes",
        "has so much time",
        "waits for so long",
        "all else",
        "made anew",
    ] {
        for text in [
            format!("/// A place. {phrase}.\n"),
            format!("//! A place. {phrase}.\n"),
            format!("fn a() {{}} // A place. {phrase}.\n"),
            format!("/* A place. {phrase}. */\n"),
        ] {
            assert_eq!(lines(&text), [1], "{text}");
        }
        assert_eq!(
            lines_of_markdown(&format!("# A\n\nA place. {phrase}.\n")),
            [3],
            "{phrase}"
        );
    }
}

#[test]
fn phrase_may_go_on_in_the_next_line() {
    assert_eq!(lines("/// A place, and the jobs of\n/// late.\n"), [1]);
    assert_eq!(lines("/// A place of.\n///\n/// Late.\n"), [0; 0]);
}

#[test]
fn usual_words_are_not_found() {
    for text in [
        "The client who asks, she and it.",
        "There are so many that they wait, so much that they wait, and so long as they wait.",
        "The, then, them, history, this, address, redress, before it goes.",
    ] {
        assert_eq!(lines(&format!("/// {text}\n")), [0; 0], "{text}");
    }
}

#[test]
fn code_and_literals_are_not_read() {
    for text in [
        "/// A `nobody` and `he goes`.\n",
        "/// A place.\n///\n/// ```\n/// nobody();\n/// // nobody\n/// ```\n",
        "/// [A place](https://example.com/nobody)\n",
        "fn nobody() -> &'static str { \"// nobody\" }\n",
        "const A: &str = r#\"\n// nobody \" // nobody\n\"#;\n",
        "const A: [char; 3] = ['\"', '\\'', '/']; fn a<'a>(b: &'a str) { f(\"// nobody\"); }\n",
    ] {
        assert_eq!(lines(text), [0; 0], "{text}");
    }
    assert_eq!(lines("const A: char = '\"'; // nobody\n"), [1]);
    assert_eq!(lines("const A: &str = \"\\\\\"; // nobody\n"), [1]);
    assert_eq!(lines("fn a<'a>() {} // nobody\n"), [1]);
    assert_eq!(
        lines_of_markdown("```\nnobody\n```\n`nobody`\n\nnobody\n"),
        [6]
    );
}
