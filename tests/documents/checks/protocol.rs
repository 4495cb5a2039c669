//! Holds `docs/protocol.md` to its word: every requirement names the tests that check it, and every
//! test that is named exists and runs.

use crate::sources::{check, read};

const TESTS: &str = "\nTests: ";

/// One numbered requirement.
#[derive(Debug)]
struct Requirement {
    section: usize,
    number: usize,
    text: String,
}

/// The number at the beginning of a requirement: `**2.3** `.
fn number(line: &str) -> Option<(usize, usize)> {
    let (number, _) = line.strip_prefix("**")?.split_once("** ")?;
    let (section, number) = number.split_once('.')?;
    Some((section.parse().ok()?, number.parse().ok()?))
}

/// The requirements, each with its text up to the next one or the end of its section.
fn requirements(document: &str) -> Vec<Requirement> {
    let mut requirements: Vec<Requirement> = Vec::new();
    let mut within = false;
    for line in document.lines() {
        if let Some((section, number)) = number(line) {
            within = true;
            requirements.push(Requirement {
                section,
                number,
                text: String::new(),
            });
        } else if line.starts_with('#') || line.starts_with('[') && line.contains("]: ") {
            within = false;
        }
        if within && let Some(requirement) = requirements.last_mut() {
            requirement.text.push_str(line);
            requirement.text.push('\n');
        }
    }
    requirements
}

/// The tests that a requirement names, as file and function; or what is wrong with how it does.
fn named(requirement: &Requirement) -> Result<Vec<(&str, &str)>, String> {
    let (_, list) = requirement
        .text
        .split_once(TESTS)
        .ok_or("it names no tests")?;
    let mut tests = Vec::new();
    for (position, part) in list.split('`').enumerate() {
        if position % 2 == 0 {
            // Between two names: nothing that could be a name without its marks.
            if !part.trim_matches([',', '.', ' ', '\n']).is_empty() {
                return Err(format!("{part:?} is no test"));
            }
            continue;
        }
        match part.split_once(".rs::") {
            Some((file, function)) if !file.is_empty() && !function.is_empty() => {
                let file = &part[..file.len() + ".rs".len()];
                tests.push((file, function));
            }
            _ => return Err(format!("{part:?} is no file and function")),
        }
    }
    if tests.is_empty() {
        return Err("it names no tests".to_owned());
    }
    Ok(tests)
}

#[test]
fn requirements_are_numbered_without_a_gap() {
    let document = read("docs/protocol.md").expect("the document");
    let sections = document.lines().filter(|line| line.starts_with("## "));
    let mut section = 0;
    for line in sections {
        section += 1;
        assert!(line.starts_with(&format!("## {section}. ")), "{line}");
    }
    assert!(section > 0, "there are sections");
    let mut expected = (1, 1);
    for requirement in requirements(&document) {
        let number = (requirement.section, requirement.number);
        if number.1 == 1 && number.0 == expected.0 + 1 {
            expected = number;
        }
        assert_eq!(number, expected);
        expected.1 += 1;
    }
    assert_eq!(expected.0, section, "every section has requirements");
}

#[test]
fn every_requirement_names_tests_that_exist() {
    let document = read("docs/protocol.md").expect("the document");
    let mut wrong = Vec::new();
    for requirement in requirements(&document) {
        let Requirement {
            section, number, ..
        } = &requirement;
        let tests = match named(&requirement) {
            Ok(tests) => tests,
            Err(what) => {
                wrong.push(format!("{section}.{number}: {what}"));
                continue;
            }
        };
        for (file, function) in tests {
            let source =
                read(&format!("crates/{file}")).or_else(|_| read(&format!("tests/{file}")));
            let checked = source.and_then(|source| Ok(check(&source, function)?));
            if let Err(what) = checked {
                wrong.push(format!("{section}.{number}: {function}: {file}: {what}"));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn what_is_wrong_with_a_requirement_is_noticed() {
    let requirement = |text: &str| Requirement {
        section: 1,
        number: 1,
        text: text.to_owned(),
    };
    for text in [
        "**1.1** It holds.\n",
        "**1.1** It holds.\nTests: .\n",
        "**1.1** It holds.\nTests: `a.rs::b`, c.rs::d.\n",
        "**1.1** It holds.\nTests: `a.rs`.\n",
        "**1.1** It holds.\nTests: `a::b`.\n",
    ] {
        assert!(named(&requirement(text)).is_err(), "{text}");
    }
    let good = requirement("**1.1** It `holds`.\nTests: `a/b.rs::c`,\n`d.rs::e`.\n\n");
    assert_eq!(named(&good), Ok(vec![("a/b.rs", "c"), ("d.rs", "e")]));
}
