//! Tests agents that are jobs of a real Slurm: `.ci/long slurm` installs and runs it.

use crate::world::slurm::Slurm;
use crate::world::*;

fn run(slurm: &Slurm<'_>, name: &str) {
    let run = slurm.flux(["run", "-q", "--name", name, "Fix 'it' $HOME"]);
    run.run().success();
}

/// Starts a task whose agent runs.
fn start(world: &World, slurm: &Slurm<'_>, name: &str) -> Agent {
    run(slurm, name);
    let agent = world.agent(name);
    agent.wait_started();
    agent
}

/// Returns the state of a task as the table shows it, without its reason.
fn state(world: &World, id: &str) -> String {
    let status = world.flux(["status", "--json", id]).run().success().json();
    let state = status["state"].as_str().unwrap().to_owned();
    match status["exit"]["status"].as_i64() {
        Some(code) => format!("{state}({code})"),
        None => state,
    }
}

#[track_caller]
fn wait_state(world: &World, id: &str, wanted: &str) {
    wait_until(&format!("'{id}' to be {wanted}"), || {
        state(world, id) == wanted
    });
}

#[test]
#[ignore = "needs Slurm: .ci/long slurm"]
fn pending_job_is_queued_and_runs_once_a_machine_is_free() {
    let world = World::new();
    let slurm = Slurm::start(&world);
    // An agent whose screen is not known: it is typed to without looking.
    world.install_agent("own");
    world.git(["config", "flux.own.command", "own"]);
    world.git(["config", "flux.agent", "own"]);
    let one = start(&world, &slurm, "one");
    world.git(["config", "flux.agent", "claude"]);
    let two = start(&world, &slurm, "two");
    assert_ne!(one.env("SLURMD_NODENAME"), two.env("SLURMD_NODENAME"));
    assert_eq!(one.cwd(), world.worktree("one"));
    assert!(String::from_utf8_lossy(&one.prompt()).contains("Fix 'it' $HOME"));
    run(&slurm, "three");
    assert_eq!(state(&world, "three"), "queued");
    slurm.job("PD");
    let states = world.flux(["list", "--json"]).run().success().json();
    let states = states.as_array().unwrap().iter();
    let mut states: Vec<_> = states.map(|task| task["state"].as_str().unwrap()).collect();
    states.sort_unstable();
    assert_eq!(states, ["queued", "running", "running"]);
    world.flux(["send", "three", "Hello"]).run().code(1);
    // The hooks work on the other machine.
    for event in ["SessionStart", "UserPromptSubmit", "Stop"] {
        let json = r#"{"session_id":"1"}"#;
        two.tell(&format!(
            "sh echo '{json}' | git-flux __hook claude {event}"
        ));
    }
    assert_eq!(state(&world, "two"), "done");
    world.flux(["send", "one", "Hello 'there'"]).run().success();
    one.wait_stdin("Hello 'there'\n");

    one.tell("exit 7");
    wait_state(&world, "one", "exited(7)");
    let three = world.agent("three");
    three.wait_started();
    assert_eq!(state(&world, "three"), "running");
    assert_eq!(three.stdin(), b"");

    world.flux(["stop", "three"]).run().success();
    three.wait_gone();
    assert!(state(&world, "three").starts_with("stopped"));
    world.flux(["cleanup", "-y", "two"]).run().success();
    two.wait_gone();
    slurm.wait_jobs(0);
}

#[test]
#[ignore = "needs Slurm: .ci/long slurm"]
fn pending_job_leaves_the_queue_with_its_task() {
    let world = World::new();
    let slurm = Slurm::start(&world);
    start(&world, &slurm, "one");
    start(&world, &slurm, "two");
    run(&slurm, "three");
    wait_state(&world, "three", "queued");
    slurm.wait_jobs(3);
    world.flux(["stop", "three"]).run().success();
    assert!(state(&world, "three").starts_with("stopped"));
    slurm.wait_jobs(2);
    slurm.flux(["resume", "--restart", "three"]).run().success();
    assert_eq!(state(&world, "three"), "queued");
    slurm.wait_jobs(3);
    world.flux(["cleanup", "-y", "three"]).run().success();
    slurm.wait_jobs(2);
    assert_eq!(world.agent("three").starts(), 0);
}

