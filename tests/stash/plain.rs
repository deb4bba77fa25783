//! Compares an agent's git with plain git, in two worktrees of one repository.

use std::process::Command;

use super::task;
use crate::world::*;

/// Scripts that an agent and a user run. `$X` is the branch.
const SCRIPTS: &[&str] = &[
    "git stash",
    "git stash list; git stash show; git stash pop; git stash apply; git stash drop; git stash clear",
    "echo 1 >>README.md; git stash; git stash list; git stash show -p; git stash pop; git status",
    "echo 1 >>README.md; echo u >new; git add -N new; git stash; git status -s; rm -f new",
    "echo 1 >>README.md; echo u >new; git stash -u; git status -s; git stash show -u --stat; git stash pop",
    "echo 1 >>README.md; echo l >a.log; git stash --all; ls; git stash pop; git status -s --ignored",
    "echo 1 >>README.md; git add .; echo 2 >>README.md; git stash --keep-index; git status -s; git stash pop",
    "echo 1 >>README.md; git add .; echo 2 >>README.md; git stash; git stash pop --index; git status -s",
    "echo 1 >>README.md; git add .; echo 2 >>src/login.txt; git stash --staged; git status -s; git stash pop",
    "echo 1 >>README.md; echo 2 >>src/login.txt; printf 'y\\nn\\n' | git stash -p; git status -s; git stash pop",
    "cd src; echo 1 >>login.txt; echo 2 >>../README.md; git stash push -m m login.txt; git status -s; git stash pop",
    "cd src; echo 1 >>login.txt; git stash push .; git status -s; git stash pop",
    "echo 1 >>README.md; git stash push no-such-file; git stash push --no-such; git stash nothing; git stash -- README.md",
    "echo README.md >list; echo 1 >>README.md; git stash push --pathspec-from-file=list; git status -s; git stash pop",
    "echo 1 >>README.md; git stash -q; echo 2 >>README.md; git stash -q; git stash list; git stash pop 1; git stash pop stash@{1}",
    "echo 1 >>README.md; git stash -q; echo 2 >>README.md; git commit -qam two; git stash pop; git status -s; git stash list",
    "echo 1 >>README.md; git stash -q; git stash branch $X-new; git status; git branch --show-current; git stash list",
    "echo 1 >>README.md; git stash -q; git stash branch main; git stash branch; git stash branch a b; git stash list; git status -s",
    "echo 1 >>README.md; git stash -q; echo 2 >>README.md; git stash -q; git stash branch $X-1 1; git stash list",
    "git stash create; echo 1 >>README.md; c=$(git stash create text); git stash list; git stash store -m s $c; git stash list",
    "echo 1 >>README.md; git stash; git log -g --format='%gs' HEAD; cat \"$(git rev-parse --git-path ORIG_HEAD)\"",
    "git stash drop 7; git stash show stash@{3}; git stash pop x",
    "git checkout -q -b $X-m; echo m >>README.md; git commit -qam m; git checkout -q $X; echo o >>src/login.txt
     git commit -qam o; git merge --no-commit $X-m; git stash; git status; git stash pop; git status",
    "git checkout -q -b $X-c; echo m >>README.md; git commit -qam m; git checkout -q $X; echo o >>src/login.txt
     git commit -qam o; git cherry-pick -n $X-c; git stash; git status; git stash pop; git status",
    "git checkout -q -b $X-c; echo m >>README.md; git commit -qam m; git checkout -q $X; echo o >>README.md
     git commit -qam o; git merge $X-c; git stash; git status; git merge --abort; git status",
    "git checkout -q --detach; echo 1 >>README.md; git stash; git stash list; git stash pop",
    "git checkout -q --orphan $X-o; git stash; git stash list; git stash pop",
    "git update-index --split-index; echo 1 >>README.md; git stash; git stash pop; git status -s",
    "git sparse-checkout set --no-cone '/*' '!src'; echo 1 >>README.md; git stash; ls; git stash pop; ls; git status -s",
    "git config core.autocrlf true; printf '1\\r\\n' >>README.md; git stash; git stash pop; od -c README.md; git config --unset core.autocrlf",
    "echo '*.md filter=up' >.gitattributes; git config filter.up.clean 'tr a-z A-Z'; git add .; git commit -qm f
     echo small >>README.md; git stash; git stash show -p; git stash pop; git config --unset filter.up.clean",
    "rm README.md; git stash; git stash show --name-status; git stash pop; git mv src/login.txt moved; git stash; git stash pop --index; git status -s",
    "git -c stash.showPatch=true stash list; echo 1 >>README.md; git stash -q; git -c stash.showPatch=true stash show; git -p stash list",
    "GIT_INDEX_FILE=$PWD/other git add README.md; GIT_INDEX_FILE=$PWD/other git stash list; ls; rm other",
    "git stash -h; git help -a >/dev/null; git nonsense; git --version; git --nonsense; git",
    "git stash export --print; git stash import HEAD",
    "echo in >in; git hash-object --stdin <in; git cat-file --batch <in; exit 7",
];

