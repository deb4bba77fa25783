//! Records that were tampered with, field by field.

use std::ffi::OsString;
use std::os::unix::ffi::OsStringExt as _;

use serde_json::{Value, json};

use super::*;
use crate::task::version::NewerVersion;

fn task() -> Task {
    let worktree = OsString::from_vec(b"/tmp/a\nb\xff \"c\"".to_vec());
    Task {
        version: VERSION,
        id: "fix-1".parse().unwrap(),
        title: "Fix \"it\"\u{9b}".to_owned(),
        phase: Phase::Starting,
        agent: "claude".to_owned(),
        agent_args: vec![
            Bytes("--model".into()),
            Bytes(OsString::from_vec(vec![255])),
        ],
        branch: BranchName::new("feature/fix-1"),
        base: "0".repeat(64).into(),
        into: None,
        worktree: worktree.into(),
        directory: Some(Bytes(OsString::from_vec(b"a/\xff".to_vec()))),
        created: Timestamp::constant(1, 0),
        port: None,
        target: None,
        removal: None,
        restored_from: None,
        existing: None,
        stash: None,
        landing: None,
        rest: Rest::default(),
    }
}

/// Returns a record with every field.
fn whole() -> Value {
    let object = |digit: &str| digit.repeat(40);
    json!({
        "version": 1, "id": "fix-1", "title": "Fix it", "phase": "removing", "agent": "claude",
        "agent_args": ["--model", [255, 1]], "branch": "feature/fix-1", "base": object("0"),
        "into": "main", "worktree": "/tmp/fix-1", "directory": "src/a", "created": 1_700_000_000, "port": 20_000,
        "target": {
            "kind": "pane", "session": "my session", "window": "@1", "pane": "%1", "pane_pid": 2,
            "socket": "/tmp/tmux-0/default", "server_pid": 3, "server_start": 1_700_000_000,
        },
        "removal": {
            "at": 1_700_000_001, "snapshot": object("1"),
            "config": [["description", "Fix\nit"], ["fluxtask", "fix-1"], ["x-1", "--foo"]],
            "own": [["worktree/mine", object("2")], ["bisect/bad", object("3")], ["reflog", object("4")]],
            "into": { "branch": "main", "from": object("5"), "to": object("6") },
        },
        "restored": "fix-1.2",
        "existing": { "tip": object("7"), "made": true, "adopted": true },
        "carried": object("8"),
    })
}

fn read(record: &Value) -> Result<Task> {
    Task::from_json(record.to_string().as_bytes())
}

#[test]
fn to_json_is_read_again_by_from_json() {
    let mut task = task();
    task.target = Some(Target {
        kind: Layout::Pane,
        session: SessionName::new("s"),
        window: "@1".parse().unwrap(),
        pane: "%1".parse().unwrap(),
        pane_pid: 2,
        socket: "/tmp/s".into(),
        server_pid: 3,
        server_start: Timestamp::constant(4, 0),
        rest: Rest::default(),
    });
    assert_eq!(Task::from_json(&task.to_json().unwrap()).unwrap(), task);
}

#[test]
fn to_json_fails_if_a_field_is_invalid() {
    for wrong in [
        Task {
            base: ObjectId::default(),
            ..task()
        },
        Task {
            worktree: "relative".into(),
            ..task()
        },
        Task {
            version: 2,
            ..task()
        },
    ] {
        assert!(wrong.to_json().is_err(), "{wrong:?}");
    }
}

#[test]
fn to_json_drops_invalid_configuration_of_a_branch() {
    let configured = Task {
        title: "ä".repeat(5000),
        into: Some(BranchName::new("no branch")),
        agent: "a\nb".to_owned(),
        ..task()
    };
    let read = Task::from_json(&configured.to_json().unwrap()).unwrap();
    assert!(configured.title.starts_with(&read.title) && read.title.len() > 200);
    assert_eq!((read.into, read.agent), (None, String::new()));
    let plain = Task::from_json(&task().to_json().unwrap()).unwrap();
    assert_eq!(plain, task());
}

