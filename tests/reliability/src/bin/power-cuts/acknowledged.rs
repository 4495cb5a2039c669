//! The acknowledgements of a load, which are in the log among the writes of the store.

use std::{
    fmt,
    fs::File,
    io::{self, Write},
    path::Path,
};

use anyhow::{Context, Result};

/// The name of the file of acknowledgements.
pub(crate) const NAME: &str = "acknowledged";

/// A change of a job that a store acknowledges.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Step {
    Create,
    Report,
    Claim,
    Finish,
    Cancel,
    Remove,
}

impl Step {
    const ALL: [Self; 6] = [
        Self::Create,
        Self::Report,
        Self::Claim,
        Self::Finish,
        Self::Cancel,
        Self::Remove,
    ];

    fn bit(self) -> u8 {
        1 << self as u8
    }
}

impl fmt::Display for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(self, f)
    }
}

/// The file to which a load writes a line before each call, and one once it is acknowledged.
#[derive(Debug)]
pub(crate) struct Journal(File);

impl Journal {
    pub(crate) fn create(folder: &Path) -> io::Result<Self> {
        File::create_new(folder.join(NAME)).map(Self)
    }

    /// Notes that a change is about to be asked for.
    pub(crate) fn begin(&self, step: Step, number: u32) -> io::Result<()> {
        self.line(step, '?', number)
    }

    /// Notes that a change was acknowledged.
    pub(crate) fn end(&self, step: Step, number: u32) -> io::Result<()> {
        self.line(step, '!', number)
    }

    fn line(&self, step: Step, mark: char, number: u32) -> io::Result<()> {
        // In one call, since other threads write lines too.
        (&self.0).write_all(format!("{step} {mark} {number}\n").as_bytes())
    }
}

/// The steps of one job up to a moment.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Steps {
    begun: u8,
    acknowledged: u8,
    /// The number of times at which it was claimed.
    pub(crate) claims: u32,
}

impl Steps {
    /// Returns whether a change was asked for.
    pub(crate) fn has_begun(self, step: Step) -> bool {
        self.begun & step.bit() != 0
    }

    /// Returns whether a change was acknowledged.
    pub(crate) fn has(self, step: Step) -> bool {
        self.acknowledged & step.bit() != 0
    }
}

/// The steps of all jobs up to a moment, by their number.
#[derive(Clone, Debug, Default)]
pub(crate) struct Acknowledged(pub(crate) Vec<Steps>);

impl Acknowledged {
    /// Adds a line of the journal.
    pub(crate) fn add(&mut self, line: &[u8]) -> Result<()> {
        let line = std::str::from_utf8(line)?;
        let mut words = line.split_whitespace();
        let mut word = || words.next().context("a line of the journal is too short");
        let (step, mark, number) = (word()?, word()?, word()?.parse::<usize>()?);
        let step = Step::ALL
            .into_iter()
            .find(|known| known.to_string() == step);
        let step = step.context("a line of the journal has an unknown step")?;
        let bit = step.bit();
        if self.0.len() <= number {
            self.0.resize(number + 1, Steps::default());
        }
        let steps = &mut self.0[number];
        match mark {
            "!" => steps.acknowledged |= bit,
            _ => steps.begun |= bit,
        }
        steps.claims += u32::from(mark == "!" && step == Step::Claim);
        Ok(())
    }

    /// Returns the number of jobs whose creation was acknowledged, and of all acknowledgements.
    pub(crate) fn counts(&self) -> (usize, usize) {
        let jobs = self
            .0
            .iter()
            .filter(|steps| steps.has(Step::Create))
            .count();
        let ones = self
            .0
            .iter()
            .map(|steps| steps.acknowledged.count_ones() as usize);
        (jobs, ones.sum())
    }
}
