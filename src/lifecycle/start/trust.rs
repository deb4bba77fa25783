//! Scripts that come with the repository, in `.worktree-init/`: they run only after the user
//! has agreed to exactly what they are.
//!
//! What is agreed to is a tree of git's, whose name stands for names, modes and contents alike.
//! What is shown, and what is run, is read from that tree, never from a worktree: nobody can
//! change it in between. Links are left out, since what they lead to is not in the tree.

use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Component, Path};

use anyhow::{Context as _, Result};

use crate::context::Flux;
use crate::failure::Failure;
use crate::git::ls_tree::{self, EntryKind, TreeEntry};
use crate::git::{ObjectId, Sharing};
use crate::run::RunDir;
use crate::run::launch::Step;
use crate::sanitize;
use crate::store;
use crate::system::optional;
use crate::task::Bytes;
use crate::ui::shown;

/// The directory, at the top of a worktree.
pub(crate) const NAME: &str = ".worktree-init";

/// The most that is shown, and run, in bytes.
const LARGEST: u64 = 1 << 20;

/// How programs that are no text begin: ELF, and Mach-O in its kinds.
const PROGRAMS: [u32; 6] = [
    0x7f454c46, 0xcffaedfe, 0xcefaedfe, 0xfeedfacf, 0xfeedface, 0xcafebabe,
];

/// The scripts of one commit, and what else is in their directory.
#[derive(Clone, Debug)]
pub(crate) struct Init {
    pub(crate) tree: ObjectId,
    files: Vec<(TreeEntry, Vec<u8>)>,
}

impl Init {
    /// Returns what `commit` has.
    ///
    /// # Errors
    /// When git fails, or the directory is not one that git itself would make.
    pub(crate) fn find(flux: &Flux, commit: &ObjectId) -> Result<Option<Self>> {
        if !flux.repo.may_have_path(commit, NAME) {
            return Ok(None);
        }
        let dir = flux.repo.home();
        let Some(found) = ls_tree::find_entry(dir, commit, NAME.as_ref())? else {
            return Ok(None);
        };
        if found.kind != EntryKind::Directory {
            flux.ui
                .warning(format_args!("'{NAME}' is no directory; nothing is run"));
            return Ok(None);
        }
        let entries = ls_tree::list_files(dir, &found.object)?;
        if !entries.iter().any(is_script) {
            return Ok(None);
        }
        let size: u64 = entries.iter().map(|entry| entry.size).sum();
        if size > LARGEST {
            flux.ui.warning(format_args!(
                "'{NAME}' is too large to be shown ({size} bytes); nothing of it is run"
            ));
            return Ok(None);
        }
        let mut files = Vec::new();
        for entry in entries {
            ensure_inside(&entry)?;
            if !matches!(entry.kind, EntryKind::Directory | EntryKind::Other) {
                let content = ls_tree::read_blob(dir, &entry.object)?;
                files.push((entry, content));
            }
        }
        let tree = found.object;
        Ok(Some(Self { tree, files }))
    }

    /// Returns whether the user has agreed to exactly this.
    pub(crate) fn is_trusted(&self, flux: &Flux) -> bool {
        flux.settings.trusts(&self.tree)
    }

    /// Notes that the user agrees to exactly this.
    ///
    /// # Errors
    /// When the configuration cannot be written.
    pub(crate) fn trust(&self, flux: &Flux) -> Result<()> {
        let guard = flux.lock_repo()?;
        store::trust(&flux.repo, &self.tree, &guard)
    }

    /// Returns all of it, for a person.
    pub(crate) fn text(&self) -> String {
        let mut text = String::new();
        for (entry, content) in &self.files {
            let what = match entry.kind {
                EntryKind::Link => " (a link, left out)",
                _ if is_script(entry) => " (is run)",
                _ => "",
            };
            text.push_str(&format!("{NAME}/{}{what}:\n", shown(&entry.path)));
            // What a shell would run is a text, whatever is in it.
            let begin = content
                .first_chunk()
                .map(|begin| u32::from_be_bytes(*begin));
            let is_program = begin.is_some_and(|begin| PROGRAMS.contains(&begin));
            if content.contains(&0) && (is_program || !is_script(entry)) {
                text.push_str(&format!("    binary, {} bytes\n", entry.size));
                continue;
            }
            let content = sanitize::text(&String::from_utf8_lossy(content));
            for line in content.lines() {
                text.push_str(&format!("    {line}\n"));
            }
        }
        text
    }

