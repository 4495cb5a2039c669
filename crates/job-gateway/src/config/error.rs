//! The errors of a configuration, all at once, with their lines.

use std::{error::Error, fmt, ops::Range};

use annotate_snippets::{AnnotationKind, Group, Level, Renderer, Snippet, renderer::DecorStyle};

use super::source::Source;

/// An error of a configuration.
#[derive(Clone, Debug)]
pub(crate) struct Problem {
    title: String,
    /// The place in the file, and the words beneath it.
    at: Option<(Range<usize>, String)>,
    /// A further place that explains the first.
    context: Option<(Range<usize>, String)>,
    help: Option<String>,
}

impl Problem {
    pub(crate) fn new(title: impl Into<String>) -> Self {
        Self {
            title: title.into(),
            at: None,
            context: None,
            help: None,
        }
    }

    pub(super) fn at(mut self, span: Option<Range<usize>>, label: impl Into<String>) -> Self {
        self.at = span.map(|span| (span, label.into()));
        self
    }

    pub(super) fn context(mut self, span: Option<Range<usize>>, label: impl Into<String>) -> Self {
        self.context = span.map(|span| (span, label.into()));
        self
    }

    pub(crate) fn help(mut self, help: impl Into<Option<String>>) -> Self {
        self.help = help.into();
        self
    }

    /// Points at the value of this dotted key. Without one in the file, such as that of a flag, the
    /// label becomes a part of the title.
    pub(crate) fn at_key(mut self, source: &Source, key: &str, label: &str) -> Self {
        match source.places.get(key) {
            Some(span) => return self.at(Some(span.clone()), label),
            None if label.is_empty() => {}
            None => self.title = format!("{}: {label}", self.title),
        }
        self
    }

    fn render(&self, path: &str, text: &str) -> String {
        let mut group = Group::with_title(Level::ERROR.primary_title(&self.title));
        if let Some((span, label)) = &self.at {
            let label = Some(label.as_str()).filter(|label| !label.is_empty());
            let mut snippet = Snippet::source(text)
                .path(path)
                .annotation(AnnotationKind::Primary.span(span.clone()).label(label));
            if let Some((span, label)) = &self.context {
                snippet = snippet.annotation(
                    AnnotationKind::Context
                        .span(span.clone())
                        .label(label.as_str()),
                );
            }
            group = group.element(snippet);
        }
        if let Some(help) = &self.help {
            group = group.element(Level::HELP.message(help));
        }
        Renderer::plain()
            .decor_style(DecorStyle::Ascii)
            .render(&[group])
    }
}

/// A setting whose file or server cannot be used, though its form is right.
#[derive(Clone, Debug)]
pub(crate) struct Unusable {
    /// The dotted keys that the setting may have; the first in the file is shown.
    keys: Vec<String>,
    reason: String,
}

impl Unusable {
    pub(crate) fn new(keys: Vec<String>, reason: impl Into<String>) -> Self {
        let reason = reason.into();
        Self { keys, reason }
    }
}

/// All errors of a configuration, in the order of its lines.
#[derive(Debug)]
pub(crate) struct Report {
    source: Source,
    problems: Vec<Problem>,
}

impl Report {
    pub(crate) fn new(source: Source, mut problems: Vec<Problem>) -> Self {
        problems.sort_by_key(|problem| problem.at.as_ref().map(|(span, _)| span.start));
        Self { source, problems }
    }
}

impl Report {
    /// Creates the report of settings that cannot be used.
    pub(crate) fn unusable(source: Source, settings: Vec<Unusable>) -> Self {
        let problems = settings.into_iter().map(|setting| {
            let mut keys = setting.keys.iter();
            let key = keys.find(|key| source.places.contains_key(*key));
            let key = key.or(setting.keys.last()).map_or("", String::as_str);
            let name = key.rsplit('.').next().unwrap_or(key);
            let problem = Problem::new(format!("`{name}` cannot be used"));
            problem.at_key(&source, key, &setting.reason)
        });
        let problems = problems.collect();
        Self::new(source, problems)
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let text = self.source.printable();
        for (number, problem) in self.problems.iter().enumerate() {
            if number > 0 {
                f.write_str("\n\n")?;
            }
            f.write_str(&problem.render(&self.source.path, &text))?;
        }
        Ok(())
    }
}

impl Error for Report {}
