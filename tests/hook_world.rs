//! Tests that hooks see the same with git flux as with git, except for the differences in `allowed`. The same steps run
//! in two repositories of the same objects, with a hook for each name that records its arguments, environment, files
//! and state.

mod allowed;
mod case;
mod compare;
mod recorder;

use HooksPath::{Absolute, Configured, Default, Ignored, Tracked};
use Place::{Linked, Main, Nowhere};
use case::{Act, Case, HooksPath, Place};

/// Fails with the differences of all these cases.
#[track_caller]
fn assert_same(acts: &[Act], cases: &[(Place, HooksPath)]) {
    let mut found = Vec::new();
    for &act in acts {
        for &(place, hooks) in cases {
            found.extend(Case { act, place, hooks }.check());
        }
    }
    let (count, list) = (found.len(), found.join("\n"));
    assert!(found.is_empty(), "{count} differences\n{list}");
}

const IN_MAIN: [(Place, HooksPath); 4] = [
    (Main, Default),
    (Main, Absolute),
    (Main, Tracked),
    (Main, Ignored),
];
const IN_LINKED: [(Place, HooksPath); 4] = [
    (Linked, Default),
    (Linked, Absolute),
    (Linked, Tracked),
    (Linked, Ignored),
];
const NOWHERE: [(Place, HooksPath); 4] = [
    (Nowhere, Default),
    (Nowhere, Absolute),
    (Nowhere, Tracked),
    (Nowhere, Ignored),
];
/// The two that are most different, of each place but the main worktree.
const ELSEWHERE: [(Place, HooksPath); 4] = [
    (Linked, Default),
    (Linked, Ignored),
    (Nowhere, Default),
    (Nowhere, Ignored),
];

#[test]
fn hook_runs_at_a_merge_as_with_git() {
    assert_same(&[Act::Merge], &IN_MAIN);
}

#[test]
fn hook_runs_at_a_merge_into_a_linked_worktree_as_with_git() {
    assert_same(&[Act::Merge], &IN_LINKED);
}

#[test]
fn hook_runs_at_a_merge_into_a_branch_not_checked_out_as_with_git() {
    assert_same(&[Act::Merge], &NOWHERE);
}

#[test]
fn hook_runs_at_a_squash_as_with_git() {
    assert_same(&[Act::Squash], &IN_MAIN);
}

#[test]
fn hook_runs_at_a_squash_into_another_branch_as_with_git() {
    assert_same(&[Act::Squash], &ELSEWHERE);
}

#[test]
fn hook_runs_at_a_rebase_as_with_git() {
    assert_same(&[Act::Rebase], &IN_MAIN);
}

#[test]
fn hook_runs_at_a_rebase_onto_another_branch_as_with_git() {
    assert_same(&[Act::Rebase], &ELSEWHERE);
}

#[test]
fn hook_runs_at_a_fast_forward_as_with_git() {
    let cases = [IN_MAIN[0], IN_MAIN[3], IN_LINKED[0], IN_LINKED[3]];
    assert_same(&[Act::FastForward], &cases);
}

#[test]
fn hook_runs_at_a_commit_of_uncommitted_changes_as_with_git() {
    assert_same(&[Act::Commit], &IN_MAIN);
}

#[test]
fn hook_runs_at_a_checkout_by_run_and_restore_as_with_git() {
    assert_same(&[Act::Run, Act::RunBranch, Act::Restore], &IN_MAIN);
}

#[test]
#[ignore = "it needs git 2.54: .ci/long git_versions"]
fn hook_from_the_configuration_runs_as_with_git() {
    let acts = [
        Act::Merge,
        Act::Squash,
        Act::Rebase,
        Act::FastForward,
        Act::Commit,
        Act::Run,
        Act::RunBranch,
        Act::Restore,
    ];
    assert_same(&acts, &[(Main, Configured)]);
}
