//! Holds `docs/production.md` and the dashboard to the code: the metrics in their queries exist, with
//! these labels, and so do the settings; the figures are those of `docs/performance.md`.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
};

use serde_json::Value;

use crate::sources::{read, root};

/// The labels that Prometheus adds, and that of `Builder::node_name`.
const COMMON: [&str; 4] = ["instance", "job", "le", "node"];

/// The kind of a metric, and its labels.
type Metrics = BTreeMap<String, (String, BTreeSet<String>)>;

/// Returns the cells of the rows of a table that begins with these titles.
fn table(document: &str, titles: &str) -> Vec<Vec<String>> {
    let (_, rows) = document.split_once(titles).expect("the table");
    let rows = rows
        .lines()
        .skip(2)
        .take_while(|line| line.starts_with('|'));
    let cells = |line: &str| {
        let line = line.replace("\\|", "\u{1}");
        let cells = line.trim_matches('|').split('|');
        let cell = |cell: &str| cell.trim().replace('\u{1}', "|");
        cells.map(cell).collect()
    };
    rows.map(cells).collect()
}

/// Returns the code in a text.
fn code(text: &str) -> impl Iterator<Item = &str> {
    text.split('`').skip(1).step_by(2)
}

/// Returns the metrics of the layer, by the table that its tests hold to the code.
fn metrics() -> Metrics {
    let readme = read("crates/tower-async-job/README.md").expect("the documentation");
    let rows = table(&readme, "| name | kind | unit | labels |");
    let metric = |row: Vec<String>| {
        let name = code(&row[0]).next().expect("a name").to_owned();
        let labels = code(&row[3]).map(str::to_owned).collect();
        (name, (row[1].clone(), labels))
    };
    rows.into_iter().map(metric).collect()
}

/// Returns the names in a query: of metrics, labels and functions.
fn names(query: &str) -> impl Iterator<Item = &str> {
    let outside = query.split('"').step_by(2);
    let is_part = |char: char| char.is_ascii_alphanumeric() || char == '_';
    outside
        .flat_map(move |text| text.split(move |char| !is_part(char)))
        .filter(|name| name.starts_with(|char: char| char.is_ascii_lowercase()))
}

/// Returns the names of the labels in a query: those in braces, and those of `by`.
fn labels(query: &str) -> Vec<&str> {
    let mut found = Vec::new();
    for (begin, end) in [("{", '}'), ("by (", ')')] {
        for group in query.split(begin).skip(1) {
            let group = group.split(end).next().unwrap_or_default();
            found.extend(names(group));
        }
    }
    found
}

/// Says what is wrong with a query.
fn check(query: &str, metrics: &Metrics) -> Result<BTreeSet<String>, String> {
    let mut used = BTreeSet::new();
    for name in names(query).filter(|name| name.starts_with("async_job_")) {
        let base = ["_bucket", "_sum", "_count"]
            .iter()
            .find_map(|suffix| name.strip_suffix(suffix));
        let is = |name: &str, kind: &str| metrics.get(name).is_some_and(|it| it.0 == kind);
        let (base, is_known) = match base {
            Some(base) => (base, is(base, "histogram")),
            None => (name, is(name, "counter") || is(name, "gauge")),
        };
        if !is_known {
            return Err(format!("{name} does not exist: {query}"));
        }
        let is_rate = query.contains("rate(") || query.contains("increase(");
        let counts = !is(base, "gauge");
        if counts != is_rate && !query.starts_with("label_values(") {
            return Err(format!("{name} is {}: {query}", metrics[base].0));
        }
        used.insert(base.to_owned());
    }
    let known: BTreeSet<_> = used.iter().flat_map(|name| &metrics[name].1).collect();
    for label in labels(query) {
        if !COMMON.contains(&label) && !known.contains(&label.to_owned()) {
            return Err(format!("no label {label}: {query}"));
        }
    }
    match used.is_empty() {
        true => Err(format!("no metric: {query}")),
        false => Ok(used),
    }
}

/// Returns the texts of a member, at any depth.
fn members<'a>(value: &'a Value, name: &str, found: &mut Vec<&'a str>) {
    match value {
        Value::Object(object) => {
            found.extend(object.get(name).and_then(Value::as_str));
            object
                .values()
                .for_each(|value| members(value, name, found));
        }
        Value::Array(array) => array.iter().for_each(|value| members(value, name, found)),
        _ => {}
    }
}

#[test]
fn wrong_queries_are_noticed() {
    let metrics = metrics();
    assert!(metrics.len() > 20, "{metrics:?}");
    for query in [
        "rate(async_job_nothing_total[5m])",
        "async_job_accepted_total",
        "rate(async_job_running[5m])",
        "rate(async_job_polls[5m])",
        "rate(async_job_running_bucket[5m])",
        "sum by (method) (rate(async_job_accepted_total[5m]))",
        "async_job_running{reason=\"x\"}",
        "up",
    ] {
        assert!(check(query, &metrics).is_err(), "{query}");
    }
    let right = "sum by (reason, le) (rate(async_job_refused_total{node=\"state\"}[5m]))";
    assert_eq!(
        check(right, &metrics),
        Ok(["async_job_refused_total".to_owned()].into())
    );
}

