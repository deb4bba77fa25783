//! Tests tasks whose agent runs in another PID namespace or on another machine.

use std::fs;
use std::path::PathBuf;

use serde_json::{Value, json};

use crate::world::launcher::Started;
use crate::world::*;

/// Runs git flux in a PID namespace of its own; none where this machine lets nobody make one.
fn in_namespace(world: &World, args: &[&str]) -> Option<(i32, String)> {
    let user: &[&str] = match world
        .command("id")
        .arg("-u")
        .output()
        .unwrap()
        .stdout
        .as_slice()
    {
        b"0\n" => &[],
        _ => &["--user", "--map-root-user"],
    };
    let options = ["--pid", "--fork", "--mount-proc", "sh", "-c"];
    let script = "[ $$ = 1 ] || exit 77; git-flux \"$@\" </dev/null";
    let output = world
        .command(require("unshare"))
        .args(user)
        .args(options)
        .args([script, "sh"])
        .args(args)
        .current_dir(world.repo())
        .output()
        .unwrap();
    let said =
        [output.stdout, output.stderr].map(|bytes| String::from_utf8_lossy(&bytes).into_owned());
    let code = output.status.code().unwrap();
    if (code == 77 || said[1].contains("unshare:")) && std::env::var_os("CI").is_none() {
        eprintln!("this machine lets nobody make a PID namespace: {}", said[1]);
        return None;
    }
    Some((code, said.concat()))
}

fn mark(world: &World, id: &str) -> PathBuf {
    world.repo().join(".git/flux/run").join(id).join("running")
}

fn edit(world: &World, id: &str, change: impl Fn(&mut Value)) {
    let path = mark(world, id);
    let mut running = serde_json::from_slice(&fs::read(&path).unwrap()).unwrap();
    change(&mut running);
    fs::write(path, running.to_string()).unwrap();
}

fn elsewhere(running: &mut Value) {
    running["boot"] = json!("another");
    running["machine"] = json!({"id": "another", "host": "devbox", "pid_namespace": "pid:[1]"});
}

#[test]
fn cleanup_resume_stop_and_send_refuse_an_agent_in_another_pid_namespace() {
    let world = World::new();
    let task = Started::new(&world, "wait");
    let id = task.id.as_str();
    let before = world.snapshot();
    let refused = format!("error: the agent of '{id}' runs elsewhere: ");
    let hint = format!(": git flux stop {id}");
    for args in [
        &["cleanup", id][..],
        &["cleanup", "-y", id],
        &[
            "cleanup",
            "-y",
            "--gone",
            "--discard",
            "--discard-branch",
            id,
        ],
        &["cleanup", "-y", "--all"],
        &["resume", id],
        &["resume", "-y", "--gone", "--restart", id],
        &["stop", id],
        &["stop", "--all"],
        &["send", id, "hello"],
    ] {
        let Some((code, said)) = in_namespace(&world, args) else {
            return;
        };
        assert_eq!(code, 1, "{args:?}\n{said}");
        assert!(
            said.contains(&refused) && said.contains(&hint),
            "{args:?}\n{said}"
        );
        world.assert_unchanged(&before);
    }
    let (_, list) = in_namespace(&world, &["list"]).unwrap();
    assert!(list.contains("running(elsewhere)"), "{list}");
    let (_, status) = in_namespace(&world, &["status", "--json", id]).unwrap();
    let status: Value = serde_json::from_str(&status).unwrap();
    let found = ["state", "stateReason", "stateSource"].map(|field| status[field].clone());
    assert_eq!(found, ["running", "elsewhere", "process"]);
    for (args, nothing) in [
        (["resume", "--all"], "nothing to resume"),
        (["cleanup", "--merged"], "nothing to clean up"),
    ] {
        let (code, said) = in_namespace(&world, &args).unwrap();
        assert!(code == 0 && said.contains(nothing), "{said}");
    }
    let (code, said) = in_namespace(&world, &["cleanup", "-n", id]).unwrap();
    let agent: Vec<&str> = said
        .lines()
        .filter(|line| line.starts_with("agent "))
        .collect();
    assert!(
        code == 1 && agent.len() == 1 && agent[0].contains("refuses"),
        "{said}"
    );
    world.assert_unchanged(&before);
    assert!(task.agent.is_alive());
    // Here it is seen, and what the agent may have written changes nothing.
    edit(&world, id, elsewhere);
    assert_eq!(task.status()["stateReason"], Value::Null);
    world.flux(["stop", id]).run().success();
    world.flux(["cleanup", "-y", id]).run().success();
}

#[test]
fn cleanup_resume_and_stop_require_consent_for_a_task_of_another_machine() {
    let world = World::new();
    let task = Started::new(&world, "wait");
    let id = task.id.as_str();
    let kill = format!("kill -9 {}", task.launcher);
    world.command("sh").args(["-c", &kill]).status().unwrap();
    task.agent.wait_gone();
    wait_until("the task to be lost", || task.status()["state"] == "lost");
    assert_eq!(task.status()["stateGuess"], false);
    let seen = fs::read(mark(&world, id)).unwrap();
    edit(&world, id, elsewhere);
    let status = task.status();
    assert_eq!(
        (&status["state"], &status["stateGuess"]),
        (&json!("lost"), &json!(true))
    );
    let doubt =
        format!("the agent of '{id}' was started on the machine 'devbox', and may still run");
    let before = world.snapshot();
    for args in [
        &["cleanup", "-y", id][..],
        &["cleanup", "-y", "--discard", "--discard-branch", id],
        &["cleanup", "-y", "--all"],
        &["resume", "-y", id],
        &["resume", "-y", "--all"],
        &["stop", id],
    ] {
        let output = world.flux(args).run();
        output.code(1).stderr_has(&doubt).stderr_has("hint: ");
        world.assert_unchanged(&before);
    }
    let output = world.flux(["cleanup", "-n", id]).run();
    output.stdout_has(&doubt);
    // A plain yes is no answer to it.
    let terminal = world.terminal(120, 40);
    terminal.type_line(&format!("git flux cleanup -y {id}; echo \"code $?\""));
    terminal.wait_for_screen("Has the agent ended?");
    terminal.keys(["Enter"]);
    terminal.wait_for_screen("code 130");
    world.assert_unchanged(&before);

    let output = world.flux(["resume", id]).run();
    output
        .says(&expect![[r#"
            --- stderr
            error: the agent of 'fix-the-login-XXXXXX' was started on the machine 'devbox', and may still run
            hint: if the agent has ended: git flux resume fix-the-login-XXXXXX --gone
        "#]]);
    world.flux(["resume", "--gone", id]).run().success();
    task.agent.wait_starts(2);
    world.flux(["cleanup", "-y", id]).run().success();

    // The same machine, started anew, asks nothing; nor does the mark of an older git flux.
    for change in [
        |running: &mut Value| running["boot"] = json!("another"),
        |running: &mut Value| {
            running["boot"] = json!("another");
            running.as_object_mut().unwrap().remove("machine");
        },
    ] {
        let id = world.start("Fix it");
        world.agent(&id).wait_started();
        world.flux(["stop", &id]).run().success();
        fs::write(mark(&world, &id), &seen).unwrap();
        fs::remove_file(mark(&world, &id).with_file_name("exit")).unwrap();
        edit(&world, &id, change);
        world.flux(["cleanup", "-y", &id]).run().success();
    }
}