/// Runs each script with a fresh worktree, and returns what it printed.
fn run(shell: &AgentShell, branch: &str, script: &str) -> String {
    let reset = "git stash clear; git rebase --abort; git merge --abort; git cherry-pick --abort
        git sparse-checkout disable; git checkout -q -f -B $X main; git clean -q -fdx; git reset -q --hard
        for other in -new -1 -m -c -o; do git branch -D $X$other; done";
    shell.sh(&format!("X={branch}; exec >/dev/null 2>&1\n{reset}\ntrue"));
    let end =
        "\necho \"[$?]\"; cd \"$(git rev-parse --show-toplevel)\"; git stash list --format=%gs
        git status -s; cat README.md; git log -g --format=%gs HEAD | head -n 3";
    let text = shell.sh(&format!("X={branch}\n({script}\n){end}"));
    without_objects(&text.replace(branch, "BRANCH"))
}

/// Replaces hexadecimal object names, which depend on the time.
fn without_objects(text: &str) -> String {
    let mut out = String::new();
    for word in text.split_inclusive(|c: char| !c.is_ascii_alphanumeric()) {
        let hex = word.trim_end_matches(|c: char| !c.is_ascii_alphanumeric());
        let is_object =
            hex.len() >= 7 && hex.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'));
        match is_object {
            true => out.push_str(&word.replace(hex, "OBJECT")),
            false => out.push_str(word),
        }
    }
    out
}

#[test]
fn stash_does_what_plain_git_does() {
    let world = World::new();
    let (id, agent) = task(&world, "Task a");
    world.git(["worktree", "add", "-q", "../plain", "-b", "feature/plain"]);
    let user = AgentShell::of_user(&world).at(&world.root().join("plain"));
    let mut wrong = String::new();
    for script in SCRIPTS {
        let plain = run(&user, "feature/plain", script);
        let own = run(&agent, &format!("feature/{id}"), script);
        if own != plain {
            wrong.push_str(&format!("$ {script}\n--- plain\n{plain}--- own\n{own}\n"));
        }
    }
    assert!(wrong.is_empty(), "{wrong}");
}

/// Returns what a program sees that is called as `git`.
fn seen(mut command: Command) -> String {
    let output = command.output().unwrap();
    String::from_utf8_lossy(&output.stdout).into_owned()
}

#[test]
fn stash_program_hands_on_every_other_command_untouched() {
    let world = World::new();
    let (_, agent) = task(&world, "Task a");
    let script =
        "#!/bin/sh\nfor arg; do printf '<%s>' \"$arg\"; done; echo; env | sort; cat\nexit 3\n";
    let bin = world.tools().join("fake");
    install_at(&bin.join("git"), script);
    let path = agent.var("PATH").to_owned();
    let (own, rest) = path.split_once(':').unwrap();
    for words in [
        "status -s",
        "-C stash commit -m stash",
        "--exec-path",
        "",
        "log -- stash",
    ] {
        let call = |path: String| {
            let mut command = agent.command("/bin/sh");
            command.args(["-c", "echo in | git \"$@\"; echo $?", "sh"]);
            seen({
                command.args(words.split_whitespace()).env("PATH", path);
                command
            })
        };
        let fake = bin.display();
        let with = call(format!("{own}:{fake}:{rest}"));
        let without = call(format!("{fake}:{rest}"));
        let without = without.replace(&format!("PATH={fake}"), &format!("PATH={own}:{fake}"));
        assert_eq!(with, without, "{words}");
        assert!(with.ends_with("in\n3\n"), "{with}");
    }
}
