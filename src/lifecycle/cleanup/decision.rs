//! What is decided about the facts of one task: what becomes of files and commits, and who has to agree.

use anyhow::{Error, Result, anyhow};

use super::check::{Checks, Verdict};
use super::facts::Facts;
use super::files::{ensure_committable, ignored, large, named, overlooked};
use super::obstacle::named_conflicts;
use super::options::{Branch, Conflicts, Options, Question, Uncommitted};
use crate::context::Flux;
use crate::failure::{Failure, USAGE};
use crate::git::{Change, MergePlan, Style};
use crate::lifecycle::other_machine;
use crate::task::TaskId;
use crate::ui::word;
use crate::ui::words::count;

/// The decision about one task.
pub(super) struct Decision<'a> {
    pub(super) flux: &'a Flux,
    pub(super) options: &'a Options,
    pub(super) facts: &'a Facts,
    pub(super) checks: Checks,
    /// The facts as they will be once what is uncommitted is committed, if it is to be.
    pub(super) committed: Option<Facts>,
}

impl Decision<'_> {
    /// Adds what is decided to the checks.
    pub(super) fn make(&mut self) {
        let mergeable = self.facts.ensure_mergeable();
        let is_mergeable = mergeable.is_ok();
        if let Err(error) = mergeable {
            let verdict = self.conflict(error);
            self.checks.add("merge", verdict);
            if self.options.conflicts == Conflicts::Update {
                return;
            }
        }
        self.decide_about_files();
        if is_mergeable {
            self.decide_about_merge();
        }
        self.look_at_standing();
        self.look_around();
    }

    /// Both sides changed the same, or a fast-forward is not possible.
    fn conflict(&self, error: Error) -> Verdict {
        let Some(into) = &self.facts.into else {
            return Verdict::Refused(error);
        };
        let MergePlan::Conflicts { files } = &into.merge else {
            return Verdict::Refused(error);
        };
        let what = match (self.options.conflicts, into.style) {
            (Conflicts::Update, _) => format!(
                "conflicts in {}: '{}' is merged into the task's worktree",
                named_conflicts(files),
                into.branch
            ),
            (Conflicts::Ask, Style::Merge | Style::Squash | Style::FastForward) => {
                error.to_string()
            }
            (Conflicts::Ask, Style::Rebase) | (Conflicts::Refuse, _) => {
                return Verdict::Refused(error);
            }
        };
        Verdict::consent(self.options, Question::Conflicts, what, error)
    }

    fn decide_about_files(&mut self) {
        let (flux, facts) = (self.flux, self.facts);
        if self
            .checks
            .require("uncommitted", self.ensure_read())
            .is_none()
        {
            return;
        }
        let movable = facts.ensure_movable(flux, &self.options.uncommitted);
        let why = "the worktree is moved to the trash";
        self.checks.pass("file system", movable, why);
        self.checks.add("uncommitted", self.uncommitted());
        let files = facts.uncommitted.iter();
        let repositories = files.filter(|change| change.is_repository()).cloned();
        let repositories = kept(&repositories.collect::<Vec<Change>>());
        let committable = match self.options.uncommitted {
            Uncommitted::Commit(_) => ensure_committable(facts),
            Uncommitted::Ask | Uncommitted::Discard => Ok(()),
        };
        self.checks.pass("repositories", committable, repositories);
        if let Some(found) = self.checks.require("large files", large(facts)) {
            let verdict = self.large(&found);
            self.checks.add("large files", verdict);
        }
        if let Some(names) = self.checks.require("ignored", ignored(flux, facts)) {
            let why = match names.as_str() {
                "" => "none".to_owned(),
                names => format!("kept in the trash: {names}"),
            };
            self.checks.add("ignored", Verdict::Ok(why));
        }
    }

    /// Fails if it cannot be told what is uncommitted, and it is not to be left in the trash.
    fn ensure_read(&self) -> Result<()> {
        let is_left = self.options.uncommitted == Uncommitted::Discard;
        let Some(why) = self.facts.unread.as_ref().filter(|_| !is_left) else {
            return Ok(());
        };
        let id = &self.facts.task.id;
        let branch = match self.options.branch {
            Branch::Discard => " --discard-branch",
            Branch::Merge { .. } | Branch::MergedIn { .. } => "",
        };
        let what = format!("it cannot be told what is uncommitted in the worktree of '{id}'");
        let failure = Failure::new(what).hint(format!(
            "to move it to the trash whole, from where all of it can be restored: git flux cleanup {id} --discard{branch}"
        ));
        Err(anyhow!(why.clone()).context(failure))
    }

    fn uncommitted(&self) -> Verdict {
        let (id, files) = (&self.facts.task.id, &self.facts.uncommitted);
        if self.facts.unread.is_some() {
            return Verdict::Ok("unknown; the worktree is left in the trash whole".to_owned());
        }
        if self.facts.missing {
            return Verdict::Ok("unknown, since the worktree is gone".to_owned());
        }
        if files.is_empty() {
            return Verdict::Ok("none".to_owned());
        }
        match self.options.uncommitted {
            Uncommitted::Commit(_) => Verdict::Ok(format!("committed: {}", named(files))),
            Uncommitted::Discard => Verdict::Ok(format!("left in the trash: {}", named(files))),
            Uncommitted::Ask => {
                let number = count(files.len(), "uncommitted file");
                let what = format!("'{id}' has {number}{}", overlooked(self.facts));
                let refusal = Failure::new(what)
                    .hint(format!("git flux cleanup {id} --commit"))
                    .hint(format!("git flux cleanup {id} --discard"));
                let what = format!("commit or discard {}", named(files));
                Verdict::consent(self.options, Question::Uncommitted, what, refusal)
            }
        }
    }

    fn large(&self, found: &[String]) -> Verdict {
        if found.is_empty() {
            return Verdict::Ok("none".to_owned());
        }
        let (id, what) = (&self.facts.task.id, found.join(", "));
        let refusal = Failure::new(format!("{what}, which would go into the repository"));
        let hint = format!("move it or ignore it, then: git flux cleanup {id}");
        let question = Question::LargeFiles;
        Verdict::consent(self.options, question, what, refusal.hint(hint))
    }

    /// Decides about the merge as it will be once what is uncommitted is committed.
    fn decide_about_merge(&mut self) {
        let is_committed = matches!(self.options.uncommitted, Uncommitted::Commit(_));
        if is_committed && !self.facts.uncommitted.is_empty() {
            let committed = self.facts.once_committed(self.flux);
            self.committed = self.checks.require("merge", committed);
            if self.committed.is_none() {
                return;
            }
        }
        let outlook = self.committed.as_ref().unwrap_or(self.facts);
        let why = outlook.describe_merge();
        self.checks.pass("merge", outlook.ensure_mergeable(), why);
    }

    /// Looks whether the work goes to another branch than the user's, which was not named.
    fn look_at_standing(&mut self) {
        let outlook = self.committed.as_ref().unwrap_or(self.facts);
        let verdict = match (&outlook.into, standing(self.flux, outlook)) {
            (Some(into), Some(name)) => {
                let id = &self.facts.task.id;
                let refusal = Failure::new(format!(
                    "you are on '{name}', but '{id}' goes to '{}'",
                    into.branch
                ));
                let branch = word(&into.branch);
                let refusal = refusal.hint(format!("git flux cleanup {id} --into {branch}"));
                let what = format!("you are on '{name}'");
                let question = Question::OtherBranch;
                Verdict::consent(self.options, question, what, refusal.code(USAGE))
            }
            _ => Verdict::Ok("the target is where you are, or was named".to_owned()),
        };
        self.checks.add("standing", verdict);
    }

    /// Looks at who else is there, and what has to be stopped.
    fn look_around(&mut self) {
        let (id, runs) = (&self.facts.task.id, &self.facts.runs);
        if let Some(doubt) = &runs.doubt {
            let refusal = other_machine::refusal(doubt, &format!("git flux cleanup {id}"));
            self.ask("agent", Question::AgentEnded, doubt, refusal);
        }
        self.look_at_processes();
        // That its agent runs elsewhere, which refuses, or may run there, has been said.
        let mut checks = self.checks.0.iter();
        let is_said = checks.any(|check| check.name == "agent");
        if runs.must_stop() || (runs.is_own_pane && runs.is_alive) {
            let question = match runs.is_own_pane {
                true => Question::OwnPane,
                false => Question::Stop,
            };
            let what = format!("{} is still running", runs.stopped(id));
            if !runs.is_elsewhere {
                self.ask("agent", question, &what, needs_yes(id, &what));
            }
        } else if runs.is_own_pane {
            let what = format!("the pane of '{id}', which you are in, would be closed");
            self.ask("agent", Question::OwnPane, &what, needs_yes(id, &what));
        } else if !is_said {
            let why = "nothing has to be stopped".to_owned();
            self.checks.add("agent", Verdict::Ok(why));
        }
    }

    /// Looks at what would end with the pane, or lose the directory it is in.
    fn look_at_processes(&mut self) {
        let (id, runs) = (&self.facts.task.id, &self.facts.runs);
        let (others, jobs) = (runs.other_processes(), runs.ending_jobs(id));
        if others.is_none() && jobs.is_none() {
            let why = "no other stands in the worktree".to_owned();
            self.checks.add("processes", Verdict::Ok(why));
        }
        if let Some(what) = others {
            self.ask(
                "processes",
                Question::Processes,
                &what,
                needs_yes(id, &what),
            );
        }
        if let Some(what) = jobs {
            if runs.has_suspended_jobs() {
                let refusal = Failure::new(&what).hint(format!("git flux attach {id}"));
                self.ask("processes", Question::SuspendedJobs, &what, refusal);
            } else {
                self.ask("processes", Question::Jobs, &what, needs_yes(id, &what));
            }
        }
    }

    fn ask(&mut self, name: &'static str, question: Question, what: &str, refusal: Failure) {
        let verdict = Verdict::consent(self.options, question, what, refusal);
        self.checks.add(name, verdict);
    }
}

/// The refusal of what `--yes` agrees to.
fn needs_yes(id: &TaskId, what: &str) -> Failure {
    Failure::new(what)
        .hint(format!("git flux attach {id}"))
        .hint(format!("git flux cleanup {id} --yes"))
}

fn kept(changes: &[Change]) -> String {
    match changes {
        [] => "none".to_owned(),
        changes => format!("kept in the trash: {}", named(changes)),
    }
}

/// Returns the branch that the user is on, if commits go to another.
fn standing(flux: &Flux, facts: &Facts) -> Option<String> {
    let into = facts.into.as_ref()?;
    let standing = match flux.repo.current() {
        Some(current) if current != facts.task.worktree => current,
        // In the task's own worktree: the main worktree is what counts.
        _ => flux.repo.home(),
    };
    if into.worktree.as_deref() == Some(standing) || facts.commits() == 0 {
        return None;
    }
    let mut entries = facts.worktrees.iter();
    let entry = entries.find(|entry| entry.path == standing && !entry.bare)?;
    let Some(name) = &entry.branch else {
        return Some("a detached HEAD".to_owned());
    };
    let branch = name.branch().map(String::from);
    Some(branch.unwrap_or_else(|| name.to_string()))
}
