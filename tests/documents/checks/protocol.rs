//! Holds `docs/protocol.md` to its word: each section has a table of the tests that check its
//! requirements, every requirement is in it, and every test that is named exists and runs. References
//! lead to requirements, and the types of problems are those of the code.

use std::collections::HashMap;

use tower_async_job_core::http_polling::ProblemType;

use crate::sources::{check, read};

/// A requirement, by its section and its number within it.
type Number = (usize, usize);

/// One numbered section.
#[derive(Debug, Default)]
struct Section {
    number: usize,
    requirements: Vec<Number>,
    /// The tests by file and function, each with the requirement that it checks.
    tests: Vec<(Number, String, String)>,
    /// The lines that are no row of a table of tests although they stand in one.
    wrong: Vec<String>,
}

/// Reads `2.3`.
fn number(text: &str) -> Option<Number> {
    let (section, number) = text.split_once('.')?;
    Some((section.parse().ok()?, number.parse().ok()?))
}

/// Reads the beginning of a requirement: `**2.3** `.
fn requirement(line: &str) -> Option<Number> {
    let (text, _) = line.strip_prefix("**")?.split_once("** ")?;
    number(text)
}

/// Reads a row of a table of tests: a requirement, and a file and function.
fn row(line: &str) -> Option<(Number, String, String)> {
    let cells = line.strip_prefix("| ")?.strip_suffix("` |")?;
    let (requirement, test) = cells.split_once(" | `")?;
    let (file, function) = test.split_once("::")?;
    let is_test = file.ends_with(".rs") && !function.is_empty() && !test.contains(['`', ' ']);
    is_test.then_some((number(requirement)?, file.to_owned(), function.to_owned()))
}

/// Returns the numbered sections. What stands before, between and after them has no requirements.
fn sections(document: &str) -> Vec<Section> {
    let mut sections: Vec<Section> = Vec::new();
    let mut numbered = false;
    let mut rows = false;
    for line in document.lines() {
        if let Some(heading) = line.strip_prefix("## ") {
            let number = heading.split_once(". ").map(|(number, _)| number.parse());
            numbered = matches!(number, Some(Ok(_)));
            if let Some(Ok(number)) = number {
                sections.push(Section {
                    number,
                    ..Section::default()
                });
            }
        }
        if let Some(number) = requirement(line) {
            let section = sections.last_mut().filter(|_| numbered);
            let section = section.unwrap_or_else(|| panic!("{line}: outside numbered sections"));
            section.requirements.push(number);
        }
        if line == "| requirement | test |" {
            rows = true;
        } else if line.is_empty() {
            rows = false;
        } else if rows
            && line != "|---|---|"
            && let Some(section) = sections.last_mut()
        {
            match row(line) {
                Some(test) => section.tests.push(test),
                None => section.wrong.push(line.to_owned()),
            }
        }
    }
    sections
}

/// Says what is wrong with a section, apart from the tests themselves.
fn wrong(section: &Section) -> Vec<String> {
    let Section { number, .. } = section;
    let mut wrong: Vec<String> = section.wrong.clone();
    for line in &mut wrong {
        *line += " is no requirement with a test";
    }
    let mut numbers = section.requirements.clone();
    numbers.sort_unstable();
    let expected: Vec<Number> = (1..=numbers.len()).map(|n| (*number, n)).collect();
    if numbers != expected || numbers.is_empty() {
        wrong.push(format!("section {number} has the requirements {numbers:?}"));
    }
    for requirement in &numbers {
        if !section.tests.iter().any(|(of, ..)| of == requirement) {
            wrong.push(format!("{}.{} has no test", requirement.0, requirement.1));
        }
    }
    for (of, _, function) in &section.tests {
        if !numbers.contains(of) {
            wrong.push(format!(
                "{}.{} of {function} is not in section {number}",
                of.0, of.1
            ));
        }
    }
    wrong
}

#[test]
fn sections_are_numbered_without_a_gap() {
    let document = read("docs/protocol.md").expect("the document");
    let sections = sections(&document);
    let numbers: Vec<usize> = sections.iter().map(|section| section.number).collect();
    let expected: Vec<usize> = (1..=sections.len()).collect();
    assert_eq!(numbers, expected);
    assert!(!numbers.is_empty(), "there are numbered sections");
}

