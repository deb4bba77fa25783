//! `git flux restore --list`

use anyhow::{Error, Result};
use indicatif::HumanBytes;

use super::Faults;
use super::object::{RemovedObject, UnreadObject};
use super::table::Table;
use crate::context::Flux;
use crate::failure::{self, Failure, USAGE};
use crate::git::ObjectId;
use crate::lifecycle::archive::tree::size;
use crate::lifecycle::archive::{Archived, Listed, Unread};
use crate::lifecycle::leftovers;
use crate::sanitize;
use crate::system::clock::seconds;
use crate::task::version;
use crate::ui::words::{age, count};

/// The size of a worktree in the trash, if there is one.
type Size = Option<Result<u64>>;

/// Prints what can be restored, and names what cannot.
///
/// # Errors
/// Where something could not be read, in the end.
pub(super) fn print(flux: &Flux, listed: &Listed, json: bool) -> Result<()> {
    let Listed { archived, unread } = listed;
    let spinner = flux.ui.spinner("measuring the trash");
    let sized = archived
        .iter()
        .map(|one| (one, one.trash.as_deref().map(size)));
    let sized: Vec<(&Archived, Size)> = sized.collect();
    drop(spinner);
    rows(flux, &sized, unread, json)?;
    let mut faults = Faults::default();
    let sizes = sized.iter().filter_map(|(_, size)| size.as_ref());
    for error in sizes.filter_map(|size| size.as_ref().err()) {
        faults.warn(&flux.ui, format_args!("{error:#}"));
    }
    for one in unread {
        name(flux, one.refusal());
        if !version::is_newer(&one.error) {
            faults.count();
        }
    }
    for left in leftovers::find(flux)? {
        name(flux, left);
    }
    faults.ensure_none("not everything could be read")
}

/// The removed task that is picked.
///
/// # Errors
/// When there is none, or nobody to pick it.
pub(super) fn pick<'a>(flux: &Flux, listed: &'a Listed, verb: &str) -> Result<&'a Archived> {
    let ours: Vec<&Archived> = listed.archived.iter().filter(|one| !one.foreign).collect();
    if ours.is_empty() {
        return Err(Failure::new("there is nothing to restore")
            .hint("git flux list")
            .into());
    }
    if !flux.ui.can_ask() {
        return Err(Failure::new("which removed task?")
            .hint(format!("git flux {verb} <task>"))
            .hint("git flux restore --list")
            .code(USAGE)
            .into());
    }
    let row = |one: &&Archived| {
        let state = format!("{}, {}", since(one), ended(one));
        [one.name.clone(), state, one.task.title.clone()]
    };
    let rows: Vec<_> = ours.iter().map(row).collect();
    Ok(ours[flux.ui.pick("Which removed task?", &rows)?])
}

/// Says what is left, and the way out.
pub(super) fn name(flux: &Flux, left: Failure) {
    let left = Error::from(left);
    flux.ui.warning(&left);
    failure::hints(&left).for_each(|hint| flux.ui.hint(hint));
}

/// How a task ended, in words.
fn ended(one: &Archived) -> String {
    if one.foreign {
        return "foreign".to_owned();
    }
    let Some(removal) = &one.task.removal else {
        return "not started".to_owned();
    };
    match &removal.into {
        _ if one.tip == one.task.base => "no commits".to_owned(),
        Some(merged) => format!("merged into '{}'", sanitize::line(&merged.branch)),
        None => "not merged".to_owned(),
    }
}

/// How it ended, and how many uncommitted files it has.
pub(super) fn content(flux: &Flux, one: &Archived) -> String {
    let files = one
        .snapshot()
        .map(|snapshot| flux.repo.count_files_of_snapshot(snapshot));
    match files {
        None => ended(one),
        Some(Ok(files)) => format!("{}, {}", ended(one), count(files, "uncommitted file")),
        Some(Err(_)) => format!("{}, uncommitted files", ended(one)),
    }
}

/// How long ago it was removed.
fn since(one: &Archived) -> String {
    format!("{} ago", age(seconds().saturating_sub(one.removed())))
}

fn rows(flux: &Flux, sized: &[(&Archived, Size)], unread: &[Unread], json: bool) -> Result<()> {
    if json {
        let objects = sized.iter().map(|(one, size)| object(one, size));
        let objects: Vec<RemovedObject> = objects.chain(unread.iter().map(unread_object)).collect();
        return flux.ui.json(&objects);
    }
    if sized.is_empty() && unread.is_empty() {
        flux.ui.status("there is nothing to restore");
        return Ok(());
    }
    let known = sized.iter().map(|(one, size)| {
        [
            sanitize::line(&one.name),
            since(one),
            match size {
                Some(Ok(size)) => HumanBytes(*size).to_string(),
                Some(Err(_)) => "?".to_owned(),
                None => "-".to_owned(),
            },
            content(flux, one),
            sanitize::line(&one.task.title),
        ]
    });
    let unread = unread.iter().map(|one| {
        let unknown = || "?".to_owned();
        let error = format!("its record cannot be read: {:#}", one.error);
        [
            sanitize::line(&one.name),
            unknown(),
            unknown(),
            version::state_of(&one.error).to_owned(),
            sanitize::line(&error),
        ]
    });
    let table = Table {
        head: &["TASK", "REMOVED", "SIZE", "ENDED", "DESCRIPTION"],
        rows: known.chain(unread).map(Vec::from).collect(),
        spare: &["SIZE", "REMOVED"],
    };
    for line in table.lines(flux.ui.width()) {
        flux.ui.data(line)?;
    }
    Ok(())
}

/// A removed task as programs read it.
fn object<'a>(one: &'a Archived, size: &Size) -> RemovedObject<'a> {
    let removal = one.task.removal.as_ref();
    let into = removal.and_then(|removal| removal.into.as_ref());
    RemovedObject {
        name: &one.name,
        id: Some(one.task.id.as_str()),
        title: Some(&one.task.title),
        agent: Some(&one.task.agent),
        branch: Some(&one.task.branch),
        base: Some(&one.task.base),
        tip: Some(&one.tip),
        snapshot: one.snapshot().map(ObjectId::as_str),
        removed: removal.map(|removal| removal.at),
        merged_into: into.map(|merged| merged.branch.as_str()),
        worktree: Some(&one.task.worktree),
        trash: one.trash.as_deref(),
        size: size.as_ref().and_then(|size| size.as_ref().ok()).copied(),
        foreign: Some(one.foreign),
        unread: None,
    }
}

/// An entry of the archive that cannot be read, as programs read it.
fn unread_object(one: &Unread) -> RemovedObject<'_> {
    RemovedObject {
        name: &one.name,
        unread: Some(UnreadObject {
            state: version::state_of(&one.error),
            error: format!("{:#}", one.error),
        }),
        ..RemovedObject::default()
    }
}
