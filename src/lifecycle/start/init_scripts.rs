//! Setup scripts of the repository, in `.worktree-init/`, which run only if the user has approved them.
//!
//! The user approves a git tree, whose id covers names, modes and contents. Scripts are shown and run
//! from that tree, never from a worktree, so they cannot change in between. Links are skipped, since
//! their targets are not in the tree.

use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Component, Path};

use anyhow::{Context as _, Result};

use crate::context::Flux;
use crate::failure::Failure;
use crate::git::ls_tree::{self, EntryKind, TreeEntry};
use crate::git::{ObjectId, Sharing};
use crate::run::RunDir;
use crate::run::launch::SetupStep;
use crate::sanitize;
use crate::store;
use crate::system::none_if_missing;
use crate::task::Bytes;
use crate::ui::shown;

/// The directory at the top of a worktree.
pub(crate) const INIT_DIR: &str = ".worktree-init";

/// The maximal size of all files together.
const MAX_BYTES: u64 = 1 << 20;

/// The first bytes of binary programs: ELF and Mach-O.
const BINARY_MAGIC: [u32; 6] = [
    0x7f454c46, 0xcffaedfe, 0xcefaedfe, 0xfeedfacf, 0xfeedface, 0xcafebabe,
];

/// The scripts of one commit, and the other files in their directory.
#[derive(Clone, Debug)]
pub(crate) struct InitScripts {
    pub(crate) tree: ObjectId,
    files: Vec<(TreeEntry, Vec<u8>)>,
}

