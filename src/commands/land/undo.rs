//! The hints that undo a landing.

use anyhow::Result;

use crate::context::Flux;
use crate::git::{Style, Worktree, refs, worktree};
use crate::lifecycle::land::results::TargetMove;
use crate::task::{BranchName, HEADS, ObjectId};
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
        let mut latest = moves.iter().rev().filter(|one| one.branch == *branch);
        latest.next().into_iter().for_each(|last| undo.hint(last));
        // Other commits have come after these.
        latest.for_each(|one| {
            let revert = undo.revert(one);
            let what = format!("to undo what has landed on '{branch}' before other commits");
            flux.ui.hint(format_args!("{what}: {revert}"));
        });
        if let Some(remote) = flux.settings.push_remote(branch) {
            let (remote, branch) = (word(&remote), word(branch));
            flux.ui
                .hint(format_args!("to push it: git push {remote} {branch}"));
        }
    }
    Ok(())
}

/// The commands that undo landings on one branch.
struct Undo<'a> {
    flux: &'a Flux,
    worktrees: &'a [Worktree],
    branch: &'a BranchName,
    style: Style,
}

impl Undo<'_> {
    /// Prints the commands that undo the last landing.
    fn hint(&self, last: &TargetMove) {
        let (ui, branch) = (&self.flux.ui, word(self.branch));
        let reset = match self.git() {
            Some(git) => format!("{git} reset --keep {}", last.from.short()),
            None => format!("git branch --force {branch} {}", last.from.short()),
        };
        let revert = self.revert(last);
        ui.hint(format_args!("to undo the landing on '{branch}': {reset}"));
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

    /// Returns the command that reverts a landing.
    fn revert(&self, moved: &TargetMove) -> String {
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
}
