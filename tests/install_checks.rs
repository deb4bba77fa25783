//! Tests the warnings and hints of `git flux install`: each hint is pasted, then the shells complete and man shows the
//! page.

use std::ffi::OsString;
use std::fs;
use std::os::unix::fs::symlink;
use std::path::Path;

use crate::world::home::Home;
use crate::world::*;

const ALL_IS_WELL: &str = "'git help flux' shows the manual; new shells complete 'git flux'\n";

fn hints(output: &Output) -> Vec<String> {
    let lines = output.stderr.lines();
    let hints = lines.filter_map(|line| line.strip_prefix("hint: "));
    hints.map(str::to_owned).collect()
}

fn warnings(output: &Output) -> usize {
    let lines = output.stderr.lines();
    lines.filter(|line| line.starts_with("warning: ")).count()
}

/// Pastes a hint into a shell, as the user would.
#[track_caller]
fn paste(home: &Home, shell: &str, line: &str) {
    let output = shell_of(home, shell, &home.path(), line);
    assert!(output.is_some(), "{line}");
}

/// Returns the output of a command in an interactive shell of the user; `None` if it fails.
fn shell_of(home: &Home, shell: &str, path: &OsString, line: &str) -> Option<String> {
    // In a session of its own: it must not fight for a terminal.
    let mut command = home.world.command("setsid");
    command.args(["-w", shell, "-ic", line]);
    command.env("HOME", &home.dir).env("PATH", path);
    let output = command.output().unwrap();
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    output.status.success().then_some(text)
}

/// Adds the directory of cargo's programs to the PATH of each login shell.
fn add_cargo_to_path(home: &Home) {
    let line = "export PATH=\"$HOME/.cargo/bin:$PATH\"\n";
    let fish = ".config/fish/config.fish";
    fs::create_dir_all(home.dir.join(fish).parent().unwrap()).unwrap();
    for file in [".profile", ".zprofile", fish] {
        fs::write(home.dir.join(file), line).unwrap();
    }
}

/// Pastes the hints of install until it has no more, at most this many times.
#[track_caller]
fn follow_hints(home: &Home, shell: &str, rounds: usize) -> Vec<String> {
    let login = require(shell);
    add_cargo_to_path(home);
    let mut pasted = Vec::new();
    for _ in 0..rounds {
        let output = home.install([]).env("SHELL", &login).run();
        output.success();
        for line in hints(&output) {
            paste(home, shell, &line);
            pasted.push(line);
        }
    }
    let output = home.install([]).env("SHELL", &login).run();
    output.success().stderr_is(ALL_IS_WELL);
    pasted
}

/// Types into a new interactive shell, presses TAB, and waits for the completion.
#[track_caller]
fn assert_completes(home: &Home, shell: &str, typed: &str, completed: &str) {
    let terminal = home.world.terminal_in(home.world.root(), 100, 30);
    let path = home.path().into_string().unwrap();
    let (dir, shell) = (home.dir.display(), require(shell));
    let start = format!(
        "exec env HOME='{dir}' PATH='{path}' SHELL={0} {0}",
        shell.display()
    );
    terminal.type_line(&start);
    // Typed with quotes, printed without.
    terminal
        .type_line("echo rea''dy")
        .wait_for_screen("\nready");
    terminal.clear().text(typed).keys(["Tab"]);
    terminal.wait_for_screen(completed);
}

#[test]
fn install_hint_makes_bash_read_bash_completion() {
    // bash-completion before 2.12 does not look in a directory with a space in its name.
    let world = World::at("w");
    let home = Home::at(&world, "alice");
    let pasted = follow_hints(&home, "bash", 1);
    assert_eq!(pasted.len(), 1, "{pasted:?}");
    assert!(pasted[0].contains("bash_completion"), "{pasted:?}");
    assert_completes(&home, "bash", "git flux cle", "git flux cleanup");
    assert_completes(&home, "bash", "git-flux cle", "git-flux cleanup");
}

#[test]
fn install_hint_makes_bash_read_a_completion_from_another_directory() {
    let world = World::new();
    let home = Home::new(&world);
    let completion = "/usr/share/bash-completion/bash_completion";
    let rc = format!(". {completion}\nBASH_COMPLETION_USER_DIR=/nowhere\n");
    fs::write(home.dir.join(".bashrc"), rc).unwrap();
    let pasted = follow_hints(&home, "bash", 1);
    assert_eq!(pasted.len(), 1, "{pasted:?}");
    assert!(pasted[0].contains("completions/git-flux"), "{pasted:?}");
    assert_completes(&home, "bash", "git flux cle", "git flux cleanup");
}

