//! What a removal would destroy, check by check.

use anyhow::{Error, Result};

/// How a check went, with the reason.
#[derive(Debug)]
pub(crate) enum Verdict {
    /// Nothing is lost.
    Passes(String),
    /// Somebody has to agree first.
    Asks(String),
    /// It is not done, or could not be told: unknown is never safe.
    Refuses(Error),
}

/// One thing that was looked at.
#[derive(Debug)]
pub(crate) struct Check {
    pub(crate) name: &'static str,
    pub(crate) verdict: Verdict,
}

/// Everything that was looked at before a task is removed.
#[derive(Debug, Default)]
pub(crate) struct Loss {
    pub(crate) checks: Vec<Check>,
}

impl Loss {
    /// Of a task of which only this can be said.
    pub(crate) fn of(name: &'static str, error: Error) -> Self {
        let verdict = Verdict::Refuses(error);
        Self {
            checks: vec![Check { name, verdict }],
        }
    }

    /// Notes how a check went; `judge` says what was found, if it could be made.
    pub(crate) fn note<T>(
        &mut self,
        name: &'static str,
        found: Result<T>,
        judge: impl FnOnce(&T) -> Verdict,
    ) -> Option<T> {
        let (verdict, found) = match found {
            Ok(found) => (judge(&found), Some(found)),
            Err(error) => (Verdict::Refuses(error), None),
        };
        self.checks.push(Check { name, verdict });
        found
    }

    /// Takes what a check found, and notes only that it could not be made.
    pub(crate) fn must<T>(&mut self, name: &'static str, found: Result<T>) -> Option<T> {
        match found {
            Ok(found) => Some(found),
            Err(error) => {
                let verdict = Verdict::Refuses(error);
                self.checks.push(Check { name, verdict });
                None
            }
        }
    }

    /// Notes a check that passes if it can be made.
    pub(crate) fn pass(&mut self, name: &'static str, found: Result<()>, why: impl Into<String>) {
        self.note(name, found, |()| Verdict::Passes(why.into()));
    }

    /// Lets it pass if nothing is refused.
    ///
    /// # Errors
    /// The first refusal.
    pub(crate) fn ensure(self) -> Result<()> {
        let refusal = self
            .checks
            .into_iter()
            .find_map(|check| match check.verdict {
                Verdict::Refuses(error) => Some(error),
                Verdict::Passes(_) | Verdict::Asks(_) => None,
            });
        refusal.map_or(Ok(()), Err)
    }
}
