//! A table of the file: its keys are asked for one by one, and those that nothing asks for are errors.

use std::{cell::RefCell, ops::Range, path::PathBuf};

use toml::{
    Spanned,
    de::{DeTable, DeValue},
};

use super::{
    error::{Problem, Report},
    read::Fault,
    source::Source,
    values::has_password,
    words::{article, listed, nearest},
};

/// The state of reading one file.
#[derive(Debug)]
pub(super) struct Reading {
    /// The folder that relative paths begin at.
    pub(super) folder: PathBuf,
    source: RefCell<Source>,
    problems: RefCell<Vec<Problem>>,
}

impl Reading {
    pub(super) fn new(path: String, text: String, folder: PathBuf) -> Self {
        let source = Source {
            path,
            text,
            ..Source::default()
        };
        Self {
            folder,
            source: RefCell::new(source),
            problems: RefCell::default(),
        }
    }

    pub(super) fn report(&self, problem: Problem) {
        self.problems.borrow_mut().push(problem);
    }

    /// Keeps a value out of all messages.
    pub(super) fn hide(&self, span: Range<usize>) {
        self.source.borrow_mut().hidden.push(span);
    }

    /// Returns the places of the values, or all errors.
    pub(super) fn finish(self) -> Result<Source, Report> {
        let source = self.source.into_inner();
        let problems = self.problems.into_inner();
        match problems.is_empty() {
            true => Ok(source),
            false => Err(Report::new(source, problems)),
        }
    }
}

/// A table, or the absence of one: each key is then absent.
pub(super) struct Section<'a> {
    pub(super) reading: &'a Reading,
    /// The dotted key; empty at the top.
    name: String,
    table: Option<&'a DeTable<'a>>,
    /// The header or the value.
    pub(super) span: Option<Range<usize>>,
    asked: RefCell<Vec<&'static str>>,
}

type Value<'a> = Spanned<DeValue<'a>>;

impl<'a> Section<'a> {
    pub(super) fn new(
        reading: &'a Reading,
        name: String,
        table: Option<&'a DeTable<'a>>,
        span: Option<Range<usize>>,
    ) -> Self {
        if let Some(span) = &span {
            let mut source = reading.source.borrow_mut();
            source.places.insert(name.clone(), span.clone());
        }
        Self {
            reading,
            name,
            table,
            span,
            asked: RefCell::default(),
        }
    }

    /// Reads a value as a table, or reports that it is none.
    pub(super) fn of_value(
        reading: &'a Reading,
        name: String,
        key: &str,
        value: &'a Value<'a>,
        form: &str,
    ) -> Self {
        let span = value.span();
        let table = value.get_ref().as_table();
        if table.is_none() {
            let label = format!(
                "expected a table, found {}",
                article(value.get_ref().type_str())
            );
            let title = format!("invalid `{key}`");
            let problem = Problem::new(title).at(Some(span.clone()), label);
            reading.report(problem.help(form.to_owned()));
        }
        Self::new(reading, name, table, Some(span))
    }

    fn dotted(&self, key: &str) -> String {
        match self.name.as_str() {
            "" => key.to_owned(),
            name => format!("{name}.{key}"),
        }
    }

    /// Returns a value, and marks its key as known.
    pub(super) fn value(&self, key: &'static str) -> Option<&'a Value<'a>> {
        self.asked.borrow_mut().push(key);
        let value = self.table?.get(key)?;
        let mut source = self.reading.source.borrow_mut();
        source.places.insert(self.dotted(key), value.span());
        Some(value)
    }

    pub(super) fn span_of(&self, key: &str) -> Option<Range<usize>> {
        Some(self.table?.get(key)?.span())
    }

