//! Decides about the files and commits of one task, and which consents are needed.

use anyhow::{Error, Result, anyhow};

use super::called_command::into_option;
use super::check::{Checks, Verdict};
use super::facts::Facts;
use super::files::{self, name_files, quote_paths};
use super::obstacle::name_conflicts;
use super::options::{Branch, Conflicts, Edits, Options, Question};
use super::target::MergeTarget;
use super::tested;
use crate::context::Flux;
use crate::failure::{Failure, USAGE};
use crate::git::{MergePlan, Style};
use crate::lifecycle::stash_pins::{count_entries, name_entries};
use crate::ui::words::count;

pub(super) struct Decision<'a> {
    pub(super) flux: &'a Flux,
    pub(super) options: &'a Options,
    pub(super) facts: &'a Facts,
    pub(super) checks: Checks,
    /// The facts after uncommitted files are committed, if `--commit` is given.
    pub(super) committed: Option<Facts>,
}

impl Decision<'_> {
    /// Adds the checks whose verdicts depend on options and answers, and sets `committed`, the
    /// facts after `--commit`. If `--update` is given and the merge conflicts, adds only the checks
    /// `merge` and `collisions`, about merging the target branch into the task's worktree.
    pub(super) fn decide(&mut self) {
        let mergeable = self.facts.ensure_mergeable();
        let is_mergeable = mergeable.is_ok();
        if let Err(error) = mergeable {
            let verdict = self.judge_conflict(error);
            self.checks.add("merge", verdict);
            if self.options.conflicts == Conflicts::Update {
                let into = self.facts.merge_target();
                let update = |into: &MergeTarget| self.facts.ensure_updatable(self.flux, &into.tip);
                let free = into.map_or(Ok(()), update);
                let why = "the merge would overwrite no local file";
                return self.checks.add_result("collisions", free, why);
            }
        }
        self.decide_about_files();
        self.decide_about_stash();
        if is_mergeable {
            self.decide_about_merge();
            let tested = tested::judge(self.flux, self.options, self.forecast());
            if let Some(verdict) = tested {
                self.checks.add("gate", verdict);
            }
        }
        self.check_configuration();
        self.check_current_branch();
        self.check_agent();
    }

    fn forecast(&self) -> &Facts {
        self.committed.as_ref().unwrap_or(self.facts)
    }

    pub(super) fn pass(&mut self, name: &'static str, why: &str) {
        self.checks.add(name, Verdict::Ok(why.to_owned()));
    }

    pub(super) fn ask(&mut self, question: Question, what: String, refusal: Failure) {
        let verdict = Verdict::consent(self.options, question, what, refusal);
        self.checks.add(question.check(), verdict);
    }

    /// Returns the verdict on `error`: the merge conflicts or cannot be fast-forwarded. Conflicts
    /// need a consent, which `--update` gives; but without `--update`, those of a rebase and those
    /// with `--porcelain` are refused. An impossible fast-forward is always refused.
    fn judge_conflict(&self, error: Error) -> Verdict {
        let into = self.facts.merge_target().map(|into| (into, &into.merge));
        let Some((into, MergePlan::Conflicts { files })) = into else {
            return Verdict::Refused(error);
        };
        let what = match self.options.conflicts {
            Conflicts::Update => {
                let files = name_conflicts(files);
                let merged = format!("'{}' is merged into the task's worktree", into.branch);
                format!("conflicts in {files}: {merged}")
            }
            Conflicts::Ask if into.style != Style::Rebase => error.to_string(),
            Conflicts::Ask | Conflicts::Refuse => return Verdict::Refused(error),
        };
        Verdict::consent(self.options, Question::Conflicts, what, error)
    }

    fn decide_about_files(&mut self) {
        let (flux, facts) = (self.flux, self.facts);
        let read = self.ensure_read();
        if self.checks.require("uncommitted", read).is_none() {
            return;
        }
        let movable = facts.ensure_trashable(flux, &self.options.uncommitted);
        let why = "the worktree can be restored";
        self.checks.add_result("file system", movable, why);
        self.decide_about_uncommitted();
        let restorable = |names: String| match names.as_str() {
            "" => "none".to_owned(),
            names => format!("can be restored: {names}"),
        };
        let files = facts.uncommitted.iter();
        let names = name_files(files.filter(|change| change.is_repository()));
        let why = match names.as_str() {
            "" => "no other repository is in the worktree".to_owned(),
            _ => restorable(names),
        };
        let committable = match self.options.uncommitted {
            Edits::Commit(_) => files::ensure_committable(facts),
            Edits::Ask | Edits::Discard => Ok(()),
        };
        self.checks.add_result("repositories", committable, why);
        if let Some(found) = self.checks.require("large files", files::find_large(facts)) {
            self.decide_about_large_files(&found);
        }
        let ignored = files::name_ignored(flux, facts).map(restorable);
        if let Some(why) = self.checks.require("ignored", ignored) {
            self.pass("ignored", &why);
        }
    }

    /// Fails if the uncommitted files could not be listed earlier, unless `--discard` is given,
    /// which keeps the whole worktree in the trash.
    fn ensure_read(&self) -> Result<()> {
        let is_left = self.options.uncommitted == Edits::Discard;
        let Some(why) = self.facts.read_error.as_ref().filter(|_| !is_left) else {
            return Ok(());
        };
        let id = &self.facts.task.id;
        let removal = "to remove the task (it can be restored)";
        let (options, whole) = match self.options.branch {
            Branch::Discard => ("--discard", removal),
            // `--merged=<commit>` would discard the files of other tasks, too.
            Branch::MergedIn { .. } => ("--discard --discard-branch", removal),
            Branch::Merge { .. } => (
                "--discard",
                "to merge only what is committed (the files can be restored)",
            ),
        };
        let what = format!("could not read the uncommitted files of '{id}'");
        let discard = self.options.command.cleanup_with(id, options);
        let hint = format!("{whole}: {discard}");
        Err(anyhow!(why.clone()).context(Failure::new(what).hint(hint)))
    }

    fn decide_about_uncommitted(&mut self) {
        let (id, files) = (&self.facts.task.id, &self.facts.uncommitted);
        let names = name_files(files);
        let why = match self.options.uncommitted {
            _ if self.facts.read_error.is_some() => {
                "unknown; the whole worktree can be restored".to_owned()
            }
            _ if self.facts.missing => "unknown, since the worktree is gone".to_owned(),
            _ if files.is_empty() => "none".to_owned(),
            Edits::Commit(_) => format!("committed: {names}"),
            Edits::Discard => format!("can be restored: {names}"),
            Edits::Ask => {
                let number = count(files.len(), "uncommitted file");
                let what = format!("'{id}' has {number}{}", files::name_hidden(self.facts));
                let [commit, discard] = self.facts.destination.purposes();
                let command = &self.options.command;
                let refusal = Failure::new(what)
                    .hint(format!("{commit}: {}", command.with(id, "--commit")))
                    .hint(format!(
                        "{discard}: {}",
                        command.cleanup_with(id, "--discard")
                    ));
                let what = format!("commit or discard {names}");
                return self.ask(Question::Uncommitted, what, refusal);
            }
        };
        self.pass("uncommitted", &why);
    }

    fn decide_about_large_files(&mut self, found: &[String]) {
        if found.is_empty() {
            return self.pass("large files", "none");
        }
        let (id, what) = (&self.facts.task.id, found.join(", "));
        let refusal = Failure::new(format!("{what} and would be committed")).hint(format!(
            "move such files, or add them to .gitignore, then: {}",
            self.options.command.with(id, "")
        ));
        self.ask(Question::LargeFiles, what, refusal);
    }

    fn decide_about_stash(&mut self) {
        let (id, own) = (&self.facts.task.id, &self.facts.stash.own);
        let names = name_entries(own);
        let Some(latest) = own.first() else {
            return self.pass("stash", "none");
        };
        if self.options.agrees(Question::Stash) {
            return self.pass("stash", &format!("can be restored: {names}"));
        }
        let number = count_entries(own.len());
        let what = format!("'{id}' has {number}: {names}");
        let refusal = Failure::new(&what)
            .hint(format!(
                "to see the latest: git stash show -p {}",
                latest.commit
            ))
            .hint(format!(
                "to remove them with the task: {}",
                self.options.command.cleanup_with(id, "--discard-stash")
            ));
        self.ask(Question::Stash, what, refusal);
    }

    /// Adds the check `merge`. With `--commit`, it checks the merge of a trial commit of the
    /// uncommitted files, which no ref points to; if that commit fails, the check refuses.
    fn decide_about_merge(&mut self) {
        let is_committed = matches!(self.options.uncommitted, Edits::Commit(_));
        if is_committed && !self.facts.uncommitted.is_empty() {
            let committed = self.facts.once_committed(self.flux);
            self.committed = self.checks.require("merge", committed);
            if self.committed.is_none() {
                return;
            }
        }
        let forecast = self.forecast();
        let (mergeable, why) = (forecast.ensure_mergeable(), describe_merge(forecast));
        self.checks.add_result("merge", mergeable, why);
    }

    /// Adds the check `current branch`: it needs a consent if commits would be merged into a branch other
    /// than the one that the user is on. `--into` gives the consent.
    fn check_current_branch(&mut self) {
        let forecast = self.forecast();
        let place = other_branch(self.flux, forecast);
        let (Some(into), Some(place)) = (forecast.merge_target(), place) else {
            let why = match forecast.merge_target() {
                Some(into) if forecast.commits() > 0 && into.worktree.is_some() => {
                    format!("you are on '{}'", into.branch)
                }
                _ => "nothing is merged into another branch".to_owned(),
            };
            return self.pass("current branch", &why);
        };
        let (id, branch) = (&self.facts.task.id, &into.branch);
        let refusal = Failure::new(format!(
            "'{id}' would be merged into '{branch}', but {place}"
        ))
        .hint(format!(
            "to merge it into '{branch}': {}",
            self.options.command.with(id, &into_option(branch))
        ))
        .code(USAGE);
        self.ask(Question::OtherBranch, place, refusal);
    }

    /// Adds the checks `agent` and `processes`. They need consents to stop the program in the
    /// task's pane, to end its jobs, to close the caller's own pane, and to go on although the agent
    /// may still run on another machine.
    fn check_agent(&mut self) {
        let (id, processes) = (&self.facts.task.id, &self.facts.processes);
        // An agent on another machine, or an unknown one, has refused already.
        let mut checks = self.checks.0.iter();
        let is_refused = checks.any(|check| check.name == "agent");
        if let Some(doubt) = &processes.doubt {
            let gone = self.options.command.cleanup_with(id, "--gone");
            let hint = format!("if the agent has ended: {gone}");
            let refusal = Failure::new(doubt).hint(hint);
            self.ask(Question::AgentEnded, doubt.clone(), refusal);
        }
        self.check_processes();
        if processes.must_stop() || (processes.is_own_pane && processes.is_alive) {
            let question = match processes.is_own_pane {
                true => Question::OwnPane,
                false => Question::Stop,
            };
            if !is_refused {
                let what = format!("{} is still running", processes.name_stopped(id));
                self.require_yes(question, what);
            }
        } else if processes.is_own_pane {
            let what = format!("the pane of '{id}', which you are in, would be closed");
            self.require_yes(Question::OwnPane, what);
        } else if !is_refused && processes.doubt.is_none() {
            self.pass("agent", "no process has to be stopped");
        }
    }

    /// Adds the check `processes`: it needs consents if other processes have their working
    /// directory in the worktree, if jobs would end with the pane, or if the system cannot list
    /// them.
    fn check_processes(&mut self) {
        let (id, processes) = (&self.facts.task.id, &self.facts.processes);
        let (others, jobs) = (processes.describe_others(), processes.describe_jobs(id));
        if others.is_none() && jobs.is_none() {
            self.pass("processes", "no other process is in the worktree");
        }
        if let Some(what) = others {
            self.require_yes(Question::Processes, what);
        }
        match jobs {
            Some(what) if processes.has_suspended_jobs() => {
                let refusal =
                    Failure::new(&what).hint(format!("to end them yourself: git flux attach {id}"));
                self.ask(Question::SuspendedJobs, what, refusal);
            }
            Some(what) => self.require_yes(Question::Jobs, what),
            None => {}
        }
    }

    /// Adds a check that needs a consent, which `--yes` gives. If that is missing and the user
    /// cannot be asked, the check refuses, with the hints `git flux attach` and `--yes`.
    fn require_yes(&mut self, question: Question, what: String) {
        let (id, command) = (&self.facts.task.id, &self.options.command);
        let anyway = match command.is_cleanup() {
            true => "to clean up anyway",
            false => "to land it anyway",
        };
        let refusal = Failure::new(&what)
            .hint(format!("to look at the pane: git flux attach {id}"))
            .hint(format!("{anyway}: {}", command.with(id, "--yes")));
        self.ask(question, what, refusal);
    }
}

