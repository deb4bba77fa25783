//! Tests completion in real shells on a terminal, with and without git's own completion.

use std::fs;
use std::path::{Path, PathBuf};

use crate::world::*;

/// git's own completion for bash.
const GIT_FOR_BASH: &str = "/usr/share/bash-completion/completions/git";
const BASH_COMPLETION: &str = "/usr/share/bash-completion/bash_completion";

/// What every bash here is like: one TAB shows all there is, at once.
const BASH: &str = "PS1='$ '; unset PROMPT_COMMAND\n\
    bind 'set show-all-if-ambiguous on' 'set completion-query-items 0' 'set page-completions off'\n\
    bind 'set bell-style none' 'set enable-bracketed-paste off'\n";
const ZSH: &str = "PS1='$ '; unsetopt prompt_cr prompt_sp beep list_ambiguous; LISTMAX=9999; autoload -Uz compinit\n";
const FISH: &str = "set -g fish_greeting; set -g fish_autosuggestion_enabled 0\n\
    function fish_prompt; echo -n '$ '; end\n";

/// How git's own completion for zsh calls that of a command: in the emulation of another shell, with the words after
/// git's own options, and with what it has made of these.
const GIT_FOR_ZSH: &str = r#"#compdef git
_git () {
    local _ret=1 cur=$words[CURRENT] cword=$(( CURRENT - 1 )) __git_cmd_idx=1 __git_dir state line
    typeset -A opt_args
    _arguments -C '--git-dir=-[the repository]: :_directories' '(-): :->command' '(-)*:: :->arg' && return
    __git_dir=$opt_args[--git-dir]
    words=( git $words )
    compset -P '*[=:]'
    (( $+functions[_git_$words[2]] )) && emulate ksh -c _git_$words[2]
    return _ret
}
_git
"#;

/// Makes a home without a blank in its name, which bash-completion before 2.12 does not support.
fn home(world: &World) -> PathBuf {
    world.root().join("home")
}

fn place(from: &str, to: &Path) {
    fs::create_dir_all(to.parent().unwrap()).unwrap();
    let from = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("completions")
        .join(from);
    fs::copy(&from, to).unwrap_or_else(|e| panic!("{}: {e}", from.display()));
}

fn configure(world: &World, file: &str, text: &str) {
    let path = home(world).join(file);
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    fs::write(path, text).unwrap();
}

/// An interactive shell at whose prompt somebody types.
struct Shell<'a> {
    terminal: Terminal<'a>,
    /// The key that empties the line.
    empties: &'static str,
}

impl<'a> Shell<'a> {
    fn open(world: &'a World, start: &str) -> Self {
        let program = require(start.split(' ').next().unwrap());
        let terminal = world.terminal(150, 40);
        let words = start.split_once(' ').map_or("", |(_, words)| words);
        let home = home(world);
        let exec = format!("HOME={} exec {} {words}", home.display(), program.display());
        terminal.type_line(&exec);
        let empties = if start == "fish" { "C-c" } else { "C-u" };
        let shell = Self { terminal, empties };
        // From here on it is the shell that answers, not what it was started from.
        shell.terminal.type_line("echo 'it is' ready");
        shell.terminal.wait_for_screen("it is ready");
        shell
    }

    fn bash(world: &'a World) -> Self {
        assert!(
            Path::new(BASH_COMPLETION).exists(),
            "this test needs bash-completion"
        );
        configure(world, ".bashrc", &format!("{BASH}. {BASH_COMPLETION}\n"));
        place(
            "git-flux",
            &home(world).join(".local/share/bash-completion/completions/git-flux"),
        );
        Self::open(world, "bash")
    }

    fn bash_alone(world: &'a World) -> Self {
        let rest = format!(". {GIT_FOR_BASH}\nsource <(git flux completions bash)\n");
        configure(world, ".bashrc", &format!("{BASH}complete -r\n{rest}"));
        let shell = Self::open(world, "bash");
        shell
            .terminal
            .type_line("declare -F _completion_loader _comp_load; echo looked");
        let screen = shell.terminal.wait_for_screen("\nlooked");
        assert!(
            !screen.contains("\n_comp"),
            "bash-completion is there:\n{screen}"
        );
        shell
    }

    fn zsh(world: &'a World) -> Self {
        let fpath = "fpath=(~/.zfunc $fpath); compinit -u\n";
        configure(world, ".zshrc", &format!("{ZSH}{fpath}"));
        for name in ["_git-flux", "_git_flux"] {
            place(
                &format!("zsh/{name}"),
                &home(world).join(".zfunc").join(name),
            );
        }
        Self::open(world, "zsh")
    }