#[test]
fn install_hint_makes_zsh_find_the_completion() {
    let world = World::new();
    let home = Home::new(&world);
    let pasted = follow_hints(&home, "zsh", 1);
    assert!(pasted[0].contains("fpath"), "{pasted:?}");
    assert_completes(&home, "zsh", "git flux cle", "git flux cleanup");
    assert_completes(&home, "zsh", "git-flux cle", "git-flux cleanup");
}

#[test]
fn install_hint_makes_zsh_discard_its_completion_cache() {
    let world = World::new();
    let home = Home::new(&world);
    let zshrc = home.dir.join(".zshrc");
    fs::write(&zshrc, "autoload -Uz compinit && compinit -C\n").unwrap();
    paste(&home, "zsh", "true");
    assert!(home.dir.join(".zcompdump").exists());
    // Its place alone is missing at first; then zsh trusts its old list.
    let pasted = follow_hints(&home, "zsh", 2);
    assert_eq!(pasted.len(), 2, "{pasted:?}");
    assert!(
        pasted[0].contains("fpath") && pasted[1].starts_with("rm -f "),
        "{pasted:?}"
    );
    assert!(
        fs::read_to_string(zshrc)
            .unwrap()
            .ends_with("compinit -C\n")
    );
}

#[test]
fn install_needs_no_hint_for_fish() {
    let world = World::new();
    let home = Home::new(&world);
    let pasted = follow_hints(&home, "fish", 0);
    assert!(pasted.is_empty());
    assert_completes(&home, "fish", "git flux cle", "git flux cleanup");
    assert_completes(&home, "fish", "git-flux cle", "git-flux cleanup");
}

