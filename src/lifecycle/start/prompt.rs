//! What an agent is told about a task.

use std::fs;
use std::os::unix::ffi::OsStrExt as _;

use anyhow::{Context as _, Result};

use crate::agent::{Agent, Prompt, prompt};
use crate::context::Flux;
use crate::failure::Failure;
use crate::task::Task;
use crate::ui::shown;

/// Returns what is put around the text of a task; none for an agent that shows the text alone.
///
/// # Errors
/// When it cannot be read.
pub(crate) fn template(flux: &Flux, agent: &Agent) -> Result<Option<Vec<u8>>> {
    if agent.prompt == Prompt::Shown {
        return Ok(None);
    }
    let Some((path, origin)) = flux.settings.template(flux.repo.home()) else {
        return Ok(Some(prompt::TEMPLATE.as_bytes().to_vec()));
    };
    let read = fs::read(&path).with_context(|| {
        let path = shown(&path);
        let what = format!("could not read the template '{path}' ('flux.template', {origin})");
        Failure::new(what).hint("git config --unset flux.template")
    });
    read.map(Some)
}

/// Returns what an agent is told about a task.
pub(crate) fn filled(
    flux: &Flux,
    task: &Task,
    description: &[u8],
    template: Option<&[u8]>,
) -> Vec<u8> {
    let Some(template) = template else {
        return description.to_vec();
    };
    let project = flux.repo.project();
    let fields = [
        ("task", description.trim_ascii_end()),
        ("worktree", task.worktree.as_os_str().as_bytes()),
        ("branch", task.branch.as_bytes()),
        ("base", task.base.as_bytes()),
        ("project", project.as_bytes()),
    ];
    prompt::fill(template, &fields)
}
