//! What is configured of programs of the user's that a merge runs: hooks and merge drivers.

use super::Settings;
use crate::git::drivers::Drivers;
use crate::git::hooks::Configured;
use crate::git::repo::parse_bool;

impl Settings {
    /// `core.hooksPath` as it stands.
    pub(crate) fn hooks_path(&self) -> Option<&str> {
        self.last("core.hookspath").map(|e| e.value.as_str())
    }

    /// The hooks that are configured instead of being files, in order.
    pub(crate) fn configured_hooks(&self) -> Vec<Configured> {
        let mut hooks: Vec<Configured> = Vec::new();
        let mut off: Vec<String> = Vec::new();
        for entry in &self.entries {
            let Some((name, variable)) = entry
                .key
                .strip_prefix("hook.")
                .and_then(|rest| rest.rsplit_once('.'))
            else {
                continue;
            };
            let at = hooks.iter().position(|hook| hook.name == name);
            let at = at.unwrap_or_else(|| {
                hooks.push(Configured {
                    name: name.to_owned(),
                    ..Configured::default()
                });
                hooks.len() - 1
            });
            match variable {
                // An empty one takes back what was said before.
                "event" if entry.value.is_empty() => hooks[at].events.clear(),
                "event" => hooks[at].events.push(entry.value.clone()),
                "command" => hooks[at].command.clone_from(&entry.value),
                "enabled" if parse_bool(&entry.value) == Some(false) => off.push(name.to_owned()),
                "enabled" => off.retain(|off| off != name),
                _ => {}
            }
        }
        hooks.retain(|hook| !off.contains(&hook.name));
        hooks
    }

    /// Whether a merge refuses what is not signed: `merge.verifySignatures`
    pub(crate) fn verifies_signatures(&self) -> bool {
        let entry = self.last("merge.verifysignatures");
        entry.is_some_and(|entry| parse_bool(&entry.value) != Some(false))
    }

    /// Whether something is configured that `git merge` into a branch would be told besides.
    pub(crate) fn has_merge_options(&self, branch: &str) -> bool {
        self.last(&format!("branch.{branch}.mergeoptions"))
            .is_some()
    }

    /// Whether something is configured for branches of some name: `includeIf.onbranch:<pattern>.path`
    pub(crate) fn depends_on_branch(&self) -> bool {
        let mut keys = self.entries.iter().map(|entry| &entry.key);
        keys.any(|key| key.starts_with("includeif.onbranch:"))
    }

    /// The merge drivers that are configured.
    pub(crate) fn drivers(&self) -> Drivers {
        let name = |key: &str| {
            let name = key.strip_prefix("merge.")?.strip_suffix(".driver")?;
            Some(name.to_owned())
        };
        let mut names: Vec<String> = Vec::new();
        for name in self.entries.iter().filter_map(|entry| name(&entry.key)) {
            if !names.contains(&name) {
                names.push(name);
            }
        }
        Drivers {
            names,
            default: self.last("merge.default").map(|entry| entry.value.clone()),
        }
    }
}
