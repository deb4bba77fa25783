//! What is configured of programs of the user's that a merge runs: hooks and merge drivers.

use super::{Entry, Settings};
use crate::git::drivers::Drivers;
use crate::git::hooks::ConfiguredHook;
use crate::git::repo::parse_bool;
use crate::task::BranchName;

impl Settings {
    /// `core.hooksPath` as it stands.
    pub(crate) fn hooks_path(&self) -> Option<&str> {
        self.value_of("core.hookspath")
    }

    /// The hooks that are configured instead of being files, in order.
    pub(crate) fn configured_hooks(&self) -> Vec<ConfiguredHook> {
        // Each with whether it is enabled.
        let mut hooks: Vec<(ConfiguredHook, bool)> = Vec::new();
        for entry in &self.entries {
            let rest = entry.key.strip_prefix("hook.");
            let Some((name, variable)) = rest.and_then(|rest| rest.rsplit_once('.')) else {
                continue;
            };
            let known = hooks.iter().position(|(hook, _)| hook.name == name);
            let at = known.unwrap_or(hooks.len());
            if known.is_none() {
                hooks.push((ConfiguredHook::default(), true));
                hooks[at].0.name = name.to_owned();
            }
            let (hook, is_enabled) = &mut hooks[at];
            match variable {
                // An empty one takes back what was said before.
                "event" if entry.value.is_empty() => hook.events.clear(),
                "event" => hook.events.push(entry.value.clone()),
                "command" => hook.command.clone_from(&entry.value),
                "enabled" => *is_enabled = parse_bool(&entry.value) != Some(false),
                _ => {}
            }
        }
        hooks.retain(|(_, is_enabled)| *is_enabled);
        hooks.into_iter().map(|(hook, _)| hook).collect()
    }

    /// Whether a merge refuses what is not signed: `merge.verifySignatures`
    pub(crate) fn verifies_signatures(&self) -> bool {
        let value = self.value_of("merge.verifysignatures");
        value.is_some_and(|value| parse_bool(value) != Some(false))
    }

    /// Whether something is configured that `git merge` into a branch would be told besides.
    pub(crate) fn has_merge_options(&self, branch: &BranchName) -> bool {
        let key = format!("branch.{branch}.mergeoptions");
        self.last(&key).is_some()
    }

    /// Whether something is configured for branches of some name: `includeIf.onbranch:<pattern>.path`
    pub(crate) fn depends_on_branch(&self) -> bool {
        let mut keys = self.entries.iter().map(|entry| &entry.key);
        keys.any(|key| key.starts_with("includeif.onbranch:"))
    }

    /// The merge drivers that are configured.
    pub(crate) fn drivers(&self) -> Drivers {
        let name = |entry: &Entry| {
            let name = entry.key.strip_prefix("merge.")?;
            Some(name.strip_suffix(".driver")?.to_owned())
        };
        let mut names: Vec<String> = self.entries.iter().filter_map(name).collect();
        names.sort_unstable();
        names.dedup();
        Drivers {
            names,
            default: self.value_of("merge.default").map(str::to_owned),
        }
    }
}
