//! A table of texts.

use std::fmt;

use crate::words;

/// A table whose cells are not too long and have no characters that could control a terminal.
pub(super) struct Table<const COLUMNS: usize>(Vec<[String; COLUMNS]>);

impl<const COLUMNS: usize> Table<COLUMNS> {
    pub(super) fn new(head: [&str; COLUMNS]) -> Self {
        Self(vec![head.map(str::to_owned)])
    }

    pub(super) fn push(&mut self, row: [String; COLUMNS]) {
        self.0
            .push(row.map(|cell| words::line(&words::start(&cell))));
    }
}

impl<const COLUMNS: usize> fmt::Display for Table<COLUMNS> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let width = |column: usize| {
            let cells = self.0.iter().map(|row| row[column].chars().count());
            cells.max().unwrap_or(0)
        };
        let widths: [usize; COLUMNS] = std::array::from_fn(width);
        for (number, row) in self.0.iter().enumerate() {
            if number > 0 {
                f.write_str("\n")?;
            }
            let cells = row.iter().zip(widths);
            let cells = cells.map(|(cell, width)| format!("{cell:width$}"));
            let line = cells.collect::<Vec<_>>().join("  ");
            f.write_str(line.trim_end())?;
        }
        Ok(())
    }
}
