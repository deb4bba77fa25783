//! What is looked at before a task is removed, and how each check went.

use anyhow::{Error, Result};

use super::options::{Agreed, Options, Question};

/// Something to be agreed to; unless it is, nothing is removed.
#[derive(Debug)]
pub(crate) struct Consent {
    pub(crate) question: Question,
    /// What was found.
    pub(crate) what: String,
    pub(crate) agreed: Agreed,
    /// The refusal where it cannot be asked about; its hints name the options.
    pub(crate) refusal: Error,
}

/// How a check went, with the reason.
#[derive(Debug)]
pub(crate) enum Verdict {
    /// Nothing is lost.
    Ok(String),
    /// The user has to agree.
    NeedsConsent(Consent),
    /// It is not done, or could not be told: unknown is never safe.
    Refused(Error),
}

impl Verdict {
    /// Makes a verdict of something that has to be agreed to.
    pub(super) fn consent(
        options: &Options,
        question: Question,
        what: impl Into<String>,
        refusal: impl Into<Error>,
    ) -> Self {
        let what = what.into();
        Self::NeedsConsent(Consent {
            question,
            agreed: options.agreed(question, &what),
            what,
            refusal: refusal.into(),
        })
    }
}

/// One thing that was looked at.
#[derive(Debug)]
pub(crate) struct Check {
    pub(crate) name: &'static str,
    pub(crate) verdict: Verdict,
}

impl Check {
    /// Returns what has to be agreed to.
    pub(crate) fn consent(&self) -> Option<&Consent> {
        match &self.verdict {
            Verdict::NeedsConsent(consent) => Some(consent),
            Verdict::Ok(_) | Verdict::Refused(_) => None,
        }
    }

    /// Returns how far it lets the task go.
    pub(crate) fn agreed(&self) -> Agreed {
        match &self.verdict {
            Verdict::Ok(_) => Agreed::Yes,
            Verdict::NeedsConsent(consent) => consent.agreed,
            Verdict::Refused(_) => Agreed::No,
        }
    }

    /// Returns why nothing is removed.
    pub(crate) fn refusal(&self) -> Option<&Error> {
        match &self.verdict {
            Verdict::Refused(refusal) | Verdict::NeedsConsent(Consent { refusal, .. }) => {
                (self.agreed() == Agreed::No).then_some(refusal)
            }
            Verdict::Ok(_) => None,
        }
    }

    /// Returns what was found.
    pub(crate) fn reason(&self) -> String {
        match &self.verdict {
            Verdict::Ok(why) => why.clone(),
            Verdict::NeedsConsent(consent) => consent.what.clone(),
            Verdict::Refused(error) => error.to_string(),
        }
    }
}

/// Checks, in the order in which they refuse.
#[derive(Debug, Default)]
pub(crate) struct Checks(pub(crate) Vec<Check>);

impl Checks {
    /// Adds a check.
    pub(super) fn add(&mut self, name: &'static str, verdict: Verdict) {
        self.0.push(Check { name, verdict });
    }

    /// Adds a check that passes if it could be made.
    pub(super) fn pass<T>(&mut self, name: &'static str, found: Result<T>, why: impl Into<String>) {
        if self.require(name, found).is_some() {
            self.add(name, Verdict::Ok(why.into()));
        }
    }

    /// Returns what a check found; adds a refusal if it could not be made.
    pub(super) fn require<T>(&mut self, name: &'static str, found: Result<T>) -> Option<T> {
        let refuse = |error| self.add(name, Verdict::Refused(error));
        found.map_err(refuse).ok()
    }
}
