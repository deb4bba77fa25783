//! Lists the shapes of histories for `merge_equals_git`.

use std::fs;
use std::os::unix::fs::{PermissionsExt as _, symlink};
use std::path::Path;

use crate::world::*;

/// The content of `main` when the task starts, and the changes of both sides.
pub(crate) struct Shape {
    pub(crate) name: &'static str,
    pub(crate) base: fn(&World),
    pub(crate) sides: fn(&World, main: &Path, task: &Path),
}

const LINES: &str = "1\n2\n3\n4\n5\n6\n7\n8\n9\n10\n11\n12\n";

fn lines(world: &World) {
    world.commit_in(world.repo(), "lines.txt", LINES);
}

/// Returns the file with one line replaced.
fn line(n: &str, text: &str) -> String {
    LINES.replace(&format!("\n{n}\n"), &format!("\n{text}\n"))
}

fn all(world: &World, dir: &Path) {
    world.git_in(dir, ["add", "--all"]);
    world.git_in(dir, ["commit", "-q", "-m", "All of it"]);
}

fn attributes(world: &World, text: &str) {
    world.commit_in(world.repo(), ".gitattributes", text);
    lines(world);
}

fn both_append(world: &World, main: &Path, task: &Path) {
    world.commit_in(main, "lines.txt", &format!("{LINES}main\n"));
    world.commit_in(task, "lines.txt", &format!("{LINES}task\n"));
}

/// A commit that a submodule could be at.
fn gitlink(world: &World, dir: &Path, digit: &str) {
    let entry = format!("160000,{},sub", digit.repeat(40));
    world.git_in(dir, ["update-index", "--add", "--cacheinfo", &entry]);
    world.git_in(dir, ["commit", "-q", "-m", "Another submodule commit"]);
}

fn directory(world: &World) {
    for name in ["a", "b", "c"] {
        world.write(format!("dir/{name}.txt"), format!("{name}\n{LINES}"));
    }
    all(world, &world.repo());
}

fn rename_and_add(world: &World, main: &Path, task: &Path) {
    world.git_in(main, ["mv", "dir", "moved"]);
    all(world, main);
    world.commit_in(task, "dir/new.txt", "new\n");
}