#[test]
fn unknown_fields_survive_a_rewrite() {
    let mut record = whole();
    let more = json!({ "deep": [1, null, { "x": "y" }], "big": u64::MAX, "real": 0.5 });
    for place in ["", "/target", "/removal", "/removal/into", "/existing"] {
        record.pointer_mut(place).unwrap()["later"] = more.clone();
    }
    let task = read(&record).unwrap();
    let written: Value = serde_json::from_slice(&task.to_json().unwrap()).unwrap();
    assert_eq!(written, record);
    // Those of a removal are dropped with it; the others are kept.
    let active = task
        .in_phase(Phase::Active)
        .with_target(task.target.clone());
    let active: Value = serde_json::from_slice(&active.to_json().unwrap()).unwrap();
    for place in ["", "/target", "/existing"] {
        assert_eq!(active.pointer(place).unwrap()["later"], more, "{place}");
    }
}

#[test]
fn from_json_reports_a_later_version_whatever_its_fields() {
    for newer in [
        json!({ "version": 2 }),
        json!({ "version": 99, "id": "../x", "base": 3 }),
    ] {
        let error = read(&newer).unwrap_err();
        assert!(error.downcast_ref::<NewerVersion>().is_some(), "{error:#}");
    }
    for damaged in ["{}", "", "[]", r#"{"version":1}"#, r#"{"version":0}"#] {
        let error = Task::from_json(damaged.as_bytes()).unwrap_err();
        assert!(error.downcast_ref::<NewerVersion>().is_none(), "{damaged}");
    }
}

