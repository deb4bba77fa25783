//! Everything that a command which fails must leave as it was, as one comparable value.
//!
//! Left out are what git itself touches when it is only asked (logs, ORIG_HEAD, the index file's cached times)
//! and git flux's lock files, which stay.

use std::collections::BTreeMap;
use std::fmt;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use super::World;

/// Names in the git directory that say nothing about its state, or that are looked at more closely.
const PASSED_OVER: [&str; 10] = [
    "COMMIT_EDITMSG",
    "FETCH_HEAD",
    "ORIG_HEAD",
    "config",
    "flux",
    "gc.log",
    "index",
    "logs",
    "packed-refs",
    "worktrees",
];

/// The state of a repository, of the directories beside it and of the product's tmux server.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct Snapshot(BTreeMap<String, String>);

impl World {
    /// Returns the state of the default repository and of all that is around it.
    pub(crate) fn snapshot(&self) -> Snapshot {
        self.snapshot_of(&self.repo())
    }

    /// Returns the state of the repository whose main worktree (or bare directory) this is.
    pub(crate) fn snapshot_of(&self, repo: &Path) -> Snapshot {
        let mut facts = BTreeMap::new();
        let git = |dir: &Path, args: &[&str]| {
            let locks = ["--no-optional-locks"].iter().chain(args);
            self.git_in(dir, locks)
        };
        let format = "--format=%(refname)%09%(objectname) %(symref)";
        for line in git(repo, &["for-each-ref", format]).lines() {
            let (name, value) = line.split_once('\t').unwrap();
            facts.insert(format!("ref {name}"), value.to_owned());
        }
        facts.insert("HEAD".into(), self.read(git_dir(repo).join("HEAD")));
        let worktrees = git(repo, &["worktree", "list", "--porcelain", "-z"]);
        for entry in worktrees.split_terminator("\0\0") {
            let name = entry.split('\0').next().unwrap_or_default();
            facts.insert(name.to_owned(), entry.replace('\0', "\n"));
            let dir = Path::new(name.strip_prefix("worktree ").unwrap_or_default());
            // What stands at its place by now may be no worktree.
            if (dir == repo || dir.join(".git").exists()) && !entry.contains("\0bare") {
                let index = self.index_of(dir);
                facts.insert(format!("index of {}", dir.display()), index);
            }
        }
        note_git_dir(&git_dir(repo), &mut facts);
        note_files(repo.parent().unwrap(), &mut facts);
        let format = "#{session_name} #{window_id} #{pane_pid} #{pane_dead}";
        let format = format!("#{{pane_id}}\t{format}");
        let panes = self.has_socket("default");
        let panes = panes
            .then(|| self.try_tmux(["list-panes", "-a", "-F", &format]))
            .flatten();
        for line in panes.unwrap_or_default().lines() {
            let (pane, place) = line.split_once('\t').unwrap();
            facts.insert(format!("pane {pane}"), place.to_owned());
        }
        Snapshot(facts)
    }

    /// Returns what git lists for the index of a worktree. It is asked once about each content.
    fn index_of(&self, dir: &Path) -> String {
        let list = || self.git_in(dir, ["--no-optional-locks", "ls-files", "-s"]);
        match fs::read(git_dir(dir).join("index")) {
            Ok(content) => {
                let mut known = self.indexes.lock().unwrap();
                known.entry(content).or_insert_with(list).clone()
            }
            Err(_) => list(),
        }
    }

    /// Asserts that nothing has changed since, and shows what has.
    #[track_caller]
    pub(crate) fn assert_unchanged(&self, before: &Snapshot) {
        let changes = before.changes(&self.snapshot());
        assert!(
            changes.is_empty(),
            "something has changed:\n{}",
            changes.join("\n")
        );
    }

    /// Asserts that no trace of any task is left in the default repository, beside it, or in tmux.
    #[track_caller]
    pub(crate) fn assert_pristine(&self) {
        let traces: Vec<String> = self
            .snapshot()
            .0
            .iter()
            .map(|(name, value)| format!("{name}: {value}"))
            .filter(|fact| self.is_trace(fact))
            .collect();
        assert!(
            traces.is_empty(),
            "git flux left behind:\n{}",
            traces.join("\n")
        );
    }

    fn is_trace(&self, fact: &str) -> bool {
        let beside = format!("{}-", self.repo().display());
        let main = format!("worktree {}: ", self.repo().display());
        fact.starts_with("ref refs/flux/")
            || fact.starts_with("ref refs/heads/feature/")
            || (fact.starts_with("worktree ") && !fact.starts_with(&main))
            || fact.starts_with(&format!("file {beside}"))
            || (fact.starts_with("pane ") && fact.contains(": flux-"))
            || (fact.starts_with("config ") && fact.contains("[branch \"feature/"))
            || (fact.starts_with("config ") && fact.contains("\tflux"))
            || fact.starts_with("flux file run/")
            || (fact.starts_with("git dir has ") && fact.contains(".lock"))
    }
}

