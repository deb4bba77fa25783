//! Plans as a whole, of worktrees and of processes.

use super::*;

#[test]
fn plan_passes_every_check_of_a_finished_task() {
    let scene = Scene::new();
    for options in [
        ask(),
        never(),
        jointly(),
        yes(),
        commit_all(),
        discard(),
        drop_branch(),
        into("main"),
        merge(Style::Squash),
        merge(Style::Rebase),
        merge(Style::FastForward),
        conflicts(Conflicts::Update),
    ] {
        let plan = scene.plan(&options);
        let passed = |check: &Check| matches!(check.verdict, Verdict::Ok(_));
        assert!(plan.checks.iter().all(passed), "{:#?}", plan.checks);
        assert!(!plan.is_update() && plan.ensure_not_refused().is_ok());
    }
}

#[test]
fn make_returns_the_same_plan_again_for_each_of_several_tasks() {
    let scene = Scene::new();
    let root = scene.repo.parent().unwrap();
    let (_, other) = add_task(&scene.flux, root, "other");
    let store = Store::load(&scene.flux.repo, &scene.flux.settings).unwrap();
    let make = |id: &TaskId| Plan::make(&scene.flux, &store, id, &never());
    let plans = [&scene.id, &other].map(make);
    let again = [&scene.id, &other].map(make);
    for (plan, again) in plans.iter().zip(&again) {
        assert_eq!(plan.facts.as_ref().map(|facts| facts.commits()), Some(1));
        assert_eq!(plan.facts, again.facts);
    }
    assert_ne!(plans[0].facts, plans[1].facts);
    let unknown = Plan::make(&scene.flux, &store, &"unknown".parse().unwrap(), &never());
    assert_check(&unknown, "record", "refused", "there is no task 'unknown'");
}

#[test]
fn decide_changes_only_checks_that_depend_on_the_answer() {
    let scene = Scene::new();
    fs::write(scene.worktree.join("new"), "new\n").unwrap();
    let mut plan = scene.plan(&ask());
    let commits = |plan: &Plan| plan.forecast().unwrap().commits();
    assert_eq!(commits(&plan), 1);
    plan.decide(
        &scene.flux,
        &Options {
            asking: Asking::Everything,
            ..commit_all()
        },
    );
    assert_eq!(commits(&plan), 2);
    assert_check(&plan, "merge", "ok", "2 commits");
    plan.decide(&scene.flux, &discard());
    assert_eq!(commits(&plan), 1);
    let names: Vec<_> = plan.checks.iter().map(|check| check.name).collect();
    let mut unique = names.clone();
    unique.dedup();
    assert_eq!(names, unique);
}

#[test]
fn plan_refuses_a_locked_busy_detached_or_replaced_worktree() {
    let scene = Scene::new();
    let path = scene.worktree.to_str().unwrap();
    git(&scene.repo, &["worktree", "lock", "--reason", "mine", path]);
    scene.assert("lock", &[(yes(), "refused", "is locked: mine")]);
    git(&scene.repo, &["worktree", "unlock", path]);
    git(&scene.worktree, &["bisect", "start"]);
    scene.assert(
        "operation",
        &[(yes(), "refused", "a bisect is in progress")],
    );
    git(&scene.worktree, &["bisect", "reset"]);
    git(&scene.worktree, &["switch", "--quiet", "--detach"]);
    scene.assert("HEAD", &[(yes(), "refused", "does not have 'feature/fix'")]);
    fs::remove_dir_all(&scene.worktree).unwrap();
    git(&scene.repo, &["clone", "--quiet", ".", path]);
    scene.assert("worktree", &[(yes(), "refused", "no longer a worktree of")]);
}

#[test]
fn plan_asks_about_a_missing_worktree_without_discard() {
    let scene = Scene::new();
    fs::remove_dir_all(&scene.worktree).unwrap();
    scene.assert(
        "worktree",
        &[
            (ask(), "asks", "is gone"),
            (jointly(), "not agreed", "is gone"),
            (yes(), "not agreed", "is gone"),
            (commit_all(), "not agreed", "is gone"),
            (discard(), "agreed", "is gone"),
        ],
    );
    scene.assert("uncommitted", &[(discard(), "ok", "unknown")]);
}

#[test]
fn plan_only_drops_a_missing_branch() {
    let scene = Scene::new();
    git(&scene.worktree, &["switch", "--quiet", "--detach"]);
    git(&scene.repo, &["branch", "--quiet", "-D", "feature/fix"]);
    scene.assert(
        "branch",
        &[
            (yes(), "refused", "is gone"),
            (drop_branch(), "ok", "its last known commit is"),
        ],
    );
}

#[test]
fn plan_needs_the_right_option_for_each_process() {
    let scene = Scene::new();
    let process = |is_suspended| Process {
        pid: 1,
        name: "vi".to_owned(),
        is_suspended,
    };
    let ended = Options {
        given: vec![Question::AgentEnded],
        ..never()
    };
    let mut plan = scene.plan(&never());
    let mut case = |spoil: &dyn Fn(&mut TaskProcesses), name: &str, cases: &[(&Options, &str)]| {
        let before = plan.facts.clone();
        spoil(&mut plan.facts.as_mut().unwrap().processes);
        for (options, expected) in cases {
            plan.decide(&scene.flux, options);
            assert_check(&plan, name, expected, "");
        }
        plan.facts = before;
    };
    let by_yes = [
        (&ask(), "asks"),
        (&jointly(), "asks"),
        (&never(), "not agreed"),
        (&discard(), "not agreed"),
        (&yes(), "agreed"),
    ];
    case(&|it| it.is_alive = true, "agent", &by_yes);
    case(&|it| it.foreground_pid = Some(1), "agent", &by_yes);
    case(
        &|it| it.others = Some(vec![process(false)]),
        "processes",
        &by_yes,
    );
    case(&|it| it.others = None, "processes", &by_yes);
    case(
        &|it| it.jobs = Some(vec![process(false)]),
        "processes",
        &by_yes,
    );
    let never_by_yes = [
        (&ask(), "asks"),
        (&jointly(), "asks"),
        (&never(), "not agreed"),
        (&yes(), "not agreed"),
    ];
    case(
        &|it| it.jobs = Some(vec![process(true)]),
        "processes",
        &never_by_yes,
    );
    case(&|it| it.jobs = None, "processes", &never_by_yes);
    let doubt = |processes: &mut TaskProcesses| processes.doubt = Some("it may run".to_owned());
    let by_gone = [
        (&ask(), "asks"),
        (&jointly(), "not agreed"),
        (&yes(), "not agreed"),
        (&ended, "agreed"),
    ];
    case(&doubt, "agent", &by_gone);
    let own_pane = [(&never(), "not agreed"), (&yes(), "agreed")];
    case(&|it| it.is_own_pane = true, "agent", &own_pane);
}
