//! Tests of each step of a start and its rollback. Tests that open a pane are in `tests/`.

use std::fs;
use std::path::PathBuf;

use anyhow::anyhow;

use super::super::plan::NewPane;
use super::super::world::{World, git, id, new};
use super::*;
use crate::agent::AgentCommand;
use crate::lifecycle::archive::{self, Archived};
use crate::store::{Store, task_ref};
use crate::system::clock::this_second;
use crate::task::{BranchName, ExistingBranch, Exit, ExitReason, Phase, Rest, SessionName};
use crate::tmux::Placement;

impl World {
    /// A start whose record exists.
    fn transaction<'a>(&'a self, start: &'a Start) -> StartTransaction<'a> {
        let lock = self.flux.lock_task(&start.task.id).unwrap();
        let record = match &start.origin {
            Origin::Task(record) => record.clone(),
            _ => {
                let (task, tip) = (&start.task, start.tip());
                store::create_task(&self.flux.repo, task, &start.description, tip, &lock).unwrap()
            }
        };
        StartTransaction::new(&self.flux, start, record, lock)
    }

    /// Runs the first 0, 1, 2 … steps, and rolls them back.
    #[track_caller]
    fn assert_rolls_back(&self, start: &Start, steps: &[Step]) {
        assert_eq!(start.steps(), steps);
        let before = self.facts();
        for number in 0..=steps.len() {
            let mut transaction = self.transaction(start);
            for step in &steps[..number] {
                transaction.run_step(*step).unwrap();
            }
            assert_eq!(
                transaction.roll_back().unwrap(),
                Rollback::Complete,
                "{number}"
            );
            drop(transaction);
            assert_eq!(self.facts(), before, "after {number} steps");
        }
    }
}

const NEW: [Step; 5] = [
    Step::ResetRun,
    Step::Register,
    Step::CheckOut,
    Step::CopyFiles,
    Step::RecordNoAgent,
];

#[test]
fn start_rolls_back_each_step_of_a_new_task() {
    let world = World::new();
    world.assert_rolls_back(&world.start(new()), &NEW);
}

#[test]
fn start_creates_a_complete_task() {
    let world = World::new();
    let start = world.start(new());
    world.transaction(&start).run().map(drop).unwrap();
    let task = world.record().unwrap();
    assert_eq!(task.phase, Phase::Active);
    let copied = fs::read_to_string(task.worktree.join("env")).unwrap();
    assert_eq!(copied, "SECRET=1\n");
    let config = git(world.home(), ["config", "branch.feature/fix.description"]);
    assert_eq!(config, "fix it\n");
}

#[test]
fn roll_back_keeps_a_worktree_with_a_new_file() {
    let world = World::new();
    let start = world.start(new());
    let mut transaction = world.transaction(&start);
    for step in NEW {
        transaction.run_step(step).unwrap();
    }
    fs::write(start.task.worktree.join("mine"), "work").unwrap();
    let Rollback::WorktreeKept(place) = transaction.roll_back().unwrap() else {
        panic!("the worktree was not kept");
    };
    let kept = fs::read_to_string(place.join("worktree/mine")).unwrap();
    assert_eq!(kept, "work");
    assert_eq!(world.record(), None);
    assert!(!start.task.worktree.exists());
}

#[test]
fn roll_back_leaves_the_task_when_its_worktree_was_switched() {
    let world = World::new();
    let start = world.start(new());
    let mut transaction = world.transaction(&start);
    for step in NEW {
        transaction.run_step(step).unwrap();
    }
    git(&start.task.worktree, ["switch", "-q", "-c", "other"]);
    assert_eq!(transaction.roll_back().unwrap(), Rollback::TaskLeft);
    assert_eq!(world.record().unwrap().phase, Phase::Active);
    assert!(start.task.worktree.join("file").exists());
}

#[test]
fn start_leaves_nothing_when_its_path_is_taken() {
    let world = World::new();
    let start = world.start(new());
    fs::write(&start.task.worktree, "mine").unwrap();
    let before = world.facts();
    let error = world.transaction(&start).run().map(drop).unwrap_err();
    let said = error.to_string();
    assert_eq!(said, "could not start 'fix'; nothing was left behind");
    assert_eq!(world.facts(), before);
}

