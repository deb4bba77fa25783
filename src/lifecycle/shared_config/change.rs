//! The changes between two states of the shared configuration.

use std::collections::BTreeMap;
use std::path::PathBuf;

use bstr::{BString, ByteSlice as _};
use console::truncate_str;

use crate::git::shared_config::keys::{ConfigEffect, documented, effect_of};
use crate::git::shared_config::{CONFIG_FILES, FileContent, SharedFile};
use crate::sanitize;
use crate::settings::table;
use crate::task::TaskId;
use crate::ui::shown;

/// The columns of a value in a message.
const MAX_COLUMNS: usize = 60;

/// A part of the shared configuration.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum SharedPart {
    /// A key, as git prints it, in a file of the common git directory.
    Key { file: &'static str, key: BString },
    /// A file, relative to the common git directory or absolute outside of it.
    File(PathBuf),
}

/// The state of a part.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum PartState {
    /// The values of a key, in order.
    Values(Vec<BString>),
    File(SharedFile),
}

/// The parts of a shared configuration.
pub(crate) type Parts = BTreeMap<SharedPart, PartState>;

/// A change of a part; the state of a missing part is `None`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct SharedChange {
    pub(crate) part: SharedPart,
    pub(crate) before: Option<PartState>,
    pub(crate) after: Option<PartState>,
    pub(crate) effect: ConfigEffect,
}

/// Returns the changes from `before` to `after`, sorted by part, without those of keys that have no
/// [`ConfigEffect`].
pub(super) fn find_changes(before: &Parts, after: &Parts) -> Vec<SharedChange> {
    let mut parts: Vec<&SharedPart> = before.keys().chain(after.keys()).collect();
    parts.sort_unstable();
    parts.dedup();
    let change = |part: &SharedPart| {
        let (before, after) = (before.get(part), after.get(part));
        if before == after {
            return None;
        }
        Some(SharedChange {
            effect: effect(part, [before, after])?,
            part: part.clone(),
            before: before.cloned(),
            after: after.cloned(),
        })
    };
    parts.into_iter().filter_map(change).collect()
}

/// Returns the effect of a change of a part between two states: whether one of them can run a
/// program. `None` if neither has an effect that counts.
fn effect(part: &SharedPart, states: [Option<&PartState>; 2]) -> Option<ConfigEffect> {
    let key = match part {
        SharedPart::File(path) if path.starts_with("info") => return Some(ConfigEffect::Plain),
        SharedPart::File(_) => return Some(ConfigEffect::RunsProgram),
        SharedPart::Key { key, .. } => key.to_str_lossy(),
    };
    if table::names_program(&key) {
        return Some(ConfigEffect::RunsProgram);
    }
    let values = states.into_iter().flatten().flat_map(PartState::values);
    values
        .filter_map(|value| effect_of(&key, &value.to_str_lossy()))
        .max()
}

impl PartState {
    /// Returns the values, if this is the state of a key; none if it is the state of a file.
    pub(crate) fn values(&self) -> &[BString] {
        match self {
            Self::Values(values) => values,
            Self::File(_) => &[],
        }
    }
}

impl SharedChange {
    /// Returns the name of the part in a message: `core.hooksPath`, `the hook 'pre-commit'`,
    /// `info/exclude`.
    pub(crate) fn name(&self) -> String {
        match &self.part {
            SharedPart::Key { file, key } => {
                let name = sanitize::line(&documented(&key.to_str_lossy()));
                match *file == CONFIG_FILES[0] {
                    true => name,
                    false => format!("{name} in '{file}'"),
                }
            }
            SharedPart::File(path) if path.starts_with("info") => shown(path),
            SharedPart::File(path) => {
                let name = path.strip_prefix("hooks").unwrap_or(path);
                format!("the hook '{}'", shown(name))
            }
        }
    }

    /// Describes the change in one line: `core.hooksPath changed to '.husky/_' while the agent of 'x' ran`.
    pub(crate) fn describe(&self, id: &TaskId) -> String {
        format!(
            "{} {} while the agent of '{id}' ran",
            self.name(),
            self.verb()
        )
    }

    fn verb(&self) -> String {
        let verb = match (&self.part, &self.before, &self.after) {
            (SharedPart::File(_), None, _) => "was added",
            (SharedPart::File(_), _, None) => "was removed",
            (SharedPart::File(_), ..) => "changed",
            (SharedPart::Key { .. }, _, None) => "was removed from the configuration",
            (SharedPart::Key { .. }, None, _) => "was set to",
            (SharedPart::Key { .. }, ..) => "changed to",
        };
        let Some(PartState::Values(values)) = &self.after else {
            return verb.to_owned();
        };
        let value = |value: &BString| {
            let line = sanitize::line(&value.to_str_lossy());
            format!("'{}'", truncate_str(&line, MAX_COLUMNS, "…"))
        };
        let values: Vec<String> = values.iter().map(value).collect();
        let values = values.join(", ");
        format!("{verb} {}", truncate_str(&values, 2 * MAX_COLUMNS, "…"))
    }

    /// Returns a hint with the command that undoes the change of a key in the repository's
    /// `config`: `git config --local ...`. `None` for other parts, and if the key had several
    /// values or one with control characters.
    pub(crate) fn put_back_command(&self) -> Option<String> {
        let key = match &self.part {
            // In a linked worktree, `git config --worktree` would write another file.
            SharedPart::Key { file, key } if *file == CONFIG_FILES[0] => key.to_str().ok()?,
            _ => return None,
        };
        let key = sanitize::word(&documented(key));
        let values = self.before.as_ref().map_or(&[][..], PartState::values);
        let command = match values {
            [] => format!("--unset-all {key}"),
            [value] => {
                let value = sanitize::word(value.to_str().ok()?);
                format!("--replace-all {key} {value}")
            }
            _ => return None,
        };
        let is_plain = !command.contains("\\u{");
        is_plain.then(|| format!("to undo this change: git config --local {command}"))
    }

    /// Returns whether the change can be undone: the earlier content of a file is recorded in full.
    pub(crate) fn is_reversible(&self) -> bool {
        match &self.before {
            Some(PartState::File(file)) => {
                matches!(file.content, FileContent::Whole(_) | FileContent::Link(_))
            }
            Some(PartState::Values(_)) | None => true,
        }
    }
}

#[cfg(test)]
mod tests;
