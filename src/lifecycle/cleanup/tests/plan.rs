//! Plans as a whole: what is observed, and what runs.

use super::*;

#[test]
fn a_finished_task_passes_every_check_with_any_options() {
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
        assert!(!plan.is_update() && plan.ensure().is_ok());
    }
}

#[test]
fn plans_of_several_tasks_are_held_at_once_and_are_the_same_when_made_again() {
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
fn an_answer_changes_what_depends_on_it_and_nothing_else() {
    let scene = Scene::new();
    fs::write(scene.worktree.join("new"), "new\n").unwrap();
    let mut plan = scene.plan(&ask());
    let commits = |plan: &Plan| plan.outlook().unwrap().commits();
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
fn the_worktree_is_what_it_should_be() {
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
fn a_worktree_that_is_gone_needs_an_answer_or_discard() {
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
fn a_branch_that_is_gone_can_only_be_dropped() {
    let scene = Scene::new();
    git(&scene.worktree, &["switch", "--quiet", "--detach"]);
    git(&scene.repo, &["branch", "--quiet", "-D", "feature/fix"]);
    scene.assert(
        "branch",
        &[
            (yes(), "refused", "is gone"),
            (drop_branch(), "ok", "is known of it"),
        ],
    );
}

#[test]
fn what_runs_is_agreed_to_by_its_own_option_alone() {
    let scene = Scene::new();
    let process = |stopped| Process {
        pid: 1,
        name: "vi".to_owned(),
        stopped,
    };
    let ended = Options {
        given: vec![Question::AgentEnded],
        ..never()
    };
    let mut plan = scene.plan(&never());
    let mut case = |spoil: &dyn Fn(&mut Runs), name: &str, cases: &[(&Options, &str)]| {
        let before = plan.facts.clone();
        spoil(&mut plan.facts.as_mut().unwrap().runs);
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
    case(&|runs| runs.is_alive = true, "agent", &by_yes);
    case(&|runs| runs.foreground = Some(1), "agent", &by_yes);
    case(
        &|runs| runs.others = Some(vec![process(false)]),
        "processes",
        &by_yes,
    );
    case(&|runs| runs.others = None, "processes", &by_yes);
    case(
        &|runs| runs.jobs = Some(vec![process(false)]),
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
        &|runs| runs.jobs = Some(vec![process(true)]),
        "processes",
        &never_by_yes,
    );
    case(&|runs| runs.jobs = None, "processes", &never_by_yes);
    let doubt = |runs: &mut Runs| runs.doubt = Some("it may run".to_owned());
    let by_gone = [
        (&ask(), "asks"),
        (&jointly(), "not agreed"),
        (&yes(), "not agreed"),
        (&ended, "agreed"),
    ];
    case(&doubt, "agent", &by_gone);
    let own_pane = [(&never(), "not agreed"), (&yes(), "agreed")];
    case(&|runs| runs.is_own_pane = true, "agent", &own_pane);
}
