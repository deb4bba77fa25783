//! The architecture, as the sources must follow it: a room uses only rooms above it, one file starts git,
//! one starts tmux, one knows libgit2, and only the terminal room prints.
//!
//! The sources are read as text, without comments and without what stands under `#[cfg(test)]`. That is enough
//! for code that rustfmt has been over, and CI insists on that.

mod circles;

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

/// The rooms, each a file or a folder of `src`: one may use those before it.
const ROOMS: [&str; 18] = [
    "failure",
    "interrupt",
    "embedded",
    "sanitize",
    "system",
    "task",
    "git",
    "tmux",
    "run",
    "agent",
    "launcher",
    "settings",
    "ui",
    "store",
    "context",
    "lifecycle",
    "commands",
    "main",
];

/// Names that say nothing about what is inside.
const NO_ROOMS: [&str; 6] = ["util", "utils", "common", "helpers", "manager", "misc"];

const LONGEST: usize = 400;

/// A source file.
struct Source {
    /// Its path below `src`, with `/`.
    path: String,
    text: String,
    /// The text without comments and tests.
    code: String,
}

impl Source {
    fn room(&self) -> &str {
        let first = self.path.split('/').next().unwrap();
        first.strip_suffix(".rs").unwrap_or(first)
    }

    /// Returns the lines that contain `needle`, for messages.
    fn lines_with(&self, needle: &str) -> Vec<String> {
        let hits = self.code.lines().filter(|line| line.contains(needle));
        hits.map(|line| format!("src/{}: {}", self.path, line.trim()))
            .collect()
    }
}

fn sources() -> Vec<Source> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut files = Vec::new();
    collect(&root, &mut files);
    let mut sources: Vec<Source> = files
        .iter()
        .map(|file| {
            let text = fs::read_to_string(file).unwrap();
            Source {
                path: file.strip_prefix(&root).unwrap().to_str().unwrap().into(),
                code: code(&text),
                text,
            }
        })
        .collect();
    sources.sort_by(|a, b| a.path.cmp(&b.path));
    assert!(sources.len() > ROOMS.len(), "the sources were not found");
    sources
}

fn collect(dir: &Path, files: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(dir).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            collect(&path, files);
        } else if path.extension().is_some_and(|e| e == "rs") {
            files.push(path);
        }
    }
}

/// Returns the code of `text`: no comments, and no item under `#[cfg(test)]`.
fn code(text: &str) -> String {
    let mut code = String::new();
    // The indentation of an item that is being left out.
    let mut skipping: Option<usize> = None;
    for line in text.lines() {
        let content = line.trim_start();
        let indent = line.len() - content.len();
        if let Some(start) = skipping {
            let ends = content.starts_with('}') || content.ends_with(';');
            if indent == start && ends {
                skipping = None;
            }
        } else if content == "#[cfg(test)]" {
            skipping = Some(indent);
        } else if !content.starts_with("//") {
            code.push_str(line.split(" // ").next().unwrap());
            code.push('\n');
        }
    }
    assert!(skipping.is_none(), "an item under #[cfg(test)] has no end");
    code
}

/// Returns the rooms that `code` names after `crate::`, in braces or not.
fn used(code: &str) -> BTreeSet<String> {
    let mut rooms = BTreeSet::new();
    for (at, _) in code.match_indices("crate::") {
        let rest = &code[at + "crate::".len()..];
        match rest.strip_prefix('{') {
            Some(group) => rooms.extend(names_in_group(group)),
            None => rooms.extend(name(rest)),
        }
    }
    rooms
}

/// Returns the first names of a group `a, b::c, d::{e, f}}`.
fn names_in_group(group: &str) -> Vec<String> {
    let mut names = Vec::new();
    let mut depth = 0;
    let mut begins = true;
    for (at, c) in group.char_indices() {
        match c {
            '{' => depth += 1,
            '}' if depth == 0 => break,
            '}' => depth -= 1,
            ',' if depth == 0 => begins = true,
            c if begins && !c.is_whitespace() => {
                names.extend(name(&group[at..]));
                begins = false;
            }
            _ => {}
        }
    }
    names
}

fn name(text: &str) -> Option<String> {
    let end = text
        .find(|c: char| !c.is_alphanumeric() && c != '_')
        .unwrap_or(text.len());
    (end > 0).then(|| text[..end].to_owned())
}

#[track_caller]
fn assert_none(what: &str, found: &[String]) {
    assert!(found.is_empty(), "{what}:\n{}", found.join("\n"));
}

