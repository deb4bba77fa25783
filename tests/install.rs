//! Tests which files `git flux install` writes, updates and removes, and where.

use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::Path;

use crate::world::home::*;
use crate::world::limits::Small;
use crate::world::*;

const MANUAL: &str = ".cargo/share/man/man1/git-flux.1";
const BASH: &str = ".local/share/bash-completion/completions/git-flux";
const ZSH: &str = ".local/share/zsh/site-functions/_git-flux";
const ZSH_BELOW_GIT: &str = ".local/share/zsh/site-functions/_git_flux";
const FISH: &str = ".config/fish/completions/git-flux.fish";
const FISH_BELOW_GIT: &str = ".config/fish/conf.d/git-flux.fish";

const ALL: [&str; 6] = [MANUAL, BASH, ZSH, ZSH_BELOW_GIT, FISH, FISH_BELOW_GIT];

fn source(name: &str) -> String {
    crate::world::documents::document(name)
}

/// Returns the lines of install's output: the verb, and the file of the home directory.
fn done(home: &Home, output: &Output) -> Vec<(String, String)> {
    let lines = output.stdout.lines().map(|line| {
        let (done, path) = line.split_once(" '").unwrap();
        let path = Path::new(path.strip_suffix('\'').unwrap());
        let path = path.strip_prefix(&home.dir).unwrap_or(path);
        (done.to_owned(), path.to_str().unwrap().to_owned())
    });
    lines.collect()
}

#[track_caller]
fn assert_all(home: &Home, output: &Output, what: &str) {
    output.success();
    let expected = ALL.map(|name| (what.to_owned(), name.to_owned()));
    assert_eq!(done(home, output), expected, "{output}");
}

/// Fails with nothing changed, and gives the hints.
#[track_caller]
fn refused(home: &Home, flux: Flux, error: &[&str]) -> Vec<String> {
    let before = home.world.snapshot();
    let output = flux.run();
    output.code(1).stdout_is("").stderr_has("error: ");
    for part in error {
        output.stderr_has(part);
    }
    home.world.assert_unchanged(&before);
    let hints = output.stderr.lines();
    let hints = hints.filter_map(|line| line.strip_prefix("hint: "));
    hints.map(str::to_owned).collect()
}

#[test]
fn install_and_uninstall_write_and_remove_every_file() {
    let world = World::new();
    let home = Home::new(&world);
    let before = world.snapshot();
    let output = home.install(["--dry-run"]).run();
    assert_all(&home, &output, "would install");
    let output = home.install(["--uninstall"]).run();
    output
        .success()
        .stdout_is("")
        .stderr_is("nothing is installed\n");
    world.assert_unchanged(&before);

    // Also for those whose files a group can write.
    let script = "umask 002; exec git-flux install";
    let output = world
        .command("sh")
        .args(["-c", script])
        .env("HOME", &home.dir)
        .env("PATH", home.path())
        .output()
        .unwrap();
    assert!(
        output.status.success(),
        "git flux install succeeds: {output:?}"
    );
    let mut expected: Vec<String> = ALL.map(str::to_owned).to_vec();
    expected.sort();
    assert_eq!(home.files(), expected);
    for (name, text) in [
        (MANUAL, "man/git-flux.1"),
        (BASH, "completions/git-flux"),
        (ZSH, "completions/zsh/_git-flux"),
        (ZSH_BELOW_GIT, "completions/zsh/_git_flux"),
        (FISH, "completions/fish/completions/git-flux.fish"),
        (FISH_BELOW_GIT, "completions/fish/conf.d/git-flux.fish"),
    ] {
        let path = home.dir.join(name);
        let installed = fs::read_to_string(&path).unwrap();
        let (text, comment) = (source(text), installed.lines().last().unwrap());
        assert_eq!(installed, format!("{text}{comment}\n"));
        assert!(comment.contains(" installed by git flux "), "{comment}");
        let mode = path.metadata().unwrap().permissions().mode();
        assert_eq!(mode & 0o755, 0o644, "{name}");
        // zsh takes nothing from a directory that a group can write.
        let dir = path.parent().unwrap().metadata().unwrap();
        assert_eq!(dir.permissions().mode() & 0o22, 0, "{name}");
    }

    let installed = world.snapshot();
    assert_all(&home, &home.install([]).run(), "unchanged");
    assert_all(&home, &home.install(["-n"]).run(), "unchanged");
    let output = home.install(["--uninstall", "--dry-run"]).run();
    output.success();
    assert!(done(&home, &output).contains(&("would remove".into(), BASH.into())));
    world.assert_unchanged(&installed);

    assert_all(&home, &home.install(["--uninstall"]).run(), "removed");
    world.assert_unchanged(&before);
}

