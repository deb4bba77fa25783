//! Asks for the consents of a cleanup.

use anyhow::{Context as _, Result, bail};

use super::{configuration, conflicts, words};
use crate::commands::diff::show;
use crate::context::Flux;
use crate::failure::Failure;
use crate::lifecycle::cleanup::check::Consent;
use crate::lifecycle::cleanup::commit_files::default_message;
use crate::lifecycle::cleanup::conflict_merge::ConflictSite;
use crate::lifecycle::cleanup::facts::Facts;
use crate::lifecycle::cleanup::options::{Agreed, Conflicts, Edits, Options, Question};
use crate::lifecycle::cleanup::plan::Plan;
use crate::lifecycle::cleanup::target::Destination;
use crate::lifecycle::cleanup::tested::NO_GATE;
use crate::lifecycle::stash_pins::{MAX_NAMED, warn_of_removed_entries};
use crate::task::State;
use crate::ui::shown;
use crate::ui::words::capitalize;

/// The action of a plan with all consents.
pub(super) enum NextStep {
    Remove(Plan),
    /// Start the merge, to resolve its conflicts.
    Resolve(Plan, ConflictSite),
}

/// Asks the user for the open consents of a plan: first those about work, deciding the plan again
/// after each answer, then those of [`agree_to_removal`]. Returns what to do next. Fails if a check
/// refuses or the user declines.
pub(super) fn ask_consents(flux: &Flux, options: &mut Options, mut plan: Plan) -> Result<NextStep> {
    loop {
        plan = plan.ensure_not_refused()?;
        if plan.is_update() {
            return Ok(NextStep::Resolve(plan, ConflictSite::Task));
        }
        // Questions about work come first.
        let mut open = plan.consents(Agreed::Ask);
        let Some(consent) = open.find(|open| open.question < Question::OtherBranch) else {
            break;
        };
        let facts = facts(&plan)?;
        match consent.question {
            Question::Conflicts => match conflicts::ask_place(flux, facts, &consent.refusal)? {
                ConflictSite::Task => options.conflicts = Conflicts::Update,
                ConflictSite::Target => {
                    drop(open);
                    return Ok(NextStep::Resolve(plan, ConflictSite::Target));
                }
            },
            Question::Uncommitted => {
                options.uncommitted = ask_about_files(flux, facts, consent)?;
            }
            _ => match facts.find_change(&consent.finding) {
                Some(change) => {
                    configuration::ask(flux, facts, change)?;
                    options.agree(consent.question, &consent.finding);
                }
                None => ask(flux, options, facts, consent)?,
            },
        }
        drop(open);
        plan.decide(flux, options);
    }
    agree_to_removal(flux, options, &plan)?;
    Ok(NextStep::Remove(plan))
}