#[test]
fn layers_use_only_rooms_above() {
    let rank = |room: &str| ROOMS.iter().position(|known| *known == room);
    let mut wrong = Vec::new();
    let mut uses = 0;
    for source in sources() {
        let own = source.room();
        let Some(own_rank) = rank(own) else {
            wrong.push(format!("src/{} is in no known room", source.path));
            continue;
        };
        for other in used(&source.code) {
            match rank(&other) {
                None => wrong.push(format!("src/{} uses crate::{other}, no room", source.path)),
                Some(rank) if rank > own_rank => wrong.push(format!(
                    "src/{} uses crate::{other}, which is below '{own}'",
                    source.path
                )),
                Some(_) => uses += 1,
            }
        }
    }
    assert_none("against the layers", &wrong);
    assert!(uses > 50, "only {uses} uses were found: are they all seen?");
}

#[test]
fn layers_use_no_path_with_super_out_of_a_room() {
    // The `super` of a room's top file is the crate itself.
    let mut wrong = Vec::new();
    let mut uses = 0;
    for source in sources() {
        let path = source.path.strip_suffix("/mod.rs");
        let depth = path.unwrap_or(&source.path).matches('/').count();
        // A module inside the file, as serde wants them, is one deeper.
        let inner = source.code.contains("\nmod ") || source.code.contains("\npub(crate) mod ");
        for line in source.code.lines().filter(|line| line.contains("super::")) {
            let deeper = usize::from(inner && line.starts_with(' '));
            let (at, _) = line.match_indices("super::").next().unwrap();
            let chain = line[at..]
                .split("super::")
                .take_while(|part| part.is_empty());
            uses += 1;
            if chain.count() > depth + deeper {
                wrong.push(format!("src/{}: {line}", source.path));
            }
        }
    }
    assert_none("paths past the layers", &wrong);
    assert!(uses > 20, "only {uses} uses were found: are they all seen?");
}

#[test]
fn layers_use_libgit2_only_in_the_repository() {
    let mut wrong = Vec::new();
    let sources = sources();
    let (repo, others): (Vec<_>, Vec<_>) = sources
        .iter()
        .partition(|s| s.path == "git/repo.rs" || s.path.starts_with("git/repo/"));
    for source in others {
        wrong.extend(source.lines_with("git2"));
    }
    assert_none("git2 outside git/repo", &wrong);
    for source in repo {
        assert!(source.code.contains("use git2::"), "who reads objects now?");
        // Its types do not get out either: no ref may ever go through them.
        for line in source.code.lines().filter(|line| line.contains("pub")) {
            let foreign = ["git2", "Repository", "Oid"].map(|name| line.contains(name));
            assert_eq!(foreign, [false; 3], "src/{}: {line}", source.path);
        }
    }
}

