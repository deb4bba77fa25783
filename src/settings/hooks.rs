//! The configuration of hooks and merge drivers.

use super::{ConfigEntry, Settings};
use crate::git::drivers::Drivers;
use crate::git::hooks::ConfiguredHook;
use crate::git::repo::parse_bool;
use crate::task::BranchName;

impl Settings {
    /// Returns the value of `core.hooksPath` as it is written, without expansion of `~`; `None` if
    /// it is not set.
    pub(crate) fn hooks_path(&self) -> Option<&str> {
        self.value_of("core.hookspath")
    }

    /// Returns the hooks that `hook.<name>.command` and `hook.<name>.event` configure, in the order
    /// of the configuration, without those that `hook.<name>.enabled` disables.
    pub(crate) fn configured_hooks(&self) -> Vec<ConfiguredHook> {
        // Each with `true` if it is enabled.
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
                // An empty one clears those before it.
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

    /// Returns whether `merge.verifySignatures` is set and not false: a merge rejects commits
    /// without a valid signature.
    pub(crate) fn verifies_signatures(&self) -> bool {
        let value = self.value_of("merge.verifysignatures");
        value.is_some_and(|value| parse_bool(value) != Some(false))
    }

    /// Returns whether `branch.<name>.mergeOptions` is set for this branch, which `git merge`
    /// applies to merges into the branch.
    pub(crate) fn has_merge_options(&self, branch: &BranchName) -> bool {
        let key = format!("branch.{branch}.mergeoptions");
        self.last_entry(&key).is_some()
    }

    /// Returns whether the configuration depends on the current branch: whether it contains an
    /// `includeIf.onbranch:<pattern>.path`.
    pub(crate) fn depends_on_branch(&self) -> bool {
        let mut keys = self.entries.iter().map(|entry| &entry.key);
        keys.any(|key| key.starts_with("includeif.onbranch:"))
    }

    /// Returns the configured merge drivers: the sorted names of all `merge.<name>.driver` and,
    /// separately, the value of `merge.default`.
    pub(crate) fn drivers(&self) -> Drivers {
        let name = |entry: &ConfigEntry| {
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
