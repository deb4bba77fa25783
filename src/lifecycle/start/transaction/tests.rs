//! Every step of a start, and its way back, in a repository of its own. What opens a pane is tried in `tests/`.

use std::fs;
use std::path::PathBuf;

use super::super::plan::NewPane;
use super::super::world::{World, git, id, new};
use super::*;
use crate::agent::AgentCommand;
use crate::lifecycle::archive::{self, Archived};
use crate::store::{Store, task_ref};
use crate::system::clock::seconds;
use crate::task::{BranchName, Existing, Exit, How, Phase, Rest, SessionName};
use crate::tmux::Place;

impl World {
    /// A start whose record is there.
    fn transaction<'a>(&'a self, start: &'a Start) -> StartTransaction<'a> {
        let lock = self.flux.lock_task(&start.task.id).unwrap();
        let record = match &start.origin {
            Origin::Task(record) => record.clone(),
            _ => {
                let (task, tip) = (&start.task, start.tip());
                store::create(&self.flux.repo, task, &start.description, tip, &lock).unwrap()
            }
        };
        StartTransaction::new(&self.flux, start, record, lock)
    }

    /// Makes each number of the first steps, and undoes them.
    #[track_caller]
    fn assert_each_is_undone(&self, start: &Start, steps: &[Step]) {
        assert_eq!(start.steps(), steps);
        let before = self.facts();
        for number in 0..=steps.len() {
            let mut transaction = self.transaction(start);
            for step in &steps[..number] {
                transaction.make(*step).unwrap();
            }
            assert_eq!(transaction.roll_back().unwrap(), Undone::All, "{number}");
            drop(transaction);
            assert_eq!(self.facts(), before, "after {number} steps");
        }
    }
}

const NEW: [Step; 5] = [
    Step::ForgetRun,
    Step::Register,
    Step::Fill,
    Step::Copy,
    Step::NoteNoAgent,
];

#[test]
fn each_step_of_a_new_task_is_undone() {
    let world = World::new();
    world.assert_each_is_undone(&world.start(new()), &NEW);
}

#[test]
fn the_steps_make_a_whole_task() {
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
fn a_worktree_with_a_file_of_somebodys_is_kept_when_its_start_is_undone() {
    let world = World::new();
    let start = world.start(new());
    let mut transaction = world.transaction(&start);
    for step in NEW {
        transaction.make(step).unwrap();
    }
    fs::write(start.task.worktree.join("mine"), "work").unwrap();
    let Undone::Kept(place) = transaction.roll_back().unwrap() else {
        panic!("it was not kept");
    };
    let kept = fs::read_to_string(place.join("worktree/mine")).unwrap();
    assert_eq!(kept, "work");
    assert_eq!(world.record(), None);
    assert!(!start.task.worktree.exists());
}

#[test]
fn a_task_whose_worktree_was_switched_is_left_when_its_start_is_undone() {
    let world = World::new();
    let start = world.start(new());
    let mut transaction = world.transaction(&start);
    for step in NEW {
        transaction.make(step).unwrap();
    }
    git(&start.task.worktree, ["switch", "-q", "-c", "other"]);
    assert_eq!(transaction.roll_back().unwrap(), Undone::Left);
    assert_eq!(world.record().unwrap().phase, Phase::Active);
    assert!(start.task.worktree.join("file").exists());
}

#[test]
fn a_start_whose_worktree_is_taken_names_the_reason_and_leaves_nothing() {
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
        restored: Some(from.name.clone()),
        target: None,
        ..from.task.in_phase(Phase::Starting)
    };
    start
}

#[test]
fn each_step_of_bringing_a_worktree_back_is_undone() {
    let world = World::new();
    let start = restored(&world, &removed(&world));
    let steps = [
        Step::ForgetRun,
        Step::Register,
        Step::Fill,
        Step::PutRefsBack,
        Step::NoteNoAgent,
    ];
    world.assert_each_is_undone(&start, &steps);
    world.transaction(&start).run().map(drop).unwrap();
    let task = world.record().unwrap();
    let ignored = fs::read_to_string(task.worktree.join("env")).unwrap();
    assert_eq!(ignored, "SECRET=2\n");
    assert!(archive::list(&world.flux).unwrap().is_empty());
}

