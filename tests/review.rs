//! Tests `git flux review`.

use std::ffi::OsStr;
use std::fs;
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::PathBuf;

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use crate::world::*;

/// The first line of the message to an agent.
const INTRODUCTION: &str = "Please address these comments on your changes.";

/// Makes a task `fix` whose agent runs, with a committed, a changed and an untracked file.
fn task(world: &World) -> String {
    world.flux(["run", "-q", "--name", "fix", "Fix it"]).ok();
    world.agent("fix").wait_started();
    let worktree = world.worktree("fix");
    world.commit_in(&worktree, "committed.txt", "committed\n");
    world.write(worktree.join("src/login.txt"), "one\n2\nthree\n");
    world.write(worktree.join("untracked.txt"), "untracked\n");
    "fix".to_owned()
}

/// Makes the same task, whose agent has ended.
fn ended(world: &World) -> String {
    let id = task(world);
    world.agent(&id).tell("exit 0");
    world.wait_ended(&id);
    id
}

/// Prepares `git flux review -y` with an editor: a shell script about the file `$1`.
fn review<'a>(world: &'a World, id: &str, script: &str) -> Flux<'a> {
    world.install("editor", &format!("#!/bin/sh\n{script}\n"));
    world.flux(["review", "-y", id]).env("GIT_EDITOR", "editor")
}

#[track_caller]
fn unseen(world: &World, id: &str) -> usize {
    let object = world.flux(["review", "--json", id]).run().json();
    object["files"].as_array().unwrap().len()
}

/// Returns what the agent has read, once it has read `text`.
fn read_by(world: &World, id: &str, text: &str) -> String {
    let read = world.agent(id).wait_stdin(text);
    String::from_utf8(read).unwrap()
}