#[test]
fn from_json_rejects_every_invalid_field() {
    let long = |length: usize| "x".repeat(length);
    let objects = [
        json!(""),
        json!("HEAD"),
        json!("--output=/tmp/x"),
        json!("0".repeat(39)),
        json!("0".repeat(64)),
        json!("G".repeat(40)),
        json!("A".repeat(40)),
        json!(format!("{}\n", "0".repeat(39))),
        json!(0),
    ];
    let branches = [
        json!(""),
        json!("-x"),
        json!("--upload-pack=x"),
        json!("HEAD"),
        json!("a..b"),
        json!("a b"),
        json!("a\nb"),
        json!("a\0b"),
        json!("../../x"),
        json!("/a"),
        json!("a/"),
        json!("a//b"),
        json!("a.lock"),
        json!(".a"),
        json!("a/.b"),
        json!("a~1"),
        json!("a^"),
        json!("a:b"),
        json!("a?"),
        json!("a*"),
        json!("a["),
        json!("a\\b"),
        json!("a@{1}"),
        json!("a."),
        json!(long(5000)),
    ];
    let paths = [
        json!(""),
        json!("/"),
        json!("relative"),
        json!("./x"),
        json!("-x"),
        json!("/a/../../etc"),
        json!("/.."),
        json!("/a\0b"),
        json!([47, 0]),
        json!([300]),
        json!(format!("/{}", long(5000))),
        json!(null),
    ];
    let times = [
        json!(253_402_207_201_u64),
        json!(u64::MAX),
        json!(-1),
        json!(1.5),
        json!("1"),
    ];
    let pids = [
        json!(0),
        json!(-1),
        json!(i32::MIN),
        json!(1_u64 << 32),
        json!(4_294_967_295_u32),
        json!("1"),
    ];
    let names = [
        json!("a\nb"),
        json!("a\u{1b}b"),
        json!("a\0b"),
        json!(long(2000)),
        json!(["a"]),
    ];
    let own = |part: &str| json!([[part, "0".repeat(40)]]);
    let table: [(&str, &[Value]); 31] = [
        (
            "/id",
            &[
                json!(""),
                json!("-x"),
                json!("../x"),
                json!("A"),
                json!("a/b"),
                json!(long(51)),
            ],
        ),
        ("/title", &[json!(long(5000)), json!(null)]),
        ("/phase", &[json!("gone"), json!("Active"), json!("")]),
        ("/agent", &names),
        (
            "/agent_args",
            &[json!([["x"]]), json!(["a\0b"]), json!([[0]]), json!("x")],
        ),
        ("/branch", &branches),
        ("/base", &objects),
        ("/into", &branches),
        ("/worktree", &paths),
        (
            "/directory",
            &[
                json!(""),
                json!("/etc"),
                json!("../x"),
                json!("a/../.."),
                json!("./a"),
                json!("a\0b"),
                json!([0]),
                json!(long(5000)),
            ],
        ),
        ("/created", &times),
        (
            "/port",
            &[json!(0), json!(80), json!(65_535), json!(70_000), json!(-1)],
        ),
        ("/target/kind", &[json!("hole")]),
        (
            "/target/session",
            &[json!(""), json!("a\nb"), json!(long(2000))],
        ),
        (
            "/target/window",
            &[
                json!(""),
                json!("@"),
                json!("1"),
                json!("%1"),
                json!("@-1"),
                json!("@+1"),
                json!("@1;x"),
                json!("@4294967296"),
            ],
        ),
        (
            "/target/pane",
            &[
                json!(""),
                json!("%"),
                json!("@1"),
                json!("%1.0"),
                json!("%1 x"),
                json!("{last}"),
                json!("-a"),
            ],
        ),
        ("/target/pane_pid", &pids),
        (
            "/target/socket",
            &[
                json!(""),
                json!("/a\0b"),
                json!([47, 0]),
                json!(long(5000)),
                json!(null),
            ],
        ),
        ("/target/server_pid", &pids),
        ("/target/server_start", &times),
        ("/removal/at", &times),
        ("/removal/snapshot", &objects),
        (
            "/removal/config",
            &[
                json!([["", "x"]]),
                json!([["a.b", "x"]]),
                json!([["a b", "x"]]),
                json!([["1a", "x"]]),
                json!([["-a", "x"]]),
                json!([["a\nb", "x"]]),
                json!([["a", "x\0y"]]),
                json!([["ä", "x"]]),
                json!([["a"]]),
                json!([[long(2000), "x"]]),
            ],
        ),
        (
            "/removal/own",
            &[
                own("heads/main"),
                own("tip"),
                own("task"),
                own("worktree"),
                own("worktree/"),
                own("worktree/../heads/x"),
                own("worktreex/a"),
                own("reflog/x"),
                own("bisect/a b"),
                own("../x"),
                own("worktree/a\nb"),
                own(""),
                json!([["worktree/a", "HEAD"]]),
                json!([["worktree/a", "0".repeat(64)]]),
            ],
        ),
        ("/removal/into/branch", &branches),
        ("/removal/into/from", &objects),
        ("/removal/into/to", &objects),
        (
            "/restored",
            &[
                json!(""),
                json!("fix"),
                json!("fix-2"),
                json!("fix-1."),
                json!("fix-1.x"),
                json!("fix-1.01"),
                json!("fix-1.+1"),
                json!("../fix-1"),
                json!("fix-1/../x"),
                json!("fix-1.4294967296"),
            ],
        ),
        ("/existing/tip", &objects),
        ("/existing/made", &[json!(1)]),
        ("/carried", &objects),
    ];
    read(&whole()).unwrap();
    for (field, values) in table {
        for value in values {
            let mut record = whole();
            *record.pointer_mut(field).expect(field) = value.clone();
            let shown: String = value.to_string().chars().take(60).collect();
            let error = read(&record)
                .map(|_| ())
                .expect_err(&format!("{field} = {shown}"));
            assert!(
                error.downcast_ref::<NewerVersion>().is_none(),
                "{field} = {shown}"
            );
            // The message does not contain the value.
            let message = format!("{error:#}");
            assert!(message.len() < 300, "{message:.300}");
        }
    }
}

#[test]
fn from_json_rejects_a_record_that_is_too_long() {
    let mut record = whole();
    record["later"] = json!("x".repeat(17 * 1024 * 1024));
    assert!(read(&record).is_err());
}
