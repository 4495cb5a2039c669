//! The exchanges of a check, and the reasons for those that are missing.

use std::{collections::HashMap, time::Duration};

use super::{record::Exchange, step::Step, verdict::Verdict};

/// The reason for which an exchange is missing.
#[derive(Clone, Debug)]
pub(super) enum Absence {
    /// There was no reason to send the request, or no way.
    NotSent(String),
    /// It was not answered within its own time.
    Unanswered(String),
    /// A limit of the check was reached, or the connection failed.
    Late(String),
}

/// The exchanges of a check, by their purposes.
#[derive(Clone, Debug, Default)]
pub(super) struct Evidence {
    exchanges: Vec<Exchange>,
    absences: HashMap<Step, Absence>,
    /// The time after the end of the job for which the held poll was not answered.
    pub(super) held_past_the_end: Option<Duration>,
}

impl Evidence {
    pub(super) fn add(&mut self, exchange: Exchange) {
        self.exchanges.push(exchange);
    }

    /// Removes the exchange of a step that is repeated.
    pub(super) fn forget(&mut self, step: Step) {
        self.exchanges.retain(|exchange| exchange.step != step);
    }

    pub(super) fn lacks(&mut self, step: Step, absence: Absence) {
        self.absences.entry(step).or_insert(absence);
    }

    /// Returns the first exchange of a step.
    ///
    /// # Errors
    ///
    /// Returns the verdict on a check that needs it.
    pub(super) fn look(&self, step: Step) -> Result<&Exchange, Verdict> {
        if let Some(exchange) = self.all().find(|exchange| exchange.step == step) {
            return Ok(exchange);
        }
        Err(match self.absences.get(&step) {
            Some(Absence::Late(reason) | Absence::Unanswered(reason)) => {
                Verdict::Timeout(reason.clone())
            }
            Some(Absence::NotSent(reason)) => Verdict::NotApplicable(reason.clone()),
            None => Verdict::NotApplicable("there was no occasion to look at it".to_owned()),
        })
    }

    /// Returns whether the request was sent and not answered within its own time.
    pub(super) fn is_unanswered(&self, step: Step) -> bool {
        matches!(self.absences.get(&step), Some(Absence::Unanswered(_)))
    }

    pub(super) fn all(&self) -> impl Iterator<Item = &Exchange> {
        self.exchanges.iter()
    }

    /// Returns the answers to submissions that announce a pending job.
    pub(super) fn deferred(&self) -> impl Iterator<Item = &Exchange> {
        self.all()
            .filter(|exchange| exchange.step.is_submission() && exchange.answer.is_pending())
    }

    /// Returns the answers of the job resource.
    pub(super) fn of_jobs(&self) -> impl Iterator<Item = &Exchange> {
        self.all()
            .filter(|exchange| !exchange.step.is_submission() && !exchange.step.is_at_target())
    }
}
