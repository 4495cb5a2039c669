//! Holds `docs/faults.md` to the tests of the workspace: every row has tests that exist or is listed as
//! not yet tested, and every number in the name of a test has a row.

use std::collections::{BTreeMap, BTreeSet};

use crate::sources::{Test, read, tests};

/// The side, `s` or `c`, and the number.
type Number = (char, u32);

/// The rows of the document.
#[derive(Debug, Default)]
struct Faults {
    /// The tests of each fault, as package and name.
    tested: BTreeMap<Number, Vec<(String, String)>>,
    missing: BTreeSet<Number>,
}

fn number(text: &str) -> Option<Number> {
    let side = text.chars().next().filter(|side| "sc".contains(*side))?;
    Some((side, text[1..].parse().ok()?))
}

/// Returns the numbers that the name of a test begins with.
fn cited(test: &str) -> impl Iterator<Item = Number> {
    let parts = test.split('_').take_while(|part| part.len() > 2);
    parts.map_while(number)
}

/// Reads the tables: faults have four columns, those not yet tested have two.
fn faults(document: &str) -> Result<Faults, String> {
    let mut faults = Faults::default();
    for line in document.lines() {
        let Some(row) = line.strip_prefix("| ") else {
            continue;
        };
        let row = row.trim_end().trim_end_matches('|');
        let cells: Vec<&str> = row.split('|').map(str::trim).collect();
        let Some(number) = number(&cells[0].to_lowercase()) else {
            continue;
        };
        let is_new = match cells[..] {
            [_, _] => faults.missing.insert(number),
            [_, _, _, tests] => {
                let tests = named(tests).ok_or_else(|| format!("{tests:?} are no tests"))?;
                faults.tested.insert(number, tests).is_none()
            }
            _ => return Err(format!("{line}: {} cells", cells.len())),
        };
        if !is_new {
            return Err(format!("{line}: a second time"));
        }
    }
    Ok(faults)
}

fn named(cell: &str) -> Option<Vec<(String, String)>> {
    let names = cell.split(", ").filter(|name| !name.is_empty());
    let names = names.map(|name| {
        let name = name.strip_prefix('`')?.strip_suffix('`')?;
        let (package, test) = name.split_once("::")?;
        Some((package.to_owned(), test.to_owned()))
    });
    names.collect()
}

/// Says what is wrong with the rows, given these tests.
fn wrong(faults: &Faults, tests: &[Test]) -> Vec<String> {
    let mut wrong = Vec::new();
    for ((side, number), named) in &faults.tested {
        if *number > 1 && !faults.tested.contains_key(&(*side, number - 1)) {
            wrong.push(format!("{side}{number}: the number before it is left out"));
        }
        if named.is_empty() && !faults.missing.contains(&(*side, *number)) {
            wrong.push(format!(
                "{side}{number}: no test, and not said to have none"
            ));
        }
        for (package, name) in named {
            let is_it = |test: &Test| test.package == *package && test.name == *name;
            if !tests.iter().any(is_it) {
                wrong.push(format!("{side}{number}: {package} has no test {name}"));
            }
        }
    }
    for (side, number) in &faults.missing {
        if !faults.tested.contains_key(&(*side, *number)) {
            wrong.push(format!("{side}{number}: not yet tested, and not described"));
        }
    }
    for Test { package, name } in tests {
        for (side, number) in cited(name) {
            if !faults.tested.contains_key(&(side, number)) {
                wrong.push(format!("{package}: {name}: there is no {side}{number}"));
            }
        }
    }
    wrong
}

#[test]
fn every_fault_has_tests_and_every_number_is_a_fault() {
    let document = read("docs/faults.md").expect("the document");
    let faults = faults(&document).expect("tables");
    assert!(!faults.tested.is_empty(), "there are faults");
    let wrong = wrong(&faults, &tests());
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn wrong_rows_are_noticed() {
    let tests = ["s01_s02_a", "b"].map(|name| Test {
        package: "p".to_owned(),
        name: name.to_owned(),
    });
    let good = "| S1 | f | r | `p::s01_s02_a`, `p::b` |\n| S2 | f | r | |\n\n| S2 | later |\n";
    assert_eq!(
        wrong(&faults(good).expect("tables"), &tests),
        [""; 0],
        "{good}"
    );
    for (from, to) in [
        ("| S2 | f | r | |\n", ""),
        ("| S2 | later |\n", ""),
        ("S1", "S3"),
        ("p::b", "p::c"),
        ("p::b", "q::b"),
    ] {
        let bad = good.replace(from, to);
        let bad = faults(&bad).expect("tables");
        assert!(!wrong(&bad, &tests).is_empty(), "{from} {to}");
    }
    for bad in [
        "| S1 | f | r | b |",
        "| S1 | f | r |",
        "| S1 | f |\n| S1 | f |",
    ] {
        assert!(faults(bad).is_err(), "{bad}");
    }
}