#[test]
fn review_prints_the_file_that_would_be_edited() {
    let world = World::new();
    let id = ended(&world);
    let before = world.snapshot();
    let output = world.flux(["review", "--print", &id]).run();
    output.success().stderr_is("");
    let trees = output.stdout.lines().find(|line| line.contains(".."));
    let text = output.stdout.replace(trees.unwrap(), "# <tree>..<tree>");
    expect![[r#"
        # What you have not seen of 'fix': 3 files
        #
        # To comment on a line, add lines below it. To suggest another line, change it, and
        # keep its first character. What you add here is about all files, unless it begins
        # with '#'. Deleted lines mean nothing. Then save the file and close the editor: you
        # are asked before anything is sent.
        #
        # <tree>..<tree>

        diff --git a/committed.txt b/committed.txt
        new file mode 100644
        index 0000000..d0fe822
        --- /dev/null
        +++ b/committed.txt
        @@ -0,0 +1 @@
        +committed
        diff --git a/src/login.txt b/src/login.txt
        index 4cb29ea..f04eb26 100644
        --- a/src/login.txt
        +++ b/src/login.txt
        @@ -1,3 +1,3 @@
         one
        -two
        +2
         three
        diff --git a/untracked.txt b/untracked.txt
        new file mode 100644
        index 0000000..5a72eb2
        --- /dev/null
        +++ b/untracked.txt
        @@ -0,0 +1 @@
        +untracked

        #
        #
        # These are all changes.
        #
        #
    "#]]
    .assert_eq(&text);
    let object = world.flux(["review", "--json", &id]).run().json();
    let ends = |name: &str| object[name].as_str().unwrap().to_owned();
    assert_eq!(
        trees,
        Some(&*format!("# {}..{}", ends("seen"), ends("present")))
    );
    let paths = object["files"].as_array().unwrap().iter();
    let paths: Vec<_> = paths.map(|file| file["path"].as_str().unwrap()).collect();
    assert_eq!(paths, ["committed.txt", "src/login.txt", "untracked.txt"]);
    assert!(object["files"][0]["old"].is_null());
    world.assert_unchanged(&before);
}

#[test]
fn review_sends_comments_and_notes_what_was_seen() {
    let world = World::new();
    let id = task(&world);
    let script = r#"sed -i -e 's/^+2$/+two/' -e '/^ three$/a why?\nand how?' -e '/^# To comment/i All in all, fine' "$1""#;
    let output = review(&world, &id, script).run();
    output.success().says(&expect![[r#"
        --- stderr
        comments on 'fix':

            All in all, fine

        src/login.txt:2
        > 2
        → two

        src/login.txt:3
        > three
            why?
            and how?

        warning: sent to 'fix'; this agent cannot confirm receipt
        noted that you have seen 3 files of 'fix'
    "#]]);
    let read = read_by(&world, &id, "and how?");
    let (_, message) = read.split_once(INTRODUCTION).unwrap();
    expect![[r#"


        All in all, fine

        src/login.txt:2
        > 2
        → two

        src/login.txt:3
        > three
        why?
        and how?
    "#]]
    .assert_eq(message);
    assert_eq!(unseen(&world, &id), 0);
    // All of it can be reviewed again.
    let all = world.flux(["review", "--json", "--all", &id]).run().json();
    assert_eq!(all["files"].as_array().unwrap().len(), 3);
    // There is nothing to ask about.
    let output = world.flux(["review", &id]).run();
    output.success().says(&expect![[r#"
        --- stderr
        you have seen all changes of 'fix'
        hint: to see them again: git flux review --all fix
    "#]]);
}

#[test]
fn review_says_that_a_task_has_no_changes() {
    let world = World::new();
    world.flux(["run", "-q", "--name", "fix", "Fix it"]).ok();
    let before = world.snapshot();
    for args in [
        &["review", "fix"][..],
        &["review", "-y", "fix"],
        &["review", "-y", "--all", "fix"],
    ] {
        let output = world.flux(args).run();
        output.success().stderr_is("'fix' has no changes yet\n");
    }
    world.assert_unchanged(&before);
}

#[test]
fn review_takes_comments_from_a_file() {
    let world = World::new();
    let id = task(&world);
    let printed = world.flux(["review", "--print", &id]).run().stdout;
    let edited = printed.replace("+untracked\n", "+untracked\nwhy is it?\n");
    let file = world.write(world.root().join("edited"), &edited);
    let from = ["review", "-y", "--from", file.to_str().unwrap(), &id];
    world.flux(from).run().success().says(&expect![[r#"
        --- stderr
        comments on 'fix':

        untracked.txt:1
        > untracked
            why is it?

        warning: sent to 'fix'; this agent cannot confirm receipt
        noted that you have seen 3 files of 'fix'
    "#]]);
    read_by(&world, &id, "why is it?");
    assert_eq!(unseen(&world, &id), 0);
    // It is about other files by now, which are known: what is sent is not noted as seen.
    let worktree = world.worktree(&id);
    world.git_in(&worktree, ["add", "."]);
    world.git_in(&worktree, ["commit", "-q", "-m", "All"]);
    world.write(worktree.join("untracked.txt"), "first\nuntracked\n");
    let output = world
        .flux(["review", "-y", "--from", "-", &id])
        .stdin(&edited)
        .run();
    output.success().says(&expect![[r#"
        --- stderr
        comments on 'fix':

        untracked.txt:2
        > untracked
            why is it?

        warning: sent to 'fix'; this agent cannot confirm receipt
        warning: 'fix' has changed since 'git flux review --print'; its files still count as unseen
    "#]]);
    assert_eq!(unseen(&world, &id), 1);
    // Files that nobody has any more.
    let printed = world.flux(["review", "--print", &id]).run().stdout;
    world.write(worktree.join("untracked.txt"), "another\n");
    let before = world.snapshot();
    let output = world.flux(["review", "-y", "--from", "-", &id]);
    let output = output.stdin(printed).run();
    output
        .code(1)
        .stderr_has("hint: git flux review --print fix\n");
    output.stderr_has("the files in '-' are not known; 'fix' may have changed\n");
    let missing = world.flux(["review", "-y", "--from", "nothing", &id]).run();
    missing.code(1).stderr_has("could not read 'nothing'");
    world.assert_unchanged(&before);
}

#[test]
fn review_takes_a_list_of_comments_that_was_made_elsewhere() {
    let world = World::new();
    let id = task(&world);
    let worktree = world.worktree(&id);
    world.write(worktree.join("odd: 3:name"), "odd\n");
    let list = format!(
        "src/login.txt:2: why \u{1b}[31mtwo?\n  and why\n\nhere: src/login.txt\n\
         {}/src/login.txt:3:7: with a column\r\n\
         ./odd: 3:name:1:in a strange file\n\
         \n\
         committed.txt: the whole file\n\
         a\0b: ../x: no file\n\
         untracked.txt:1:\n",
        worktree.display()
    );
    let before = unseen(&world, &id);
    let from = ["review", "-y", "--from", "-", &id];
    let output = world.flux(from).stdin(list).run();
    output.success().says(&expect![[r#"
        --- stderr
        comments on 'fix':

        src/login.txt:2
        > 2
            why \u{1b}[31mtwo?
              and why

            here: src/login.txt

        src/login.txt:3
        > three
            with a column

        odd: 3:name:1
        > odd
            in a strange file

        committed.txt
            the whole file
            a\u{0}b: ../x: no file

        warning: sent to 'fix'; this agent cannot confirm receipt
    "#]]);
    let read = read_by(&world, &id, "the whole file");
    for text in [
        "> 2\nwhy",
        "here: src/login.txt\n\nsrc/login.txt:3\n> three\nwith a column\n",
    ] {
        assert!(read.contains(text), "{text}: {read}");
    }
    // The user may have seen none of it.
    assert_eq!(unseen(&world, &id), before);
}

#[test]
fn review_notes_nothing_as_seen_for_a_list_with_the_head_of_printed_changes() {
    let world = World::new();
    let id = task(&world);
    let printed = world.flux(["review", "--print", &id]).run().stdout;
    let mut head = printed.lines().filter(|line| line.contains(".."));
    let trees = head.next().unwrap();
    let list = format!("\nsrc/login.txt:2: by a stranger\n{trees}\n");
    let before = unseen(&world, &id);
    let from = ["review", "-y", "--from", "-", &id];
    world.flux(from).stdin(list).run().success();
    read_by(&world, &id, trees);
    assert_eq!(unseen(&world, &id), before);
}

#[test]
fn review_refuses_a_list_with_a_comment_that_has_no_place() {
    let world = World::new();
    let id = task(&world);
    let before = world.snapshot();
    let printed = world.flux(["review", "--print", &id]).run().stdout;
    let without_trees = printed.replace("..", "");
    let good = "src/login.txt:1: good\n";
    for (text, why) in [
        (
            &*without_trees,
            "line 1 does not begin with '<file>:<line>:'",
        ),
        ("", "there is no comment"),
        (
            "# no..trees\n",
            "line 1 does not begin with '<file>:<line>:'",
        ),
        (
            "\n  src/login.txt:1: indented\n",
            "line 2 does not begin with '<file>:<line>:'",
        ),
        ("src/login.txt:1:  \n", "there is no comment"),
        (
            &format!("{good}src/login.txt:4: x\n"),
            "'src/login.txt' has no line 4",
        ),
        (
            &format!("{good}src/login.txt:0: x\n"),
            "'src/login.txt' has no line 0",
        ),
        (
            &format!("{good}src/login.txt:99999999999: x\n"),
            "'src/login.txt' has no line 99999999999",
        ),
        (
            &format!("{good}\nlogin.txt:1: x\n"),
            "there is no file 'login.txt' (line 3)",
        ),
        (
            &format!("{good}../fix/f:1: x\n"),
            "there is no file '../fix/f' (line 2)",
        ),
        (
            &format!("{good}/etc/passwd:1: x\n"),
            "there is no file '/etc/passwd' (line 2)",
        ),
        (
            &format!("{good}src:1: x\n"),
            "there is no file 'src' (line 2)",
        ),
        (
            &format!("{good}a//b/.:1: x\n"),
            "there is no file 'a//b/.' (line 2)",
        ),
    ] {
        let output = world.flux(["review", "-y", "--from", "-", &id]);
        let output = output.stdin(text).run();
        output.code(1).stderr_is(&format!(
            "error: the comments in '-' were not sent\n  caused by: {why}\n\
             hint: to see what can be commented on: git flux review --print fix\n"
        ));
    }
    world.assert_unchanged(&before);
}

#[test]
fn review_asks_whether_files_were_seen_with_a_careful_default() {
    let world = World::new();
    let id = ended(&world);
    let terminal = world.terminal(100, 40);
    let before = world.snapshot();
    for (editor, warning) in [
        ("true", ""),
        ("false", "the editor failed with exit code 1"),
    ] {
        terminal.clear();
        terminal.command(&format!("GIT_EDITOR={editor} git flux review {id}"));
        let screen = terminal.wait_for_screen("Have you seen these 3 files? (y/n) › no");
        assert!(screen.contains(warning), "{screen}");
        terminal.keys(["Enter"]);
        assert_eq!(terminal.exit_code(), 130);
    }
    // An editor that empties the file means nothing, either.
    terminal.clear();
    terminal.command(&format!("GIT_EDITOR='sleep 1.2; : >' git flux review {id}"));
    terminal.wait_for_screen("Have you seen these 3 files? (y/n) › no");
    terminal.keys(["n"]);
    assert_eq!(terminal.exit_code(), 130);
    world.assert_unchanged(&before);
    terminal.clear();
    terminal.command(&format!("GIT_EDITOR='sleep 1.2;:' git flux review {id}"));
    terminal.wait_for_screen("Have you seen these 3 files? (y/n) › yes");
    terminal.keys(["Enter"]);
    assert_eq!(terminal.exit_code(), 0, "{}", terminal.screen());
    assert_eq!(unseen(&world, &id), 0);
    // What is typed while the editor is open is no answer.
    world.write(world.worktree(&id).join("untracked.txt"), "again\n");
    terminal.clear();
    terminal.command(&format!(
        "GIT_EDITOR='echo opened; sleep 1.2;:' git flux review {id}"
    ));
    terminal.wait_for_screen("\nopened");
    terminal.keys(["y"]);
    let screen = terminal.wait_for_screen("Have you seen this file? (y/n) › yes");
    assert!(!screen.contains("noted"), "{screen}");
    terminal.keys(["Escape"]);
    assert_eq!(terminal.exit_code(), 130, "{}", terminal.screen());
    terminal.wait_for_screen("✘ No comments. Have you seen this file? ·");
    assert_eq!(unseen(&world, &id), 1);
}

#[test]
fn review_changes_nothing_without_an_answer_or_if_its_editor_was_quick() {
    let world = World::new();
    let id = ended(&world);
    let before = world.snapshot();
    let output = world
        .flux(["review", &id])
        .env("GIT_EDITOR", "touch opened")
        .run();
    output.code(2).says(&expect![[r#"
        --- stderr
        error: cannot show a review without a terminal
        hint: to print the changes: git flux review --print fix
        hint: to send comments from a file: git flux review --yes --from <file> fix
    "#]]);
    let all = world
        .flux(["review", "-y", "--all", &id])
        .env("TERM", "dumb");
    all.run().code(1).stderr_is(
        "error: git has no editor for a dumb terminal\n\
         hint: to set one: git config --global core.editor <editor>\n",
    );
    for script in ["exit 0", "exit 3", ": >\"$1\""] {
        let output = review(&world, &id, script).run();
        output
            .code(1)
            .stderr_has("error: the editor may have shown nothing");
    }
    // It is killed while the editor runs.
    let killed = world
        .flux(["review", "-y", &id])
        .env("GIT_EDITOR", "kill -9 $PPID;:");
    killed.run().killed();
    world.assert_unchanged(&before);
    assert_eq!(unseen(&world, &id), 3);
}

#[test]
fn review_carries_a_comment_to_where_its_line_is_now() {
    let world = World::new();
    let id = task(&world);
    let file = world.worktree(&id).join("src/login.txt");
    // The agent works on while the editor is open.
    let script = format!(
        "sed -i -e '/^+2$/a moved' -e '/^ three$/a gone' -e '/^-two$/a before' \"$1\"\n\
         printf 'zero\\none\\n2\\n3\\n' >'{}'",
        file.display()
    );
    review(&world, &id, &script)
        .run()
        .success()
        .says(&expect![[r#"
            --- stderr
            comments on 'fix':

            src/login.txt:2 (deleted line)
            > two
                before

            src/login.txt:3
            > 2
                moved

            src/login.txt:3 (has changed since)
            > three
                gone

            warning: 1 line that you commented on has changed meanwhile
            warning: sent to 'fix'; this agent cannot confirm receipt
            noted that you have seen 3 files of 'fix'
        "#]]);
    let read = read_by(&world, &id, "gone");
    assert!(read.contains("src/login.txt:3\n> 2\nmoved\n"), "{read}");
    // What the agent has done meanwhile was not seen.
    assert_eq!(unseen(&world, &id), 1);
    let left = world.flux(["diff", "--unseen", &id]).run();
    left.success().stdout_has("+zero\n").has_not("+2\n");
}

#[test]
fn review_starts_an_agent_that_has_ended_again_with_the_comments() {
    let world = World::new();
    let id = ended(&world);
    let terminal = world.terminal(100, 40);
    world.install("editor", "#!/bin/sh\nsed -i '/^+2$/a why?' \"$1\"\n");
    terminal.command(&format!("GIT_EDITOR=editor git flux review {id}"));
    terminal.wait_for_screen(
        "The agent of 'fix' has ended. Send 1 comment to 'fix', and start it again?",
    );
    terminal.keys(["y"]);
    assert_eq!(terminal.exit_code(), 0, "{}", terminal.screen());
    world.agent(&id).wait_starts(2);
    let argv = world.agent(&id).argv();
    let at = argv.iter().position(|arg| arg == b"--continue").unwrap();
    assert!(at < argv.len() - 1);
    let message = format!("{INTRODUCTION}\n\nsrc/login.txt:2\n> 2\nwhy?\n");
    assert_eq!(argv.last().map(Vec::as_slice), Some(message.as_bytes()));
    assert_eq!(unseen(&world, &id), 0);
}

#[test]
fn review_keeps_comments_that_could_not_be_sent() {
    let world = World::new();
    let id = task(&world);
    world.install("editor", "#!/bin/sh\nsed -i '/^+2$/a why?' \"$1\"\n");
    let terminal = world.terminal(120, 40);
    let before = world.snapshot();
    terminal.command(&format!("GIT_EDITOR=editor git flux review {id}"));
    terminal.wait_for_screen("Send 1 comment to 'fix'?");
    terminal.keys(["n"]);
    assert_eq!(terminal.exit_code(), 130);
    let file = world.repo().join(".git/flux/run/fix/review");
    let hint = format!("git flux review --from '{}' fix", file.display());
    let screen = terminal.wait_for_screen(&format!("hint: {hint}"));
    assert!(
        screen.contains("the comments on 'fix' were not sent"),
        "{screen}"
    );
    let changes = before.changes(&world.snapshot());
    assert_eq!(changes, ["+ flux file run/fix/review: "]);
    let kept = world.read(&file);
    let message = format!("{INTRODUCTION}\n\nsrc/login.txt:2\n> 2\nwhy?\n");
    assert_eq!(kept, message);
    assert_eq!(fs::metadata(&file).unwrap().permissions().mode() & 0o77, 0);
    // Those are not kept twice.
    let before = world.snapshot();
    terminal.clear();
    terminal.command(&hint);
    terminal.wait_for_screen("Send these comments to 'fix'?");
    terminal.keys(["n"]);
    assert_eq!(terminal.exit_code(), 130);
    terminal.wait_for_screen(&format!("hint: {hint}"));
    world.assert_unchanged(&before);
    let output = world.flux(["review", "-y", "--from", file.to_str().unwrap(), &id]);
    output.run().success().says(&expect![[r#"
        --- stderr
        comments on 'fix':

        src/login.txt:2
        > 2
        why?

        warning: sent to 'fix'; this agent cannot confirm receipt
    "#]]);
    read_by(&world, &id, message.trim_end());
    assert_eq!(unseen(&world, &id), 3);
}

#[test]
fn review_gives_a_hint_that_starts_an_agent_again_with_kept_comments() {
    let world = World::new();
    let id = ended(&world);
    let script = "sed -i '/^+2$/a why?' \"$1\"; exit 1";
    let output = review(&world, &id, script).run();
    let hint = output.code(1).stderr.lines().last().unwrap();
    let hint = hint.strip_prefix("hint: ").unwrap();
    let terminal = world.terminal(120, 40);
    // The files are not read again.
    world.git_in(world.worktree(&id), ["checkout", "-q", "--detach"]);
    world.commit_in(world.worktree(&id), "another", "another\n");
    terminal.command(hint);
    terminal.wait_for_screen(
        "The agent of 'fix' has ended. Send these comments to 'fix', and start it again?",
    );
    world.git_in(world.worktree(&id), ["checkout", "-q", "feature/fix"]);
    terminal.keys(["y"]);
    assert_eq!(terminal.exit_code(), 0, "{}", terminal.screen());
    world.agent(&id).wait_starts(2);
    let message = format!("{INTRODUCTION}\n\nsrc/login.txt:2\n> 2\nwhy?\n");
    let argv = world.agent(&id).argv();
    assert_eq!(argv.last().map(Vec::as_slice), Some(message.as_bytes()));
}

#[test]
fn review_says_first_that_a_shell_takes_no_comments() {
    let world = World::new();
    let run = ["run", "-q", "--agent", "shell", "--name", "fix", "Fix it"];
    world.flux(run).ok();
    world.write(world.worktree("fix").join("f"), "one\n");
    let printed = world.flux(["review", "--print", "fix"]).run();
    let printed = printed.success().stdout.lines().take(4);
    expect![[r#"
        # What you have not seen of 'fix': 1 file
        #
        # Comments cannot be sent: the agent of 'fix' does not accept input.
        #"#]]
    .assert_eq(&printed.collect::<Vec<_>>().join("\n"));
    let before = world.snapshot();
    let from = world.flux(["review", "-y", "--from", "-", "fix"]);
    from.stdin("f:1: why?\n").run().code(1).says(&expect![[r#"
        --- stderr
        error: the comments on 'fix' were not sent; they are in '$WORLD/myapp/.git/flux/run/fix/review'
          caused by: the agent of 'fix' does not accept input
        hint: to look at its pane: git flux attach fix
    "#]]);
    let kept = world.repo().join(".git/flux/run/fix/review");
    assert_eq!(fs::read_to_string(&kept).unwrap(), "f:1: why?\n");
    fs::remove_file(kept).unwrap();
    world.assert_unchanged(&before);
    let output = review(&world, "fix", "sed -i '/^+one$/a why?' \"$1\"").run();
    output.code(1).says(&expect![[r#"
        --- stderr
        comments on 'fix':

        f:1
        > one
            why?

        error: the comments on 'fix' were not sent; they are in '$WORLD/myapp/.git/flux/run/fix/review'
          caused by: the agent of 'fix' does not accept input
        hint: to look at its pane: git flux attach fix
    "#]]);
    let changes = before.changes(&world.snapshot());
    assert_eq!(changes, ["+ flux file run/fix/review: "]);
    // It can be looked at.
    let output = review(&world, "fix", "sleep 1.2").run();
    output
        .success()
        .stderr_is("noted that you have seen 1 file of 'fix'\n");
}

#[test]
fn review_names_no_file_that_the_editor_has_removed() {
    let world = World::new();
    let id = task(&world);
    let before = world.snapshot();
    for script in ["rm \"$1\"", "rm \"$1\"; kill -9 $$"] {
        let output = review(&world, &id, script).run();
        assert_ne!(output.code, Some(0), "{output}");
        output.has_not("hint: git flux review --from");
    }
    world.assert_unchanged(&before);
}

#[test]
fn review_sends_comments_although_the_files_cannot_be_read_any_more() {
    let world = World::new();
    let id = task(&world);
    let worktree = world.worktree(&id);
    let script = "sed -i '/^+2$/a why?' \"$1\"; cd \"$OTHER\" && git checkout -q --detach && \
                  git commit -q --allow-empty -m another";
    let output = review(&world, &id, script).env("OTHER", &worktree).run();
    output.success().says(&expect![[r#"
        --- stderr
        warning: the lines below may be different now in 'fix': its worktree is not at the tip of its branch
        comments on 'fix':

        src/login.txt:2
        > 2
            why?

        warning: sent to 'fix'; this agent cannot confirm receipt
        noted that you have seen 3 files of 'fix'
    "#]]);
    read_by(&world, &id, "why?");
}

#[test]
fn review_keeps_the_comments_of_an_editor_that_failed() {
    let world = World::new();
    let id = task(&world);
    let before = world.snapshot();
    let script = "sed -i '/^+2$/a why?' \"$1\"; exit 1";
    let output = review(&world, &id, script).run();
    output
        .code(1)
        .stderr_has("error: the comments on 'fix' were not sent\n");
    output.stderr_has("caused by: the editor failed\nhint: git flux review --from '");
    let changes = before.changes(&world.snapshot());
    assert_eq!(changes, ["+ flux file run/fix/review: "]);
    // The next ones are kept beside them.
    let output = review(&world, &id, &script.replace("why", "how")).run();
    output
        .code(1)
        .stderr_has(".git/flux/run/fix/review.1' fix\n");
    for (name, text) in [("review", "why?\n"), ("review.1", "how?\n")] {
        let kept = world.read(world.repo().join(".git/flux/run/fix").join(name));
        assert!(kept.ends_with(text), "{kept}");
    }
    // One that is killed leaves its file.
    let killed = world.flux(["review", "-y", &id]);
    let killed = killed.env("GIT_EDITOR", "kill -9 $$;:").run();
    killed
        .code(130)
        .stderr_has("hint: git flux review --from '/");
    assert_eq!(unseen(&world, &id), 3);
}

/// Returns the files that were opened in an editor, and are still there.
fn edited_files(world: &World) -> Vec<PathBuf> {
    let entries = fs::read_dir(world.tools().join("tmp")).unwrap();
    let paths = entries.map(|entry| entry.unwrap().path());
    let is_edited = |path: &PathBuf| path.to_string_lossy().contains("FLUX_REVIEW_");
    paths.filter(is_edited).collect()
}

#[test]
fn review_leaves_the_edited_file_if_it_is_killed_at_its_question() {
    let world = World::new();
    let id = task(&world);
    world.install("editor", "#!/bin/sh\nsed -i '/^+2$/a why?' \"$1\"\n");
    let terminal = world.terminal(120, 40);
    let before = world.snapshot();
    terminal.command("GIT_EDITOR='echo $PPID >\"$TMPDIR/pid\"; editor' git flux review fix");
    terminal.wait_for_screen("Send 1 comment to 'fix'?");
    let pid = world.read(world.tools().join("tmp/pid"));
    let pid = Pid::from_raw(pid.trim().parse().unwrap());
    kill(pid, Signal::SIGKILL).unwrap();
    wait_until("the process to end", || {
        Process::find(pid.as_raw()).is_none()
    });
    world.assert_unchanged(&before);
    let files = edited_files(&world);
    let from = ["review", "-y", "--from", files[0].to_str().unwrap(), &id];
    world.flux(from).run().success();
    read_by(&world, &id, "why?");
    assert_eq!(unseen(&world, &id), 0);
    // Nothing is left once the comments are sent or kept.
    world.write(world.worktree(&id).join("src/login.txt"), "2\n");
    let script = "sed -i '/^-one/a gone?' \"$1\"";
    review(&world, &id, script).run().success();
    world.write(world.worktree(&id).join("src/login.txt"), "one\n");
    review(&world, &id, &format!("{script}; exit 1"))
        .run()
        .code(1);
    assert_eq!(edited_files(&world), files);
}

#[test]
fn review_looks_each_line_up_although_another_one_cannot_be_read() {
    let world = World::new();
    world.git(["init", "-q", "sub"]);
    world.commit_in(world.repo().join("sub"), "in", "in\n");
    world.git(["add", "."]);
    world.git(["commit", "-q", "-m", "Submodule"]);
    let id = task(&world);
    let worktree = world.worktree(&id);
    let [first, second] = ["first", "second"].map(|message| {
        let commit = ["commit-tree", "-m", message, "HEAD^{tree}"];
        let commit = world.git_in(world.repo().join("sub"), commit);
        format!("160000,{commit},sub")
    });
    world.git_in(&worktree, ["update-index", "--cacheinfo", &first]);
    world.git_in(&worktree, ["commit", "-q", "-m", "Another commit"]);
    // The agent works on while the editor is open.
    let script = format!(
        "sed -i -e '/^+Subproject/a which?' -e '/^+2$/a moved' \"$1\"\n\
         cd '{}' && printf 'zero\none\n2\nthree\n' >src/login.txt && \
         git update-index --cacheinfo {second} && git commit -q -m Again",
        worktree.display()
    );
    let output = review(&world, &id, &script).run();
    output.success().says(&expect![[r#"
        --- stderr
        comments on 'fix':

        src/login.txt:3
        > 2
            moved

        sub:1 (has changed since)
        > Subproject commit <object>
            which?

        warning: 1 line that you commented on has changed meanwhile
        warning: sent to 'fix'; this agent cannot confirm receipt
        noted that you have seen 4 files of 'fix'
    "#]]);
}

#[test]
fn review_refuses_if_another_one_has_noted_something_meanwhile() {
    let world = World::new();
    let id = ended(&world);
    world.flux(["review", "--mark", &id]).run().success();
    let file = world.worktree(&id).join("untracked.txt");
    world.write(&file, "1\n");
    let script = format!(
        "sleep 1.2; echo 2 >'{}'; git flux review --mark fix 2>/dev/null",
        file.display()
    );
    let output = review(&world, &id, &script).run();
    output.code(1).says(&expect![[r#"
        --- stderr
        error: this review of 'fix' was not noted: another review of 'fix' was noted meanwhile
        hint: to see what is left: git flux review fix
    "#]]);
    assert_eq!(unseen(&world, &id), 0);
}

/// Makes a file of every kind in the worktree of a task.
fn odd_files(world: &World) -> String {
    world.write(world.repo().join("renamed.txt"), "a\nb\nc\nd\ne\nf\ng\n");
    world.write(world.repo().join("run.sh"), "#!/bin/sh\n");
    world.write(world.repo().join("crlf.txt"), "one\r\ntwo\r\n");
    world.write(world.repo().join("binary"), b"\0one");
    world.git(["init", "-q", "sub"]);
    world.commit_in(world.repo().join("sub"), "in", "in\n");
    world.git(["-c", "core.autocrlf=false", "add", "."]);
    world.git(["commit", "-q", "-m", "Odd files"]);
    let id = task(world);
    let worktree = world.worktree(&id);
    world.git_in(&worktree, ["mv", "renamed.txt", "moved.txt"]);
    fs::set_permissions(worktree.join("run.sh"), PermissionsExt::from_mode(0o755)).unwrap();
    world.write(worktree.join("crlf.txt"), "one\r\n2\r\n");
    world.write(worktree.join("binary"), b"\0two");
    world.write(worktree.join("no-newline"), "last");
    world.write(
        worktree.join(OsStr::from_bytes(b"caf\xe9\x1b")),
        b"caf\xe9\x1b[31m\n",
    );
    symlink("nowhere", worktree.join("link")).unwrap();
    let diff = "diff --git a/x b/x\n--- a/x\n+++ b/x\n@@ -1 +1 @@\n-old\n+new\n# vim: set exrc:\n";
    world.write(worktree.join("z.diff"), diff);
    let commit = world.git_in(
        world.repo().join("sub"),
        ["commit-tree", "-m", "new", "HEAD^{tree}"],
    );
    let gitlink = format!("160000,{commit},sub");
    world.git_in(&worktree, ["update-index", "--cacheinfo", &gitlink]);
    world.git_in(&worktree, ["commit", "-q", "-m", "Odd changes"]);
    id
}

#[test]
fn review_handles_files_of_every_kind() {
    let world = World::new();
    let id = odd_files(&world);
    let printed = world.flux(["review", "--print", &id]).run();
    printed.success().stderr_is("").has_not("\u{1b}");
    let file = printed.stdout.split_once("\n\n").unwrap().1;
    let file = &file.replace('\r', "\\r");
    expect![[r#"
        diff --git a/binary b/binary
        index eb2e937..886adc1 100644
        Binary files a/binary and b/binary differ
        diff --git "a/caf\351\033" "b/caf\351\033"
        new file mode 100644
        index 0000000..5ee4946
        --- /dev/null
        +++ "b/caf\351\033"
        @@ -0,0 +1 @@
        +caf�\u{1b}[31m
        diff --git a/committed.txt b/committed.txt
        new file mode 100644
        index 0000000..d0fe822
        --- /dev/null
        +++ b/committed.txt
        @@ -0,0 +1 @@
        +committed
        diff --git a/crlf.txt b/crlf.txt
        index 4e349b5..796f136 100644
        --- a/crlf.txt
        +++ b/crlf.txt
        @@ -1,2 +1,2 @@
         one\r
        -two\r
        +2\r
        diff --git a/link b/link
        new file mode 120000
        index 0000000..5425ec0
        --- /dev/null
        +++ b/link
        @@ -0,0 +1 @@
        +nowhere
        \ No newline at end of file
        diff --git a/renamed.txt b/moved.txt
        similarity index 100%
        rename from renamed.txt
        rename to moved.txt
        diff --git a/no-newline b/no-newline
        new file mode 100644
        index 0000000..1c1206e
        --- /dev/null
        +++ b/no-newline
        @@ -0,0 +1 @@
        +last
        \ No newline at end of file
        diff --git a/run.sh b/run.sh
        old mode 100644
        new mode 100755
        diff --git a/src/login.txt b/src/login.txt
        index 4cb29ea..f04eb26 100644
        --- a/src/login.txt
        +++ b/src/login.txt
        @@ -1,3 +1,3 @@
         one
        -two
        +2
         three
        diff --git a/sub b/sub
        index 40e62b8..76d0fd3 160000
        --- a/sub
        +++ b/sub
        @@ -1 +1 @@
        -Subproject commit 40e62b8116701a9b6aada408ad5a348db2f9e966
        +Subproject commit 76d0fd36b1ef28c5a309094d094cba593f525389
        diff --git a/untracked.txt b/untracked.txt
        new file mode 100644
        index 0000000..5a72eb2
        --- /dev/null
        +++ b/untracked.txt
        @@ -0,0 +1 @@
        +untracked
        diff --git a/z.diff b/z.diff
        new file mode 100644
        index 0000000..429dc04
        --- /dev/null
        +++ b/z.diff
        @@ -0,0 +1,7 @@
        +diff --git a/x b/x
        +--- a/x
        ++++ b/x
        +@@ -1 +1 @@
        +-old
        ++new
        +# vim: set exrc:

        #
        #
        # These are all changes.
        #
        #
    "#]]
    .assert_eq(file);
    // Editors read their settings in the last five lines.
    assert!(
        printed
            .stdout
            .lines()
            .rev()
            .take(5)
            .all(|line| line.starts_with('#'))
    );
    // Whatever an editor does to the ends of lines, it is no comment.
    for script in [
        r#"sed -i 's/$/\r/' "$1""#,
        r#"sed -i 's/[ \t\r]*$//' "$1""#,
        "exit 1",
    ] {
        let output = review(&world, &id, script).run();
        output
            .code(1)
            .stderr_has("the editor may have shown nothing")
            .has_not("Send");
    }
    // Each line that is added below is a comment on it, also in code that looks like a diff.
    let script = r#"awk '{ print } /^\+@@ -1/ { print "+++ b/x" } /^\+last/ { print "@end" } /^Binary/ { print "what is it?" } /^ one/ { print "so?" } /^\+caf/ { print "why?" } /Subproject/ { print "which?" } /^new mode/ { print "mode?" }' "$1" >"$1.new" && cat "$1.new" >"$1""#;
    let output = review(&world, &id, script).run();
    output.success().says(&expect![[r#"
        --- stderr
        comments on 'fix':

        binary
            what is it?

        caf�\u{1b}:1
        > caf�\u{1b}[31m
            why?

        crlf.txt:1
        > one
            so?

        no-newline:1
        > last
            @end

        run.sh
            mode?

        src/login.txt:1
        > one
            so?

        sub:1 (deleted line)
        > Subproject commit <object>
            which?

        sub:1
        > Subproject commit <object>
            which?

        z.diff:4
        > @ @ -1 +1 @ @
            +++ b/x

        warning: sent to 'fix'; this agent cannot confirm receipt
        noted that you have seen 12 files of 'fix'
    "#]]);
    assert_eq!(unseen(&world, &id), 0);
}

#[test]
fn review_handles_ten_megabytes() {
    let world = World::new();
    let id = task(&world);
    let line = format!("{}\n", "0123456789".repeat(10));
    let text = line.repeat(100_000) + "the end\n";
    world.write(world.worktree(&id).join("large"), text);
    let script = r#"sed -i '/^+the end$/a too large' "$1""#;
    let output = review(&world, &id, script).run();
    output
        .success()
        .stderr_has("large:100001\n> the end\n    too large\n");
    assert_eq!(unseen(&world, &id), 0);
}
