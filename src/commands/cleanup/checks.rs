//! What `--dry-run` says: each check, with its reason, and what would be done.

use anyhow::Result;
use console::Style;

use super::Cleanup;
use super::uncommitted::{ensure_committable, ignored, large, named};
use super::words::{intent, merged_in, nothing};
use crate::commands::object::{CheckObject, CleanupObject, ConflictObject};
use crate::commands::table;
use crate::failure;
use crate::git::{Change, MergePlan};
use crate::lifecycle::Flux;
use crate::lifecycle::cleanup::check::{Check, Loss, Verdict};
use crate::lifecycle::cleanup::facts::Plan;
use crate::sanitize;
use crate::store::Store;
use crate::task::TaskId;
use crate::ui::shown;
use crate::ui::words::count;

impl Cleanup {
    /// Everything that is looked at before a task is removed, and what the removal
    /// would come to, if that can be told.
    ///
    /// # Errors
    /// When there is nothing to look at.
    pub(super) fn examine(
        &self,
        flux: &Flux,
        store: &Store,
        id: &TaskId,
    ) -> Result<(Loss, Option<Plan>)> {
        let stored = store.find(&flux.repo, id.as_str())?;
        let (mut loss, plan) = Plan::observe(flux, store, stored, self.wanted(flux)?)?;
        let Some(plan) = plan else {
            return Ok((loss, None));
        };
        self.files(flux, &plan, &mut loss);
        let outlook = match &self.commit {
            Some(_) if !plan.uncommitted.is_empty() => {
                let Some(plan) = loss.must("merge", plan.once_committed(flux)) else {
                    return Ok((loss, None));
                };
                plan
            }
            _ => plan,
        };
        loss.note("merge", outlook.ensure_mergeable(), |()| {
            Verdict::Passes(merge(&outlook))
        });
        let merge = outlook.into.as_ref().map(|into| &into.merge);
        let why = match merge {
            Some(MergePlan::Drivers { .. }) => "not known before the merge is made",
            _ => "no file is in the way of the merge",
        };
        loss.pass("collisions", outlook.ensure_free(flux, None), why);
        let movable = outlook.ensure_movable(flux, self.discard);
        loss.pass("file system", movable, "the worktree is moved to the trash");
        self.around(flux, &outlook, &mut loss);
        Ok((loss, Some(outlook)))
    }

    /// What becomes of the files.
    fn files(&self, flux: &Flux, plan: &Plan, loss: &mut Loss) {
        let files = &plan.uncommitted;
        let read = loss.must("uncommitted", self.ensure_read(plan));
        if read.is_none() {
            return;
        }
        let uncommitted = if plan.unread.is_some() {
            Verdict::Passes("unknown; the worktree is left in the trash whole".to_owned())
        } else if plan.missing && !self.discard {
            Verdict::Asks("unknown, since the worktree is gone".to_owned())
        } else if files.is_empty() {
            Verdict::Passes("none".to_owned())
        } else if self.discard {
            Verdict::Passes(format!("left in the trash: {}", named(files)))
        } else if self.commit.is_some() {
            Verdict::Passes(format!("committed: {}", named(files)))
        } else {
            Verdict::Asks(format!("commit or discard {}", named(files)))
        };
        loss.note("uncommitted", Ok(()), |()| uncommitted);
        loss.note("large files", large(plan), |found| match found.as_slice() {
            [] => Verdict::Passes("none".to_owned()),
            found => Verdict::Asks(format!("{} into the repository", found.join(", "))),
        });
        let repositories: Vec<Change> = files
            .iter()
            .filter(|change| change.is_repository())
            .cloned()
            .collect();
        let committable = match self.commit {
            Some(_) => ensure_committable(plan),
            None => Ok(()),
        };
        loss.pass("repositories", committable, kept(&repositories));
        loss.note("ignored", ignored(flux, plan), |names| {
            Verdict::Passes(match names.is_empty() {
                true => "none".to_owned(),
                false => format!("kept in the trash: {names}"),
            })
        });
    }

    /// Who else is there.
    fn around(&self, flux: &Flux, plan: &Plan, loss: &mut Loss) {
        let agreed = |what: String| match self.yes {
            true => Verdict::Passes(what),
            false => Verdict::Asks(what),
        };
        loss.note("standing", self.standing(flux, plan), |on| match on {
            Some(on) => Verdict::Asks(format!("you are on '{on}'")),
            None => Verdict::Passes("the target is where you are, or was named".to_owned()),
        });
        let runs = match (&plan.doubt, plan.must_stop()) {
            (Some(doubt), _) if !self.gone => Verdict::Asks(doubt.clone()),
            (_, true) => agreed(format!("stop {}", plan.stopped())),
            (_, false) => Verdict::Passes("nothing has to be stopped".to_owned()),
        };
        if !plan.elsewhere {
            loss.note("agent", Ok(()), |()| runs);
        }
        let others = match (plan.others(), plan.aside()) {
            (_, Some((aside, true))) => Verdict::Asks(aside),
            (_, Some((aside, false))) => agreed(aside),
            (Some(others), None) => agreed(others),
            (None, None) => Verdict::Passes("no other stands in the worktree".to_owned()),
        };
        loss.note("processes", Ok(()), |()| others);
    }

