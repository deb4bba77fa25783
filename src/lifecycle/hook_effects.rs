//! What has changed in the repository while a hook ran, beside what git flux changes.

use std::collections::BTreeMap;

use anyhow::Result;

use crate::context::Flux;
use crate::git::hooks::{self, Hooks};
use crate::git::in_use::bare_is_set_in;
use crate::git::marks::FLUX;
use crate::git::refs;
use crate::git::{Checkout, ObjectId};
use crate::interrupt;
use crate::sanitize;
use crate::store::Store;
use crate::task::{RefName, Task};
use crate::ui::{quoted, word};

/// Runs `post-checkout` in the new worktree of a task with `head` checked out, and says what it
/// came to: it is in the way of nothing.
///
/// # Errors
/// When it is not known whether there is one, or on interruption.
pub(super) fn post_checkout(
    flux: &Flux,
    task: &Task,
    checkout: &Checkout,
    head: &ObjectId,
) -> Result<()> {
    // In a linked worktree that somebody stands in, an agent may have written them.
    let place = flux.repo.main().or(flux.repo.current());
    let place = place.map(|path| flux.repo.checkout(path)).transpose()?;
    let hooks = Hooks::find(&flux.repo, place.as_ref(), flux.settings.configured_hooks())?;
    let before = Listing::before(flux, &hooks, &["post-checkout"])?;
    if let Some(error) = hooks::post_checkout(&hooks, checkout, head)? {
        interrupt::check()?;
        flux.ui
            .warning(format_args!("the post-checkout hook failed: {error:#}"));
    }
    if let Some(before) = before {
        before.warn(flux, &task.branch_ref());
    }
    Ok(())
}

/// How many refs are named.
const NAMED: usize = 5;

/// What a hook is not to change: core.bare, and refs that are not git flux's.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Listing {
    is_bare: bool,
    refs: BTreeMap<RefName, ObjectId>,
}

impl Listing {
    /// Takes a listing before hooks run; none if there is none of these names.
    ///
    /// # Errors
    /// When git fails.
    pub(super) fn before(flux: &Flux, hooks: &Hooks, names: &[&str]) -> Result<Option<Self>> {
        hooks.has(names).then(|| Self::take(flux)).transpose()
    }

    fn take(flux: &Flux) -> Result<Self> {
        let home = flux.repo.home();
        let mut refs = refs::list(home, &[])?;
        refs.retain(|name, _| !name.starts_with(FLUX));
        Ok(Self {
            is_bare: bare_is_set_in(home)?.is_some_and(|(_, is_bare)| is_bare),
            refs,
        })
    }

    /// Warns of what has changed since, but for the branches of tasks and the ref `moved`, which the
    /// command itself moves.
    pub(super) fn warn(&self, flux: &Flux, moved: &str) {
        let now =
            Self::take(flux).and_then(|now| Ok((now, Store::load(&flux.repo, &flux.settings)?)));
        let (now, store) = match now {
            Ok(now) => now,
            Err(error) => {
                let what = "it is not known what the hooks have changed";
                return flux.ui.warning(format_args!("{what}: {error:#}"));
            }
        };
        if now.is_bare && !self.is_bare {
            flux.ui.warning(format_args!(
                "while hooks ran, core.bare was set: git takes the repository for bare"
            ));
            let git_dir = quoted(flux.repo.common_dir());
            flux.ui.hint(format_args!(
                "git --git-dir={git_dir} config core.bare false"
            ));
        }
        let tasks = store.tasks.iter().filter_map(|one| one.task.as_ref().ok());
        let tasks: Vec<RefName> = tasks.map(|task| task.branch_ref()).collect();
        let mut changes = self.changes(&now);
        changes.retain(|(name, _, _)| *name != moved && !tasks.iter().any(|task| task == name));
        for (name, old, new) in changes.iter().take(NAMED) {
            let (shown, pasted) = (sanitize::line(name), word(name));
            let (what, undo) = match (old, new) {
                (None, Some(new)) => ("made", format!("git update-ref -d {pasted} {new}")),
                (Some(old), None) => ("deleted", format!("git update-ref {pasted} {old}")),
                (Some(old), Some(new)) => ("moved", format!("git update-ref {pasted} {old} {new}")),
                (None, None) => continue,
            };
            flux.ui
                .warning(format_args!("while hooks ran, '{shown}' was {what}"));
            flux.ui.hint(format_args!("to undo that: {undo}"));
        }
        if let Some(more) = changes.len().checked_sub(NAMED).filter(|more| *more > 0) {
            flux.ui
                .warning(format_args!("and {more} other refs have changed"));
        }
    }

    /// Returns the refs that differ, with what they stood at and stand at.
    fn changes<'a>(&'a self, now: &'a Self) -> Vec<(&'a str, Option<&'a str>, Option<&'a str>)> {
        let new = now
            .refs
            .keys()
            .filter(|name| !self.refs.contains_key(*name));
        let names = self.refs.keys().chain(new);
        let of = |refs: &'a BTreeMap<RefName, ObjectId>, name| refs.get(name).map(ObjectId::as_str);
        names
            .map(|name| (name.as_str(), of(&self.refs, name), of(&now.refs, name)))
            .filter(|(_, old, new)| old != new)
            .collect()
    }
}
