//! Looking up a verdict among many.

use std::fs;

use anyhow::{Context as _, Result};

use crate::commands::run_ending;
use crate::measure::{Side, in_turns};
use crate::table::{self, Bar, ratio};
use crate::world::World;

/// More than are kept.
const MANY: usize = 2000;

/// The gate of a tree whose verdict is known, among many verdicts and alone.
pub(crate) fn measure(world: &World, repetitions: usize) -> Result<()> {
    // Before the task begins: what changes while it runs has to be agreed to.
    world.run(&mut world.git(["config", "flux.gate", "true"]))?;
    world.run(&mut run_ending(world, "gated"))?;
    let exit = world.repo().join(".git/flux/run/gated/exit");
    world.wait("end of the agent", || Ok(exit.exists()))?;
    world.run(&mut world.flux(["gate", "gated"]))?;
    let dirs = ["verdicts", "few", "many"].map(|name| world.repo().join(".git/flux").join(name));
    let [dir, few, many] = &dirs;
    let verdict = fs::read_dir(dir)?.next().context("no verdict")??.path();
    let name = verdict.file_name().context("no name")?;
    fs::create_dir(many)?;
    fs::copy(&verdict, many.join(name))?;
    for n in 1..MANY {
        fs::copy(&verdict, many.join(format!("{n:040}.{n:040}")))?;
    }
    fs::rename(dir, few)?;
    let side = |of| -> Side<'_> {
        Box::new(move |_| {
            fs::rename(of, dir)?;
            let time = world.time([world.flux(["gate", "gated"])]);
            fs::rename(dir, of)?;
            time
        })
    };
    let times = in_turns(repetitions, |_| Ok(()), vec![side(many), side(few)])?;
    table::head(&["", "2000 verdicts", "1 verdict", "ratio", "bar"]);
    ratio("gate of a known tree", &times[0], &times[1], Some(Bar(1.1)));
    world.run(&mut world.git(["config", "--unset", "flux.gate"]))
}
