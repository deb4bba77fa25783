//! The check of the configuration that worktrees share.

use super::check::Verdict;
use super::decision::Decision;
use super::facts::Facts;
use super::options::Question;
use crate::failure::Failure;
use crate::git::shared_config::keys::ConfigEffect;
use crate::lifecycle::shared_config::Comparison;
use crate::lifecycle::shared_config::change::SharedChange;

const CHECK: &str = "configuration";

impl Decision<'_> {
    /// Adds the check `configuration`: each change of the shared configuration since the start of
    /// the task needs a consent, as does a comparison that fails. Passes if no copy of that
    /// configuration was made at the start.
    pub(super) fn check_configuration(&mut self) {
        let id = &self.facts.task.id;
        match &self.facts.configuration {
            Comparison::NoCopy => {
                let why = format!("not compared: no copy from the start of '{id}'");
                self.pass(CHECK, &why);
            }
            Comparison::Failed(why) => {
                let what = format!("the shared configuration cannot be compared: {why}");
                let refusal = Failure::new(&what).hint(self.keep_command());
                self.ask(Question::Configuration, what, refusal);
            }
            Comparison::Changes(changes) if changes.is_empty() => {
                self.pass(CHECK, "the shared configuration has not changed");
            }
            Comparison::Changes(changes) => {
                for change in changes {
                    let refusal = self.configuration_failure(change, changes.len() - 1);
                    let (question, what) = (question(change), change.describe(id));
                    let verdict = Verdict::consent(self.options, question, what, refusal);
                    self.checks.add(CHECK, verdict);
                }
            }
        }
    }

    /// Returns the failure that names a change of the shared configuration to which the user has
    /// not agreed, with commands to undo or keep it; `others` is the number of other changes.
    fn configuration_failure(&self, change: &SharedChange, others: usize) -> Failure {
        let id = &self.facts.task.id;
        let more = match others {
            0 => String::new(),
            1 => " (and 1 more change)".to_owned(),
            others => format!(" (and {others} more changes)"),
        };
        let failure = Failure::new(format!("{}{more}", change.describe(id)));
        let failure = failure.hints(change.put_back_command());
        failure
            .hint(format!("to see all such changes: git flux status {id}"))
            .hint(self.keep_command())
    }

    fn keep_command(&self) -> String {
        let (command, id) = (&self.options.command, &self.facts.task.id);
        let keep = command.with(id, "--keep-config");
        format!("to keep all of them: {keep}")
    }
}

/// Returns the question whether to keep a change.
fn question(change: &SharedChange) -> Question {
    match change.effect {
        ConfigEffect::RunsProgram => Question::Configuration,
        ConfigEffect::Plain => Question::PlainConfiguration,
    }
}

impl Facts {
    /// Returns the change of the shared configuration that the user is asked about with `finding`;
    /// `None` if that is about something else.
    pub(crate) fn find_change(&self, finding: &str) -> Option<&SharedChange> {
        let mut changes = self.configuration.changes().iter();
        changes.find(|change| change.describe(&self.task.id) == finding)
    }
}