#[test]
fn install_puts_the_manual_beside_a_program_of_the_user() {
    let world = World::new();
    let home = Home::new(&world);
    let place = |flux: Flux| {
        let output = flux.run();
        output.success();
        done(&home, &output)[0].1.clone()
    };
    const USUAL: &str = ".local/share/man/man1/git-flux.1";
    let dry = || home.install(["-n"]);
    assert_eq!(place(dry()), MANUAL);
    // Man is not asked before the page is there.
    assert_eq!(place(dry().env("MANPATH", "/usr/share/man")), MANUAL);
    // A program that is not the user's own says nothing about the user's places.
    let others = world.root().join("others/bin");
    fs::create_dir_all(&others).unwrap();
    symlink(env!("CARGO_BIN_EXE_git-flux"), others.join("git-flux")).unwrap();
    let mut path = others.into_os_string();
    path.push(":");
    path.push(home.path());
    assert_eq!(place(dry().env("PATH", &path)), USUAL);
    let cargo = world.root().join("others");
    let expected = cargo.join("share/man/man1/git-flux.1");
    let with_cargo = dry().env("PATH", &path).env("CARGO_HOME", &cargo);
    assert_eq!(place(with_cargo), expected.to_str().unwrap());
}

#[test]
fn install_uses_the_xdg_and_bash_completion_directories() {
    let world = World::new();
    let home = Home::new(&world);
    let dir = |name: &str| home.dir.join(name).display().to_string();
    let install = |args| {
        home.install(args)
            .env("XDG_DATA_HOME", dir("data"))
            .env("XDG_CONFIG_HOME", dir("config"))
    };
    let names = |flux: Flux| -> Vec<String> {
        let output = flux.run();
        output.success();
        done(&home, &output)
            .into_iter()
            .map(|(_, name)| name)
            .collect()
    };
    let zsh = [
        "data/zsh/site-functions/_git-flux",
        "data/zsh/site-functions/_git_flux",
    ];
    let fish = [
        "config/fish/completions/git-flux.fish",
        "config/fish/conf.d/git-flux.fish",
    ];
    let with = |bash| [&[MANUAL, bash][..], &zsh, &fish].concat();
    let installed = names(install([]));
    assert_eq!(installed, with("data/bash-completion/completions/git-flux"));
    let user_dir = |dirs: &str| install([]).env("BASH_COMPLETION_USER_DIR", dirs);
    let bash = with("bash/completions/git-flux");
    assert_eq!(names(user_dir(&dir("bash"))), bash);
    // Newer versions of bash-completion take several.
    assert_eq!(
        names(user_dir(&format!("{}:/elsewhere", dir("bash")))),
        bash
    );
    // Relative ones mean nothing, as their specification has it.
    let relative = home
        .install(["-n"])
        .env("XDG_DATA_HOME", "data")
        .env("XDG_CONFIG_HOME", "");
    assert_eq!(names(relative), ALL);
}

