//! Other programs for the same, where they are installed: they run in the same table.

use std::path::PathBuf;
use std::process::Command;

use anyhow::{Context as _, Result};

use crate::measure::Side;
use crate::world::World;

/// One of them.
pub(crate) struct Other {
    pub(crate) name: &'static str,
    /// What it says of itself.
    version: String,
    /// Starts what `git flux run` does, by a name.
    start: fn(&World, &str) -> Vec<Command>,
    /// Removes that, though it is not merged.
    undo: fn(&World, &str) -> Vec<Command>,
    list: fn(&World) -> Command,
    /// Removes what is clean and merged.
    remove: fn(&World, &str) -> Vec<Command>,
}

impl Other {
    /// One start.
    pub(crate) fn starts<'a>(&'a self, world: &'a World) -> Side<'a> {
        Box::new(|n| {
            let name = format!("{}-{n}", self.name);
            let time = world.at_once(1, vec![(self.start)(world, &name)])?;
            self.take_away(world, &name, self.undo)?;
            Ok(time)
        })
    }

    pub(crate) fn lists<'a>(&'a self, world: &'a World) -> Side<'a> {
        Box::new(|_| world.time([(self.list)(world)]))
    }

    /// Removes what [`Other::start_to_remove`] started.
    pub(crate) fn removes<'a>(&'a self, world: &'a World) -> Side<'a> {
        Box::new(|n| self.take_away(world, &format!("{}-{n}", self.name), self.remove))
    }

    /// Starts one to be removed, and says where it is.
    ///
    /// # Errors
    /// When it cannot be started.
    pub(crate) fn start_to_remove(&self, world: &World, n: usize) -> Result<PathBuf> {
        let name = format!("{}-{n}", self.name);
        world.at_once(1, vec![(self.start)(world, &name)])?;
        place(world, &name)
    }

    /// How long removing takes, and waits until the files are gone.
    fn take_away(
        &self,
        world: &World,
        name: &str,
        remove: fn(&World, &str) -> Vec<Command>,
    ) -> Result<std::time::Duration> {
        let place = place(world, name)?;
        let time = world.at_once(1, vec![remove(world, name)])?;
        world.wait("end of removing", || Ok(!place.exists()))?;
        Ok(time)
    }
}

/// Where the worktree of a branch is.
fn place(world: &World, branch: &str) -> Result<PathBuf> {
    let format = "--format=%(worktreepath)";
    let branch = format!("refs/heads/{branch}");
    let found = world.output(world.git(["for-each-ref", format, &branch]))?;
    let found = found.lines().next().filter(|path| !path.is_empty());
    Ok(found
        .with_context(|| format!("no worktree of '{branch}'"))?
        .into())
}

/// Those that are on PATH.
pub(crate) fn installed(world: &World) -> Result<Vec<Other>> {
    let version = |program| {
        let version = world.output(world.command(program, ["--version"]));
        version.map(|version| version.trim_end().to_owned())
    };
    let mut installed = Vec::new();
    if let Ok(version) = version("workmux") {
        // Nothing is asked, and nothing looked up in the network.
        let config = "nerdfont: false\nauto_update_check: false\n";
        world.file("home/.config/workmux/config.yaml", config)?;
        installed.push(Other {
            name: "workmux",
            version,
            start: |world, name| {
                let options = ["add", "--background", "--session", "--no-pane-cmds", name];
                vec![world.command("workmux", options)]
            },
            undo: |world, name| vec![world.command("workmux", ["remove", "--force", name])],
            list: |world| world.command("workmux", ["list"]),
            remove: |world, name| vec![world.command("workmux", ["remove", name])],
        });
    }
    // It makes no session.
    if let Ok(version) = version("wt") {
        installed.push(Other {
            name: "wt",
            version,
            start: |world, name| {
                let create = [
                    "switch", "--yes", "--no-cd", "--base", "@", "--create", name,
                ];
                // Where it makes worktrees, unless it is told otherwise.
                let dir = format!("../app.{name}");
                vec![world.command("wt", create), world.open_session(name, &dir)]
            },
            undo: |world, name| {
                let remove = ["remove", "--yes", "--force-delete", name];
                vec![close_session(world, name), world.command("wt", remove)]
            },
            list: |world| world.command("wt", ["list"]),
            remove: |world, name| vec![world.command("wt", ["remove", "--yes", name])],
        });
    }
    Ok(installed)
}

fn close_session(world: &World, name: &str) -> Command {
    world.tmux(["kill-session", "-t", &format!("={name}")])
}

/// A line about them, for the head of what is printed.
pub(crate) fn words(others: &[Other]) -> String {
    match others {
        [] => "workmux and wt are not on PATH, or not in order: they are left out".to_owned(),
        others => {
            let versions: Vec<&str> = others.iter().map(|other| other.version.as_str()).collect();
            format!("beside it: {}", versions.join(", "))
        }
    }
}