#[test]
fn layers_start_git_and_tmux_in_one_place_each() {
    // Files that start other programs.
    const OTHERS: [&str; 11] = [
        // Agents, and git flux itself.
        "launcher/mod.rs",
        "launcher/job.rs",
        "lifecycle/archive/expire.rs",
        // The git that an agent called, as it called it.
        "launcher/stash/command_line.rs",
        // Whoever tells the user, in their way.
        "launcher/notify.rs",
        // A hook of the user's, where git would start it with another environment.
        "git/hooks.rs",
        // The commands of the user's gate.
        "lifecycle/gate/run.rs",
        // The user's editor and pager.
        "git/foreground.rs",
        // git flux itself: what a key of a view runs, and what keeps its terminal.
        "commands/watch/foreground.rs",
        "ui/raw_terminal.rs",
        // man and the user's shells.
        "commands/install/shells.rs",
    ];
    let mut wrong = Vec::new();
    let mut started = 0;
    let mut unused = BTreeSet::from(OTHERS);
    for source in sources() {
        let starts = source.lines_with("Command::new(");
        let own = match source.path.as_str() {
            "git/command.rs" => Some(r#"Command::new("git")"#),
            "tmux/command.rs" => Some(r#"Command::new("tmux")"#),
            path if !starts.is_empty() && unused.remove(path) => None,
            _ => {
                wrong.extend(starts);
                continue;
            }
        };
        for program in [r#"Command::new("git")"#, r#"Command::new("tmux")"#] {
            if own == Some(program) {
                started += source.lines_with(program).len();
            } else {
                wrong.extend(source.lines_with(program));
            }
        }
    }
    assert_none("processes started elsewhere", &wrong);
    assert!(unused.is_empty(), "they start nothing: {unused:?}");
    assert!(started >= 2, "git or tmux is not started at all any more");
}

/// Returns the beginning of `text`, the arguments of a call, if that is one of `places`.
fn find_place(text: &str, places: &[&'static str]) -> Option<&'static str> {
    let is_first = |place: &&&str| {
        let rest = text.trim_start().strip_prefix(**place);
        rest.is_some_and(|rest| rest.starts_with([',', ')']))
    };
    places.iter().find(is_first).copied()
}

/// git in a worktree reads configuration that an agent may have written.
#[test]
fn layers_start_git_in_a_worktree_only_through_a_checkout() {
    // Where git runs otherwise: in the main worktree, where the caller is, and nowhere.
    const PLACES: [&str; 10] = [
        "home",
        "main",
        "repo.home()",
        "flux.repo.home()",
        "self.repo.home()",
        "self.flux.repo.home()",
        "dir",
        "Path::new(\".\")",
        "Path::new(\"/\")",
        "world.home()",
    ];
    // A scratch repository is our own.
    const OWN: [&str; 3] = ["&self.path", "self.path", "path"];
    // These, and the functions that are given such a place.
    const STARTS: [&str; 11] = [
        "Git::new(",
        "Git::reading(",
        "log::between(",
        "ls_files::list_matching(",
        "ls_tree::find_entry(",
        "ls_tree::list_files(",
        "ls_tree::read_blob(",
        "refs::list(",
        "refs::list_containing(",
        "refs::read(",
        "worktree::list(",
    ];
    let mut wrong = Vec::new();
    let mut unused: BTreeSet<&str> = [&PLACES[..], &OWN, &STARTS].concat().into_iter().collect();
    for source in sources() {
        let is_own = source.path == "git/checkout.rs" || source.path.starts_with("git/scratch/");
        let places = [&PLACES[..], if is_own { &OWN } else { &[] }].concat();
        for start in STARTS {
            for (at, _) in source.code.match_indices(start) {
                unused.remove(start);
                let arguments = &source.code[at + start.len()..];
                if let Some(place) = find_place(arguments, &places) {
                    unused.remove(place);
                } else {
                    let line = arguments.trim_start().lines().next().unwrap_or_default();
                    wrong.push(format!("src/{}: {start}{line}", source.path));
                }
            }
        }
    }
    assert_none("git in a worktree that nobody looked at", &wrong);
    assert!(unused.is_empty(), "they do not occur: {unused:?}");
}

#[test]
fn layers_print_only_in_the_terminal_room() {
    let mut wrong = Vec::new();
    for source in sources() {
        for macro_name in ["print!(", "println!(", "dbg!("] {
            wrong.extend(source.lines_with(macro_name));
        }
    }
    assert_none("printed past ui.rs", &wrong);
}

#[test]
fn layers_use_unsafe_code_only_for_libgit2_and_macos() {
    let mut unused = BTreeSet::from(["git/repo/open.rs", "system/process/macos.rs"]);
    let mut wrong = Vec::new();
    for source in sources() {
        let unsafe_lines = source.lines_with("unsafe");
        if unsafe_lines.is_empty() || !unused.remove(&*source.path) {
            wrong.extend(unsafe_lines);
        }
    }
    assert_none("unsafe code", &wrong);
    assert!(unused.is_empty(), "they have none: {unused:?}");
}

#[test]
fn layers_have_short_files_with_a_module_comment() {
    let mut wrong = Vec::new();
    for source in sources() {
        let lines = source.text.lines().count();
        if lines > LONGEST {
            wrong.push(format!(
                "src/{} has {lines} lines, more than {LONGEST}",
                source.path
            ));
        }
        if !source.text.starts_with("//! ") {
            wrong.push(format!("src/{} does not begin with '//! '", source.path));
        }
        let stem = Path::new(&source.path).file_stem().unwrap();
        if NO_ROOMS.iter().any(|name| stem == *name) {
            wrong.push(format!("src/{} is named after nothing", source.path));
        }
    }
    assert_none("files", &wrong);
}

#[test]
fn layers_test_finds_every_form_of_use() {
    #[track_caller]
    fn case(text: &str, expected: &[&str]) {
        let found = used(&code(text));
        assert_eq!(found.iter().collect::<Vec<_>>(), expected, "{text}");
    }
    case("use crate::git::Repo;", &["git"]);
    case(
        "use crate::{interrupt, sanitize};",
        &["interrupt", "sanitize"],
    );
    case(
        "use crate::{\n    git::{Lock, refs},\n    store::{self},\n    ui,\n};",
        &["git", "store", "ui"],
    );
    case("let x = crate::task::Layout::Pane;", &["task"]);
    case("pub(crate) fn f() {}", &[]);
    case("// use crate::ui::Ui;\n/// [`crate::ui`]", &[]);
    case("f(); // crate::ui::Ui", &[]);
    case(
        "#[cfg(test)]\nmod tests {\n    use crate::ui;\n}\nuse crate::git;",
        &["git"],
    );
    case("#[cfg(test)]\nuse crate::ui;\nuse crate::git;", &["git"]);
    case(
        "#[cfg(test)]\nfn f(\n    a: u8,\n) {\n    crate::ui::f();\n}\ncrate::git::g();",
        &["git"],
    );
}