/// Removes the task as cleanup does, with an ignored file in its worktree.
fn removed(world: &World) -> Archived {
    let start = world.start(new());
    let transaction = world.transaction(&start);
    transaction.run().map(drop).unwrap();
    let (flux, task) = (&world.flux, world.record().unwrap());
    fs::write(task.worktree.join("env"), "SECRET=2\n").unwrap();
    git(
        &task.worktree,
        ["commit", "-q", "--allow-empty", "-m", "work"],
    );
    let lock = flux.lock_task(&task.id).unwrap();
    let names = [task_ref(&task.id), task.branch_ref()];
    let refs = refs::list(world.home(), &[&names[0], &names[1]]).unwrap();
    let [oid, tip] = names.map(|name| refs[&name].clone());
    let teardown = Teardown {
        flux,
        task: &task,
        oid: &oid,
        tip: Some(&tip),
        lock: &lock,
    };
    teardown.run(&Disposal::Trash).unwrap();
    drop(lock);
    archive::list(flux).unwrap().remove(0)
}

fn restored(world: &World, from: &Archived) -> Start {
    let mut start = world.start(Origin::Archive(Box::new(from.clone())));
    start.task = Task {
        restored_from: Some(from.name.clone()),
        target: None,
        ..from.task.in_phase(Phase::Starting)
    };
    start
}

#[test]
fn restore_rolls_back_each_step_for_a_worktree_in_the_trash() {
    let world = World::new();
    let start = restored(&world, &removed(&world));
    let steps = [
        Step::ResetRun,
        Step::Register,
        Step::CheckOut,
        Step::RestoreRefs,
        Step::RecordNoAgent,
    ];
    world.assert_rolls_back(&start, &steps);
    world.transaction(&start).run().map(drop).unwrap();
    let task = world.record().unwrap();
    let ignored = fs::read_to_string(task.worktree.join("env")).unwrap();
    assert_eq!(ignored, "SECRET=2\n");
    assert!(archive::list(&world.flux).unwrap().is_empty());
}

#[test]
fn restore_rolls_back_each_step_without_a_worktree() {
    let world = World::new();
    removed(&world);
    fs::remove_dir_all(world.flux.trash().join("fix")).unwrap();
    let from = archive::list(&world.flux).unwrap().remove(0);
    let steps = [
        Step::ResetRun,
        Step::Register,
        Step::CheckOut,
        Step::RestoreRefs,
        Step::CopyFiles,
        Step::RecordNoAgent,
    ];
    let start = restored(&world, &from);
    world.assert_rolls_back(&start, &steps);
    world.transaction(&start).run().map(drop).unwrap();
    let head = git(&start.task.worktree, ["rev-parse", "HEAD"]);
    assert_eq!(head.trim_end(), &*from.tip);
}

/// A worktree to adopt.
fn adoption(world: &World) -> Start {
    let mut start = world.start(Origin::Worktree);
    let path = start.task.worktree.to_str().unwrap().to_owned();
    git(
        world.home(),
        ["worktree", "add", "-q", "-b", "topic", &path],
    );
    start.task.branch = BranchName::new("topic");
    start.task.existing = Some(ExistingBranch {
        tip: start.task.base.clone(),
        made: false,
        adopted: true,
        rest: Rest::default(),
    });
    start
}

#[test]
fn adopt_rolls_back_each_step() {
    let world = World::new();
    let start = adoption(&world);
    fs::write(start.task.worktree.join("mine"), "work").unwrap();
    world.assert_rolls_back(&start, &[Step::Configure, Step::RecordNoAgent]);
}

#[test]
fn adopt_changes_nothing_in_the_worktree() {
    let world = World::new();
    let start = adoption(&world);
    let before = fs::read_dir(&start.task.worktree).unwrap().count();
    world.transaction(&start).run().map(drop).unwrap();
    let task = world.record().unwrap();
    assert_eq!((task.phase, task.target), (Phase::Active, None));
    assert!(
        world
            .flux
            .run_dir(&id())
            .exit()
            .unwrap()
            .unwrap()
            .is_unseen()
    );
    assert_eq!(fs::read_dir(&task.worktree).unwrap().count(), before);
}

