//! `git flux restore --list`.

use anyhow::{Result, bail};
use indicatif::HumanBytes;

use super::Faults;
use super::object::{RemovedObject, UnreadObject};
use super::table::Table;
use crate::context::Flux;
use crate::failure::{Failure, USAGE, Verb};
use crate::lifecycle::archive::tree::measure;
use crate::lifecycle::archive::{Archived, Listing, UnreadEntry};
use crate::sanitize;
use crate::system::clock::this_second;
use crate::task::version;
use crate::ui::words::{age, count};

/// A removed task, with the size of its worktree in the trash, if there is one.
type MeasuredTask<'a> = (&'a Archived, Option<Result<u64>>);

/// Prints the removed tasks as a table or JSON, and warns of unreadable archive entries and of
/// directories that could not be deleted. Fails at the end if something could not be read, except
/// entries of a newer git flux.
pub(super) fn print(flux: &Flux, listed: &Listing, json: bool) -> Result<()> {
    let Listing { archived, unread } = listed;
    let spinner = flux.ui.spinner("measuring the trash");
    let sized = archived
        .iter()
        .map(|one| (one, one.trash.as_deref().map(measure)));
    let sized: Vec<MeasuredTask> = sized.collect();
    drop(spinner);
    if json {
        let objects = sized.iter().map(object);
        let objects: Vec<_> = objects.chain(unread.iter().map(unread_object)).collect();
        flux.ui.json(&objects)?;
    } else {
        print_rows(flux, &sized, unread)?;
    }
    let mut faults = Faults::default();
    for (_, size) in &sized {
        if let Some(Err(error)) = size {
            faults.warn(&flux.ui, format_args!("{error:#}"));
        }
    }
    for one in unread {
        flux.ui.warn_of(&one.refusal().into());
        if !version::is_newer(&one.error) {
            faults.count();
        }
    }
    for left in flux.list_undeleted()? {
        flux.ui.warn_of(&left.into());
    }
    faults.ensure_none("not everything could be read")
}

/// Lets the user pick one of the tasks that were removed in this repository; not one that was
/// fetched. Fails if there is none, or if the user cannot be asked.
pub(super) fn pick<'a>(flux: &Flux, listed: &'a Listing, verb: Verb) -> Result<&'a Archived> {
    let ours: Vec<&Archived> = listed.archived.iter().filter(|one| !one.foreign).collect();
    if ours.is_empty() {
        bail!(Failure::new("there is nothing to restore").hint("to see the tasks: git flux list"));
    }
    if !flux.ui.can_ask() {
        let failure = Failure::new("no removed task given").hint(format!("git flux {verb} <task>"));
        bail!(failure.hint("git flux restore --list").code(USAGE));
    }
    let row = |one: &&Archived| {
        let state = format!("{}, {}", describe_age(one), describe_end(one));
        [one.name.clone(), state, one.task.title.clone()]
    };
    let rows: Vec<_> = ours.iter().map(row).collect();
    Ok(ours[flux.ui.pick("Which removed task?", &rows)?])
}

/// Describes how a removed task ended: `merged into '<branch>'`, `not merged`, `no commits` or
/// `not started`; `foreign` if it was fetched from another repository.
fn describe_end(one: &Archived) -> String {
    if one.foreign {
        return "foreign".to_owned();
    }
    match one.merged() {
        _ if one.task.removal.is_none() => "not started".to_owned(),
        _ if one.tip == one.task.base => "no commits".to_owned(),
        Some(merged) => format!("merged into '{}'", sanitize::line(&merged.branch)),
        None => "not merged".to_owned(),
    }
}

/// Describes how a removed task ended and, if there are uncommitted files to restore, their number.
pub(super) fn describe_removed(flux: &Flux, one: &Archived) -> String {
    let ended = describe_end(one);
    let count_files = |snapshot| flux.repo.count_files_of_snapshot(snapshot);
    match one.snapshot().map(count_files) {
        None => ended,
        Some(Ok(files)) => format!("{ended}, {}", count(files, "uncommitted file")),
        Some(Err(_)) => format!("{ended}, uncommitted files"),
    }
}

/// Returns how long ago a task was removed: `3m ago`.
fn describe_age(one: &Archived) -> String {
    format!("{} ago", age(one.removed_at(), this_second()))
}

fn print_rows(flux: &Flux, sized: &[MeasuredTask], unread: &[UnreadEntry]) -> Result<()> {
    if sized.is_empty() && unread.is_empty() {
        flux.ui.status("there is nothing to restore");
        return Ok(());
    }
    let known = sized.iter().map(|(one, size)| {
        [
            sanitize::line(&one.name),
            describe_age(one),
            match size {
                Some(Ok(size)) => HumanBytes(*size).to_string(),
                Some(Err(_)) => "?".to_owned(),
                None => "-".to_owned(),
            },
            describe_removed(flux, one),
            sanitize::line(&one.task.title),
        ]
    });
    let unread = unread.iter().map(|one| {
        let error = format!("its record cannot be read: {:#}", one.error);
        [&one.name, "?", "?", version::state_of(&one.error), &error].map(sanitize::line)
    });
    let table = Table {
        head: &["TASK", "REMOVED", "SIZE", "ENDED", "DESCRIPTION"],
        rows: known.chain(unread).map(Vec::from).collect(),
        optional: &["SIZE", "REMOVED"],
    };
    table.print(&flux.ui)
}

/// Converts a removed task to its JSON object for `git flux restore --list --json`.
fn object<'a>(sized: &'a MeasuredTask<'_>) -> RemovedObject<'a> {
    let (one, size) = sized;
    let task = &one.task;
    RemovedObject {
        name: &one.name,
        id: Some(task.id.as_str()),
        title: Some(&task.title),
        agent: Some(&task.agent),
        branch: Some(&task.branch),
        base: Some(&task.base),
        tip: Some(&one.tip),
        snapshot: one.snapshot().map(|oid| &**oid),
        removed: task.removal.as_ref().map(|removal| removal.at),
        merged_into: one.merged().map(|merged| merged.branch.as_str()),
        worktree: Some(&task.worktree),
        trash: one.trash.as_deref(),
        size: size.as_ref().and_then(|size| size.as_ref().ok()).copied(),
        foreign: Some(one.foreign),
        unread: None,
    }
}

/// Converts an unreadable archive entry to its JSON object for `git flux restore --list --json`.
fn unread_object(one: &UnreadEntry) -> RemovedObject<'_> {
    RemovedObject {
        name: &one.name,
        unread: Some(UnreadObject {
            state: version::state_of(&one.error),
            error: format!("{:#}", one.error),
        }),
        ..RemovedObject::default()
    }
}