pub(crate) const SHAPES: [Shape; 25] = [
    Shape {
        name: "different lines",
        base: lines,
        sides: |world, main, task| {
            world.commit_in(main, "lines.txt", &line("2", "main"));
            world.commit_in(task, "lines.txt", &line("11", "task"));
        },
    },
    Shape {
        name: "the same lines",
        base: lines,
        sides: |world, main, task| {
            world.commit_in(main, "lines.txt", &line("2", "main"));
            world.commit_in(task, "lines.txt", &line("2", "task"));
        },
    },
    Shape {
        name: "criss-cross",
        base: lines,
        sides: |world, main, task| {
            let ours = world.commit_in(main, "lines.txt", &line("2", "main"));
            let theirs = world.commit_in(task, "lines.txt", &line("11", "task"));
            world.git_in(main, ["merge", "-q", "--no-edit", &theirs]);
            world.git_in(task, ["merge", "-q", "--no-edit", &ours]);
            world.commit_in(main, "main.txt", "more\n");
            world.commit_in(task, "task.txt", "more\n");
        },
    },
    Shape {
        name: "a renamed directory gets a new file",
        base: directory,
        sides: rename_and_add,
    },
    Shape {
        name: "a renamed directory gets a new file, which follows",
        base: |world| {
            world.git(["config", "--global", "merge.directoryRenames", "true"]);
            directory(world);
        },
        sides: rename_and_add,
    },
    Shape {
        name: "a renamed file is edited",
        base: lines,
        sides: |world, main, task| {
            world.git_in(main, ["mv", "lines.txt", "src/numbers.txt"]);
            all(world, main);
            world.commit_in(task, "lines.txt", &line("11", "task"));
        },
    },
    Shape {
        name: "renamed to two names",
        base: lines,
        sides: |world, main, task| {
            world.git_in(main, ["mv", "lines.txt", "main.txt"]);
            all(world, main);
            world.git_in(task, ["mv", "lines.txt", "task.txt"]);
            all(world, task);
        },
    },
    Shape {
        name: "mode changed, content changed",
        base: lines,
        sides: |world, main, task| {
            world.commit_in(main, "lines.txt", &line("2", "main"));
            let mode = fs::Permissions::from_mode(0o755);
            fs::set_permissions(task.join("lines.txt"), mode).unwrap();
            all(world, task);
        },
    },
    Shape {
        name: "a submodule goes on on one side",
        base: |world| gitlink(world, &world.repo(), "1"),
        sides: |world, main, task| {
            world.commit_in(main, "README.md", "moved\n");
            gitlink(world, task, "2");
            fs::create_dir_all(task.join("sub")).unwrap();
        },
    },
    Shape {
        name: "a submodule goes on on both sides",
        base: |world| gitlink(world, &world.repo(), "1"),
        sides: |world, main, task| {
            gitlink(world, main, "2");
            gitlink(world, task, "3");
        },
    },
    Shape {
        name: "union",
        base: |world| attributes(world, "lines.txt merge=union\n"),
        sides: both_append,
    },
    Shape {
        name: "a driver of one's own",
        base: |world| {
            world.git(["config", "--global", "merge.both.driver", "cat %B >>%A"]);
            attributes(world, "lines.txt merge=both\n");
        },
        sides: both_append,
    },
    Shape {
        name: "a driver of one's own that gives up",
        base: |world| {
            world.git(["config", "--global", "merge.no.driver", "exit 1"]);
            attributes(world, "lines.txt merge=no\n");
        },
        sides: |world, main, task| {
            world.commit_in(main, "lines.txt", &line("2", "main"));
            world.commit_in(task, "lines.txt", &line("11", "task"));
        },
    },
    Shape {
        name: "no merge of what is binary by attribute",
        base: |world| attributes(world, "lines.txt -merge\n"),
        sides: |world, main, task| {
            world.commit_in(main, "lines.txt", &line("2", "main"));
            world.commit_in(task, "lines.txt", &line("11", "task"));
        },
    },
    Shape {
        name: "renormalised line ends",
        base: |world| {
            world.git(["config", "--global", "merge.renormalize", "true"]);
            let crlf = LINES.replace('\n', "\r\n");
            world.commit_in(world.repo(), "lines.txt", &crlf);
        },
        sides: |world, main, task| {
            world.write(main.join(".gitattributes"), "*.txt text\n");
            world.write(main.join("lines.txt"), line("2", "main"));
            world.git_in(main, ["add", "--renormalize", "."]);
            all(world, main);
            let crlf = line("11", "task").replace('\n', "\r\n");
            world.commit_in(task, "lines.txt", &crlf);
        },
    },
    Shape {
        name: "binary on one side",
        base: |world| drop(world.commit_in(world.repo(), "blob", "\0one\n")),
        sides: |world, main, task| {
            world.commit_in(main, "README.md", "moved\n");
            world.commit_in(task, "blob", "\0two\n");
        },
    },
    Shape {
        name: "binary on both sides",
        base: |world| drop(world.commit_in(world.repo(), "blob", "\0one\n")),
        sides: |world, main, task| {
            world.commit_in(main, "blob", "\0main\n");
            world.commit_in(task, "blob", "\0task\n");
        },
    },
    Shape {
        name: "a file becomes a symbolic link",
        base: lines,
        sides: |world, main, task| {
            world.commit_in(main, "README.md", "moved\n");
            fs::remove_file(task.join("lines.txt")).unwrap();
            symlink("README.md", task.join("lines.txt")).unwrap();
            all(world, task);
        },
    },
    Shape {
        name: "two symbolic links",
        base: |_| {},
        sides: |world, main, task| {
            for (dir, to) in [(main, "README.md"), (task, "src")] {
                symlink(to, dir.join("link")).unwrap();
                all(world, dir);
            }
        },
    },
    Shape {
        name: "deleted and modified",
        base: lines,
        sides: |world, main, task| {
            world.git_in(main, ["rm", "-q", "lines.txt"]);
            all(world, main);
            world.commit_in(task, "lines.txt", &line("11", "task"));
        },
    },
    Shape {
        name: "a file where the other has a directory",
        base: |_| {},
        sides: |world, main, task| {
            world.commit_in(main, "place/file.txt", "main\n");
            world.commit_in(task, "place", "task\n");
        },
    },
    Shape {
        name: "empty commits",
        base: lines,
        sides: |world, main, task| {
            world.commit_in(main, "README.md", "moved\n");
            for (message, text) in [("Begin", "task"), ("End", "task again")] {
                let empty = ["commit", "-q", "--allow-empty", "-m", message];
                world.git_in(task, empty);
                world.commit_in(task, "lines.txt", &line("11", text));
            }
            let empty = ["commit", "-q", "--allow-empty", "--allow-empty-message"];
            world.git_in(task, [&empty[..], &["-m", ""]].concat());
        },
    },
    Shape {
        name: "merges inside",
        base: lines,
        sides: |world, main, task| {
            let start = world.git_in(task, ["rev-parse", "HEAD"]);
            world.commit_in(task, "one.txt", "one\n");
            let branch = world.git_in(task, ["branch", "--show-current"]);
            world.git_in(task, ["switch", "-q", "--detach", &start]);
            let side = world.commit_in(task, "side.txt", "side\n");
            world.git_in(task, ["switch", "-q", &branch]);
            world.git_in(task, ["merge", "-q", "--no-edit", &side]);
            let ours = world.commit_in(main, "lines.txt", &line("2", "main"));
            world.git_in(task, ["merge", "-q", "--no-edit", &ours]);
            world.commit_in(task, "lines.txt", &line("2", "main, then task"));
            world.commit_in(main, "README.md", "moved\n");
        },
    },
    Shape {
        name: "one commit is there already",
        base: lines,
        sides: |world, main, task| {
            let picked = world.commit_in(task, "lines.txt", &line("2", "task"));
            world.commit_in(task, "more.txt", "more\n");
            world.commit_in(main, "README.md", "moved\n");
            world.git_in(main, ["cherry-pick", &picked]);
            world.commit_in(main, "lines.txt", &line("2", "task, then main"));
        },
    },
    Shape {
        name: "one commit becomes empty",
        base: lines,
        sides: |world, main, task| {
            world.commit_in(task, "one.txt", "one\n");
            world.commit_in(task, "two.txt", "two\n");
            world.write(main.join("one.txt"), "one\n");
            world.commit_in(main, "README.md", "moved\n");
            all(world, main);
        },
    },
];