#[test]
fn resume_restores_the_run_files_when_rolled_back() {
    let world = World::new();
    world
        .transaction(&world.start(new()))
        .run()
        .map(drop)
        .unwrap();
    let store = Store::load(&world.flux.repo, &world.flux.settings).unwrap();
    let exit = Exit::new(ExitReason::Status(3), this_second());
    let run = world.flux.run_dir(&id());
    run.write_exit(&exit).unwrap();
    let agent = AgentCommand {
        agent: world.flux.settings.find_agent("shell").unwrap().0,
        program: PathBuf::from("sh"),
        prompt: Vec::new(),
    };
    let pane = NewPane {
        agent: Some(agent),
        ..NewPane::shell(Placement::Session {
            name: SessionName::new("flux-repo-fix"),
        })
    };
    let start = Start::for_existing(&store.tasks[0], pane).unwrap();
    assert_eq!(start.steps(), [Step::ResetRun, Step::OpenPane]);
    let before = world.facts();
    let mut transaction = world.transaction(&start);
    transaction.run_step(Step::ResetRun).unwrap();
    assert_eq!(run.exit().unwrap(), None);
    assert_eq!(transaction.roll_back().unwrap(), Rollback::Complete);
    assert_eq!(run.exit().unwrap(), Some(exit));
    drop(transaction);
    assert_eq!(world.facts(), before);
}

#[test]
fn open_shell_keeps_the_run_files() {
    let world = World::new();
    world
        .transaction(&world.start(new()))
        .run()
        .map(drop)
        .unwrap();
    let store = Store::load(&world.flux.repo, &world.flux.settings).unwrap();
    let pane = NewPane::shell(Placement::Session {
        name: SessionName::new("flux-repo-fix"),
    });
    let start = Start::for_existing(&store.tasks[0], pane).unwrap();
    assert_eq!(start.steps(), [Step::OpenPane]);
}

#[test]
fn failure_after_describes_the_result_of_each_rollback() {
    let world = World::new();
    let beside = world.home().parent().unwrap().to_str().unwrap();
    let missing =
        format!("error: could not start 'fix'; its worktree is gone: '{beside}/repo-fix'");
    let locked = || Err(anyhow!("locked"));
    for (origin, rollback, expected) in [
        (
            new(),
            Ok(Rollback::Complete),
            "error: could not start 'fix'; nothing was left behind",
        ),
        (
            new(),
            Ok(Rollback::WorktreeKept("/kept".into())),
            "error: could not start 'fix'; its files are in '/kept'",
        ),
        (new(), Ok(Rollback::WorktreeMissing), &*missing),
        (
            Origin::Worktree,
            Ok(Rollback::TaskLeft),
            "error: could not adopt 'fix'; it was kept, since its worktree was changed\n\
             hint: to see the state of the task: git flux status fix",
        ),
        (
            new(),
            locked(),
            "error: could not start 'fix', nor undo it: locked\n\
             hint: to try again: git flux cleanup",
        ),
        // Cleanup completes only a start that made its task.
        (
            Origin::Task(ObjectId::default()),
            locked(),
            "error: could not open a session for 'fix', nor undo it: locked",
        ),
    ] {
        let failure = world.start(origin).failure_after(rollback).into();
        let lines = failure::lines(&failure).into_iter();
        let lines: Vec<String> = lines
            .map(|(label, text)| format!("{label}: {text}"))
            .collect();
        assert_eq!(lines.join("\n"), expected);
    }
}

#[test]
fn interruption_describes_the_result_for_each_origin() {
    let world = World::new();
    for (origin, expected) in [
        (new(), "interrupted; nothing is left of 'fix'"),
        (Origin::Worktree, "interrupted; nothing was changed"),
        (
            Origin::Task(ObjectId::default()),
            "interrupted; 'fix' is not running",
        ),
    ] {
        let failure = world.start(origin).interruption();
        assert_eq!(failure.to_string(), expected);
    }
}
