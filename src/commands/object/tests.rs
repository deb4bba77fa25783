//! All fields for programs: their types, and their names in the manual.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use serde_json::Value;

use super::conflicts::OpponentObject;
use super::review::{ReviewFileObject, ReviewObject};
use super::task::{ExitObject, TargetObject};
use super::*;
use crate::agent::messages::Author;
use crate::embedded::MANUAL;
use crate::task::{Activity, Changes, GateState, Layout, NotedEntry, Phase, Source, WaitReason};

const FIRST_SECOND: Timestamp = Timestamp::constant(1, 0);

/// Returns the types of each field of the objects, by its path.
fn types(objects: &[Value]) -> BTreeMap<String, BTreeSet<&'static str>> {
    fn note(path: &str, value: &Value, types: &mut BTreeMap<String, BTreeSet<&'static str>>) {
        let kind = match value {
            Value::Null => "null",
            Value::Bool(_) => "bool",
            Value::Number(_) => "number",
            Value::String(_) => "string",
            Value::Array(items) => {
                assert!(!items.is_empty(), "{path} says nothing of its items");
                for item in items {
                    note(&format!("{path}[]"), item, types);
                }
                return;
            }
            Value::Object(fields) => {
                for (name, value) in fields {
                    note(&format!("{path}.{name}"), value, types);
                }
                return;
            }
        };
        types.entry(path.to_owned()).or_default().insert(kind);
    }
    let mut all = BTreeMap::new();
    for object in objects {
        note("", object, &mut all);
    }
    all
}

fn value(object: &impl Serialize) -> Value {
    serde_json::to_value(object).unwrap()
}

fn state(is_known: bool) -> StateObject {
    StateObject {
        state: "waiting",
        state_source: Source::Hook,
        state_reason: is_known.then_some("question"),
        state_since: is_known.then_some(FIRST_SECOND),
        state_guess: false,
    }
}

/// Returns the other side of a conflict: a task, or a target about which nothing is known.
fn opponent(is_known: bool) -> OpponentObject {
    let text = |is_there: bool| is_there.then(|| "text".to_owned());
    let file = |is_full: bool| conflicts::ConflictFileObject {
        path: Some("a".into()),
        kind: "contents".into(),
        function: text(is_full),
    };
    OpponentObject {
        with: text(is_known),
        target: text(!is_known),
        files: is_known.then(|| vec![file(true), file(false)]),
        same: false,
        approximate: false,
        is_later: false,
        why: text(!is_known),
    }
}

fn all_conflicts() -> conflicts::ConflictsObject {
    let conflict = |is_known| conflicts::TaskConflictObject {
        task: "fix-1".into(),
        opponent: opponent(is_known),
    };
    conflicts::ConflictsObject {
        conflicts: vec![conflict(true), conflict(false)],
        unreadable: vec![conflicts::UnreadableObject {
            task: "fix-1".into(),
            why: "its branch is gone".into(),
        }],
        order: vec!["fix-1".into()],
        to_resolve: 0,
        to_resolve_by_age: 1,
    }
}

fn verdict(is_known: bool) -> GateVerdict {
    let text = || is_known.then(|| "text".to_owned());
    GateVerdict {
        state: GateState::Red,
        tree: is_known.then(|| "text".to_owned().into()),
        command: text(),
        status: is_known.then_some(2),
        why: text(),
        seconds: is_known.then_some(3),
        at: is_known.then_some(FIRST_SECOND),
        log: text(),
    }
}

/// Returns a task with all fields.
fn task() -> TaskObject {
    let text = || Some("text".to_owned());
    TaskObject {
        id: "fix-1".into(),
        owner: text(),
        title: text(),
        phase: Some(Phase::Active),
        state: state(true),
        agent: text(),
        branch: text(),
        branch_kept: Some(true),
        base: text(),
        into: text(),
        worktree: Some("/w".into()),
        created: Some(FIRST_SECOND),
        port: Some(1),
        target: Some(TargetObject {
            kind: Layout::Pane,
            session: "s".into(),
            window: "@1".into(),
            pane: "%1".into(),
        }),
        ahead: Some(1),
        behind: Some(2),
        changes: Some(Changes::default()),
        conflicts: Some(vec![opponent(true), opponent(false)]),
        unseen: Some(3),
        land: Some("back"),
        land_rounds: Some(1),
        gate: Some(verdict(true)),
        exit: Some(ExitObject {
            status: Some(0),
            signal: None,
            at: FIRST_SECOND,
        }),
        error: None,
    }
}