#[test]
#[ignore = "needs Slurm: .ci/long slurm"]
fn cancelled_job_has_exited() {
    let world = World::new();
    let slurm = Slurm::start(&world);
    let one = start(&world, &slurm, "one");
    slurm.ask("scancel", &[&slurm.job("R")]);
    wait_state(&world, "one", "exited(143)");
    one.wait_gone();
    start(&world, &slurm, "two");
    start(&world, &slurm, "three");
    run(&slurm, "four");
    wait_state(&world, "four", "queued");
    slurm.ask("scancel", &[&slurm.job("PD")]);
    wait_state(&world, "four", "exited(1)");
    assert_eq!(world.agent("four").starts(), 0);
}

#[test]
#[ignore = "needs Slurm: .ci/long slurm"]
fn job_that_reaches_its_time_limit_has_exited() {
    let world = World::new();
    let slurm = Slurm::start(&world);
    // A minute is the least.
    world.git(["config", "flux.wrapper", "srun --quiet --pty --time=1"]);
    let one = start(&world, &slurm, "one");
    let wait = || {
        world
            .flux(["wait", "--for", "exited", "--timeout", "100", "one"])
            .run()
    };
    let mut ended = wait();
    if ended.stderr.contains("timed out") {
        ended = wait();
    }
    ended.code(1).says(&expect![[r#"
        one exited(143)
    "#]]);
    one.wait_gone();
}

#[test]
#[ignore = "needs Slurm: .ci/long slurm"]
fn agent_whose_machine_fails_is_lost_and_resumes_on_another() {
    let world = World::new();
    let slurm = Slurm::start(&world);
    let one = start(&world, &slurm, "one");
    let node = slurm.freeze(one.pid());
    wait_state(&world, "one", "lost");
    world.flux(["wait", "one"]).run().code(1).says(&expect![[r#"
        one lost
    "#]]);
    let resume = slurm.flux(["resume", "--restart", "one"]);
    resume.run().success();
    one.wait_starts(2);
    assert_eq!(state(&world, "one"), "running");
    assert_ne!(one.env("SLURMD_NODENAME"), Some(node));
}

#[test]
#[ignore = "needs Slurm: .ci/long slurm"]
fn gate_has_no_verdict_if_its_machine_fails() {
    let world = World::new();
    let slurm = Slurm::start(&world);
    world.behaviour("exit 0");
    run(&slurm, "one");
    world.wait_ended("one");
    let marks = world.root().join("gate");
    let gate = format!(
        "echo $$ >'{0}' && test -e '{0}-goes-on' || sleep 600",
        marks.display()
    );
    world.git(["config", "flux.gate", &gate]);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            let pid = wait_for("the gate", || {
                std::fs::read_to_string(&marks).ok()?.trim().parse().ok()
            });
            slurm.freeze(pid);
        });
        let gate = slurm.flux(["gate", "one"]).run();
        gate.code(125)
            .stdout_has(" was not seen to end: its machine failed\n");
    });
    world.write(world.root().join("gate-goes-on"), "");
    slurm.flux(["gate", "one"]).run().success();
}

#[test]
#[ignore = "needs Slurm: .ci/long slurm"]
fn forty_tasks_run_at_once() {
    let world = World::new();
    let slurm = Slurm::start(&world);
    world.git(["config", "flux.wrapper", "srun --quiet --pty -p many"]);
    let started = std::time::Instant::now();
    let ids = slurm.flux(["run", "-q", "--count", "40", "Fix it"]).ok();
    let ids: Vec<&str> = ids.lines().collect();
    eprintln!("40 starts: {:.1} s", started.elapsed().as_secs_f32());
    for id in &ids {
        world.agent(id).wait_started();
    }
    eprintln!("40 agents: {:.1} s", started.elapsed().as_secs_f32());
    let jobs = slurm.ask("squeue", &["-h", "-t", "R", "-o", "%N"]);
    assert_eq!(jobs.lines().count(), 40);
    assert!(jobs.contains("node1") && jobs.contains("node2"));
    let list = world.flux(["list", "--json"]).run().success().json();
    let list = list.as_array().unwrap();
    assert_eq!(list.len(), 40);
    assert!(list.iter().all(|task| task["state"] == "running"));
    let stopped = std::time::Instant::now();
    world.flux(["stop", "--all"]).run().success();
    slurm.wait_jobs(0);
    eprintln!("40 stops: {:.1} s", stopped.elapsed().as_secs_f32());
}