    /// Returns the names of the scripts, in the order in which they run.
    pub(crate) fn names(&self) -> impl Iterator<Item = String> {
        let scripts = self.files.iter().filter(|(entry, _)| is_script(entry));
        scripts.map(|(entry, _)| format!("{NAME}/{}", shown(&entry.path)))
    }

    /// Writes it into the run directory of a task, and returns what is to be run there.
    ///
    /// # Errors
    /// When it cannot be written.
    pub(in crate::lifecycle) fn put(&self, run: &RunDir) -> Result<Vec<Step>> {
        let dir = run.0.join("init");
        optional(fs::remove_dir_all(&dir)).context("could not begin another run")?;
        make(&dir)?;
        let mut steps = Vec::new();
        for (entry, content) in &self.files {
            let path = dir.join(&entry.path);
            let mode = match entry.kind {
                EntryKind::Executable => 0o700,
                EntryKind::File => 0o600,
                EntryKind::Link | EntryKind::Directory | EntryKind::Other => continue,
            };
            make(path.parent().unwrap_or(&dir))?;
            // The directory has just been made, and is ours alone.
            fs::write(&path, content)
                .and_then(|()| fs::set_permissions(&path, Permissions::from_mode(mode)))
                .with_context(|| format!("could not write '{}'", shown(&path)))?;
            if is_script(entry) {
                steps.push(Step {
                    name: format!("{NAME}/{}", entry.path.to_string_lossy()),
                    argv: vec![Bytes(path.into())],
                });
            }
        }
        Ok(steps)
    }
}

/// Fails if an entry leads out of the directory, as no git would make it.
fn ensure_inside(entry: &TreeEntry) -> Result<()> {
    let is_plain = |part| matches!(part, Component::Normal(_));
    if entry.path.components().all(is_plain) {
        return Ok(());
    }
    let path = shown(&entry.path);
    let what = format!("'{NAME}' has a file '{path}', which leads out of it");
    Err(Failure::new(what).into())
}

/// Returns whether an entry is run: what lies deeper is for the scripts to use.
fn is_script(entry: &TreeEntry) -> bool {
    entry.kind == EntryKind::Executable && entry.path.components().count() == 1
}

fn make(dir: &Path) -> Result<()> {
    let made = Sharing::Private.make_dir(dir);
    made.with_context(|| format!("could not make '{}'", shown(dir)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::lifecycle::start::world::{World, git, id};

    /// Commits `.worktree-init` with these files, and returns what is found of it.
    fn init(world: &World, files: &[(&str, u32)]) -> Option<Init> {
        let dir = world.home().join(NAME);
        for (name, mode) in files {
            let path = dir.join(name);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(&path, format!("echo {name}\n")).unwrap();
            fs::set_permissions(&path, Permissions::from_mode(*mode)).unwrap();
        }
        git(world.home(), ["add", "."]);
        git(
            world.home(),
            ["commit", "-q", "--allow-empty", "-m", "scripts"],
        );
        let head = world.flux.repo.resolve("HEAD").unwrap().unwrap();
        Init::find(&world.flux, &head).unwrap()
    }

    #[test]
    fn executables_at_the_top_run_and_the_rest_is_for_them() {
        let world = World::new();
        let files = [
            ("2-b", 0o755),
            ("1-a", 0o755),
            ("notes", 0o644),
            ("lib/c", 0o755),
        ];
        let init = init(&world, &files).unwrap();
        let names: Vec<String> = init.names().collect();
        assert_eq!(names, [".worktree-init/1-a", ".worktree-init/2-b"]);
        let run = world.flux.run_dir(&id());
        let _lock = world.flux.lock_task(&id()).unwrap();
        let steps = init.put(&run).unwrap();
        assert_eq!(steps.len(), 2);
        let text = fs::read_to_string(&steps[0].argv[0].0).unwrap();
        assert_eq!(text, "echo 1-a\n");
        assert!(run.0.join("init/lib/c").exists());
    }

    #[test]
    fn what_has_no_script_is_nothing_to_ask_about() {
        let world = World::new();
        assert!(init(&world, &[]).is_none());
        assert!(init(&world, &[("notes", 0o644)]).is_none());
    }

    #[test]
    fn agreement_is_to_one_tree() {
        let mut world = World::new();
        let first = init(&world, &[("a", 0o755)]).unwrap();
        first.trust(&world.flux).unwrap();
        world.flux.settings = crate::settings::Settings::load(world.home()).unwrap();
        assert!(first.is_trusted(&world.flux));
        let second = init(&world, &[("b", 0o755)]).unwrap();
        assert!(!second.is_trusted(&world.flux));
    }
}