    /// Reads a value. `None` where it is absent, or wrong and reported.
    pub(super) fn get<T>(
        &self,
        key: &'static str,
        read: impl Fn(&DeValue<'_>) -> Result<T, Fault>,
    ) -> Option<T> {
        let value = self.value(key)?;
        self.check(key, value.span(), read(value.get_ref()))
    }

    /// Reads a value that must be there.
    pub(super) fn demand<T>(
        &self,
        key: &'static str,
        read: impl Fn(&DeValue<'_>) -> Result<T, Fault>,
    ) -> Option<T> {
        self.require(key);
        self.get(key, read)
    }

    /// Reports the absence of a value.
    pub(super) fn require(&self, key: &'static str) {
        if self.table.is_some_and(|table| !table.contains_key(key)) {
            let problem = Problem::new(format!("`{key}` is missing"));
            self.reading.report(problem.at(self.span.clone(), ""));
        }
    }

    /// Replaces a setting if the file has another value.
    pub(super) fn set<T>(
        &self,
        setting: &mut T,
        key: &'static str,
        read: impl Fn(&DeValue<'_>) -> Result<T, Fault>,
    ) {
        if let Some(value) = self.get(key, read) {
            *setting = value;
        }
    }

    /// Reads each element of an array. Those that are wrong are reported.
    pub(super) fn list<T>(
        &self,
        key: &'static str,
        read: impl Fn(&DeValue<'_>) -> Result<T, Fault>,
    ) -> Option<Vec<T>> {
        let elements = self
            .elements(key)?
            .iter()
            .filter_map(|element| self.check(key, element.span(), read(element.get_ref())));
        Some(elements.collect())
    }

    /// Returns the elements of an array.
    pub(super) fn elements(&self, key: &'static str) -> Option<&'a [Value<'a>]> {
        let value = self.value(key)?;
        match value.get_ref() {
            DeValue::Array(elements) => Some(elements),
            other => {
                let label = format!("expected an array, found {}", article(other.type_str()));
                self.check(key, value.span(), Err(Fault::new(label)))
            }
        }
    }

    /// Returns the tables of an array of tables.
    pub(super) fn sections(&self, key: &'static str, form: &str) -> Vec<Section<'a>> {
        let elements = self.elements(key).unwrap_or_default().iter();
        let sections = elements.enumerate().map(|(number, element)| {
            let name = format!("{}[{number}]", self.dotted(key));
            Section::of_value(self.reading, name, key, element, form)
        });
        sections.collect()
    }

    /// Returns a table by its key; the one that is absent is empty.
    pub(super) fn section(&self, key: &'static str, form: &str) -> Section<'a> {
        let name = self.dotted(key);
        match self.value(key) {
            Some(value) => Section::of_value(self.reading, name, key, value, form),
            None => Section::new(self.reading, name, None, None),
        }
    }

    /// Returns the tables in a table whose keys are names, with these.
    pub(super) fn named(&self, key: &'static str, form: &str) -> Vec<(String, Section<'a>)> {
        let outer = self.section(key, form);
        let entries = outer.table.into_iter().flatten().map(|(key, value)| {
            let name = key.get_ref().to_string();
            let dotted = format!("{}.{name}", outer.name);
            let section = Section::of_value(self.reading, dotted, &name, value, form);
            (name, section)
        });
        entries.collect()
    }

    pub(super) fn is_present(&self) -> bool {
        self.table.is_some()
    }

    /// Reports what is wrong with a value.
    pub(super) fn check<T>(
        &self,
        key: &str,
        span: Range<usize>,
        value: Result<T, Fault>,
    ) -> Option<T> {
        match value {
            Ok(value) => Some(value),
            Err(fault) => {
                let problem = Problem::new(format!("invalid `{key}`"));
                let problem = problem.at(Some(span), fault.label).help(fault.help);
                self.reading.report(problem);
                None
            }
        }
    }

    /// Reports the keys that nothing has asked for.
    pub(super) fn finish(self) {
        let asked = self.asked.into_inner();
        for (key, value) in self.table.into_iter().flatten() {
            let name = key.get_ref();
            if asked.contains(&&**name) {
                continue;
            }
            hide_strings(self.reading, value, true);
            let problem = Problem::new(format!("unknown key `{name}`"));
            let problem = problem.at(Some(key.span()), "");
            let mut known = asked.clone();
            known.sort_unstable();
            known.dedup();
            let help = match nearest(name, known.iter().copied()) {
                Some(nearest) => format!("did you mean `{nearest}`?"),
                None => format!("the keys here are {}", listed(&known)),
            };
            self.reading.report(problem.help(help));
        }
    }
}

/// Keeps the strings of a value out of messages: all, or those with a password.
pub(super) fn hide_strings(reading: &Reading, value: &Value<'_>, all: bool) {
    match value.get_ref() {
        DeValue::String(text) if all || has_password(text) || text.starts_with("whsec_") => {
            reading.hide(value.span());
        }
        DeValue::Array(elements) => {
            (elements.iter()).for_each(|element| hide_strings(reading, element, all));
        }
        DeValue::Table(table) => {
            (table.values()).for_each(|value| hide_strings(reading, value, all));
        }
        _ => {}
    }
}
