//! Runs hooks and warns of their changes to the repository.

use std::collections::{BTreeMap, BTreeSet};

use anyhow::Result;

use crate::context::Flux;
use crate::git::hooks::{self, Hooks};
use crate::git::in_use::read_core_bare;
use crate::git::marks::FLUX_REFS;
use crate::git::refs;
use crate::git::{Checkout, ObjectId};
use crate::interrupt;
use crate::sanitize;
use crate::store::Store;
use crate::task::{RefName, Task};
use crate::ui::{quoted, word};

/// Runs the `post-checkout` hook of the main worktree in a task's new worktree, as after a checkout
/// of `head`. Only warns if the hook fails, sets core.bare or changes refs other than task
/// branches. Fails on ^C.
pub(super) fn run_post_checkout(
    flux: &Flux,
    task: &Task,
    checkout: &Checkout,
    head: &ObjectId,
) -> Result<()> {
    // An agent may have written the hooks of a linked worktree.
    let place = flux.repo.main().or(flux.repo.current());
    let place = place.map(|path| flux.repo.checkout(path)).transpose()?;
    let hooks = Hooks::find(&flux.repo, place.as_ref(), flux.settings.configured_hooks())?;
    let has_hook = hooks.has(&["post-checkout"]);
    let before = has_hook.then(|| RepositoryState::take(flux)).transpose()?;
    if let Some(error) = hooks::post_checkout(&hooks, checkout, head)? {
        interrupt::check()?;
        let what = "the post-checkout hook failed";
        flux.ui.warning(format_args!("{what}: {error:#}"));
    }
    if let Some(before) = before {
        before.warn_of_changes(flux, &task.branch_ref());
    }
    Ok(())
}

/// The number of changed refs to name.
const MAX_WARNINGS: usize = 5;

/// The state that hooks must not change: core.bare, and refs that are not git flux's.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct RepositoryState {
    is_bare: bool,
    refs: BTreeMap<RefName, ObjectId>,
}

impl RepositoryState {
    /// Reads core.bare and all refs outside `refs/flux/`, to find later what hooks change.
    pub(super) fn take(flux: &Flux) -> Result<Self> {
        let home = flux.repo.home();
        let is_bare = read_core_bare(home)?.is_some_and(|(_, is_bare)| is_bare);
        let mut refs = refs::list::<&str>(home, &[])?;
        refs.retain(|name, _| !name.starts_with(FLUX_REFS));
        Ok(Self { is_bare, refs })
    }

    /// Warns if core.bare was set or refs have changed since this state was read, and prints the
    /// commands that undo it. Ignores `refs/flux/`, all tasks' branches, and `moved`, the ref that
    /// git flux itself changes; names at most five refs.
    pub(super) fn warn_of_changes(&self, flux: &Flux, moved: &RefName) {
        let ui = &flux.ui;
        let now =
            Self::take(flux).and_then(|now| Ok((now, Store::load(&flux.repo, &flux.settings)?)));
        let (now, store) = match now {
            Ok(now) => now,
            Err(error) => {
                let what = "could not check what the hooks have changed";
                return ui.warning(format_args!("{what}: {error:#}"));
            }
        };
        if now.is_bare && !self.is_bare {
            let what = "while hooks ran, core.bare was set: git treats the repository as bare";
            ui.warning(what);
            let git_dir = quoted(flux.repo.common_dir());
            let config = "config core.bare false";
            ui.hint(format_args!("git --git-dir={git_dir} {config}"));
        }
        let tasks: Vec<RefName> = store.readable().map(|task| task.branch_ref()).collect();
        let names: BTreeSet<&RefName> = self.refs.keys().chain(now.refs.keys()).collect();
        let mut found = 0;
        for name in names {
            let (shown, pasted) = (sanitize::line(name), word(name));
            let (what, undo) = match (self.refs.get(name), now.refs.get(name)) {
                (old, new) if old == new || name == moved || tasks.contains(name) => continue,
                (Some(old), Some(new)) => ("moved", format!("{pasted} {old} {new}")),
                (Some(old), None) => ("deleted", format!("{pasted} {old}")),
                (None, Some(new)) => ("created", format!("-d {pasted} {new}")),
                (None, None) => continue,
            };
            found += 1;
            if found <= MAX_WARNINGS {
                ui.warning(format_args!("while hooks ran, '{shown}' was {what}"));
                ui.hint(format_args!("to undo that: git update-ref {undo}"));
            }
        }
        if found > MAX_WARNINGS {
            let more = found - MAX_WARNINGS;
            ui.warning(format_args!("and {more} other refs have changed"));
        }
    }
}
