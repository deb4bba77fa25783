//! What a shell offers where a task is to be named. Says nothing, asks nothing, changes nothing.

use clap_complete::CompletionCandidate;

use crate::lifecycle::{Flux, archive};
use crate::sanitize;
use crate::store::Store;
use crate::ui::Ui;

/// The removed tasks, with their descriptions; none where they cannot be told.
pub(super) fn archived() -> Vec<CompletionCandidate> {
    let Ok(flux) = Flux::leniently(Ui { quiet: true }) else {
        return Vec::new();
    };
    let Ok(archived) = archive::list(&flux) else {
        return Vec::new();
    };
    let candidate = |one: &archive::Archived| {
        CompletionCandidate::new(&one.name).help(Some(sanitize::line(&one.task.title).into()))
    };
    archived.iter().map(candidate).collect()
}

/// The tasks, with their descriptions; none where they cannot be told.
pub(super) fn tasks() -> Vec<CompletionCandidate> {
    let Ok(flux) = Flux::leniently(Ui { quiet: true }) else {
        return Vec::new();
    };
    let Ok(store) = Store::load(&flux.repo, &flux.settings) else {
        return Vec::new();
    };
    let candidate = |stored: &crate::store::Stored| {
        let title = stored.task.as_ref().map(|task| sanitize::line(&task.title));
        CompletionCandidate::new(stored.id.as_str()).help(title.ok().map(Into::into))
    };
    store.tasks.iter().map(candidate).collect()
}
