//! Tests repositories with clean and smudge filters, a filter process like that of Git LFS, and post-checkout hooks.

use std::fs;

use crate::world::cycle::Cycle;
use crate::world::hints::hints;
use crate::world::hooks::hook;
use crate::world::removal::done_task;
use crate::world::*;

#[test]
fn run_and_cleanup_work_with_a_clean_and_smudge_filter() {
    let world = World::new();
    world.git(["config", "filter.loud.smudge", "tr a-z A-Z"]);
    world.git(["config", "filter.loud.clean", "tr A-Z a-z"]);
    world.git(["config", "filter.loud.required", "true"]);
    world.write(".gitattributes", "*.loud filter=loud\n");
    world.write("a.loud", "ONE\n");
    world.git(["add", "-A"]);
    world.git(["commit", "-q", "-m", "Filtered"]);
    Cycle::of(&world).run_with(|worktree| {
        assert_eq!(world.read(worktree.join("a.loud")), "ONE\n");
    });
    world.behaviour("raw");
    let id = world.start("Fix login");
    world
        .agent(&id)
        .tell("sh echo TWO >b.loud; git add . && git commit -qm two");
    world.write(world.worktree(&id).join("c.loud"), "THREE\n");
    world
        .flux(["diff", &id])
        .run()
        .success()
        .stdout_has("+three");
    world
        .flux(["cleanup", "-y", "--commit", &id])
        .run()
        .success();
    for (file, stored) in [("b.loud", "two"), ("c.loud", "three")] {
        assert_eq!(world.git(["show", &format!("main:{file}")]), stored);
        assert_eq!(world.read(file), format!("{}\n", stored.to_uppercase()));
    }
    assert_eq!(world.git(["status", "--porcelain"]), "");
}

/// A long-running filter process: contents go to a store beside the repository, what git sees is a pointer.
const PROCESS: &str = r#"#!/usr/bin/perl
use strict; use warnings; binmode STDIN; binmode STDOUT; $| = 1;
my $store = "STORE";
sub get { my $n; return undef unless read(STDIN, $n, 4) == 4; $n = hex $n; return '' if $n == 0;
  my $b; read(STDIN, $b, $n - 4) == $n - 4 or die; return $b }
