//! A requirement, and the way in which it is looked at.

use super::{
    evidence::Evidence,
    scenario::Scenario,
    verdict::{Judged, Verdict},
};
use crate::arguments::Number;

/// The way in which a requirement is looked at.
pub(super) enum Look {
    /// A rule over what the scenarios show.
    Rule(fn(&Evidence) -> Judged, &'static [Scenario]),
    /// A client cannot see it, for this reason.
    NotObservable(&'static str),
}

/// A requirement.
pub(super) struct Check {
    pub(super) number: Number,
    pub(super) title: &'static str,
    pub(super) look: Look,
}

impl Check {
    /// Judges what was seen.
    pub(super) fn verdict(&self, evidence: &Evidence) -> Verdict {
        match self.look {
            Look::Rule(rule, _) => rule(evidence).err().unwrap_or(Verdict::Pass),
            Look::NotObservable(reason) => {
                Verdict::NotApplicable(format!("not observable: {reason}"))
            }
        }
    }

    pub(super) fn scenarios(&self) -> &'static [Scenario] {
        match self.look {
            Look::Rule(_, scenarios) => scenarios,
            Look::NotObservable(_) => &[],
        }
    }
}

pub(super) const fn rule(
    section: u8,
    number: u8,
    title: &'static str,
    rule: fn(&Evidence) -> Judged,
    scenarios: &'static [Scenario],
) -> Check {
    Check {
        number: Number(section, number),
        title,
        look: Look::Rule(rule, scenarios),
    }
}

pub(super) const fn unseen(
    section: u8,
    number: u8,
    title: &'static str,
    reason: &'static str,
) -> Check {
    Check {
        number: Number(section, number),
        title,
        look: Look::NotObservable(reason),
    }
}