#[test]
fn install_skips_shells_that_are_missing_unless_given_a_prefix() {
    let world = World::new();
    let home = Home::new(&world);
    let path = home.path_and(world.path_without(["git-flux", "zsh", "fish"]));
    let before = home.files();
    let output = home.install([]).env("PATH", &path).run();
    output.success();
    let names: Vec<_> = done(&home, &output)
        .into_iter()
        .map(|(_, name)| name)
        .collect();
    assert_eq!(names, [MANUAL, BASH]);
    home.install(["--uninstall"])
        .env("PATH", &path)
        .run()
        .success();
    assert_eq!(home.files(), before);

    // Relative to where one stands, as for any program.
    let output = home
        .install(["--prefix", "my usr"])
        .env("PATH", &path)
        .in_dir(&home.dir)
        .run();
    output.success();
    let names: Vec<_> = done(&home, &output)
        .into_iter()
        .map(|(_, name)| name)
        .collect();
    let expected = [
        "man/man1/git-flux.1",
        "bash-completion/completions/git-flux",
        "zsh/site-functions/_git-flux",
        "zsh/site-functions/_git_flux",
        "fish/vendor_completions.d/git-flux.fish",
        "fish/vendor_conf.d/git-flux.fish",
    ];
    assert_eq!(names, expected.map(|name| format!("my usr/share/{name}")));
    // A prefix is a place of its own.
    let output = home.install(["--uninstall"]).run();
    output.success().stderr_is("nothing is installed\n");
    let output = home
        .install(["--prefix", "my usr", "--uninstall"])
        .in_dir(&home.dir)
        .run();
    output.success();
    assert_eq!(home.files(), before);
}

#[test]
fn install_uninstall_removes_directories_that_become_empty() {
    let world = World::new();
    let home = Home::new(&world);
    home.write(".local/share/zsh/functions/mine", "# mine\n");
    home.write(".config/fish/config.fish", "# mine\n");
    let before = world.snapshot();
    home.install([]).run().success();
    home.install(["--uninstall"]).run().success();
    world.assert_unchanged(&before);
    // Something was put into one of them since.
    home.install([]).run().success();
    home.write(".cargo/share/man/other", "");
    home.install(["--uninstall"]).run().success();
    let after = before.changes(&world.snapshot());
    assert!(!after.is_empty() && after.iter().all(|change| change.contains(".cargo/share")));
    assert!(!home.dir.join(MANUAL).parent().unwrap().exists());
}

/// Returns the file as another version of git flux would have installed it.
fn of_another_version(installed: &str) -> String {
    let (text, line) = installed.trim_end().rsplit_once('\n').unwrap();
    let line = line.replace(" git flux ", " git flux 0.0.");
    format!("{}\n{line}\n", &text[..text.len() / 2])
}

#[test]
fn install_replaces_its_own_files_of_another_version() {
    let world = World::new();
    let home = Home::new(&world);
    home.install([]).run().success();
    let installed = world.snapshot();
    for name in ALL {
        let path = home.dir.join(name);
        let text = fs::read_to_string(&path).unwrap();
        fs::write(path, of_another_version(&text)).unwrap();
    }
    let old = world.snapshot();
    assert_all(&home, &home.install(["-n"]).run(), "would update");
    world.assert_unchanged(&old);
    assert_all(&home, &home.install([]).run(), "updated");
    world.assert_unchanged(&installed);
    // A copy by hand, as it was before there was a command for it.
    fs::write(home.dir.join(ZSH), source("completions/zsh/_git-flux")).unwrap();
    let output = home.install([]).run();
    output.success();
    assert_eq!(done(&home, &output)[2].0, "updated");
    for name in ALL {
        let path = home.dir.join(name);
        let text = fs::read_to_string(&path).unwrap();
        fs::write(path, of_another_version(&text)).unwrap();
    }
    assert_all(&home, &home.install(["--uninstall"]).run(), "removed");
}

