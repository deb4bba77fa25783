//! Sends comments to the agent of a task, which is started again if it has ended.

use std::path::Path;

use anyhow::{Error, Result, bail};

use super::obstacle::{find_obstacle, would_start};
use crate::agent::AgentCommand;
use crate::commands::send::{find_recipient, report};
use crate::commands::starting;
use crate::context::Flux;
use crate::failure::{self, Failure};
use crate::lifecycle::other_machine::find_doubt;
use crate::lifecycle::resume::{read_prompt, restart_command, resume};
use crate::store::{Store, StoredTask};
use crate::task::Task;
use crate::ui::{quoted, shown};

/// The way in which the user agrees to sending comments.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Agreement {
    /// By `--yes`.
    Given,
    /// By a question.
    Asked,
    /// By a question whose default is no: the editor failed.
    AskedInDoubt,
    /// Not at all: `--yes` does not count if the editor failed.
    Refused,
}

/// Comments to send.
pub(super) struct Sending<'a> {
    pub(super) flux: &'a Flux,
    pub(super) stored: &'a StoredTask,
    /// The question, without its question mark.
    pub(super) question: &'a str,
    pub(super) message: &'a str,
    /// The file of the user that has the message already.
    pub(super) file: Option<&'a Path>,
    pub(super) agreement: Agreement,
}

impl Sending<'_> {
    /// Sends the comments to the agent, after a question. An agent that has ended is started again
    /// with them. If that fails or the user declines, keeps them in a file.
    pub(super) fn send(&self) -> Result<()> {
        let task = self.stored.readable()?;
        self.try_send(task).map_err(|error| self.keep(error))
    }

    fn try_send(&self, task: &Task) -> Result<()> {
        let (flux, id) = (self.flux, &task.id);
        // Writing the comments may have taken a while.
        let store = Store::load(&flux.repo, &flux.settings)?;
        if let Some(obstacle) = find_obstacle(flux, &store, self.stored)? {
            bail!(obstacle);
        }
        let starts = would_start(flux, &store, self.stored)?;
        if self.agreement == Agreement::Refused {
            bail!("the editor failed");
        }
        if self.agreement != Agreement::Given {
            let question = match starts {
                true => format!(
                    "The agent of '{id}' has ended. {}, and start it again?",
                    self.question
                ),
                false => format!("{}?", self.question),
            };
            let default = self.agreement == Agreement::Asked;
            flux.ui.ensure_agreed(question, default)?;
        }
        if starts {
            return start_again(flux, self.stored, self.message);
        }
        // The answer may have taken a while, too.
        let store = Store::load(&flux.repo, &flux.settings)?;
        let recipient = find_recipient(flux, &store, task)??;
        let is_confirmed = recipient.send_for_user(self.message)?;
        report(flux, task, &recipient, is_confirmed);
        Ok(())
    }

    /// Keeps the message in a file, and returns the error with a hint at it.
    fn keep(&self, error: Error) -> Error {
        let (flux, id) = (self.flux, &self.stored.id);
        let kept = match self.file {
            Some(file) => Ok(file.to_owned()),
            None => flux.run_dir(id).write_review(self.message),
        };
        let file = match kept {
            Ok(file) => file,
            Err(lost) => {
                // The last place for them.
                flux.ui.warn_of(&lost);
                flux.ui.status(self.message);
                return error;
            }
        };
        let what = format!("the comments on '{id}' were not sent");
        let failure = match self.is_hopeless() {
            true => Failure::new(format!("{what}; they are in '{}'", shown(&file))),
            false => {
                let from = quoted(&file);
                Failure::new(what).hint(format!("git flux review --from {from} {id}"))
            }
        };
        let code = failure::exit_code(&error);
        failure::wrap_in_failure(error, failure.code(code))
    }

    /// Returns whether it is known that the agent takes no comments at all.
    fn is_hopeless(&self) -> bool {
        let store = Store::load(&self.flux.repo, &self.flux.settings);
        let obstacle = store.and_then(|store| find_obstacle(self.flux, &store, self.stored));
        matches!(obstacle, Ok(Some(_)))
    }
}

/// Starts an agent again with a message: continues its last session, or else begins another one with
/// its prompt and the message.
fn start_again(flux: &Flux, stored: &StoredTask, message: &str) -> Result<()> {
    let task = stored.readable()?;
    if let Some(doubt) = find_doubt(flux, task)? {
        let failure = Failure::new(format!("'{}' may still run: {doubt}", task.id));
        bail!(failure.hint(format!("git flux resume {} --gone", task.id)));
    }
    let continued = flux.settings.find_agent(&task.agent).ok();
    let continued = continued.and_then(|(agent, program)| {
        Some(AgentCommand {
            agent: agent.to_resume_with_prompt()?,
            program,
            prompt: message.as_bytes().to_vec(),
        })
    });
    let (agent, verb) = match continued {
        Some(agent) => (agent, "resumed"),
        None => {
            let prompt = read_prompt(flux, task, &stored.oid)?;
            let prompt = [&*prompt, b"\n\n", message.as_bytes()].concat();
            (restart_command(flux, task, &prompt)?, "restarted")
        }
    };
    let started = resume(flux, &task.id, agent, None, None)?;
    // Only `git flux land` uses the note.
    drop(flux.run_dir(&task.id).note_user_message());
    starting::report(flux, &started, verb)?;
    starting::ensure_no_early_failure(flux, &started)
}
