//! Tests which differences count, and how they are described.

use super::*;
use crate::task::Bytes;

/// Returns the parts of `config` with these keys and values; a key may occur several times.
fn config(entries: &[(&str, &str)]) -> Parts {
    let mut parts = Parts::new();
    for (key, value) in entries {
        let part = SharedPart::Key {
            file: "config",
            key: (*key).into(),
        };
        let state = parts.entry(part).or_insert(PartState::Values(Vec::new()));
        if let PartState::Values(values) = state {
            values.push((*value).into());
        }
    }
    parts
}

/// Returns the part of a file with this text.
fn file(path: &str, text: &str) -> Parts {
    let state = SharedFile {
        path: Bytes(path.into()),
        is_executable: true,
        content: FileContent::Whole(Bytes(text.into())),
    };
    Parts::from([(SharedPart::File(path.into()), PartState::File(state))])
}

fn id() -> TaskId {
    "x".parse().unwrap()
}

#[track_caller]
fn assert_change(before: &Parts, after: &Parts, expected: &[(&str, ConfigEffect)]) {
    let changes = find_changes(before, after);
    let found = changes.iter().map(|it| (it.describe(&id()), it.effect));
    let found: Vec<_> = found.collect();
    let expected = expected.iter().map(|(text, effect)| {
        let text = format!("{text} while the agent of 'x' ran");
        (text, *effect)
    });
    assert_eq!(found, expected.collect::<Vec<_>>());
}

#[test]
fn find_changes_describes_each_key_that_counts() {
    use ConfigEffect::{Plain, RunsProgram};
    let none = config(&[]);
    let husky = config(&[("core.hookspath", ".husky/_")]);
    assert_change(&husky, &husky, &[]);
    let set = [("core.hooksPath was set to '.husky/_'", RunsProgram)];
    assert_change(&none, &husky, &set);
    assert_change(
        &husky,
        &none,
        &[(
            "core.hooksPath was removed from the configuration",
            RunsProgram,
        )],
    );
    let other = config(&[("core.hookspath", "x")]);
    assert_change(
        &husky,
        &other,
        &[("core.hooksPath changed to 'x'", RunsProgram)],
    );
    let (one, two) = (
        config(&[("remote.o.url", "a"), ("user.name", "n")]),
        config(&[("remote.o.url", "a"), ("remote.o.url", "b")]),
    );
    let expected = [
        ("remote.o.url changed to 'a', 'b'", Plain),
        ("user.name was removed from the configuration", Plain),
    ];
    assert_change(&one, &two, &expected);
    // The program was there before.
    let (alias, plain) = (config(&[("alias.x", "!sh")]), config(&[("alias.x", "log")]));
    assert_change(&alias, &plain, &[("alias.x changed to 'log'", RunsProgram)]);
    let aside = config(&[
        (&*table::TASK.canonical_key("a"), "a"),
        (table::AGENT.key, "codex"),
        ("alias.l", "log"),
    ]);
    assert_change(&none, &aside, &[]);
    let setup = config(&[(table::SETUP.key, "npm ci")]);
    assert_change(
        &none,
        &setup,
        &[(
            &*format!("{} was set to 'npm ci'", table::SETUP.key),
            RunsProgram,
        )],
    );
}

#[test]
fn find_changes_describes_each_file() {
    use ConfigEffect::{Plain, RunsProgram};
    let none = Parts::new();
    let hook = file("hooks/pre-commit", "a");
    assert_change(
        &none,
        &hook,
        &[("the hook 'pre-commit' was added", RunsProgram)],
    );
    assert_change(
        &hook,
        &none,
        &[("the hook 'pre-commit' was removed", RunsProgram)],
    );
    let other = file("hooks/pre-commit", "b");
    assert_change(
        &hook,
        &other,
        &[("the hook 'pre-commit' changed", RunsProgram)],
    );
    let exclude = file("info/exclude", "*.o\n");
    assert_change(&none, &exclude, &[("info/exclude was added", Plain)]);
    let husky = file("/r/.husky/_/h", "a");
    assert_change(
        &none,
        &husky,
        &[("the hook '/r/.husky/_/h' was added", RunsProgram)],
    );
}

#[test]
fn describe_escapes_and_cuts_what_strangers_wrote() {
    let long = "x".repeat(100);
    let after = config(&[("core.pager", "a\x1b[2J\nb"), ("user.name", &long)]);
    let changes = find_changes(&Parts::new(), &after);
    let found: Vec<String> = changes.iter().map(SharedChange::name).collect();
    assert_eq!(found, ["core.pager", "user.name"]);
    let pager = changes[0].describe(&id());
    assert_eq!(
        pager,
        r"core.pager was set to 'a\u{1b}[2J\u{a}b' while the agent of 'x' ran"
    );
    let cut = format!(
        "user.name was set to '{}…' while the agent of 'x' ran",
        "x".repeat(59)
    );
    assert_eq!(changes[1].describe(&id()), cut);
}

#[test]
fn put_back_command_restores_a_single_value() {
    let command = |before: &Parts, after: &Parts| {
        let changes = find_changes(before, after);
        changes[0].put_back_command()
    };
    let (none, husky) = (config(&[]), config(&[("core.hookspath", "my hooks")]));
    let unset = "to undo this change: git config --local --unset-all core.hooksPath";
    assert_eq!(command(&none, &husky).as_deref(), Some(unset));
    let set = "to undo this change: git config --local --replace-all core.hooksPath 'my hooks'";
    assert_eq!(command(&husky, &none).as_deref(), Some(set));
    let escape = config(&[("core.pager", "\x1b")]);
    assert_eq!(command(&escape, &none), None);
    let two = config(&[("core.pager", "a"), ("core.pager", "b")]);
    assert_eq!(command(&two, &none), None);
    assert_eq!(command(&none, &file("hooks/x", "a")), None);
}
