//! What an agent is told about a task.

use std::fs;
use std::os::unix::ffi::OsStrExt as _;

use anyhow::{Context as _, Result};

use crate::agent::prompt;
use crate::context::Flux;
use crate::failure::Failure;
use crate::task::Task;
use crate::ui::shown;

/// What is put around the text of a task.
pub(crate) fn template(flux: &Flux) -> Result<Vec<u8>> {
    match flux.settings.template(flux.repo.home()) {
        None => Ok(prompt::TEMPLATE.as_bytes().to_vec()),
        Some((path, origin)) => fs::read(&path).with_context(|| {
            Failure::new(format!(
                "could not read the template '{}' ('flux.template', {origin})",
                shown(&path)
            ))
            .hint("git config --unset flux.template")
        }),
    }
}

/// What an agent is told about a task.
pub(crate) fn filled(
    flux: &Flux,
    task: &Task,
    description: &[u8],
    template: Option<&[u8]>,
) -> Vec<u8> {
    let Some(template) = template else {
        return description.to_vec();
    };
    prompt::fill(
        template,
        &[
            ("task", description.trim_ascii_end()),
            ("worktree", task.worktree.as_os_str().as_bytes()),
            ("branch", task.branch.as_bytes()),
            ("base", task.base.as_bytes()),
            ("project", flux.repo.project().as_bytes()),
        ],
    )
}