sub lines { my @l; while (defined(my $p = get())) { return @l if $p eq ''; $p =~ s/\n$//; push @l, $p } exit 0 }
sub put { my ($d) = @_; while (length $d) { my $c = substr $d, 0, 60000, ''; printf '%04x%s', 4 + length $c, $c } }
sub flush { print '0000' }
lines(); put("git-filter-server\n"); put("version=2\n"); flush();
lines(); put("capability=clean\n"); put("capability=smudge\n"); flush();
while (1) {
  my @head = lines(); my ($command) = map { /^command=(.*)/ ? $1 : () } @head;
  my $in = ''; while ((my $p = get()) ne '') { $in .= $p }
  my $out = $in; my $status = 'success';
  if ($command eq 'clean') {
    my $sum = unpack '%32C*', $in; my $name = "$sum-" . length $in;
    open my $f, '>', "$store/$name" or die; binmode $f; print $f $in; close $f; $out = "pointer $name\n";
  } elsif ($in =~ /^pointer (\S+)\n/) {
    if (open my $f, '<', "$store/$1") { binmode $f; local $/; $out = <$f> // ''; close $f } else { $status = 'error' }
  }
  put("status=$status\n"); flush();
  if ($status eq 'success') { put($out); flush(); flush() }
}
"#;

/// Configures the filter `big`, whose process stores contents like Git LFS.
pub(crate) fn filter_process(world: &World) {
    require("perl");
    let store = world.tools().join("store");
    fs::create_dir(&store).unwrap();
    world.install(
        "big-filter",
        &PROCESS.replace("STORE", store.to_str().unwrap()),
    );
    world.git(["config", "filter.big.process", "big-filter"]);
    world.git(["config", "filter.big.required", "true"]);
}

#[test]
fn run_and_cleanup_work_with_a_filter_process_like_git_lfs() {
    let world = World::new();
    filter_process(&world);
    world.write(".gitattributes", "*.big filter=big\n");
    let content = "all of it, not a pointer\n".repeat(10_000);
    world.write("a.big", &content);
    world.git(["add", "-A"]);
    world.git(["commit", "-q", "-m", "Big"]);
    assert!(world.git(["show", "main:a.big"]).starts_with("pointer "));
    Cycle::of(&world).run_with(|worktree| {
        assert_eq!(world.read(worktree.join("a.big")), content);
    });
    world.behaviour("raw");
    let id = world.start("Fix login");
    world
        .agent(&id)
        .tell("sh echo small >b.big; git add . && git commit -qm b");
    world.commit_in(world.repo(), "README.md", "moved\n");
    world.flux(["cleanup", "-y", &id]).run().success();
    assert_eq!(world.read("b.big"), "small\n");
    assert!(world.git(["show", "main:b.big"]).starts_with("pointer "));
    assert_eq!(world.git(["status", "--porcelain"]), "");
}

#[test]
fn run_leaves_nothing_behind_if_a_filter_fails() {
    let world = World::new();
    world.write(".gitattributes", "*.loud filter=loud\n");
    world.commit_in(world.repo(), "a.loud", "one\n");
    world.git(["add", "-A"]);
    world.git(["commit", "-q", "-m", "Attributes"]);
    world.git(["config", "filter.loud.smudge", "false"]);
    world.git(["config", "filter.loud.clean", "cat"]);
    world.git(["config", "filter.loud.required", "true"]);
    let before = world.snapshot();
    let output = world.flux(["run", "Fix login"]).run();
    output
        .code(1)
        .stderr_has("nothing was left behind")
        .stderr_has("filter");
    world.assert_unchanged(&before);
    world.assert_pristine();
}

#[test]
fn run_calls_post_checkout_once_in_the_new_worktree_with_its_files() {
    for path in [None, Some("my hooks")] {
        let world = World::new();
        let dir = match path {
            None => world.repo().join(".git/hooks"),
            Some(path) => world.root().join(path),
        };
        if path.is_some() {
            world.git(["config", "core.hooksPath", dir.to_str().unwrap()]);
        }
        let log = world.tools().join("checkout.log");
        let script = format!(
            "[ -e README.md ] || echo 'no files' >>'{0}'; echo \"$@ $(pwd -P)\" >>'{0}'",
            log.display()
        );
        let head = world.git(["rev-parse", "HEAD"]);
        hook(&world, &dir, "post-checkout", &script);
        let worktree = Cycle::of(&world).run();
        let null = "0".repeat(head.len());
        let expected = format!("{null} {head} 1 {}\n", worktree.display());
        assert_eq!(world.read(log), expected);
    }
}

/// Adds a filter that reads its key in the git directory of the worktree, as git-crypt does.
fn add_key_filter(world: &World) {
    let key = r#"test -s "$(git rev-parse --git-dir)/git-crypt/keys/default" || { echo no key >&2; exit 1; }"#;
    for (name, how) in [("smudge", "tr a-z A-Z"), ("clean", "tr A-Z a-z")] {
        world.install(name, &format!("#!/bin/sh\n{key}\nexec {how}\n"));
        world.git(["config", &format!("filter.keyed.{name}"), name]);
    }
    world.git(["config", "filter.keyed.required", "true"]);
    world.write(".git/git-crypt/keys/default", "key\n");
    world.write(".gitattributes", "*.secret filter=keyed\n");
    world.write("a.secret", "ONE\n");
    world.git(["add", "-A"]);
    world.git(["commit", "-q", "-m", "Filtered"]);
}

#[test]
fn run_cleanup_and_restore_give_a_filter_its_keys_in_every_worktree() {
    let world = World::new();
    add_key_filter(&world);
    Cycle::of(&world).run_with(|worktree| {
        assert_eq!(world.read(worktree.join("a.secret")), "ONE\n");
    });
    let id = world.start("Fix login");
    let worktree = world.worktree(&id);
    world.commit_in(&worktree, "b.secret", "TWO\n");
    world.write(worktree.join("a.secret"), "CHANGED\n");
    world
        .flux(["cleanup", "-y", "--discard", &id])
        .run()
        .success();
    assert_eq!(world.read("b.secret"), "TWO\n");
    // Also where nothing is left of it but its commits and its snapshot.
    fs::remove_dir_all(world.repo().join(".git/flux/trash").join(&id)).unwrap();
    world.flux(["restore", &id]).run().success();
    assert_eq!(world.read(worktree.join("a.secret")), "CHANGED\n");
    assert_eq!(
        world.git_in(&worktree, ["status", "--porcelain"]),
        " M a.secret"
    );
    assert_eq!(world.read(".git/git-crypt/keys/default"), "key\n");
}

#[test]
fn restore_brings_back_files_of_tools_in_the_git_directory_of_the_worktree() {
    let world = World::new();
    let id = world.start("Fix login");
    let admin = || {
        let dir = world.git_in(world.worktree(&id), ["rev-parse", "--absolute-git-dir"]);
        std::path::PathBuf::from(dir)
    };
    world.write(admin().join("tool-state/deep/file"), "theirs\n");
    // A key of its own is not replaced by that of the repository.
    world.write(admin().join("git-crypt/keys/default"), "own\n");
    world.write(admin().join("MERGE_RR"), "");
    world.write(".git/git-crypt/keys/default", "key\n");
    let state = || {
        let read = |name: &str| fs::read_to_string(admin().join(name)).ok();
        ["tool-state/deep/file", "git-crypt/keys/default"].map(read)
    };
    let before = state();
    world.flux(["cleanup", "-y", &id]).run().success();
    // One that fails leaves it in the trash.
    world.fault(&Fault::every("tmux", "new-session", Mode::Fail));
    world.flux(["restore", &id]).run().code(1);
    assert!(world.fault_fired());
    world.clear_fault();
    world.flux(["restore", &id]).run().success();
    assert_eq!(state()[0], before[0]);
    assert!(!admin().join("MERGE_RR").exists());
    assert_eq!(state()[1].as_deref(), Some("own\n"));
}

#[test]
fn cleanup_dry_run_names_a_missing_filter_of_the_checkout() {
    let world = World::new();
    let id = done_task(&world);
    world.git(["config", "filter.lost.clean", "no-such-program"]);
    world.git(["config", "filter.lost.required", "true"]);
    world.write(".git/info/attributes", "*.x filter=lost\n");
    world.write("a.x", "one\n");
    let there = ["-c", "filter.lost.clean=cat"];
    world.git(there.iter().chain(&["add", "a.x"]));
    world.git(there.iter().chain(&["commit", "-qm", "Filtered"]));
    world.write("a.x", "two\n");
    let before = world.git(["for-each-ref"]);
    let output = world.flux(["cleanup", "--dry-run", &id]).run();
    output
        .code(1)
        .stderr_has("could not read the changed files of '")
        .stderr_has("no-such-program");
    assert!(hints(&output)[0].ends_with(" status"), "{output}");
    assert_eq!(world.git(["for-each-ref"]), before);
}
