//! Tests the stash in repositories of other formats, and that other repositories have theirs.

use std::fs;

use super::{pins, task, users_stash};
use crate::world::*;

#[test]
fn stash_works_with_reftable_and_sha_256() {
    for format in [
        &["--ref-format=reftable"][..],
        &["--object-format=sha256"],
        &["--ref-format=reftable", "--object-format=sha256"],
    ] {
        let world = World::without_repository("myapp");
        fs::create_dir(world.repo()).unwrap();
        world.git(["init", "-q"].iter().chain(format));
        world.fill(&world.repo());
        let (id, a) = task(&world, "Task a");
        world.write("README.md", "of the user\n");
        world.git(["stash", "-q", "-m", "of the user"]);
        a.ok("echo 1 >>README.md; echo n >new; git stash -q -u; echo 2 >>README.md; git stash -q");
        assert_eq!(a.stash().len(), 2, "{format:?}");
        assert_eq!(pins(&world, &id).len(), 2);
        world.git(["gc", "-q", "--prune=now"]);
        a.ok("git stash pop -q; git checkout -q .; git stash pop -q --index");
        assert_eq!(a.ok("cat README.md new; git stash list"), "# myapp\n1\nn\n");
        world.commit_in(world.repo(), "README.md", "# other\n");
        a.ok("rm new; git rebase -q --autostash main; true");
        assert_eq!(a.stash(), ["autostash"]);
        assert_eq!(users_stash(&world), "On main: of the user");
    }
}

#[test]
fn stash_in_another_repository_is_that_repositorys() {
    let world = World::new();
    let other = world.root().join("other");
    world.make_repository(&other);
    let (_, a) = task(&world, "Task a");
    a.ok("echo 1 >>README.md; git stash -q");
    let said = a.sh_in(
        &other,
        "git stash pop; echo x >>README.md; git stash push -m other; git stash list",
    );
    expect![[r#"
        No stash entries found.
        Saved working directory and index state On main: other
        stash@{0}: On main: other
    "#]]
    .assert_eq(&said);
    assert_eq!(
        world.git_in(&other, ["stash", "list", "--format=%gs"]),
        "On main: other"
    );
    // A submodule is another repository.
    a.ok(&format!(
        "git checkout -q .; git -c protocol.file.allow=always submodule --quiet add '{}' sub
         cd sub; echo s >>README.md; git stash -q -m sub",
        other.display()
    ));
    assert_eq!(a.ok("git -C sub stash list --format=%gs"), "On main: sub\n");
    assert_eq!(a.stash().len(), 1);
    assert_eq!(world.git_in(&other, ["stash", "list"]).lines().count(), 1);
}

#[test]
fn stash_is_the_users_without_a_run_directory() {
    let world = World::new();
    let (id, a) = task(&world, "Task a");
    let run = world.repo().join(".git/flux/run").join(&id);
    for env in ["FLUX_RUN=", "FLUX_RUN=/nowhere", "FLUX_RUN=/tmp"] {
        a.ok(&format!("echo 1 >>README.md; {env} git stash -q"));
        assert_eq!(users_stash(&world).lines().count(), 1, "{env}");
        world.git(["stash", "drop", "-q"]);
    }
    // As after an update or a removal of git flux.
    fs::remove_file(run.join("bin/.git-flux")).unwrap();
    std::os::unix::fs::symlink("/nowhere", run.join("bin/.git-flux")).unwrap();
    a.ok("echo 1 >>README.md; git stash -q");
    assert_eq!(users_stash(&world).lines().count(), 1);
}

#[test]
fn stash_fails_closed_if_its_directory_cannot_be_made() {
    let world = World::new();
    let (id, a) = task(&world, "Task a");
    let run = world.repo().join(".git/flux/run").join(&id);
    fs::write(run.join("stash"), "").unwrap();
    let said = a.sh("echo 1 >>README.md; git stash");
    assert!(said.starts_with("error: "), "{said}");
    assert!(said.ends_with("[exit status: 1]\n"), "{said}");
    assert_eq!(a.ok("git status --short"), " M README.md\n");
    assert_eq!(users_stash(&world), "");
}

#[test]
fn run_in_a_task_gives_the_new_task_its_own_git() {
    let world = World::new();
    let (_, a) = task(&world, "Task a");
    let flux = world.tools().join("bin/git-flux");
    let said = a.ok(&format!(
        "'{}' run -q -- Task b 2>/dev/null",
        flux.display()
    ));
    let id = said.trim_end();
    let b = world.agent_shell(id);
    let dirs: Vec<&str> = b.var("PATH").split(':').collect();
    assert!(dirs[0].ends_with(&format!("flux/run/{id}/bin")), "{dirs:?}");
    let of_tasks = dirs.iter().filter(|dir| dir.contains("/flux/run/"));
    assert_eq!(of_tasks.count(), 1, "{dirs:?}");
    a.ok("echo a >>README.md; git stash -q");
    b.ok("echo b >>README.md; git stash -q; git stash pop -q");
    assert_eq!(b.ok("cat README.md"), "# myapp\nb\n");
    assert_eq!(a.stash().len(), 1);
}