fn event(is_full: bool) -> Event {
    let text = || is_full.then(|| "text".to_owned());
    Event {
        at: jiff::Timestamp::from_second(1).unwrap(),
        state: Activity::Waiting,
        why: is_full.then_some(WaitReason::Question),
        event: "Stop".into(),
        session: text(),
        transcript: text(),
        message: text(),
        about: text(),
    }
}

/// Returns the objects of each command, one with all fields and one with as few as possible.
fn all() -> Vec<(&'static str, Vec<Value>)> {
    let unknown = || TaskObject::unknown(&"fix-1".parse().unwrap(), "broken", "it is damaged");
    let killed = TaskObject {
        exit: Some(ExitObject {
            status: None,
            signal: Some(9),
            at: FIRST_SECOND,
        }),
        ..task()
    };
    let file = || FileObject {
        code: " M".into(),
        path: Some("a".into()),
    };
    let entries = || {
        vec![NotedEntry {
            commit: "0123".to_owned().into(),
            subject: "On main: fix".into(),
        }]
    };
    let change = || ConfigChangeObject {
        name: "core.hooksPath".into(),
        change: "core.hooksPath was removed from the configuration while the agent of 'fix-1' ran"
            .into(),
        runs_program: true,
    };
    let detail = |task, screen: Option<Vec<String>>| DetailObject {
        task,
        files: vec![file()],
        stash: screen.as_ref().map(|_| entries()),
        removed_stash_entries: screen.as_ref().map(|_| entries()),
        configuration: screen.is_some().then(|| vec![change()]),
        screen,
    };
    let explanation = |is_known: bool| ExplanationObject {
        id: "fix-1".into(),
        state: state(is_known),
        sources: vec![SourceObject {
            source: Source::Hook,
            says: "waiting".into(),
            since: is_known.then_some(FIRST_SECOND),
            counts: true,
        }],
    };
    let messages = [Some("2026-01-01T00:00:00Z".to_owned()), None].map(|time| Message {
        time,
        who: Author::User,
        text: "Fix it".into(),
    });
    let events = [event(true), event(false)];
    let commits = [CommitSummary {
        oid: "0123".to_owned().into(),
        at: 1,
        subject: "Fix it".into(),
    }];
    let log = |text: Option<&str>| LogObject {
        id: "fix-1".into(),
        title: "Fix it".into(),
        removed: text.map(str::to_owned),
        prompt: "Fix it".into(),
        events: events.to_vec(),
        commits: commits.to_vec(),
        transcript: text.map(str::to_owned),
        messages: messages.to_vec(),
        screen: text.map(str::to_owned),
        unknown: 0,
    };
    let setting = |text| SettingObject {
        key: "key",
        value: text,
        default: text,
        scope: text,
        origin: text,
        meaning: "how cleanup merges",
        values: text.map(|_| vec!["merge"]),
    };
    let removed = |text, unread| RemovedObject {
        name: "fix-1",
        id: text,
        title: text,
        agent: text,
        branch: text,
        base: text,
        tip: text,
        snapshot: text,
        removed: text.map(|_| FIRST_SECOND),
        merged_into: text,
        worktree: text.map(Path::new),
        trash: text.map(Path::new),
        size: text.map(|_| 1),
        foreign: text.map(|_| false),
        unread,
    };
    let unread = UnreadObject {
        state: "broken",
        error: "it is damaged".into(),
    };
    let gone = GoneObject {
        id: "fix-1",
        worktree: Some(Path::new("/tmp/fix-1")),
        removed: true,
    };
    let cleanup = |is_known: bool| CleanupObject {
        id: "fix-1".into(),
        checks: vec![CheckObject {
            check: "worktree",
            result: "refuses",
            why: "it is gone".into(),
            hints: vec!["git flux list".into()],
        }],
        into: is_known.then(|| "main".into()),
        style: is_known.then_some("merge"),
        commits: is_known.then_some(1),
        conflicts: vec![ConflictObject {
            path: Some("a".into()),
            kind: "contents".into(),
        }],
        would: is_known.then(|| vec!["merge".into()]),
    };
    let land = |text: Option<&str>| LandObject {
        id: "fix-1".into(),
        result: "red",
        into: text.map(str::to_owned),
        why: text.map(str::to_owned),
        rounds: text.map(|_| 1),
    };
    let gate = |is_known| GateObject {
        id: "fix-1".to_owned(),
        gate: verdict(is_known),
    };
    let review = |path: Option<&str>| ReviewObject {
        id: "fix-1".into(),
        seen: "text".into(),
        present: "text".into(),
        files: vec![ReviewFileObject {
            path: Some("a".into()),
            renamed_from: path.map(Into::into),
            old: path.map(Into::into),
            new: path.map(Into::into),
            whole: false,
        }],
    };
    let text = Some("text");
    vec![
        (
            "list",
            vec![value(&task()), value(&killed), value(&unknown())],
        ),
        (
            "status",
            vec![
                value(&detail(task(), Some(vec![String::new()]))),
                value(&detail(killed, None)),
                value(&detail(unknown(), None)),
            ],
        ),
        (
            "status --explain",
            vec![value(&explanation(true)), value(&explanation(false))],
        ),
        ("log", vec![value(&log(text)), value(&log(None))]),
        ("config", vec![value(&setting(text)), value(&setting(None))]),
        (
            "restore --list",
            vec![
                value(&removed(text, None)),
                value(&removed(None, Some(unread))),
            ],
        ),
        ("list --follow", vec![value(&gone)]),
        ("gate", vec![value(&gate(true)), value(&gate(false))]),
        (
            "cleanup --dry-run",
            vec![value(&cleanup(true)), value(&cleanup(false))],
        ),
        ("conflicts", vec![value(&all_conflicts())]),
        ("land", vec![value(&land(text)), value(&land(None))]),
        ("review", vec![value(&review(text)), value(&review(None))]),
    ]
}