/// Asks whether to remove the task (with `--yes` only if the user is not on the target branch),
/// then whether to end its processes; an agent that is done needs no separate question. First
/// prints ignored files, removed entries of the shared stash, and processes that `--yes` agrees to
/// end.
fn agree_to_removal(flux: &Flux, options: &mut Options, plan: &Plan) -> Result<()> {
    let facts = plan
        .forecast()
        .context("internal error: no facts despite passing checks")?;
    let mut checks = plan.checks.iter();
    if let Some(check) = checks.find(|check| check.name == "ignored" && !facts.ignored.is_empty()) {
        let what = format!("these ignored files {}", check.reason());
        flux.ui.status(what);
    }
    warn_of_removed_entries(&flux.ui, &plan.id, &facts.stash.removed);
    if facts.stash.removed.len() > MAX_NAMED {
        let first = "once the task is removed, restore it before that: git flux restore";
        flux.ui.hint(format_args!("{first} {}", plan.id));
    }
    // --yes agrees to these.
    for consent in plan.consents(Agreed::Yes) {
        if matches!(consent.question, Question::Processes | Question::Jobs) {
            flux.ui.warning(&consent.finding);
        }
    }
    let open = plan.consents(Agreed::Ask);
    let (elsewhere, mut rest): (Vec<&Consent>, Vec<&Consent>) =
        open.partition(|open| open.question == Question::OtherBranch);
    // --yes agrees to the merge, but only into the user's branch.
    if flux.ui.can_ask() && (!options.agrees(Question::Removal) || !elsewhere.is_empty()) {
        let current = elsewhere.first().map(|open| open.finding.clone());
        let gate = plan.checks.iter().find(|check| check.name == "gate");
        let gate = gate.map(|check| match check.reason() {
            none if none == NO_GATE => "untested".to_owned(),
            why => format!("gate: {why}"),
        });
        let notes: Vec<String> = current.into_iter().chain(gate).collect();
        let mut question = words::removal_question(facts, &notes);
        // An agent that is done needs no separate question.
        let is_only_to_stop = matches!(&rest[..], [only] if only.question == Question::Stop);
        let is_joined = is_only_to_stop && facts.state == State::Done;
        if is_joined {
            question = format!("The agent of '{}' is done. {question}", plan.id);
        }
        let default = facts.destination != Destination::Dropped;
        flux.ui.ensure_agreed(question, default)?;
        options.given.push(Question::Removal);
        let joined = rest.iter().filter(|_| is_joined);
        for consent in elsewhere.iter().chain(joined) {
            options.agree(consent.question, &consent.finding);
        }
        rest.retain(|_| !is_joined);
    }
    for consent in rest {
        ask(flux, options, facts, consent)?;
    }
    Ok(())
}

/// Asks the user for one consent, and adds it to the options. Fails if the answer is no, which is
/// the default.
fn ask(flux: &Flux, options: &mut Options, facts: &Facts, consent: &Consent) -> Result<()> {
    let question = match consent.question {
        Question::WorktreeGone => {
            let (id, path) = (&facts.task.id, shown(&facts.task.worktree));
            let gone = format!("The worktree of '{id}' is gone: '{path}'.");
            flux.ui.status(gone + " Its uncommitted files are unknown.");
            "Remove the task anyway?".to_owned()
        }
        other => {
            let question = match other {
                Question::LargeFiles => "Commit anyway?",
                Question::Stash => "Remove them (they can be restored)?",
                Question::AgentEnded => "Has the agent ended?",
                Question::OwnPane if !facts.processes.is_alive => "Close it?",
                Question::Stop | Question::OwnPane => "Stop it?",
                _ => "Remove the task anyway?",
            };
            format!("{}. {question}", capitalize(&consent.finding))
        }
    };
    flux.ui.ensure_agreed(question, false)?;
    options.agree(consent.question, &consent.finding);
    Ok(())
}

/// Returns what was observed about the task of a plan that no check refuses. Fails with an internal
/// error if there is nothing: then a check should have refused.
pub(super) fn facts(plan: &Plan) -> Result<&Facts> {
    plan.facts
        .as_ref()
        .context("internal error: no facts despite passing checks")
}

/// Lists the uncommitted files, and asks whether to commit them (with which message), discard them,
/// show their diff and ask again, or abort, which is an error. Returns the answer, and changes
/// nothing.
fn ask_about_files(flux: &Flux, facts: &Facts, consent: &Consent) -> Result<Edits> {
    flux.ui.status(format_args!("{}:", consent.refusal));
    for change in &facts.uncommitted {
        let code = String::from_utf8_lossy(&change.code).replace('.', " ");
        let path = shown(&change.path);
        flux.ui.status(format_args!("  {code} {path}"));
    }
    let choices = [
        "commit them all",
        "discard them (they can be restored)",
        "show the diff",
        "abort",
    ]
    .map(str::to_owned);
    loop {
        match flux.ui.select("What should happen to them?", &choices)? {
            0 => {
                let offered = default_message(&facts.task);
                let message = flux.ui.input("Message", &offered)?;
                return Ok(Edits::Commit(message));
            }
            1 => return Ok(Edits::Discard),
            2 => drop(show(flux, &facts.task, &facts.tip, Vec::new())?),
            _ => bail!(Failure::declined("nothing was changed")),
        }
    }
}