impl InitScripts {
    /// Finds the setup scripts of a commit: the executables at the top of `.worktree-init`. `None`
    /// if there are none; also, with a warning, if `.worktree-init` is no directory or above 1 MiB.
    /// Fails if a path leaves that directory.
    pub(crate) fn find(flux: &Flux, commit: &ObjectId) -> Result<Option<Self>> {
        if !flux.repo.may_have_path(commit, INIT_DIR) {
            return Ok(None);
        }
        let dir = flux.repo.home();
        let Some(found) = ls_tree::find_entry(dir, commit, INIT_DIR.as_ref())? else {
            return Ok(None);
        };
        if found.kind != EntryKind::Directory {
            flux.ui
                .warning(format_args!("skipped '{INIT_DIR}': not a directory"));
            return Ok(None);
        }
        let entries = ls_tree::list_files(dir, &found.object)?;
        if !entries.iter().any(is_script) {
            return Ok(None);
        }
        let size: u64 = entries.iter().map(|entry| entry.size).sum();
        if size > MAX_BYTES {
            flux.ui.warning(format_args!(
                "skipped '{INIT_DIR}': too large to show ({size} bytes)"
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

    /// Returns whether the user has approved this tree of scripts: `flux.trust` names it.
    pub(crate) fn is_trusted(&self, flux: &Flux) -> bool {
        flux.settings.trusts(&self.tree)
    }

    /// Adds the tree of these scripts to `flux.trust`, after the user has approved it. Asks
    /// nothing. [`Self::is_trusted`] sees that only after the configuration is read again.
    pub(crate) fn trust(&self, flux: &Flux) -> Result<()> {
        let guard = flux.lock_repo()?;
        store::add_trust(&flux.repo, &self.tree, &guard)
    }

    /// Returns the names and contents of all files in `.worktree-init` as text for the user, with
    /// control characters escaped; of a binary file only its size, unless it is a script that a
    /// shell could run.
    pub(crate) fn text(&self) -> String {
        let mut text = String::new();
        for (entry, content) in &self.files {
            let what = match entry.kind {
                EntryKind::Link => " (link, skipped)",
                _ if is_script(entry) => " (will run)",
                _ => "",
            };
            text.push_str(&format!("{INIT_DIR}/{}{what}:\n", shown(&entry.path)));
            // A shell runs a script even if it contains NUL bytes.
            let begin = content
                .first_chunk()
                .map(|begin| u32::from_be_bytes(*begin));
            let is_program = begin.is_some_and(|begin| BINARY_MAGIC.contains(&begin));
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

    /// Returns the paths of the scripts that run, such as `.worktree-init/10-deps`, in the order of
    /// execution.
    pub(crate) fn names(&self) -> impl Iterator<Item = String> {
        let scripts = self.files.iter().filter(|(entry, _)| is_script(entry));
        scripts.map(|(entry, _)| format!("{INIT_DIR}/{}", shown(&entry.path)))
    }

    /// Writes the files of `.worktree-init`, except links, into a run directory, and returns the
    /// scripts to run as setup steps. Runs nothing.
    pub(in crate::lifecycle) fn write(&self, run: &RunDir) -> Result<Vec<SetupStep>> {
        let dir = run.0.join("init");
        none_if_missing(fs::remove_dir_all(&dir)).context("could not delete the old scripts")?;
        create_dir(&dir)?;
        let mut steps = Vec::new();
        for (entry, content) in &self.files {
            let path = dir.join(&entry.path);
            let mode = match entry.kind {
                EntryKind::Executable => 0o700,
                EntryKind::File => 0o600,
                EntryKind::Link | EntryKind::Directory | EntryKind::Other => continue,
            };
            create_dir(path.parent().unwrap_or(&dir))?;
            fs::write(&path, content)
                .and_then(|()| fs::set_permissions(&path, Permissions::from_mode(mode)))
                .with_context(|| format!("could not write '{}'", shown(&path)))?;
            if is_script(entry) {
                steps.push(SetupStep {
                    name: format!("{INIT_DIR}/{}", entry.path.to_string_lossy()),
                    argv: vec![Bytes(path.into())],
                });
            }
        }
        Ok(steps)
    }
}

/// Fails if the path of an entry leaves `.worktree-init`, as with `..`, which git itself never
/// creates.
fn ensure_inside(entry: &TreeEntry) -> Result<()> {
    let is_plain = |part| matches!(part, Component::Normal(_));
    if entry.path.components().all(is_plain) {
        return Ok(());
    }
    let path = shown(&entry.path);
    let what = format!("an entry of '{INIT_DIR}' has a path that leads out of it: '{path}'");
    Err(Failure::new(what).into())
}

/// Returns whether an entry of `.worktree-init` runs at setup: it is an executable file at the top,
/// not in a subdirectory. A link never runs.
fn is_script(entry: &TreeEntry) -> bool {
    entry.kind == EntryKind::Executable && entry.path.components().count() == 1
}

fn create_dir(dir: &Path) -> Result<()> {
    let made = Sharing::Private.make_dir(dir);
    made.with_context(|| format!("could not make '{}'", shown(dir)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::lifecycle::start::world::{World, git, id};

    /// Commits `.worktree-init` with these files, and finds it.
    fn init(world: &World, files: &[(&str, u32)]) -> Option<InitScripts> {
        let dir = world.home().join(INIT_DIR);
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
        InitScripts::find(&world.flux, &head).unwrap()
    }

    #[test]
    fn write_runs_only_executables_at_the_top() {
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
        let steps = init.write(&run).unwrap();
        assert_eq!(steps.len(), 2);
        let text = fs::read_to_string(&steps[0].argv[0].0).unwrap();
        assert_eq!(text, "echo 1-a\n");
        assert!(run.0.join("init/lib/c").exists());
    }

    #[test]
    fn find_ignores_a_directory_without_scripts() {
        let world = World::new();
        assert!(init(&world, &[]).is_none());
        assert!(init(&world, &[("notes", 0o644)]).is_none());
    }

    #[test]
    fn trust_covers_one_tree() {
        let mut world = World::new();
        let first = init(&world, &[("a", 0o755)]).unwrap();
        first.trust(&world.flux).unwrap();
        world.flux.settings = crate::settings::Settings::load(world.home()).unwrap();
        assert!(first.is_trusted(&world.flux));
        let second = init(&world, &[("b", 0o755)]).unwrap();
        assert!(!second.is_trusted(&world.flux));
    }
}
