//! Lists the differences that are allowed between a hook of git and one of git flux, each with its reason.

use super::case::{Act, Case, HooksPath, Place};
use super::recorder::Call;

/// Something that a hook sees otherwise. A fact that is not there is empty.
pub(super) struct Difference<'a> {
    pub(super) case: Case,
    pub(super) hook: &'a str,
    /// It runs in the scratch repository, not in a worktree of the user's.
    pub(super) in_scratch: bool,
    pub(super) fact: &'a str,
    pub(super) git: &'a str,
    pub(super) flux: &'a str,
}

type Covers = fn(&Difference<'_>) -> bool;

/// Each with its reason. The top directory's own path is in no row: `<top>` stands for it.
const ALLOWED: [(&str, Covers); 7] = [
    (
        "the user's hook is run where it is, which is not below this top: by its absolute path",
        |it| it.in_scratch && it.fact == "self" && it.flux == own_hook(it),
    ),
    (
        "the scratch repository has a directory of hooks of its own",
        |it| it.in_scratch && it.fact == "hooks" && it.flux == "<top>/.git/hooks",
    ),
    (
        "the scratch repository is no linked worktree, so git sets no GIT_DIR and its paths are relative",
        |it| {
            let is_place = it.fact.starts_with("rev-parse --")
                || ["$GIT_INDEX_FILE", "arguments", "self", "hooks"].contains(&it.fact);
            let of_linked =
                it.fact == "$GIT_DIR" && it.flux.is_empty() || is_place && it.flux == unlinked(it);
            it.in_scratch && it.case.place == Place::Linked && of_linked
        },
    ),
    (
        "git is told by an option where ignored hooks are, which are not in the task's worktree",
        |it| {
            let said = "'core.hooksPath'='<root>/myapp/.husky/_'";
            let is_ignored = it.case.act == Act::Commit && it.case.hooks == HooksPath::Ignored;
            is_ignored && it.fact == "$GIT_CONFIG_PARAMETERS" && it.flux == said
        },
    ),
    (
        "no worktree has the target checked out, so none has ignored files for it",
        |it| {
            let ignored = ["ignored", "contents", "workspace"].contains(&it.fact);
            it.in_scratch && it.case.place == Place::Nowhere && ignored
        },
    ),
    (
        "the user's worktree goes forward to a commit that is made already: it is in no merge",
        |it| {
            let state = ["MERGE_HEAD", "MERGE_MODE", "MERGE_MSG", "AUTO_MERGE"];
            let is_state = it
                .fact
                .strip_prefix("state/")
                .is_some_and(|file| state.contains(&file));
            it.hook == "post-merge" && is_state && it.flux.is_empty()
        },
    ),
    (
        "git flux names the commit that it has made or checked, not a branch that may move",
        |it| {
            let head = it.fact.starts_with("$GITHEAD_");
            let hooks = ["post-merge", "post-index-change", "reference-transaction"];
            !it.in_scratch && hooks.contains(&it.hook) && head
        },
    ),
];

/// Returns the absolute path of the user's hook.
fn own_hook(it: &Difference<'_>) -> String {
    let checkout = it.case.checkout();
    let dir = match it.case.hooks {
        HooksPath::Default => "<root>/myapp/.git/hooks".to_owned(),
        HooksPath::Absolute | HooksPath::Configured => "<tools>/hooks".to_owned(),
        HooksPath::Tracked => format!("{checkout}/.githooks"),
        HooksPath::Ignored => format!("{checkout}/.husky/_"),
    };
    format!("{dir}/{}", it.hook)
}

/// Returns the output of git in a linked worktree as it would be in another repository.
fn unlinked(it: &Difference<'_>) -> String {
    let git_dir = "<root>/myapp/.git/worktrees/other";
    match it.fact {
        "rev-parse --absolute-git-dir" => it.git.replace(git_dir, "<top>/.git"),
        "self" | "hooks" => it.git.replace("<root>/myapp/.git", ".git"),
        "rev-parse --git-common-dir" => it.git.replace("<root>/myapp/.git", ".git"),
        _ => it.git.replace(git_dir, ".git"),
    }
}

pub(super) fn covers(difference: &Difference<'_>) -> bool {
    ALLOWED.iter().any(|(_, covers)| covers(difference))
}

/// Returns the calls that git flux must make if git makes these.
pub(super) fn expected_calls(case: Case, git: &[Call]) -> Vec<Call> {
    let mut calls = git.to_vec();
    // What these would report on is a branch that is not kept.
    if case.act == Act::Rebase {
        let skipped = ["post-checkout", "post-commit", "post-rewrite"];
        calls.retain(|call| !skipped.contains(&&*call.name));
    }
    // git runs post-merge with a 1 before the commit, since it does not know that one follows: here
    // it runs with a 0 when the worktree has the commit.
    if case.act == Act::Squash
        && let Some(at) = calls.iter().position(|call| call.name == "post-merge")
    {
        let mut merged = calls.remove(at);
        let at = calls.iter().position(|call| call.name == "post-commit");
        let at = at.expect("a squash is committed");
        let of_files =
            |name: &str| name.starts_with("state/") || name == "staged" || name == "status";
        merged.facts.retain(|name, _| !of_files(name));
        let after = calls[at].facts.iter().filter(|(name, _)| of_files(name));
        merged
            .facts
            .extend(after.map(|(name, text)| (name.clone(), text.clone())));
        merged.facts.insert("arguments".to_owned(), "0".to_owned());
        calls.insert(at, merged);
    }
    // These run in the worktree that has the target checked out.
    if case.place == Place::Nowhere {
        let without = match case.act {
            Act::Squash => &["post-merge", "post-commit"][..],
            _ => &["post-merge"],
        };
        calls.retain(|call| !without.contains(&&*call.name));
    }
    calls
}
