//! The hints that undo a landing.

use anyhow::Result;

use crate::context::Flux;
use crate::git::{Style, Worktree, log, refs, worktree};
use crate::lifecycle::land::results::TargetMove;
use crate::sanitize;
use crate::task::{BranchName, HEADS, ObjectId, TaskId};
use crate::ui::{quoted, word};

/// Prints the commands that undo landings, the last one first, and those that push the targets.
/// Leaves out a branch that has landed itself and is gone.
pub(super) fn print_hints(flux: &Flux, moves: &[TargetMove], style: Style) -> Result<()> {
    let worktrees = worktree::list(flux.repo.home())?;
    let existing = refs::list(flux.repo.home(), &[HEADS])?;
    let mut branches: Vec<&BranchName> = Vec::new();
    for one in moves {
        let is_new = !branches.contains(&&one.branch);
        if is_new && existing.contains_key(&one.branch.full()) {
            branches.push(&one.branch);
        }
    }
    for branch in branches {
        let undo = Undo {
            flux,
            worktrees: &worktrees,
            branch,
            style,
        };
        let latest = moves.iter().rev().filter(|one| one.branch == *branch);
        let latest: Vec<&TargetMove> = latest.collect();
        let [last, earlier @ ..] = latest.as_slice() else {
            continue;
        };
        match earlier.is_empty() {
            true => undo.hint(last, "the landing"),
            false => undo.hint(last, &name(last)),
        }
        for one in earlier {
            let what = format!(
                "to undo {} on '{branch}' (newer commits follow it)",
                name(one)
            );
            flux.ui.hint(format_args!("{what}: {}", undo.revert(one)));
        }
        if let Some(arguments) = flux.settings.push_arguments(branch) {
            let [remote, refspec] = arguments.map(|argument| word(&argument));
            flux.ui
                .hint(format_args!("to push it: git push {remote} {refspec}"));
        }
    }
    Ok(())
}

/// Names a landing by its tasks: `the landing of a, b`.
fn name(landing: &TargetMove) -> String {
    let ids: Vec<&str> = landing.tasks.iter().map(TaskId::as_str).collect();
    format!("the landing of {}", ids.join(", "))
}

/// The commands that undo landings on one branch.
struct Undo<'a> {
    flux: &'a Flux,
    worktrees: &'a [Worktree],
    branch: &'a BranchName,
    style: Style,
}

impl Undo<'_> {
    /// Prints the commands that undo the last landing, which `name` names.
    fn hint(&self, last: &TargetMove, name: &str) {
        let (ui, branch) = (&self.flux.ui, sanitize::line(self.branch));
        let reset = match self.git() {
            Some(git) => format!("{git} reset --keep {}", last.from.short()),
            None => format!(
                "git branch --force {} {}",
                word(self.branch),
                last.from.short()
            ),
        };
        let revert = self.revert(last);
        ui.hint(format_args!("to undo {name} on '{branch}': {reset}"));
        ui.hint(format_args!(
            "or, if '{branch}' has newer commits: {revert}"
        ));
    }

    /// Returns `git`, with the directory in which the branch is checked out unless that is the
    /// current one. `None` if it is checked out nowhere.
    fn git(&self) -> Option<String> {
        let branch = self.branch.full();
        let mut worktrees = self.worktrees.iter();
        let entry = worktrees.find(|entry| entry.has_branch(&branch))?;
        Some(match self.flux.repo.current() == Some(&entry.path) {
            true => "git".to_owned(),
            false => format!("git -C {}", quoted(&entry.path)),
        })
    }

    /// Returns the command that reverts a landing. If the target was fast-forwarded to a branch with
    /// merges, `git revert` would have to know of each which side to keep: the difference is applied
    /// in reverse instead.
    fn revert(&self, moved: &TargetMove) -> String {
        if let (Style::FastForward, Some(last)) = (self.style, moved.commits.last())
            && log::has_merges(self.flux.repo.home(), &moved.from, last).unwrap_or(true)
        {
            return self.reverse(moved.from.short(), last.short());
        }
        let commits = match (self.style, moved.commits.last()) {
            (Style::Merge, _) | (_, None) => {
                let short = moved.commits.iter().rev().map(ObjectId::short);
                format!("-m 1 {}", short.collect::<Vec<_>>().join(" "))
            }
            (_, Some(last)) => format!("{}..{}", moved.from.short(), last.short()),
        };
        let revert = format!("revert --no-edit {commits}");
        match self.git() {
            Some(git) => format!("{git} {revert}"),
            None => format!("git switch {} && git {revert}", word(self.branch)),
        }
    }

    /// Returns the command that undoes what differs between two commits, in a new commit.
    fn reverse(&self, from: &str, to: &str) -> String {
        let switch = format!("git switch {} && ", word(self.branch));
        let (switch, git) = match self.git() {
            Some(git) => (String::new(), git),
            None => (switch, "git".to_owned()),
        };
        let apply = format!("{git} diff --binary {to} {from} | {git} apply --3way");
        format!("{switch}{apply} && {git} commit -m 'Revert {from}..{to}'")
    }
}