#[test]
fn objects_keep_names_and_types_of_fields() {
    let mut found = String::new();
    for (command, objects) in all() {
        found += &format!("{command}\n");
        for (path, types) in types(&objects) {
            let types: Vec<&str> = types.into_iter().collect();
            found += &format!("  {path}: {}\n", types.join(" | "));
        }
    }
    assert_eq!(found, include_str!("../../../tests/fields.txt"), "{found}");
}

#[test]
fn objects_have_only_fields_of_the_manual() {
    for (command, objects) in all() {
        for path in types(&objects).keys() {
            let name = path.rsplit('.').next().unwrap().trim_end_matches("[]");
            assert!(
                MANUAL.contains(&format!("\\fB{name}\\fR")),
                "the manual does not name the field {path} of {command}"
            );
        }
    }
}

#[test]
fn write_prints_only_keys_of_the_manual() {
    let mut lines = Lines::default();
    task().write(&mut lines);
    TaskObject::unknown(&"fix-1".parse().unwrap(), "broken", "it is damaged").write(&mut lines);
    all_conflicts().write(&mut lines);
    let text = String::from_utf8(lines.into_bytes()).unwrap();
    assert_eq!(
        text,
        "task fix-1\nowner text\nstate waiting\nreason question\nstatus 0\nphase active\n\
         agent text\nbranch text\nbranch-kept\nbase text\ninto text\nworktree /w\ncreated 1\n\
         pane @1 %1 s\ncommits +1 -2\nchanges 0 0 0 0\nunseen 3\nland back\n\
         gate red\ngate-command text\ngate-status 2\ngate-why text\ngate-tree text\ntitle text\n\n\
         task fix-1\nstate broken\nerror it is damaged\n\n\
         task fix-1\nwith text\npath a\nkind contents\nfunction text\n\
         path a\nkind contents\n\n\
         task fix-1\ntarget text\nunknown text\n\n\
         task fix-1\nunknown its branch is gone\n\norder fix-1\nresolve 0\n\n"
    );
    let (_, section) = MANUAL.split_once(".SS \"Porcelain\"").unwrap();
    let (section, _) = section.split_once(".SH").unwrap();
    for line in text.lines().filter(|line| !line.is_empty()) {
        let key = line.split(' ').next().unwrap().replace('-', "\\-");
        assert!(section.contains(&format!("\\fB{key}\\fR")), "{key}");
    }
}