    /// Says what was found and what would be done, and does nothing.
    ///
    /// # Errors
    /// The first refusal.
    pub(super) fn foretell(&self, flux: &Flux, store: &Store, ids: &[TaskId]) -> Result<()> {
        let mut refusal = None;
        let mut objects = Vec::new();
        for id in ids {
            let (loss, plan) = self
                .examine(flux, store, id)
                .unwrap_or_else(|error| (Loss::of("record", error), None));
            let refused = loss.checks.iter().any(refuses);
            let deeds = plan
                .as_ref()
                .filter(|_| !refused)
                .map(|plan| intent(plan, self.discard, self.commit.is_some()));
            if self.json {
                objects.push(object(id, &loss, plan.as_ref(), deeds.as_deref()));
            } else {
                print(flux, &loss, deeds.as_deref())?;
            }
            refusal = refusal.or(loss.ensure().err());
        }
        if self.json {
            flux.ui.json(&objects)?;
        } else {
            flux.ui.status("Nothing was done.");
        }
        refusal.map_or(Ok(()), Err)
    }
}

fn refuses(check: &Check) -> bool {
    matches!(check.verdict, Verdict::Refuses(_))
}

fn kept(changes: &[Change]) -> String {
    match changes {
        [] => "none".to_owned(),
        changes => format!("kept in the trash: {}", named(changes)),
    }
}

/// What is merged, in words.
fn merge(plan: &Plan) -> String {
    let Some(into) = &plan.into else {
        if let Some(why) = merged_in(plan) {
            return format!("nothing: {why}");
        }
        return format!("'{}' is dropped, and kept in the archive", plan.task.branch);
    };
    let (commits, style) = (count(plan.commits(), "commit"), into.style.into_str());
    if let MergePlan::Drivers { files, .. } = &into.merge {
        let names: Vec<String> = files
            .iter()
            .map(|file| format!("'{}'", shown(&file.path)))
            .collect();
        let names = names.join(", ");
        return format!("{commits}, not tried: a merge driver decides about {names} ({style})");
    }
    match nothing(plan, into) {
        Some(why) => format!("nothing: {why}"),
        None => format!("{commits}, no conflict ({style})"),
    }
}

/// The word for a verdict, and its reason.
fn words(verdict: &Verdict) -> (&'static str, String) {
    match verdict {
        Verdict::Passes(why) => ("ok", why.clone()),
        Verdict::Asks(why) => ("asks", why.clone()),
        Verdict::Refuses(error) => ("refuses", error.to_string()),
    }
}

fn print(flux: &Flux, loss: &Loss, deeds: Option<&[String]>) -> Result<()> {
    let row = |check: &Check| {
        let (result, why) = words(&check.verdict);
        [check.name, result, &why].map(sanitize::line)
    };
    let rows: Vec<[String; 3]> = loss.checks.iter().map(row).collect();
    let style = |at: usize, cell| match (cell, &loss.checks[at].verdict) {
        (1, Verdict::Passes(_)) => Style::new().green(),
        (1, Verdict::Asks(_)) => Style::new().yellow(),
        (1, Verdict::Refuses(_)) => Style::new().red(),
        _ => Style::new(),
    };
    for line in table::lines(["CHECK", "RESULT", "WHY"], &rows, flux.ui.width(), style) {
        flux.ui.data(line)?;
    }
    for deed in deeds.unwrap_or_default() {
        flux.ui.data(sanitize::line(&format!("would {deed}")))?;
    }
    Ok(())
}

/// The same as data.
fn object(
    id: &TaskId,
    loss: &Loss,
    plan: Option<&Plan>,
    deeds: Option<&[String]>,
) -> CleanupObject {
    let check = |check: &Check| {
        let (result, why) = words(&check.verdict);
        let hints = match &check.verdict {
            Verdict::Refuses(error) => failure::hints(error).collect(),
            Verdict::Passes(_) | Verdict::Asks(_) => Vec::new(),
        };
        CheckObject {
            check: check.name,
            result,
            why,
            hints,
        }
    };
    let into = plan.and_then(|plan| plan.into.as_ref());
    let conflicts = match into.map(|into| &into.merge) {
        Some(MergePlan::Conflicts { files }) => files.as_slice(),
        _ => &[],
    };
    let conflicts = conflicts.iter().map(|file| ConflictObject {
        path: Some(file.path.clone()),
        kind: file.kind.clone(),
    });
    CleanupObject {
        id: id.to_string(),
        checks: loss.checks.iter().map(check).collect(),
        into: into.map(|into| into.branch.clone()),
        style: into.map(|into| into.style.into_str()),
        commits: plan.map(Plan::commits),
        conflicts: conflicts.collect(),
        would: deeds.map(<[String]>::to_vec),
    }
}
