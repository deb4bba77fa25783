//! What is decided about the facts of one task: what becomes of files and commits, and who has to agree.

use anyhow::{Error, Result, anyhow};

use super::check::{Checks, Verdict};
use super::facts::Facts;
use super::files::{ensure_committable, ignored, large, listed, named, overlooked};
use super::obstacle::named_conflicts;
use super::options::{Branch, Conflicts, Options, Question, Uncommitted};
use crate::context::Flux;
use crate::failure::{Failure, USAGE};
use crate::git::{MergePlan, Style};
use crate::lifecycle::other_machine;
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
                let free = self.facts.ensure_updatable(self.flux);
                let why = "no file is in the way of the merge";
                return self.checks.pass("collisions", free, why);
            }
        }
        self.decide_about_files();
        if is_mergeable {
            self.decide_about_merge();
        }
        self.look_at_standing();
        self.look_around();
    }

    fn outlook(&self) -> &Facts {
        self.committed.as_ref().unwrap_or(self.facts)
    }

    fn ok(&mut self, name: &'static str, why: &str) {
        self.checks.add(name, Verdict::Ok(why.to_owned()));
    }

    fn ask(&mut self, name: &'static str, question: Question, what: String, refusal: Failure) {
        let verdict = Verdict::consent(self.options, question, what, refusal);
        self.checks.add(name, verdict);
    }

    /// Both sides changed the same, or a fast-forward is not possible.
    fn conflict(&self, error: Error) -> Verdict {
        let into = self.facts.into().map(|into| (into, &into.merge));
        let Some((into, MergePlan::Conflicts { files })) = into else {
            return Verdict::Refused(error);
        };
        let what = match self.options.conflicts {
            Conflicts::Update => {
                let files = named_conflicts(files);
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
        let movable = facts.ensure_movable(flux, &self.options.uncommitted);
        let why = "the worktree is moved to the trash";
        self.checks.pass("file system", movable, why);
        self.decide_about_uncommitted();
        let files = facts.uncommitted.iter();
        let why = kept(&named(files.filter(|change| change.is_repository())));
        let committable = match self.options.uncommitted {
            Uncommitted::Commit(_) => ensure_committable(facts),
            Uncommitted::Ask | Uncommitted::Discard => Ok(()),
        };
        self.checks.pass("repositories", committable, why);
        if let Some(found) = self.checks.require("large files", large(facts)) {
            self.decide_about_large_files(&found);
        }
        let ignored = ignored(flux, facts).map(|names| kept(&names));
        if let Some(why) = self.checks.require("ignored", ignored) {
            self.ok("ignored", &why);
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
        let whole = "to move it to the trash whole, from where all of it can be restored";
        let hint = format!("{whole}: git flux cleanup {id} --discard{branch}");
        Err(anyhow!(why.clone()).context(Failure::new(what).hint(hint)))
    }

    fn decide_about_uncommitted(&mut self) {
        let (id, files) = (&self.facts.task.id, &self.facts.uncommitted);
        let names = named(files);
        let why = match self.options.uncommitted {
            _ if self.facts.unread.is_some() => {
                "unknown; the worktree is left in the trash whole".to_owned()
            }
            _ if self.facts.missing => "unknown, since the worktree is gone".to_owned(),
            _ if files.is_empty() => "none".to_owned(),
            Uncommitted::Commit(_) => format!("committed: {names}"),
            Uncommitted::Discard => format!("left in the trash: {names}"),
            Uncommitted::Ask => {
                let number = count(files.len(), "uncommitted file");
                let what = format!("'{id}' has {number}{}", overlooked(self.facts));
                let refusal = Failure::new(what)
                    .hint(format!("git flux cleanup {id} --commit"))
                    .hint(format!("git flux cleanup {id} --discard"));
                let what = format!("commit or discard {names}");
                return self.ask("uncommitted", Question::Uncommitted, what, refusal);
            }
        };
        self.ok("uncommitted", &why);
    }

    fn decide_about_large_files(&mut self, found: &[String]) {
        if found.is_empty() {
            return self.ok("large files", "none");
        }
        let (id, what) = (&self.facts.task.id, found.join(", "));
        let refusal = Failure::new(format!("{what}, which would go into the repository"))
            .hint(format!("move it or ignore it, then: git flux cleanup {id}"));
        self.ask("large files", Question::LargeFiles, what, refusal);
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
        let outlook = self.outlook();
        let (mergeable, why) = (outlook.ensure_mergeable(), describe_merge(outlook));
        self.checks.pass("merge", mergeable, why);
    }

    /// Looks whether the work goes to another branch than the user's, which was not named.
    fn look_at_standing(&mut self) {
        let outlook = self.outlook();
        let (Some(into), Some(name)) = (outlook.into(), standing(self.flux, outlook)) else {
            return self.ok("standing", "the target is where you are, or was named");
        };
        let (id, branch) = (&self.facts.task.id, &into.branch);
        let refusal = Failure::new(format!(
            "you are on '{name}', but '{id}' goes to '{branch}'"
        ))
        .hint(format!("git flux cleanup {id} --into {}", word(branch)))
        .code(USAGE);
        let what = format!("you are on '{name}'");
        self.ask("standing", Question::OtherBranch, what, refusal);
    }

    /// Looks at who else is there, and what has to be stopped.
    fn look_around(&mut self) {
        let (id, runs) = (&self.facts.task.id, &self.facts.runs);
        // That its agent runs elsewhere, or that it is not known what runs, refuses.
        let mut checks = self.checks.0.iter();
        let is_refused = checks.any(|check| check.name == "agent");
        if let Some(doubt) = &runs.doubt {
            let refusal = other_machine::gone_required(doubt, &format!("git flux cleanup {id}"));
            self.ask("agent", Question::AgentEnded, doubt.clone(), refusal);
        }
        self.look_at_processes();
        if runs.must_stop() || (runs.is_own_pane && runs.is_alive) {
            let question = match runs.is_own_pane {
                true => Question::OwnPane,
                false => Question::Stop,
            };
            if !is_refused {
                self.ask_for_yes(
                    "agent",
                    question,
                    format!("{} is still running", runs.stopped(id)),
                );
            }
        } else if runs.is_own_pane {
            let what = format!("the pane of '{id}', which you are in, would be closed");
            self.ask_for_yes("agent", Question::OwnPane, what);
        } else if !is_refused && runs.doubt.is_none() {
            self.ok("agent", "nothing has to be stopped");
        }
    }

    /// Looks at what would end with the pane, or lose the directory it is in.
    fn look_at_processes(&mut self) {
        let (id, runs) = (&self.facts.task.id, &self.facts.runs);
        let (others, jobs) = (runs.other_processes(), runs.ending_jobs(id));
        if others.is_none() && jobs.is_none() {
            self.ok("processes", "no other stands in the worktree");
        }
        if let Some(what) = others {
            self.ask_for_yes("processes", Question::Processes, what);
        }
        match jobs {
            Some(what) if runs.has_suspended_jobs() => {
                let refusal = Failure::new(&what).hint(format!("git flux attach {id}"));
                self.ask("processes", Question::SuspendedJobs, what, refusal);
            }
            Some(what) => self.ask_for_yes("processes", Question::Jobs, what),
            None => {}
        }
    }

    /// Asks what `--yes` agrees to.
    fn ask_for_yes(&mut self, name: &'static str, question: Question, what: String) {
        let id = &self.facts.task.id;
        let refusal = Failure::new(&what)
            .hint(format!("git flux attach {id}"))
            .hint(format!("git flux cleanup {id} --yes"));
        self.ask(name, question, what, refusal);
    }
}

fn kept(names: &str) -> String {
    match names {
        "" => "none".to_owned(),
        names => format!("kept in the trash: {names}"),
    }
}

/// Says what is merged.
fn describe_merge(facts: &Facts) -> String {
    if let Some(why) = facts.nothing_to_merge() {
        return format!("nothing: {why}");
    }
    let Some(into) = facts.into() else {
        return format!(
            "'{}' is dropped, and kept in the archive",
            facts.task.branch
        );
    };
    let (commits, style) = (count(facts.commits(), "commit"), into.style.into_str());
    let MergePlan::Drivers { files, .. } = &into.merge else {
        return format!("{commits}, no conflict ({style})");
    };
    let names = listed(files.iter().map(|file| &file.path));
    format!("{commits}, not tried: a merge driver decides about {names} ({style})")
}

/// Returns the branch that the user is on, if commits go to another.
fn standing(flux: &Flux, facts: &Facts) -> Option<String> {
    let standing = match flux.repo.current() {
        Some(current) if current != facts.task.worktree => current,
        // In the task's own worktree: the main worktree is what counts.
        _ => flux.repo.home(),
    };
    if facts.into()?.worktree.as_deref() == Some(standing) || facts.commits() == 0 {
        return None;
    }
    let mut entries = facts.worktrees.iter();
    let entry = entries.find(|entry| entry.path == standing && !entry.bare)?;
    Some(match &entry.branch {
        Some(name) => name.branch().map_or(name.to_string(), String::from),
        None => "a detached HEAD".to_owned(),
    })
}
