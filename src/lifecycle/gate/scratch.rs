//! The scratch worktree, in which the gate runs: `../<project>--land`, warm from run to run.

use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, bail};

use super::gate::Gate;
use super::group::GateGroup;
use crate::context::Flux;
use crate::failure::Failure;
use crate::git::detached::{self, WorktreeCondition};
use crate::git::worktree::remove_temporary;
use crate::git::{Checkout, Lock, ObjectId, Repo, Worktree, admin};
use crate::lifecycle::start::{copies, ports};
use crate::system::regular_file::read_file;
use crate::task::Bytes;
use crate::ui::{quoted, shown};

/// The part of names that no id of a task can be, since those do not begin with `-`.
pub(super) const NAME: &str = "-land";

/// The reason of the worktree's lock, by which git flux knows its own.
const LOCK_REASON: &str = "git flux runs gates in it";

/// Returns the path of the scratch worktree, which need not exist: beside the main worktree or the
/// bare repository, whatever `flux.worktreeDir` says.
pub(crate) fn scratch_path(repo: &Repo) -> PathBuf {
    let mut name = repo.project();
    name.push("-");
    name.push(NAME);
    repo.base_dir().join(name)
}

/// Returns whether git flux has made this worktree for gates.
pub(crate) fn is_scratch(entry: &Worktree) -> bool {
    entry.locked.as_deref() == Some(LOCK_REASON)
}

/// Returns the directory of the gate's files, with its logs: `<git-common-dir>/flux/gate`.
pub(super) fn gate_dir(repo: &Repo) -> PathBuf {
    repo.flux_dir().join("gate")
}

/// The scratch worktree, locked for one user.
pub(super) struct ScratchWorktree<'a> {
    flux: &'a Flux,
    path: PathBuf,
    lock: Lock,
}

impl<'a> ScratchWorktree<'a> {
    /// Waits until no other git flux uses the scratch worktree, and takes it. Ends the processes that
    /// a killed git flux has left in it. Creates nothing yet. Fails if something else is at its path.
    pub(super) fn take(flux: &'a Flux) -> Result<Self> {
        let (path, dir) = (scratch_path(&flux.repo), gate_dir(&flux.repo));
        let condition = inspect(&flux.repo, &path);
        // If the lock exists, another git flux may be making the worktree.
        if !flux.scratch_lock().exists() {
            condition?;
        }
        let lock = flux.lock_scratch()?;
        inspect(&flux.repo, &path)?;
        end_left(&path, &dir)?;
        Ok(Self { flux, path, lock })
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// Checks out a commit in the scratch worktree. Creates that if it is missing, and creates it anew
    /// if files of other patterns were copied into it. Overwrites all files there, except ignored
    /// ones. Fails if something else is at its path.
    pub(super) fn check_out(&self, gate: &Gate, commit: &ObjectId) -> Result<Checkout> {
        let (repo, path) = (&self.flux.repo, &self.path);
        let condition = inspect(repo, path)?;
        if condition != WorktreeCondition::Ready || !self.is_seeded(gate)? {
            if condition != WorktreeCondition::Missing {
                let _guard = self.flux.lock_repo()?;
                remove_temporary(repo, path)?;
            }
            self.create(gate, commit)?;
        }
        let checkout = repo.checkout(path)?;
        let _spinner = self.flux.ui.spinner("checking out the files to test");
        detached::reset(&checkout, commit, &self.lock).with_context(|| {
            let remove = format!("git worktree remove --force --force {}", quoted(path));
            Failure::new(format!("could not check out '{}'", shown(path))).hint(remove)
        })?;
        Ok(checkout)
    }

    /// Registers the scratch worktree, and copies the untracked files of `flux.gateSeed`, or else
    /// of `flux.copy`, into it. Other files follow later: what was built must be older than its
    /// sources.
    fn create(&self, gate: &Gate, commit: &ObjectId) -> Result<()> {
        let (flux, path) = (self.flux, &self.path);
        let what = || format!("could not make '{}'", shown(path));
        let guard = flux.lock_repo()?;
        let at = (path.as_path(), commit);
        detached::register(flux.repo.home(), at, LOCK_REASON, &self.lock).with_context(what)?;
        drop(guard);
        let made = format!("made the worktree '{}' for gates", shown(path));
        flux.ui
            .status(format_args!("{made} (git flux gc --scratch removes it)"));
        let seed = gate.seed.iter().map(|Bytes(pattern)| pattern.clone());
        copies::seed(flux, &seed.collect::<Vec<_>>(), path)?;
        let patterns = serde_json::to_vec(&gate.seed)?;
        flux.repo.sharing()?.write(&self.seed_file(), &patterns)
    }

    /// Returns whether the files of the gate's patterns were copied into the worktree, and no others.
    fn is_seeded(&self, gate: &Gate) -> Result<bool> {
        let patterns = read_file(&self.seed_file()).ok();
        Ok(patterns == Some(serde_json::to_vec(&gate.seed)?))
    }

    fn seed_file(&self) -> PathBuf {
        gate_dir(&self.flux.repo).join("seed")
    }
}

/// Ends the processes that a killed git flux has left in the scratch worktree at `path`. The caller
/// holds its lock.
pub(super) fn end_left(path: &Path, gate_dir: &Path) -> Result<()> {
    if let Some(left) = GateGroup::read(gate_dir) {
        left.end_left(path)?;
        ports::release_claim(left.port, gate_dir);
    }
    GateGroup::remove(gate_dir)
}

/// Returns the condition of the scratch worktree at `path`. Fails if something else is there.
pub(super) fn inspect(repo: &Repo, path: &Path) -> Result<WorktreeCondition> {
    let condition = detached::inspect(repo, path, LOCK_REASON)?;
    if condition != WorktreeCondition::Foreign {
        return Ok(condition);
    }
    let (place, pasted) = (shown(path), quoted(path));
    let is_registered = admin::has_entry(repo.common_dir(), path)?;
    if is_registered && !path.exists() {
        let what =
            format!("'{place}' is needed for gates, but git lists a worktree there that is gone");
        let forget =
            format!("to remove it from the list: git worktree remove --force --force {pasted}");
        bail!(Failure::new(what).hint(forget));
    }
    let what = format!("'{place}' is in the way: the worktree for gates belongs there");
    // It may have been moved together with the repository.
    let is_moved = path.join(".git").is_file() && !is_registered;
    let repair =
        is_moved.then(|| format!("if the repository was moved: git worktree repair {pasted}"));
    let mv = match is_registered {
        true => "git worktree move --force --force",
        false => "mv",
    };
    let failure = Failure::new(what).hints(repair);
    bail!(failure.hint(format!("to make room: {mv} {pasted} {pasted}.away")))
}