/// Describes the merge, if it has no conflict: the number of commits and the style, or why nothing
/// is merged.
fn describe_merge(facts: &Facts) -> String {
    if let Some(why) = facts.nothing_to_merge() {
        return format!("nothing: {why}");
    }
    let Some(into) = facts.merge_target() else {
        let branch = &facts.task.branch;
        return format!("'{branch}' is dropped and can be restored");
    };
    let (commits, style) = (count(facts.commits(), "commit"), into.style.into_str());
    let MergePlan::Drivers { files, .. } = &into.merge else {
        return format!("{commits}, no conflict ({style})");
    };
    let names = quote_paths(files.iter().map(|file| &file.path));
    format!("{commits}, not tried: a merge driver decides about {names} ({style})")
}

/// Returns `you are on '<branch>'` or `your HEAD is detached` if commits would be merged into another
/// branch; `None` otherwise. The HEAD is that of the current worktree, but that of the main one if
/// called in the task's or outside a worktree.
fn other_branch(flux: &Flux, facts: &Facts) -> Option<String> {
    let current = match flux.repo.current() {
        Some(current) if current != facts.task.worktree => current,
        // In the task's own worktree, the main worktree counts.
        _ => flux.repo.home(),
    };
    if facts.merge_target()?.worktree.as_deref() == Some(current) || facts.commits() == 0 {
        return None;
    }
    let mut entries = facts.worktrees.iter();
    let entry = entries.find(|entry| entry.path == current && !entry.is_bare)?;
    Some(match &entry.branch {
        Some(name) => {
            let name = name.branch().map_or(name.to_string(), String::from);
            format!("you are on '{name}'")
        }
        None => "your HEAD is detached".to_owned(),
    })
}
