//! Merges histories of many shapes with cleanup and with git, and compares trees and refusals.

use std::path::Path;

use crate::merge_histories::{SHAPES, Shape};
use crate::world::removal::*;
use crate::world::*;

/// Returns the result of git alone: the tree, or the files in conflict.
fn merge_with_git(world: &World, dir: &Path, style: &str) -> Result<String, Vec<String>> {
    let dir = dir.to_str().unwrap();
    let done = match style {
        "--merge" => world.try_git(["-C", dir, "merge", "-q", "--no-ff", "-m", "Merge", "task"]),
        "--squash" => world.try_git(["-C", dir, "merge", "-q", "--squash", "task"]),
        _ => world.try_git(["-C", dir, "rebase", "-q", "main", "task"]),
    };
    if done.is_err() {
        let files = world.git_in(dir, ["ls-files", "--unmerged", "-z"]);
        let files = files
            .split('\0')
            .filter_map(|entry| entry.split('\t').nth(1));
        let mut files: Vec<String> = files.map(str::to_owned).collect();
        files.dedup();
        assert!(!files.is_empty(), "{done:?}");
        return Err(files);
    }
    Ok(world.git_in(dir, ["write-tree"]))
}

/// Returns the commits of a range, without their committers.
fn commits_of(world: &World, dir: &Path, range: &str) -> String {
    let format = "--format=%T %an <%ae> %ad%n%B";
    world.git_in(
        dir,
        [
            "log",
            "--reverse",
            "--topo-order",
            "--date=raw",
            format,
            range,
        ],
    )
}

fn compare(style: &str, shape: &Shape, aside: bool) {
    let world = World::new();
    (shape.base)(&world);
    let id = running_task(&world);
    end_agent(&world, &id);
    let (repo, task) = (world.repo(), world.worktree(&id));
    (shape.sides)(&world, &repo, &task);
    let (main, branch) = (commit(&world, "main"), format!("feature/{id}"));

    let clone = world.root().join("clone");
    let (from, to) = (repo.to_str().unwrap(), clone.to_str().unwrap());
    world.git(["clone", "-q", from, to]);
    world.git_in(
        &clone,
        ["branch", "-q", "task", &format!("origin/{branch}")],
    );
    let expected = merge_with_git(&world, &clone, style);

    if aside {
        // The main worktree has other attributes, or none.
        let first = world.git(["rev-list", "--max-parents=0", "main"]);
        world.git(["switch", "-q", "-c", "aside", &first]);
    }
    let before = world.snapshot();
    let output = world.flux(["cleanup", style, "--into=main", &id]).run();
    let context = format!("{style}, {}, aside: {aside}\n{output}", shape.name);
    match expected {
        Ok(tree) => {
            assert_eq!(output.code, Some(0), "{context}");
            assert_eq!(world.git(["rev-parse", "main^{tree}"]), tree, "{context}");
            if style == "--rebase" && commit(&world, "main") != main {
                let range = format!("{main}..main");
                let made = commits_of(&world, &repo, &range);
                assert_eq!(made, commits_of(&world, &clone, "main..task"), "{context}");
            }
            if !aside {
                assert_eq!(world.git(["status", "--porcelain"]), "", "{context}");
            }
        }
        Err(files) => {
            assert_eq!(output.code, Some(3), "{context}");
            for file in files {
                // A file where there is a directory gets the name of its side added.
                let file = file.split('~').next().unwrap();
                assert!(
                    output.stderr.contains(&format!("'{file}'")),
                    "{file}\n{context}"
                );
            }
            world.assert_unchanged(&before);
        }
    }
}

#[test]
fn cleanup_merges_to_the_same_tree_as_git_merge() {
    for shape in &SHAPES {
        compare("--merge", shape, false);
    }
}

#[test]
fn cleanup_squashes_to_the_same_tree_as_git_merge_squash() {
    for shape in &SHAPES {
        compare("--squash", shape, false);
    }
}

#[test]
fn cleanup_rebases_to_the_same_tree_as_git_rebase() {
    for shape in &SHAPES {
        compare("--rebase", shape, false);
    }
}

#[test]
fn cleanup_uses_the_attributes_of_the_target_for_the_merge() {
    let about = ["union", "driver", "attribute", "renormalised"];
    let shapes = SHAPES.iter().filter(|shape| {
        let named = |word: &&str| shape.name.contains(*word);
        about.iter().any(named)
    });
    for shape in shapes {
        for style in ["--merge", "--rebase"] {
            compare(style, shape, true);
        }
    }
}