    /// zsh as with the completion that comes with git, which few packages have: what of it calls ours.
    fn zsh_of_git(world: &'a World) -> Self {
        let fpath = "fpath=(~/.zsh ~/.zfunc $fpath); compinit -u\n";
        configure(world, ".zshrc", &format!("{ZSH}{fpath}"));
        configure(world, ".zsh/_git", GIT_FOR_ZSH);
        for name in ["_git-flux", "_git_flux"] {
            place(
                &format!("zsh/{name}"),
                &home(world).join(".zfunc").join(name),
            );
        }
        Self::open(world, "zsh")
    }

    fn zsh_sourced(world: &'a World) -> Self {
        let rest = "compinit -u; source <(git flux completions zsh)\n";
        configure(world, ".zshrc", &format!("{ZSH}{rest}"));
        Self::open(world, "zsh")
    }

    fn fish(world: &'a World) -> Self {
        configure(world, ".config/fish/config.fish", FISH);
        for name in ["conf.d/git-flux.fish", "completions/git-flux.fish"] {
            place(
                &format!("fish/{name}"),
                &home(world).join(".config/fish").join(name),
            );
        }
        Self::open(world, "fish")
    }

    fn fish_sourced(world: &'a World) -> Self {
        let rest = "git flux completions fish | source\n";
        configure(world, ".config/fish/config.fish", &format!("{FISH}{rest}"));
        Self::open(world, "fish")
    }

    /// Types part of a line at an empty prompt, and TAB.
    #[track_caller]
    fn tab(&self, line: &str) {
        let empty = |screen: &str| screen.trim() == "$";
        // A list that is just being drawn may take a key for itself.
        self.terminal.wait_for_visible("empty prompt", |screen| {
            empty(screen) || {
                self.terminal.keys([self.empties]).keys(["C-l"]);
                false
            }
        });
        self.terminal.text(line);
        let typed = format!("$ {}", line.trim_end());
        self.terminal
            .wait_for_visible(&format!("'{line}'"), |screen| screen.trim() == typed);
        self.terminal.keys(["Tab"]);
    }

    /// TAB after `line` makes it `expected`, and nothing else is shown.
    #[track_caller]
    fn completes(&self, line: &str, expected: &str) {
        self.tab(line);
        // Typed after it, so that blanks show, and that there is something to wait for if nothing happens.
        self.terminal.text("+");
        let over = format!("end of what TAB does after '{line}'");
        let screen = self
            .terminal
            .wait_for_visible(&over, |screen| screen.contains('+'));
        assert_eq!(screen.trim(), format!("$ {expected}+"), "'{line}' and TAB");
    }

    /// TAB after `line` lists all of these, each a piece of a line, and none of the others.
    #[track_caller]
    fn offers(&self, line: &str, wanted: &[&str], others: &[&str]) {
        self.tab(line);
        let list = |screen: &str| screen.split_once('\n').map(|(_, list)| list.to_owned());
        let all = |list: &String| wanted.iter().all(|text| list.contains(text));
        let what = format!("{wanted:?} after '{line}' and TAB");
        let screen = self
            .terminal
            .wait_for_visible(&what, |screen| list(screen).is_some_and(|l| all(&l)));
        let list = list(&screen).unwrap();
        for text in others {
            assert!(
                !list.contains(text),
                "'{line}' and TAB lists '{text}':\n{screen}"
            );
        }
    }
}

/// Tasks of every kind, here and in another repository beside this one.
fn world_with_tasks() -> World {
    let world = World::at("completion");
    world.behaviour("raw");
    for (name, title) in [
        ("fix-1-end", "Fix the parser"),
        ("fix-2-run", "Fix the login"),
        ("gone-1", "Go away"),
        ("left-2", "Leave =:files"),
    ] {
        world.flux(["run", "-q", "--name", name, title]).ok();
    }
    world.agent("fix-1-end").tell("exit 0");
    world.wait_ended("fix-1-end");
    for name in ["gone-1", "left-2"] {
        world.flux(["cleanup", name, "--yes"]).ok();
    }
    world.git(["branch", "stable"]);
    world.git(["config", "alias.fx", "flux"]);
    world.git(["config", "flux.mine.command", "cat"]);
    let other = world.root().join("other one");
    world.make_repository(&other);
    world
        .flux(["run", "-q", "--name", "elsewhere-1", "Other"])
        .in_dir(&other)
        .ok();
    world
}

