//! Holds `docs/faults.md` to the tests of the workspace: every row has tests that exist or is listed as
//! not yet tested, and every number in the name of a test has a row.

use std::collections::{BTreeMap, BTreeSet};

use crate::sources::{Test, read, stores_of_nodes, tests};

/// The side, `s` or `c`, and the number.
type Number = (char, u32);

/// The rows of the document.
#[derive(Debug, Default)]
struct Faults {
    /// The tests of each fault.
    tested: BTreeMap<Number, Vec<Named>>,
    missing: BTreeSet<Number>,
}

/// A test that a row names: `` `package::name` ``, or `` `nodes::name` on sqlite and redis ``, if it
/// does not run on all stores with nodes.
#[derive(Debug)]
struct Named {
    package: String,
    name: String,
    stores: Vec<String>,
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

fn named(cell: &str) -> Option<Vec<Named>> {
    let names = cell.split(", ").filter(|name| !name.is_empty());
    let names = names.map(|name| {
        let (name, stores) = name.strip_prefix('`')?.split_once('`')?;
        let (package, name) = name.split_once("::")?;
        let stores = match stores.strip_prefix(" on ") {
            Some(stores) => stores.split(" and ").map(str::to_owned).collect(),
            None if stores.is_empty() => Vec::new(),
            None => return None,
        };
        (stores.is_empty() || package == NODES).then(|| Named {
            package: package.to_owned(),
            name: name.to_owned(),
            stores,
        })
    });
    names.collect()
}

/// The library of tests that each store with nodes runs.
const NODES: &str = "nodes";

/// Says what is wrong with the rows, given these tests, and the stores that run those of nodes.
fn wrong(faults: &Faults, tests: &[Test], with_nodes: &[String]) -> Vec<String> {
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
        for Named {
            package,
            name,
            stores,
        } in named
        {
            let is_it = |test: &Test| test.package == *package && test.name == *name;
            if !tests.iter().any(is_it) {
                wrong.push(format!("{side}{number}: {package} has no test {name}"));
            }
            for store in stores.iter().filter(|store| !with_nodes.contains(store)) {
                wrong.push(format!("{side}{number}: {store} does not run {name}"));
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
    let stores = stores_of_nodes();
    assert!(!stores.is_empty(), "the tests of nodes run somewhere");
    let wrong = wrong(&faults, &tests(), &stores);
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn wrong_rows_are_noticed() {
    let tests = [("p", "s01_s02_a"), ("p", "b"), ("nodes", "c")].map(|(package, name)| Test {
        package: package.to_owned(),
        name: name.to_owned(),
    });
    let stores = ["one".to_owned(), "other".to_owned()];
    let good = "| S1 | f | r | `p::s01_s02_a`, `p::b`, `nodes::c` on one and other |\n\
        | S2 | f | r | |\n\n| S2 | later |\n";
    let of = |text: &str| wrong(&faults(text).expect("tables"), &tests, &stores);
    assert_eq!(of(good), [""; 0], "{good}");
    for (from, to) in [
        ("| S2 | f | r | |\n", ""),
        ("| S2 | later |\n", ""),
        ("S1", "S3"),
        ("p::b", "p::c"),
        ("p::b", "q::b"),
        ("on one", "on a third"),
    ] {
        let bad = good.replace(from, to);
        assert!(!of(&bad).is_empty(), "{from} {to}");
    }
    for bad in [
        "| S1 | f | r | b |",
        "| S1 | f | r | `nodes::c` one |",
        "| S1 | f | r | `p::b` on one |",
        "| S1 | f | r |",
        "| S1 | f |\n| S1 | f |",
    ] {
        assert!(faults(bad).is_err(), "{bad}");
    }
}
