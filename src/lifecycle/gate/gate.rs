//! The gate: the commands that a tree must pass.

use std::env::consts::{ARCH, OS};
use std::ffi::OsString;

use anyhow::Result;
use serde::Serialize;

use crate::context::Flux;
use crate::git::Repo;
use crate::sanitize;
use crate::task::{Bytes, ObjectId};

/// The commands that a tree must pass, and all that decides about their result.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Gate {
    /// Shell commands, in order.
    pub(super) commands: Vec<Bytes>,
    /// The words of `flux.wrapper`, which starts each command.
    wrapper: Vec<String>,
    /// The patterns of the files that were copied to the scratch worktree.
    pub(super) seed: Vec<Bytes>,
    os: &'static str,
    arch: &'static str,
}

impl Gate {
    /// Reads the gate from the configuration, never from a file of a worktree; `None` if there is
    /// none. Fails if the quotes of `flux.wrapper` do not match.
    ///
    /// All commands get the gate from here.
    pub(crate) fn read(flux: &Flux) -> Result<Option<Self>> {
        let commands = flux.settings.gate_commands();
        if commands.is_empty() {
            return Ok(None);
        }
        let bytes = |all: Vec<OsString>| all.into_iter().map(Bytes).collect();
        Ok(Some(Self {
            commands: bytes(commands),
            wrapper: flux.settings.wrapper()?,
            seed: bytes(flux.settings.seed_patterns()),
            os: OS,
            arch: ARCH,
        }))
    }

    /// Returns the commands as text for a terminal, in order.
    pub(crate) fn command_texts(&self) -> Vec<String> {
        let text = |Bytes(command): &Bytes| sanitize::line(&command.to_string_lossy());
        self.commands.iter().map(text).collect()
    }

    /// Returns the key of the gate's verdicts: the hash, as git hashes a blob, of commands,
    /// wrapper, the patterns of untracked files to copy (`flux.gateSeed`), operating system and
    /// architecture.
    pub(super) fn key(&self, repo: &Repo) -> Result<ObjectId> {
        repo.hash_blob(&serde_json::to_vec(self)?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::lifecycle::start::world::{World, git};
    use crate::settings::Settings;

    #[test]
    fn key_depends_on_what_is_run_and_on_nothing_else() {
        let mut world = World::new();
        let home = world.home().to_owned();
        assert!(Gate::read(&world.flux).unwrap().is_none());
        let mut key = |key: &str, value: &str| {
            git(&home, ["config --add", key, value]);
            world.flux.settings = Settings::load(&home).unwrap();
            let gate = Gate::read(&world.flux).unwrap().unwrap();
            gate.key(&world.flux.repo).unwrap()
        };
        let first = key("flux.gate", "make check");
        assert_eq!(key("flux.gateTimeout", "1h"), first);
        assert_eq!(key("flux.gateRetries", "0"), first);
        assert_eq!(first.len(), 40);
        let mut known = vec![first];
        for (name, value) in [
            ("flux.gate", "make lint"),
            ("flux.wrapper", "nice -n 5"),
            ("flux.copy", "/target"),
            ("flux.gateSeed", "/build"),
        ] {
            let next = key(name, value);
            assert!(!known.contains(&next), "{name}");
            known.push(next);
        }
        assert_eq!(key("flux.copy", "/more"), *known.last().unwrap());
    }
}
