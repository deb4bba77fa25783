//! The checks before a task is removed, and their verdicts.

use anyhow::{Error, Result};

use super::options::{Agreed, Options, Question};

/// A question that the user has to agree to before a task is removed.
#[derive(Debug)]
pub(crate) struct Consent {
    pub(crate) question: Question,
    pub(crate) finding: String,
    pub(crate) agreed: Agreed,
    /// The refusal if it cannot be asked; its hints name the options.
    pub(crate) refusal: Error,
}

/// The result of a check, with the reason.
#[derive(Debug)]
pub(crate) enum Verdict {
    /// No work is lost.
    Ok(String),
    /// The user has to agree.
    NeedsConsent(Consent),
    /// The check failed, or could not be made: unknown is never safe.
    Refused(Error),
}

impl Verdict {
    /// Creates a verdict that needs a consent to `finding`, which the options or an earlier answer
    /// may already give. `refusal` is the error if it cannot be asked for.
    pub(super) fn consent(
        options: &Options,
        question: Question,
        finding: impl Into<String>,
        refusal: impl Into<Error>,
    ) -> Self {
        let finding = finding.into();
        Self::NeedsConsent(Consent {
            question,
            agreed: options.agreed(question, &finding),
            finding,
            refusal: refusal.into(),
        })
    }
}

/// A check by name.
#[derive(Debug)]
pub(crate) struct Check {
    pub(crate) name: &'static str,
    pub(crate) verdict: Verdict,
}

impl Check {
    /// Returns the consent that the check needs, whether it is given or not; `None` if the check
    /// passes or refuses anyway.
    pub(crate) fn consent(&self) -> Option<&Consent> {
        match &self.verdict {
            Verdict::NeedsConsent(consent) => Some(consent),
            Verdict::Ok(_) | Verdict::Refused(_) => None,
        }
    }

    /// Returns `Yes` if the check passes or its consent is given, `Ask` if the consent has to be
    /// asked for, and `No` if the check refuses, or its consent is missing and cannot be asked for.
    pub(crate) fn agreed(&self) -> Agreed {
        match &self.verdict {
            Verdict::Ok(_) => Agreed::Yes,
            Verdict::NeedsConsent(consent) => consent.agreed,
            Verdict::Refused(_) => Agreed::No,
        }
    }

    /// Returns the error of a check that refuses, or whose consent is missing and cannot be asked
    /// for; `None` otherwise.
    pub(crate) fn refusal(&self) -> Option<&Error> {
        match &self.verdict {
            Verdict::Refused(refusal) | Verdict::NeedsConsent(Consent { refusal, .. }) => {
                (self.agreed() == Agreed::No).then_some(refusal)
            }
            Verdict::Ok(_) => None,
        }
    }

    /// Returns the reason of the verdict: why the check passes, what needs a consent, or the error.
    pub(crate) fn reason(&self) -> String {
        match &self.verdict {
            Verdict::Ok(why) => why.clone(),
            Verdict::NeedsConsent(consent) => consent.finding.clone(),
            Verdict::Refused(error) => error.to_string(),
        }
    }
}

/// Checks, in order of precedence.
#[derive(Debug, Default)]
pub(crate) struct Checks(pub(crate) Vec<Check>);

impl Checks {
    pub(super) fn add(&mut self, name: &'static str, verdict: Verdict) {
        self.0.push(Check { name, verdict });
    }

    /// Adds a check that passes with the reason `why`, or refuses if `found` is an error.
    pub(super) fn add_result<T>(
        &mut self,
        name: &'static str,
        found: Result<T>,
        why: impl Into<String>,
    ) {
        if self.require(name, found).is_some() {
            self.add(name, Verdict::Ok(why.into()));
        }
    }

    /// Returns the value of `found`. If it is an error, adds a check that refuses, and returns
    /// `None`.
    pub(super) fn require<T>(&mut self, name: &'static str, found: Result<T>) -> Option<T> {
        let refuse = |error| self.add(name, Verdict::Refused(error));
        found.map_err(refuse).ok()
    }
}