#[test]
fn install_does_not_wait_for_a_shell_that_does_not_answer() {
    let world = World::new();
    let home = Home::new(&world);
    fs::write(home.dir.join(".bashrc"), "exec true\n").unwrap();
    let zshrc = "sh -c 'echo $$ >~/pid; exec sleep 1000'\n";
    fs::write(home.dir.join(".zshrc"), zshrc).unwrap();
    let output = home.install([]).run();
    output.success();
    output
            .says(&expect![[r#"
                installed '$WORLD/new home/.cargo/share/man/man1/git-flux.1'
                installed '$WORLD/new home/.local/share/bash-completion/completions/git-flux'
                installed '$WORLD/new home/.local/share/zsh/site-functions/_git-flux'
                installed '$WORLD/new home/.local/share/zsh/site-functions/_git_flux'
                installed '$WORLD/new home/.config/fish/completions/git-flux.fish'
                installed '$WORLD/new home/.config/fish/conf.d/git-flux.fish'
                --- stderr
                warning: cannot tell whether bash completes 'git flux'; if it does not:
                hint: echo '. '\''$WORLD/new home/.local/share/bash-completion/completions/git-flux'\''' >>~/.bashrc
                warning: cannot tell whether zsh completes 'git flux'; if it does not:
                hint: echo 'fpath=('\''$WORLD/new home/.local/share/zsh/site-functions'\'' $fpath)' >>~/.zshenv
            "#]]);
    assert_eq!(
        (warnings(&output), hints(&output).len()),
        (2, 2),
        "{output}"
    );
    let pid: i32 = world.read(home.dir.join("pid")).trim().parse().unwrap();
    wait_until("what the shell was doing to be gone", || {
        Process::find(pid).is_none()
    });
}

#[test]
fn install_leaves_the_terminal_unchanged_despite_noisy_startup_files() {
    let world = World::new();
    let home = Home::new(&world);
    let rude = "echo noise; echo noise >/dev/tty; read -r answer </dev/tty\n";
    for rc in [".bashrc", ".zshrc"] {
        fs::write(home.dir.join(rc), rude).unwrap();
    }
    let terminal = world.terminal(100, 30);
    let path = home.path().into_string().unwrap();
    let dir = home.dir.display();
    terminal.command(&format!("HOME='{dir}' PATH='{path}' git flux install"));
    assert_eq!(terminal.exit_code(), 0);
    let screen = terminal.screen();
    for said in ["bash does not read", "zsh does not search"] {
        assert!(screen.contains(said), "{screen}");
    }
    assert!(!screen.contains("noise"), "{screen}");
    // Who reads from it now still gets what is typed.
    terminal.command("read -r answer; echo \"<$answer>\"");
    terminal.type_line("typed").wait_for_screen("<typed>");
    assert_eq!(terminal.exit_code(), 0);
}

#[test]
fn install_hint_puts_a_program_missing_from_path_on_path() {
    let world = World::new();
    let home = Home::new(&world);
    let path = world.path_without(["git-flux", "claude"]);
    for (shell, file) in [("bash", ".bashrc"), ("zsh", ".zshrc"), ("sh", ".profile")] {
        let login = require(shell);
        let install = home.install([]).env("PATH", &path).env("SHELL", login);
        let output = install.run();
        output
            .success()
            .stderr_has("warning: 'git-flux' is not on PATH");
        let line = hints(&output).remove(0);
        let expected = format!(" >>~/{file}");
        assert!(line.ends_with(&expected), "{line}");
        paste(&home, "bash", &line);
    }
    for shell in ["bash", "zsh"] {
        let found = shell_of(&home, shell, &path, "command -v git-flux").unwrap();
        assert!(found.ends_with("/git-flux\n"), "{found}");
    }
    let sh = "set -u; MANPATH=; . ~/.profile; command -v git-flux";
    assert!(shell_of(&home, "sh", &path, sh).is_some());
    let install = home.install([]).env("PATH", &path);
    let output = install.env("SHELL", require("fish")).run();
    let line = hints(&output).remove(0);
    assert!(line.starts_with("fish_add_path "), "{output}");
    paste(&home, "fish", &line);
    assert!(shell_of(&home, "fish", &path, "command -v git-flux").is_some());
}

#[test]
fn install_warns_about_another_program_of_the_same_name() {
    let world = World::new();
    let home = Home::new(&world);
    let other = world.tools().join("other");
    fs::create_dir(&other).unwrap();
    fs::copy(require("true"), other.join("git-flux")).unwrap();
    let mut path = other.clone().into_os_string();
    path.push(":");
    path.push(home.path());
    let output = home.install([]).env("PATH", &path).run();
    let says = format!(
        "another program: '{}/git-flux' comes first",
        other.display()
    );
    output.success().stderr_has(&says);
}

#[test]
fn install_hint_makes_man_find_the_manual() {
    let world = World::new();
    let home = Home::new(&world);
    add_cargo_to_path(&home);
    let bash = require("bash");
    fs::write(home.dir.join(".bashrc"), "_git_flux() { :; }\n").unwrap();
    // One that leaves no room for the usual places.
    let install = || {
        home.install([])
            .env("MANPATH", "/usr/share/man")
            .env("SHELL", &bash)
    };
    let output = install().run();
    output
        .success()
        .says(&expect![[r#"
            installed '$WORLD/new home/.cargo/share/man/man1/git-flux.1'
            installed '$WORLD/new home/.local/share/bash-completion/completions/git-flux'
            installed '$WORLD/new home/.local/share/zsh/site-functions/_git-flux'
            installed '$WORLD/new home/.local/share/zsh/site-functions/_git_flux'
            installed '$WORLD/new home/.config/fish/completions/git-flux.fish'
            installed '$WORLD/new home/.config/fish/conf.d/git-flux.fish'
            --- stderr
            warning: man does not find '$WORLD/new home/.cargo/share/man/man1/git-flux.1'
            hint: echo 'export MANPATH='\''$WORLD/new home/.cargo/share/man'\'':"$MANPATH"' >>~/.bashrc
        "#]]);
    let lines = hints(&output);
    assert_eq!(lines.len(), 1, "{output}");
    paste(&home, "bash", &lines[0]);
    let page = home.dir.join(".cargo/share/man/man1/git-flux.1");
    for manpath in ["/usr/share/man", "", "/usr/share/man:"] {
        let line = format!("export MANPATH={manpath}; . ~/.bashrc; man -w git-flux; man -w true");
        let found = shell_of(&home, "bash", &home.path(), &line).expect("both pages");
        let first = found.lines().next().unwrap();
        assert_eq!(Path::new(first), page, "{manpath}: {found}");
    }
    home.install([]).run().success();
    let line = format!(
        "export MANPATH={}:; git flux install",
        page.ancestors().nth(2).unwrap().display()
    );
    // A path with a blank in it.
    let line = line
        .replace("new home", "'new home'")
        .replace("flux world", "'flux world'");
    let output = shell_of(&home, "bash", &home.path(), &line).unwrap();
    assert!(output.contains("unchanged"), "{output}");
}

#[test]
fn install_warns_if_man_shows_another_manual() {
    let world = World::new();
    let home = Home::new(&world);
    let usr = world.root().join("usr");
    fs::create_dir_all(usr.join("bin")).unwrap();
    symlink(env!("CARGO_BIN_EXE_git-flux"), usr.join("bin/git-flux")).unwrap();
    let mut path = usr.join("bin").into_os_string();
    path.push(":");
    path.push(home.path());
    let output = home
        .install(["--prefix", usr.to_str().unwrap()])
        .env("PATH", &path)
        .run();
    output.success().stderr_is(ALL_IS_WELL);
    let output = home.install([]).env("PATH", &path).run();
    output.success().says(&expect![[r#"
        installed '$WORLD/new home/.local/share/man/man1/git-flux.1'
        installed '$WORLD/new home/.local/share/bash-completion/completions/git-flux'
        installed '$WORLD/new home/.local/share/zsh/site-functions/_git-flux'
        installed '$WORLD/new home/.local/share/zsh/site-functions/_git_flux'
        installed '$WORLD/new home/.config/fish/completions/git-flux.fish'
        installed '$WORLD/new home/.config/fish/conf.d/git-flux.fish'
        --- stderr
        warning: man shows '$WORLD/usr/share/man/man1/git-flux.1' instead of '$WORLD/new home/.local/share/man/man1/git-flux.1'
        hint: echo 'export MANPATH='\''$WORLD/new home/.local/share/man'\'':"$MANPATH"' >>~/.profile
    "#]]);
}

#[test]
fn install_warns_if_man_is_missing() {
    let world = World::new();
    let home = Home::new(&world);
    let path = home.path_and(world.path_without(["git-flux", "man"]));
    let output = home.install([]).env("PATH", &path).run();
    output.success().says(&expect![[r#"
        installed '$WORLD/new home/.cargo/share/man/man1/git-flux.1'
        installed '$WORLD/new home/.local/share/bash-completion/completions/git-flux'
        installed '$WORLD/new home/.local/share/zsh/site-functions/_git-flux'
        installed '$WORLD/new home/.local/share/zsh/site-functions/_git_flux'
        installed '$WORLD/new home/.config/fish/completions/git-flux.fish'
        installed '$WORLD/new home/.config/fish/conf.d/git-flux.fish'
        --- stderr
        warning: 'man' is not installed: 'git help flux' cannot show the manual
        hint: git flux help
    "#]]);
    assert_eq!(hints(&output), ["git flux help"]);
}

#[test]
fn install_hint_for_zsh_names_the_file_in_zdotdir() {
    let world = World::new();
    let home = Home::new(&world);
    // Not exported: only zsh itself can tell.
    fs::write(home.dir.join(".zshenv"), "ZDOTDIR=~/'my zsh'\n").unwrap();
    fs::create_dir(home.dir.join("my zsh")).unwrap();
    let profile = "PATH=\"$HOME/.cargo/bin:$PATH\"\n";
    fs::write(home.dir.join("my zsh/.zprofile"), profile).unwrap();
    let pasted = follow_hints(&home, "zsh", 1);
    assert!(pasted[0].ends_with(" >>~/.zshenv"), "{pasted:?}");
    if let Some(start) = pasted.get(1) {
        assert!(start.ends_with("/my zsh/.zshrc'"), "{pasted:?}");
    }
    // Set from outside, it is where zsh looks for all of them.
    let world = World::new();
    let home = Home::new(&world);
    let own = home.dir.join("own");
    fs::create_dir(&own).unwrap();
    fs::write(own.join(".zshrc"), "").unwrap();
    let output = home.install([]).env("ZDOTDIR", &own).run();
    let lines = hints(&output);
    assert!(lines[0].ends_with("/own/.zshenv'"), "{output}");
}

#[test]
fn install_keeps_its_files_when_interrupted_during_the_checks() {
    let world = World::new();
    let home = Home::new(&world);
    let zshrc = "sh -c 'echo $$ >~/pid; exec sleep 1000'\n";
    fs::write(home.dir.join(".zshrc"), zshrc).unwrap();
    let terminal = world.terminal(100, 30);
    let (dir, path) = (home.dir.display(), home.path().into_string().unwrap());
    terminal.command(&format!("HOME='{dir}' PATH='{path}' git-flux install"));
    let pid = wait_for("zsh to start", || {
        let pid = fs::read_to_string(home.dir.join("pid")).ok()?;
        pid.trim().parse::<i32>().ok()
    });
    terminal.keys(["C-c"]);
    assert_eq!(terminal.exit_code(), 130);
    wait_until("what zsh was doing to be gone", || {
        Process::find(pid).is_none()
    });
    home.install(["-n"])
        .run()
        .success()
        .has_not("would install");
}

#[test]
fn install_hint_fixes_a_path_set_only_in_the_current_shell() {
    let world = World::new();
    for shell in ["bash", "zsh", "fish"] {
        let home = Home::at(&world, &format!("home of {shell}"));
        let login = require(shell);
        let warned = || {
            let output = home.install([]).env("SHELL", &login).run();
            output.success();
            let problem = "warning: new shells do not find 'git-flux'\n";
            output.stderr.contains(problem).then(|| hints(&output))
        };
        let hints = warned().expect("a warning");
        let mend = hints
            .iter()
            .find(|line| line.contains(".cargo/bin"))
            .expect("a hint");
        paste(&home, shell, mend);
        assert_eq!(warned(), None, "{shell}: {mend}");
    }
}
