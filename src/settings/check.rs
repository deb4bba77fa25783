//! What is wrong with the configuration, and where git says that it is. The line of a file git does not say.

use anyhow::Result;

use super::table::{self, Kind, Setting};
use super::{Entry, Settings};
use crate::failure::{Failure, nearest};
use crate::launcher::notify::METHODS;
use crate::sanitize::quoted;

impl Settings {
    /// Fails where something is configured for git flux that there is not.
    ///
    /// # Errors
    /// With the key, where it stands, and those there are.
    pub(crate) fn ensure_known(&self) -> Result<()> {
        let unknown = self.unknown().next();
        unknown.map_or(Ok(()), |entry| Err(self.misspelt(entry).into()))
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
        let (section, rest) = key.split_once('.').unwrap_or_default();
        let name = rest.rsplit_once('.').map(|(name, _)| name);
        // What all keys begin with that this one may be meant to be.
        let common = match name {
            Some(name) if section == "branch" => format!("branch.{name}."),
            _ => "flux.".to_owned(),
        };
        let name = name.unwrap_or("<agent>");
        let known = table::ALL.iter().map(|setting| setting.named(name));
        let known: Vec<String> = known.filter(|known| known.starts_with(&common)).collect();
        let names = known.iter().map(|known| &known[common.len()..]);
        let near = nearest(key.strip_prefix(&common).unwrap_or(key), names);
        let near = near.into_iter().take(1);
        let near = near.map(|near| format!("did you mean '{common}{near}'?"));
        let key = shell_words::quote(key);
        let remedy = match entry.origin.strip_prefix("file:") {
            // The repository's own, where git looks first.
            Some(".git/config") => Some(format!("git config --unset-all {key}")),
            Some(file) => {
                let file = quoted(&self.dir.join(file));
                Some(format!("git config --file {file} --unset-all {key}"))
            }
            // Nothing is stored on a command line.
            None => None,
        };
        let place = entry.place();
        Failure::new(format!("unknown setting '{}' {place}", entry.key))
            .hints(near)
            .hint(format!("the settings are {}", known.join(", ")))
            .hints(remedy)
    }

    /// Where the value of a setting was configured, for a hint; none if it is not what is configured.
    pub(crate) fn whence(&self, setting: &Setting, branch: &str, value: &str) -> Option<String> {
        let entry = self.last(&setting.of(branch))?;
        let is_it = entry.value == value;
        let key = setting.spelled(&entry.key);
        is_it.then(|| format!("'{key}' is set {}", entry.place()))
    }
}

impl Entry {
    /// Fails where its value is none for its setting.
    ///
    /// # Errors
    /// With the value, where it stands, and what it may be.
    pub(super) fn ensure_allowed(&self, setting: &Setting) -> Result<()> {
        if setting.kind.allows(&self.value) {
            return Ok(());
        }
        Err(self.bad(setting).into())
    }

    /// The error for a value that is none for its setting.
    pub(super) fn bad(&self, setting: &Setting) -> Failure {
        let key = setting.spelled(&self.key);
        let (value, place) = (&self.value, self.place());
        let values = match setting.kind {
            Kind::OneOf(values) => values(),
            Kind::Ways => METHODS.to_vec(),
            _ => Vec::new(),
        };
        Failure::new(format!("bad value '{value}' for '{key}' {place}"))
            .did_you_mean(value, values)
            .hints(setting.kind.words())
    }
}