#[test]
fn install_replaces_or_removes_no_foreign_file() {
    let world = World::new();
    let home = Home::new(&world);
    let foreign = |name: &str, what: &str, make: &dyn Fn(&Path)| {
        let path = home.dir.join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        make(&path);
        let says = format!("'{}' {what}", path.display());
        for args in [&[][..], &["--dry-run"]] {
            let install = match args {
                [] => home.install([]),
                _ => home.install(["--dry-run"]),
            };
            let error = ["could not install; nothing was changed", &says];
            let hints = refused(&home, install, &error);
            let old = format!("{name}'.old");
            assert!(
                matches!(hints.as_slice(), [one] if one.ends_with(&old)),
                "{hints:?}"
            );
        }
        let before = world.snapshot();
        let output = home.install(["--uninstall"]).run();
        output
            .success()
            .stdout_is("")
            .stderr_has(&format!("warning: {says} (kept)"));
        world.assert_unchanged(&before);
        // What the hint says makes room.
        let hints = refused(&home, home.install([]), &[]);
        let mended = world
            .command("sh")
            .args(["-c", &hints[0]])
            .status()
            .unwrap();
        assert!(mended.success(), "{hints:?}");
        assert_all(&home, &home.install([]).run(), "installed");
        assert_all(&home, &home.install(["--uninstall"]).run(), "removed");
        let kept = format!("{}.old", path.display());
        assert!(Path::new(&kept).symlink_metadata().is_ok());
        fs::rename(&kept, world.tools().join("kept")).unwrap();
        if let Err(error) = fs::remove_file(world.tools().join("kept")) {
            fs::remove_dir_all(world.tools().join("kept")).unwrap_or_else(|_| panic!("{error}"));
        }
    };
    let write = |text: &'static str| move |path: &Path| fs::write(path, text).unwrap();
    let not_own = "was not installed by git flux";
    foreign(MANUAL, not_own, &write(".TH MINE 1\n"));
    foreign(BASH, not_own, &write(""));
    foreign(FISH_BELOW_GIT, "is not a file", &|path| {
        fs::create_dir(path).unwrap();
    });
    let target = home.write("dotfiles/_git-flux", &source("completions/zsh/_git-flux"));
    let link = "is a symbolic link";
    foreign(ZSH, link, &|path| symlink(&target, path).unwrap());
    foreign(FISH, link, &|path| symlink("nowhere", path).unwrap());
    // Ours once, but something was added to it.
    home.install([]).run().success();
    let text = fs::read_to_string(home.dir.join(BASH)).unwrap();
    home.install(["--uninstall"]).run().success();
    let longer = text + "alias x=y\n";
    foreign(BASH, not_own, &|path| fs::write(path, &longer).unwrap());
    // With more than one in the way, all are named.
    home.write(BASH, "mine\n");
    home.write(FISH, "mine\n");
    let hints = refused(&home, home.install([]), &[BASH, FISH]);
    assert_eq!(hints.len(), 2);
}

#[test]
fn install_requires_a_prefix_without_a_home_directory() {
    let world = World::new();
    let home = Home::new(&world);
    let error = ["HOME is not set"];
    for flux in [
        home.install([]).env_remove("HOME"),
        home.install([]).env("HOME", ""),
        home.install(["--uninstall"]).env("HOME", "relative"),
    ] {
        let hints = refused(&home, flux, &error);
        assert_eq!(hints, ["git flux install --prefix <dir>"]);
    }
    let prefix = home.dir.join("usr");
    let install = home.install(["--prefix", prefix.to_str().unwrap()]);
    install.env_remove("HOME").run().success();
    assert!(prefix.join("share/man/man1/git-flux.1").exists());
}