#[test]
fn queries_of_the_dashboard_use_all_metrics_and_only_these() {
    let text = read("docs/grafana.json").expect("the dashboard");
    let dashboard: Value = serde_json::from_str(&text).expect("JSON");
    let metrics = metrics();
    let mut queries = Vec::new();
    members(&dashboard, "expr", &mut queries);
    members(&dashboard["templating"], "query", &mut queries);
    queries.retain(|query| *query != "prometheus");
    let mut used = BTreeSet::new();
    for query in queries {
        used.extend(check(query, &metrics).unwrap());
    }
    let all: BTreeSet<_> = metrics.into_keys().collect();
    assert_eq!(used, all);
}

#[test]
fn legends_of_the_dashboard_are_labels_of_their_queries() {
    let text = read("docs/grafana.json").expect("the dashboard");
    let dashboard: Value = serde_json::from_str(&text).expect("JSON");
    for panel in dashboard["panels"].as_array().expect("panels") {
        for target in panel["targets"].as_array().into_iter().flatten() {
            let query = target["expr"].as_str().expect("a query");
            let legend = target["legendFormat"].as_str().expect("a legend");
            for label in legend.split("{{").skip(1) {
                let label = label.split("}}").next().expect("never empty");
                assert!(labels(query).contains(&label), "{label}: {query}");
            }
        }
    }
}

#[test]
fn metrics_of_the_alerts_exist() {
    let document = read("docs/production.md").expect("the document");
    let metrics = metrics();
    let rows = table(&document, "| alert | expression |");
    assert!(rows.len() > 12, "{rows:?}");
    for row in rows {
        let query = code(&row[1]).next().expect("an expression").to_owned();
        check(&query, &metrics).unwrap();
    }
    let mentioned = code(&document).filter(|code| code.starts_with("async_job_"));
    for name in mentioned.filter(|code| !code.contains(['(', ' ', '{'])) {
        assert!(metrics.contains_key(name), "{name}");
    }
}

#[test]
fn settings_of_the_limits_exist() {
    let document = read("docs/production.md").expect("the document");
    let names = read("docs/api/tower-async-job.txt").expect("the public names");
    let rows = table(&document, "| limit | method |");
    assert!(rows.len() > 20, "{rows:?}");
    for row in rows {
        let method = code(&row[1]).next().expect("a method");
        let is_policy = row[1].starts_with('*');
        let builder = format!("tower_async_job::Builder::{method}(");
        let policy = format!("tower_async_job::Policy::{method}:");
        let is_of_store = method.starts_with("MemoryStore");
        assert!(is_of_store || names.contains(&builder), "{method}");
        assert_eq!(names.contains(&policy), is_policy, "{method}");
    }
}

/// Returns the documentation of a method of the builder, in one line.
fn documentation(method: &str) -> String {
    const FOLDER: &str = "crates/tower-async-job/src/builder";
    let files = fs::read_dir(root().join(FOLDER)).expect("the sources");
    let files = files.map(|file| fs::read_to_string(file.expect("a file").path()));
    let sources: Vec<String> = files.map(|source| source.expect("a source")).collect();
    let declaration = format!("    pub fn {method}(");
    let before = sources.iter().find_map(|source| {
        let (before, _) = source.split_once(&declaration)?;
        Some(before)
    });
    let lines = before.unwrap_or_else(|| panic!("{method}")).lines().rev();
    let lines = lines.map_while(|line| line.trim().strip_prefix("///"));
    let mut lines: Vec<_> = lines.map(str::trim).collect();
    lines.reverse();
    lines.join(" ")
}

#[test]
fn defaults_of_the_limits_are_those_of_the_code() {
    let document = read("docs/production.md").expect("the document");
    for row in table(&document, "| limit | method |") {
        let method = code(&row[1]).next().expect("a method");
        if method.starts_with("MemoryStore") {
            continue;
        }
        let documented = documentation(method);
        let (_, default) = documented.split_once("Default").expect(method);
        let default: String = default.chars().take(40).collect();
        let figure = row[2].split([',', ';']).next().unwrap_or_default();
        let figure = figure.trim_end_matches(" each");
        let is_same = match figure {
            "none" => default.contains("no limit") || default.contains("none"),
            figure => default.contains(&format!(" {figure}")),
        };
        assert!(is_same, "{method}: {figure:?}, but{default:?}");
    }
}

#[test]
fn figures_of_memory_are_the_measured_ones() {
    let document = read("docs/production.md").expect("the document");
    let measured = read("docs/performance.md").expect("the figures");
    let rows = table(&document, "| what | bytes |");
    assert!(rows.len() > 5, "{rows:?}");
    for row in rows {
        let figure = format!(" {} ", row[1]);
        let is_measured = measured.contains(&figure) || measured.contains(&figure.replace(',', ""));
        assert!(is_measured, "{}: {figure}", row[0]);
    }
}
