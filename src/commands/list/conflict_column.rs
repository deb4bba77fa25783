//! The column of conflicts.

use anyhow::Result;

use crate::commands::object::conflicts::{OpponentObject, report_or_reason};
use crate::context::Flux;
use crate::lifecycle::conflicts::{ConflictReport, Scope, find_conflicts};
use crate::lifecycle::observe::ObservedTask;
use crate::sanitize;
use crate::store::Store;

/// The number of pairs that `list` compares at a time; the next call goes on.
const MAX_NEW: usize = 100;

/// The number of names in a cell.
const MAX_NAMES: usize = 2;

/// The length of a shortened id.
const MAX_CHARS: usize = 16;

/// Finds the conflicts of the tasks of a repository. Makes a limited number of new comparisons: the
/// rest is unknown until a later call. The reason, with a warning, if that fails.
///
/// # Errors
/// Only on ^C.
pub(super) fn compare<'a>(
    flux: &'a Flux,
    store: &Store,
    observed: &[ObservedTask],
) -> Result<Result<ConflictReport<'a>, String>> {
    let found = find_conflicts(flux, store, observed, Scope::All, Some(MAX_NEW));
    report_or_reason(flux, found, "the conflicts of the tasks are unknown")
}

/// Returns the names of the tasks with which a task conflicts, shortened, and of its target; `?`
/// stands for all that is not known.
pub(super) fn cell(opponents: &[OpponentObject]) -> String {
    let has_files = |one: &&OpponentObject| one.files.as_ref().is_some_and(|all| !all.is_empty());
    let mut names: Vec<String> = opponents.iter().filter(has_files).map(name).collect();
    let more = names.len().saturating_sub(MAX_NAMES);
    names.truncate(MAX_NAMES);
    if more > 0 {
        names.push(format!("+{more}"));
    }
    if opponents.iter().any(|one| one.files.is_none()) {
        names.push("?".to_owned());
    }
    names.join(" ")
}

fn name(one: &OpponentObject) -> String {
    match (&one.with, &one.target) {
        (Some(id), _) => shorten(id),
        (None, Some(branch)) => sanitize::line(branch),
        // Never with files.
        (None, None) => String::new(),
    }
}

/// Shortens an id: `add-oauth-authentication-a1b2c3` to `add-oauth-authen…`.
fn shorten(id: &str) -> String {
    let words = id.rsplit_once('-');
    let is_random = |end: &str| end.len() == 6 && end.bytes().all(|byte| byte.is_ascii_hexdigit());
    let name = words
        .filter(|(_, end)| is_random(end))
        .map_or(id, |(name, _)| name);
    match name.len() > MAX_CHARS {
        true => format!("{}…", &name[..MAX_CHARS]),
        false => name.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::commands::object::conflicts::ConflictFileObject;

    #[test]
    fn cell_shortens_names_and_counts_the_rest() {
        let file = ConflictFileObject {
            path: Some("a".into()),
            kind: String::new(),
            function: None,
        };
        let one = |with: Option<&str>, target: Option<&str>, files: Option<usize>| OpponentObject {
            with: with.map(str::to_owned),
            target: target.map(str::to_owned),
            files: files.map(|count| vec![file.clone(); count]),
            same: false,
            approximate: false,
            why: None,
            is_later: false,
        };
        let main = one(None, Some("main"), Some(1));
        let task = one(Some("add-oauth-authentication-a1b2c3"), None, Some(2));
        let short = one(Some("mine"), None, Some(1));
        let same = one(Some("fix-a1b2c3"), None, Some(0));
        let unknown = one(Some("fix-a1b2c3"), None, None);
        assert_eq!(cell(&[]), "");
        assert_eq!(cell(std::slice::from_ref(&same)), "");
        assert_eq!(
            cell(&[task.clone(), main.clone()]),
            "add-oauth-authen… main"
        );
        let all = [task, short, same, main, unknown.clone()];
        assert_eq!(cell(&all), "add-oauth-authen… mine +1 ?");
        assert_eq!(cell(&[unknown]), "?");
        assert_eq!(cell(&[OpponentObject::unknown("why".to_owned())]), "?");
    }
}