#[test]
fn install_changes_nothing_if_a_directory_cannot_be_written() {
    let world = World::new();
    let home = Home::new(&world);
    let error = |name: &str| format!("could not write '{}", home.dir.join(name).display());
    let nothing = "could not install; nothing was changed";
    // The last to be written: all before it has been staged.
    home.write(".config/fish/conf.d", "");
    refused(&home, home.install([]), &[nothing, &error(FISH_BELOW_GIT)]);
    fs::remove_file(home.dir.join(".config/fish/conf.d")).unwrap();
    let link = home.dir.join(".config/fish/conf.d");
    symlink("/nowhere/at/all", &link).unwrap();
    refused(&home, home.install([]), &[nothing, &error(FISH_BELOW_GIT)]);
    fs::remove_file(link).unwrap();
    fs::remove_dir_all(home.dir.join(".config")).unwrap();
    // Not writable, whoever we are.
    let config = home.dir.join(".config");
    let small = Small::mount(&config, "size=64k,ro");
    if small.is_none() {
        fs::set_permissions(&config, fs::Permissions::from_mode(0o555)).unwrap();
    }
    refused(&home, home.install([]), &[nothing, &error(FISH)]);
    drop(small);
    fs::set_permissions(&config, fs::Permissions::from_mode(0o755)).unwrap();
    assert_all(&home, &home.install([]).run(), "installed");
}

#[test]
fn install_changes_nothing_on_a_full_disk() {
    let world = World::new();
    let home = Home::new(&world);
    home.install([]).run().success();
    let manual = home.dir.join(MANUAL);
    // What is there already stays as it is, too.
    fs::write(
        &manual,
        of_another_version(&fs::read_to_string(&manual).unwrap()),
    )
    .unwrap();
    fs::remove_dir_all(home.dir.join(".local")).unwrap();
    let before = world.snapshot();
    // A file may have 4 kB; the manual has more. It fails as a disk that is full does, for every user.
    let script = "ulimit -f 8; trap '' XFSZ; exec git-flux install";
    let output = world
        .command("bash")
        .args(["-c", script])
        .env("HOME", &home.dir)
        .env("PATH", home.path())
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(1), "{said}");
    assert!(output.stdout.is_empty());
    for part in [
        "could not install; nothing was changed",
        "git-flux.1'",
        "File too large",
    ] {
        assert!(said.contains(part), "{said}");
    }
    world.assert_unchanged(&before);

    let config = home.dir.join(".local");
    if let Some(small) = Small::mount(&config, "size=8k") {
        let error = ["nothing was changed", "No space left on device"];
        refused(&home, home.install([]), &error);
        drop(small);
    }
    home.install([]).run().success();
}

#[test]
fn install_uninstall_continues_after_a_failure() {
    let world = World::new();
    let home = Home::new(&world);
    let config = home.dir.join(".config");
    let small = Small::mount(&config, "size=64k");
    home.install([]).run().success();
    let fish = config.join("fish/completions");
    let frozen = |frozen: bool| {
        if small.is_some() {
            let option = if frozen { "remount,ro" } else { "remount,rw" };
            let mount = world
                .command("mount")
                .args(["-o", option])
                .arg(&config)
                .status();
            assert!(mount.unwrap().success());
        } else {
            let mode = if frozen { 0o555 } else { 0o755 };
            fs::set_permissions(&fish, fs::Permissions::from_mode(mode)).unwrap();
        }
    };
    frozen(true);
    let output = home.install(["--uninstall"]).run();
    output.code(1);
    output.says(&expect![[r#"
        removed '$WORLD/new home/.cargo/share/man/man1/git-flux.1'
        removed '$WORLD/new home/.local/share/bash-completion/completions/git-flux'
        removed '$WORLD/new home/.local/share/zsh/site-functions/_git-flux'
        removed '$WORLD/new home/.local/share/zsh/site-functions/_git_flux'
        --- stderr
        error: could not remove '$WORLD/new home/.config/fish/completions/git-flux.fish'
          caused by: Read-only file system (os error 30)
    "#]]);
    let removed = |names: &[&str]| -> Vec<(String, String)> {
        let names = names.iter().map(|name| ("removed".into(), (*name).into()));
        names.collect()
    };
    assert_eq!(done(&home, &output), removed(&ALL[..4]));
    assert_eq!(home.files(), [FISH, FISH_BELOW_GIT]);
    frozen(false);
    let output = home.install(["--uninstall"]).run();
    output.success();
    assert_eq!(done(&home, &output), removed(&ALL[4..]));
    assert!(!config.join("fish").exists());
}