#[test]
fn every_requirement_has_a_number_and_tests() {
    let document = read("docs/protocol.md").expect("the document");
    let wrong: Vec<String> = sections(&document).iter().flat_map(wrong).collect();
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn every_test_of_a_requirement_exists_and_runs() {
    let document = read("docs/protocol.md").expect("the document");
    let mut sources = HashMap::new();
    let mut wrong = Vec::new();
    for ((section, number), file, function) in sections(&document).into_iter().flat_map(|s| s.tests)
    {
        let source = sources.entry(file.clone()).or_insert_with(|| {
            read(&format!("crates/{file}")).or_else(|_| read(&format!("tests/{file}")))
        });
        let checked = source
            .clone()
            .and_then(|source| Ok(check(&source, &function)?));
        if let Err(what) = checked {
            wrong.push(format!("{section}.{number}: {function}: {file}: {what}"));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn wrong_tables_are_noticed() {
    let table = "| requirement | test |\n|---|---|\n";
    let of = |text: &str| {
        let text = format!("## 1. One\n\n**1.1** It `holds`.\n\n{text}\n\n## Other\n");
        let sections = sections(&text);
        assert_eq!(sections.len(), 1);
        wrong(&sections[0])
    };
    assert_eq!(
        of(&format!(
            "{table}| 1.1 | `a/b.rs::c` |\n| 1.1 | `d.rs::e` |"
        )),
        [""; 0]
    );
    for text in [
        String::new(),
        "| 1.1 | `a.rs::b` |".to_owned(),
        table.to_owned(),
        format!("{table}| 1.2 | `a.rs::b` |"),
        format!("{table}| 1.1 | `a.rs::b` |\n| 1.2 | `a.rs::b` |"),
        format!("{table}| 1.1 | `a.rs::b` |\n| 1.1 | a.rs::b |"),
        format!("{table}| 1.1 | `a.rs::b` |\n| 1.1 | `a::b` |"),
        format!("{table}| 1.1 | `a.rs::b`, `a.rs::c` |"),
        format!("**1.3** It holds too.\n\n{table}| 1.1 | `a.rs::b` |\n| 1.3 | `a.rs::b` |"),
        format!("**1.1** It holds again.\n\n{table}| 1.1 | `a.rs::b` |"),
    ] {
        assert!(!of(&text).is_empty(), "{text}");
    }
}

/// Returns the document without the tables of tests.
fn specification() -> String {
    let document = read("docs/protocol.md").expect("the document");
    let mut parts = document.split("<details>");
    let first = parts.next().unwrap_or_default().to_owned();
    parts.fold(first, |text, part| {
        text + part.split_once("</details>").map_or("", |(_, rest)| rest)
    })
}

#[test]
fn references_lead_to_requirements() {
    let text = specification();
    let numbers: Vec<Number> = sections(&text)
        .into_iter()
        .flat_map(|section| section.requirements)
        .collect();
    // A reference is a list of numbers in parentheses, or in the last cell of a row.
    let within = text.split('(').filter_map(|rest| rest.split_once(')'));
    let cells = text.lines().filter_map(|line| {
        let (_, cell) = line.strip_suffix(" |")?.rsplit_once("| ")?;
        Some((cell, ""))
    });
    let mut references = 0;
    for (list, _) in within.chain(cells) {
        let parts: Option<Vec<Number>> = list.split(", ").map(number).collect();
        for part in parts.into_iter().flatten() {
            assert!(numbers.contains(&part), "({list})");
            references += 1;
        }
    }
    assert!(references > 100, "{references} references");
}

#[test]
fn every_type_of_problem_is_registered() {
    let text = specification();
    let source = read("crates/http-polling/src/problem_type.rs").expect("the source");
    let (_, source) = source.split_once("fn uri(").expect("the URIs");
    let uris: Vec<&str> = source
        .split('"')
        .filter(|text| text.starts_with("urn:"))
        .collect();
    assert!(!uris.is_empty(), "there are types");
    for uri in uris {
        let kind = ProblemType::from_uri(uri).expect("a type");
        let (title, status) = (kind.title(), kind.status().as_u16());
        let row = format!("\n| `{uri}` | {title} | {status} | ");
        assert!(text.contains(&row), "{row}");
        let name = uri.rsplit(':').next().unwrap_or_default();
        let row = format!("\n| `{name}` | {status} | ");
        assert!(text.contains(&row), "{row}");
    }
}
