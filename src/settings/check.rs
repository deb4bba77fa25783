//! What is wrong with the configuration, and where git says that it is. The line of a file git does not say.

use anyhow::Result;

use super::table::{self, Kind, Setting};
use super::{Entry, Settings};
use crate::failure::{Failure, nearest};
use crate::launcher::notify::WAYS;

impl Settings {
    /// Fails where something is configured for git flux that there is not.
    ///
    /// # Errors
    /// With the key, where it stands, and those there are.
    pub(crate) fn ensure_known(&self) -> Result<()> {
        match self.unknown().next() {
            Some(entry) => Err(self.misspelt(entry).into()),
            None => Ok(()),
        }
    }

    /// What is configured for git flux and is no setting.
    pub(super) fn unknown(&self) -> impl Iterator<Item = &Entry> {
        let ours = |key: &str| {
            let variable = key.rsplit('.').next().unwrap_or_default();
            key.starts_with("flux.") || key.starts_with("branch.") && variable.starts_with("flux")
        };
        let unknown = move |key: &str| ours(key) && !table::ALL.iter().any(|s| s.is(key));
        self.entries.iter().filter(move |e| unknown(&e.key))
    }

    /// The error for a key that is no setting.
    pub(super) fn misspelt(&self, entry: &Entry) -> Failure {
        let key = &entry.key;
        let mut failure = Failure::new(format!("unknown setting '{key}' {}", entry.place()));
        let (section, rest) = key.split_once('.').unwrap_or_default();
        let name = rest.rsplit_once('.').map(|(name, _)| name);
        // What all keys begin with that this one may be meant to be.
        let common = match name {
            Some(name) if section == "branch" => format!("branch.{name}."),
            _ => "flux.".to_owned(),
        };
        let known = table::ALL.iter().filter_map(|setting| {
            let known = setting.named(name.unwrap_or("<agent>"));
            known.strip_prefix(&common).map(str::to_owned)
        });
        let known: Vec<String> = known.collect();
        let names = known.iter().map(String::as_str);
        if let Some(near) = nearest(key.strip_prefix(&common).unwrap_or(key), names).first() {
            failure = failure.hint(format!("did you mean '{common}{near}'?"));
        }
        let all: Vec<String> = known.iter().map(|name| format!("{common}{name}")).collect();
        failure = failure.hint(format!("the settings are {}", all.join(", ")));
        let key = shell_words::quote(key);
        match entry.origin.strip_prefix("file:") {
            // The repository's own, where git looks first.
            Some(".git/config") => failure.hint(format!("git config --unset-all {key}")),
            Some(file) => {
                let file = self.dir.join(file).to_string_lossy().into_owned();
                let file = shell_words::quote(&file);
                failure.hint(format!("git config --file {file} --unset-all {key}"))
            }
            // Nothing is stored on a command line.
            None => failure,
        }
    }

    /// Where the value of a setting was configured, for a hint; none if it is not what is configured.
    pub(crate) fn whence(&self, setting: &Setting, branch: &str, value: &str) -> Option<String> {
        let entry = self
            .last(&setting.of(branch))
            .filter(|e| e.value == value)?;
        let key = setting.spelled(&entry.key);
        Some(format!("'{key}' is set {}", entry.place()))
    }

    /// Fails where the value of an entry is none for its setting.
    ///
    /// # Errors
    /// With the value, where it stands, and what it may be.
    pub(super) fn ensure_allowed(&self, setting: &Setting, entry: &Entry) -> Result<()> {
        if setting.kind.allows(&entry.value) {
            return Ok(());
        }
        Err(self.bad(setting, entry).into())
    }

    /// The error for a value that is none for its setting.
    pub(super) fn bad(&self, setting: &Setting, entry: &Entry) -> Failure {
        let key = setting.spelled(&entry.key);
        let (value, place) = (&entry.value, entry.place());
        let mut failure = Failure::new(format!("bad value '{value}' for '{key}' {place}"));
        let values = match setting.kind {
            Kind::OneOf(values) => values(),
            Kind::Ways => WAYS.to_vec(),
            _ => Vec::new(),
        };
        if let Some(near) = nearest(value, values).first() {
            failure = failure.hint(format!("did you mean '{near}'?"));
        }
        match setting.kind.words() {
            Some(words) => failure.hint(words),
            None => failure,
        }
    }
}