/// Asserts the completions that each shell must have, for `git flux` and `git-flux`.
fn assert_completes_everything(shell: &Shell<'_>) {
    shell.completes("git fl", "git flux ");
    for flux in ["git flux", "git-flux"] {
        let line = |rest: &str| format!("{flux} {rest}");
        let completes = |from: &str, to: &str| shell.completes(&line(from), &line(to));
        let offers = |from: &str, wanted: &[&str], others: &[&str]| {
            shell.offers(&line(from), wanted, others);
        };
        offers(
            "",
            &["run", "list", "cleanup", "restore", "completions", "help"],
            &["--help", "__run"],
        );
        completes("cle", "cleanup ");
        completes("cleanup --ff", "cleanup --ff-only ");
        offers(
            "cleanup --",
            &["--into", "--squash", "--rebase", "--yes"],
            &["fix-"],
        );
        offers(
            "cleanup ",
            &["fix-1-end", "fix-2-run"],
            &["gone-1", "elsewhere-1", "--into"],
        );
        completes("cleanup fix-2", "cleanup fix-2-run ");
        completes("cleanup fix-2-run ", "cleanup fix-2-run fix-1-end ");
        completes("cleanup --into st", "cleanup --into stable ");
        completes("cleanup --into=st", "cleanup --into=stable ");
        completes("attach ", "attach fix-2-run ");
        completes("restore g", "restore gone-1 ");
        completes("diff fix-1", "diff fix-1-end ");
        completes("run --base sta", "run --base stable ");
        offers("run --agent ", &["claude", "mine", "shell"], &["fix-"]);
        completes("run -F READ", "run -F README.md ");
        completes("run --file=READ", "run --file=README.md ");
        completes("completions z", "completions zsh ");
        completes("cleanup 'fix-2", "cleanup 'fix-2-run' ");
        // Nothing to offer, so nothing happens: no file is taken for a task.
        completes("cleanup nothing", "cleanup nothing");
        completes("attach READ", "attach READ");
    }
    let other = "git -C '../other one'";
    shell.completes(
        &format!("{other} flux cleanup "),
        &format!("{other} flux cleanup elsewhere-1 "),
    );
    let other = "git --git-dir='../other one/.git'";
    shell.completes(
        &format!("{other} flux diff "),
        &format!("{other} flux diff elsewhere-1 "),
    );
    let set = "git -c flux.yours.command=cat -c flux.ours.command=cat";
    shell.completes(
        &format!("{set} flux run --agent y"),
        &format!("{set} flux run --agent yours "),
    );
}

#[test]
fn completion_works_in_bash_with_bash_completion() {
    let world = world_with_tasks();
    let shell = Shell::bash(&world);
    assert_completes_everything(&shell);
    shell.completes("git fx cle", "git fx cleanup ");
}

#[test]
fn completion_works_in_bash_with_only_the_completion_of_git() {
    let world = world_with_tasks();
    assert_completes_everything(&Shell::bash_alone(&world));
}

#[test]
fn completion_works_in_zsh_with_descriptions() {
    let world = world_with_tasks();
    let shell = Shell::zsh(&world);
    assert_completes_everything(&shell);
    shell.completes("git fx cle", "git fx cleanup ");
    shell.offers(
        "git flux cleanup ",
        &[
            "fix-1-end  -- Fix the parser",
            "fix-2-run  -- Fix the login",
        ],
        &[],
    );
    let archived = ["gone-1  -- Go away", "left-2  -- Leave =:files"];
    shell.offers("git flux restore ", &archived, &["fix-"]);
}

#[test]
fn completion_works_in_zsh_with_the_completion_of_git() {
    let world = world_with_tasks();
    let shell = Shell::zsh_of_git(&world);
    // What is read below another emulation is used without it.
    shell.completes("git flux cle", "git flux cleanup ");
    shell.completes("git-flux attach fix-2", "git-flux attach fix-2-run ");
    shell.completes(
        "git flux cleanup --into=st",
        "git flux cleanup --into=stable ",
    );
    shell.completes("git flux run -F READ", "git flux run -F README.md ");
    let other = "git --git-dir='../other one/.git' flux diff ";
    shell.completes(other, &format!("{other}elsewhere-1 "));
}

#[test]
fn completion_works_in_zsh_when_sourced() {
    let world = world_with_tasks();
    assert_completes_everything(&Shell::zsh_sourced(&world));
}

#[test]
fn completion_works_in_fish_with_descriptions() {
    let world = world_with_tasks();
    let shell = Shell::fish(&world);
    assert_completes_everything(&shell);
    shell.offers(
        "git flux cleanup ",
        &["fix-1-end  (Fix the parser)", "fix-2-run  (Fix the login)"],
        &[],
    );
    // It is no sign, whatever it looks like.
    let archived = ["gone-1  (Go away)", "left-2  (Leave =:files)"];
    for flux in ["git flux", "git-flux"] {
        shell.offers(&format!("{flux} restore "), &archived, &["README"]);
    }
}

#[test]
fn completion_works_in_fish_when_sourced() {
    let world = world_with_tasks();
    assert_completes_everything(&Shell::fish_sourced(&world));
}