#[test]
fn each_step_of_bringing_commits_back_is_undone() {
    let world = World::new();
    removed(&world);
    fs::remove_dir_all(world.flux.trash().join("fix")).unwrap();
    let from = archive::list(&world.flux).unwrap().remove(0);
    let steps = [
        Step::ForgetRun,
        Step::Register,
        Step::Fill,
        Step::PutRefsBack,
        Step::Copy,
        Step::NoteNoAgent,
    ];
    let start = restored(&world, &from);
    world.assert_each_is_undone(&start, &steps);
    world.transaction(&start).run().map(drop).unwrap();
    let head = git(&start.task.worktree, ["rev-parse", "HEAD"]);
    assert_eq!(head.trim_end(), &*from.tip);
}

/// A worktree of the user's, to be adopted.
fn adoption(world: &World) -> Start {
    let mut start = world.start(Origin::Worktree);
    let path = start.task.worktree.to_str().unwrap().to_owned();
    git(
        world.home(),
        ["worktree", "add", "-q", "-b", "topic", &path],
    );
    start.task.branch = BranchName::new("topic");
    start.task.existing = Some(Existing {
        tip: start.task.base.clone(),
        made: false,
        adopted: true,
        rest: Rest::default(),
    });
    start
}

#[test]
fn each_step_of_an_adoption_is_undone() {
    let world = World::new();
    let start = adoption(&world);
    fs::write(start.task.worktree.join("mine"), "work").unwrap();
    world.assert_each_is_undone(&start, &[Step::Configure, Step::NoteNoAgent]);
}

#[test]
fn an_adoption_changes_nothing_in_the_worktree() {
    let world = World::new();
    let start = adoption(&world);
    let before = fs::read_dir(&start.task.worktree).unwrap().count();
    world.transaction(&start).run().map(drop).unwrap();
    let task = world.record().unwrap();
    assert_eq!((task.phase, task.target), (Phase::Active, None));
    assert!(world.flux.run_dir(&id()).exit().unwrap().unwrap().is_none());
    assert_eq!(fs::read_dir(&task.worktree).unwrap().count(), before);
}

#[test]
fn what_is_known_of_an_earlier_run_comes_back_when_resuming_is_undone() {
    let world = World::new();
    world
        .transaction(&world.start(new()))
        .run()
        .map(drop)
        .unwrap();
    let store = Store::load(&world.flux.repo, &world.flux.settings).unwrap();
    let exit = Exit::new(How::Status(3), seconds());
    let run = world.flux.run_dir(&id());
    run.write_exit(&exit).unwrap();
    let agent = AgentCommand {
        agent: world.flux.settings.find_agent("shell").unwrap().0,
        program: PathBuf::from("sh"),
        prompt: Vec::new(),
    };
    let pane = NewPane {
        agent: Some(agent),
        ..NewPane::shell(Place::Session {
            name: SessionName::new("flux-repo-fix"),
        })
    };
    let start = Start::again(&store.tasks[0], pane).unwrap();
    assert_eq!(start.steps(), [Step::ForgetRun, Step::OpenPane]);
    let before = world.facts();
    let mut transaction = world.transaction(&start);
    transaction.make(Step::ForgetRun).unwrap();
    assert_eq!(run.exit().unwrap(), None);
    assert_eq!(transaction.roll_back().unwrap(), Undone::All);
    assert_eq!(run.exit().unwrap(), Some(exit));
    drop(transaction);
    assert_eq!(world.facts(), before);
}

#[test]
fn a_shell_that_is_opened_again_leaves_what_is_known_of_the_agent() {
    let world = World::new();
    world
        .transaction(&world.start(new()))
        .run()
        .map(drop)
        .unwrap();
    let store = Store::load(&world.flux.repo, &world.flux.settings).unwrap();
    let pane = NewPane::shell(Place::Session {
        name: SessionName::new("flux-repo-fix"),
    });
    let start = Start::again(&store.tasks[0], pane).unwrap();
    assert_eq!(start.steps(), [Step::OpenPane]);
}