impl Snapshot {
    /// Returns what is different in `after`, one line per fact.
    pub(crate) fn changes(&self, after: &Self) -> Vec<String> {
        let mut lines = Vec::new();
        for (name, old) in &self.0 {
            match after.0.get(name) {
                None => lines.push(format!("- {name}: {old}")),
                Some(new) if new != old => lines.push(format!("! {name}: {old}\n  now: {new}")),
                Some(_) => {}
            }
        }
        for (name, new) in &after.0 {
            if !self.0.contains_key(name) {
                lines.push(format!("+ {name}: {new}"));
            }
        }
        lines
    }

    /// Returns whether there is a fact of this name: `ref refs/heads/main`, `file /…`, `worktree /…`, `pane %1`.
    pub(crate) fn has(&self, name: &str) -> bool {
        self.0.contains_key(name)
    }
}

impl fmt::Debug for Snapshot {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (name, value) in &self.0 {
            writeln!(f, "{name}: {value}")?;
        }
        Ok(())
    }
}

/// Returns the git directory of a main worktree, or the bare directory itself.
fn git_dir(repo: &Path) -> PathBuf {
    let dot_git = repo.join(".git");
    if dot_git.is_dir() {
        return dot_git;
    }
    match fs::read_to_string(&dot_git) {
        Ok(link) => repo.join(link.trim_start_matches("gitdir: ").trim_end()),
        Err(_) => repo.to_path_buf(),
    }
}

fn note_git_dir(git_dir: &Path, facts: &mut BTreeMap<String, String>) {
    let config = fs::read(git_dir.join("config")).unwrap_or_default();
    facts.insert(
        "config file".into(),
        String::from_utf8_lossy(&config).into_owned(),
    );
    for entry in fs::read_dir(git_dir).unwrap() {
        let name = entry.unwrap().file_name().to_string_lossy().into_owned();
        if !PASSED_OVER.contains(&&*name) {
            facts.insert(format!("git dir has {name}"), String::new());
        }
    }
    let flux = git_dir.join("flux");
    walk(&flux, &mut |path| {
        let name = path.strip_prefix(&flux).unwrap().display().to_string();
        // The cache is derived, and may vanish.
        let is_lock = name == "merge"
            || name.starts_with("cache")
            || name.split('/').any(|part| part.contains("lock"));
        // `forget_changed_config` removes it.
        let is_copy = name.ends_with("/shared");
        if !is_lock && !is_copy && !path.is_dir() {
            facts.insert(format!("flux file {name}"), String::new());
        }
    });
    // An entry of `worktrees` that git's own list leaves out is a leftover too.
    for entry in fs::read_dir(git_dir.join("worktrees"))
        .into_iter()
        .flatten()
    {
        let name = entry.unwrap().file_name().to_string_lossy().into_owned();
        facts.insert(format!("worktree entry {name}"), String::new());
    }
}

fn note_files(root: &Path, facts: &mut BTreeMap<String, String>) {
    walk(root, &mut |path| {
        let meta = path.symlink_metadata().unwrap();
        let content = if meta.is_symlink() {
            format!("-> {}", fs::read_link(path).unwrap().display())
        } else if meta.is_dir() {
            "a directory".to_owned()
        } else {
            brief(&fs::read(path).unwrap_or_default())
        };
        let mode = meta.permissions().mode();
        facts.insert(
            format!("file {}", path.display()),
            format!("{mode:o} {content}"),
        );
    });
}

/// Short text as it is, anything else by its size and a hash.
fn brief(bytes: &[u8]) -> String {
    match std::str::from_utf8(bytes) {
        Ok(text) if bytes.len() < 200 => format!("{text:?}"),
        _ => format!("{} bytes, {:016x}", bytes.len(), hash(bytes)),
    }
}

/// Hashes eight bytes at a time: without optimisation, the hash of the standard library takes ten times as long.
fn hash(bytes: &[u8]) -> u64 {
    let (words, rest) = bytes.as_chunks();
    let mut last = [0; 8];
    last[..rest.len()].copy_from_slice(rest);
    let mut hash = u64::from_le_bytes(last);
    for word in words {
        let mixed = hash.rotate_left(5) ^ u64::from_le_bytes(*word);
        hash = mixed.wrapping_mul(0x517c_c1b7_2722_0a95);
    }
    hash
}

/// Shows every file and directory below one, except what is in a `.git` directory or looks like a bare repository.
fn walk(dir: &Path, see: &mut dyn FnMut(&Path)) {
    if dir.join("objects").is_dir() && dir.join("HEAD").is_file() {
        return;
    }
    for entry in fs::read_dir(dir).into_iter().flatten() {
        let path = entry.unwrap().path();
        see(&path);
        let is_real_dir = path.is_dir() && !path.is_symlink();
        if is_real_dir {
            walk(&path, see);
        }
    }
}
