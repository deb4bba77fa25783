//! What becomes of uncommitted changes.

use std::os::unix::ffi::OsStrExt as _;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, anyhow};
use indicatif::HumanBytes;

use super::Cleanup;
use crate::commands::diff::show;
use crate::failure::Failure;
use crate::git::{Change, others};
use crate::lifecycle::Flux;
use crate::lifecycle::broken::ensure_whole;
use crate::lifecycle::cleanup::facts::Plan;
use crate::lifecycle::cleanup::obstacle::reveal;
use crate::ui::shown;
use crate::ui::words::count;

/// What becomes of uncommitted changes.
pub(super) enum Uncommitted {
    /// They go into the branch, with this message.
    Commit(String),
    /// There are none, or they stay where they are and go to the trash.
    Leave,
}

impl Cleanup {
    /// Asks what becomes of uncommitted changes.
    pub(super) fn uncommitted(&self, flux: &Flux, plan: &Plan) -> Result<Uncommitted> {
        if plan.missing && !self.discard {
            return self.unseen(flux, plan);
        }
        self.ensure_read(plan)?;
        plan.ensure_movable(flux, self.discard)?;
        if plan.uncommitted.is_empty() {
            return Ok(Uncommitted::Leave);
        }
        if self.discard {
            ensure_small(flux, plan)?;
            return Ok(Uncommitted::Leave);
        }
        let id = &plan.task.id;
        let files = count(plan.uncommitted.len(), "uncommitted file") + &overlooked(plan);
        let offered = format!("WIP: {}", plan.task.title);
        let message = match &self.commit {
            Some(message) => message.clone(),
            None if !flux.ui.can_ask() => {
                return Err(Failure::new(format!("'{id}' has {files}"))
                    .hint(format!("git flux cleanup {id} --commit"))
                    .hint(format!("git flux cleanup {id} --discard"))
                    .into());
            }
            None => match ask(flux, plan, &files, &offered)? {
                Some(message) => message,
                None => {
                    plan.ensure_movable(flux, true)?;
                    ensure_small(flux, plan)?;
                    return Ok(Uncommitted::Leave);
                }
            },
        };
        ensure_committable(plan)?;
        ensure_small(flux, plan)?;
        Ok(Uncommitted::Commit(if message.trim().is_empty() {
            offered
        } else {
            message
        }))
    }

    /// # Errors
    /// When it cannot be told what is uncommitted, and nobody said to leave it in the trash.
    pub(super) fn ensure_read(&self, plan: &Plan) -> Result<()> {
        let Some(why) = plan.unread.as_ref().filter(|_| !self.discard) else {
            return Ok(());
        };
        let id = &plan.task.id;
        let branch = match self.discard_branch {
            true => " --discard-branch",
            false => "",
        };
        let what = format!("it cannot be told what is uncommitted in the worktree of '{id}'");
        let failure = Failure::new(what).hint(format!(
            "to move it to the trash whole, from where all of it can be restored: git flux cleanup {id} --discard{branch}"
        ));
        Err(anyhow!(why.clone()).context(failure))
    }

    /// The worktree is gone, so nobody can tell what was uncommitted in it.
    fn unseen(&self, flux: &Flux, plan: &Plan) -> Result<Uncommitted> {
        let (id, path) = (&plan.task.id, shown(&plan.task.worktree));
        if !flux.ui.can_ask() {
            ensure_whole(flux, &plan.task)?;
            let again = format!("git flux cleanup {id}");
            return Err(Failure::new(format!("'{id}' changed meanwhile"))
                .hint(again)
                .into());
        }
        flux.ui.status(format_args!(
            "The worktree of '{id}' is gone: '{path}'. What was uncommitted in it is unknown."
        ));
        if flux.ui.confirm("Remove the task all the same?", false)? {
            Ok(Uncommitted::Leave)
        } else {
            Err(Failure::declined("nothing was changed").into())
        }
    }
}

/// Shows the files and asks what becomes of them: the message to commit them with,
/// or none to discard them.
fn ask(flux: &Flux, plan: &Plan, files: &str, offered: &str) -> Result<Option<String>> {
    flux.ui
        .status(format_args!("'{}' has {files}:", plan.task.id));
    for change in &plan.uncommitted {
        let code = String::from_utf8_lossy(&change.code).replace('.', " ");
        flux.ui
            .status(format_args!("  {code} {}", shown(&change.path)));
    }
    let choices = [
        "commit them all",
        "discard them (they are kept in the archive)",
        "show the diff",
        "abort",
    ]
    .map(str::to_owned);
    loop {
        match flux.ui.select("What is to become of them?", &choices)? {
            0 => return flux.ui.input("Message", offered).map(Some),
            1 => return Ok(None),
            2 => {
                show(flux, &plan.task, &plan.tip, Vec::new())?;
            }
            _ => return Err(Failure::declined("nothing was changed").into()),
        }
    }
}

/// The size from which on a single untracked file is asked about: it goes into the
/// repository, and does not leave it soon.
const LARGE: u64 = 100 << 20;

/// The untracked files that are [`LARGE`], with their sizes.
///
/// # Errors
/// When one of them cannot be looked at.
pub(super) fn large(plan: &Plan) -> Result<Vec<String>> {
    let mut found = Vec::new();
    for change in plan.uncommitted.iter().filter(|change| change.untracked()) {
        let path = plan.task.worktree.join(&change.path);
        let metadata = path
            .symlink_metadata()
            .with_context(|| format!("could not look at '{}'", path.display()))?;
        if metadata.is_file() && metadata.len() > LARGE {
            let size = HumanBytes(metadata.len());
            found.push(format!("'{}' has {size}", shown(&change.path)));
        }
    }
    Ok(found)
}

/// Asks about large untracked files.
fn ensure_small(flux: &Flux, plan: &Plan) -> Result<()> {
    for what in large(plan)? {
        if !flux.ui.can_ask() {
            return Err(
                Failure::new(format!("{what}, which would go into the repository"))
                    .hint(format!(
                        "move it or ignore it, then: git flux cleanup {}",
                        plan.task.id
                    ))
                    .into(),
            );
        }
        let question = format!("{what}. Put it into the repository?");
        if !flux.ui.confirm(question, false)? {
            return Err(Failure::declined("nothing was changed").into());
        }
    }
    Ok(())
}

/// Which of the uncommitted files git itself does not show.
fn overlooked(plan: &Plan) -> String {
    let files = plan.uncommitted.iter();
    let files = files.filter(|change| change.overlooked.is_some()).cloned();
    match files.collect::<Vec<Change>>().as_slice() {
        [] => String::new(),
        files => format!(", of which git was told to overlook {}", named(files)),
    }
}

/// # Errors
/// When what `git add` does not take is among what would be committed.
pub(super) fn ensure_committable(plan: &Plan) -> Result<()> {
    let worktree = &plan.task.worktree;
    let mut files = plan.uncommitted.iter();
    let hidden = files.find_map(|change| Some((change, reveal(change, worktree)?)));
    if let Some((change, hint)) = hidden {
        return Err(Failure::new(format!(
            "git was told to overlook '{}', and does not commit it",
            shown(&change.path)
        ))
        .hint(hint)
        .hint(format!("git flux cleanup {} --discard", plan.task.id))
        .into());
    }
    let mut files = plan.uncommitted.iter();
    let Some(nested) = files.find(|change| change.is_repository()) else {
        return Ok(());
    };
    Err(Failure::new(format!(
        "'{}' is a repository of its own, and cannot be committed here",
        shown(&nested.path)
    ))
    .hint(format!(
        "move it, or: git flux cleanup {} --discard",
        plan.task.id
    ))
    .into())
}

/// The names of the ignored files as git has them, directories with the number of files in them.
///
/// # Errors
/// When git fails.
pub(super) fn ignored(flux: &Flux, plan: &Plan) -> Result<String> {
    let is_below = |file: &Change| file.path.components().count() > 1;
    let directories = match plan.ignored.iter().any(is_below) {
        true => others::ignored(&flux.repo.checkout(&plan.task.worktree)?)?,
        false => Vec::new(),
    };
    Ok(collapsed(&plan.ignored, directories))
}

/// The files, but for those in one of `directories` the directory with the number of them.
fn collapsed(files: &[Change], mut directories: Vec<PathBuf>) -> String {
    directories.retain(|path| path.as_os_str().as_bytes().ends_with(b"/"));
    let mut names: Vec<(&Path, usize)> = Vec::new();
    for Change { path, .. } in files {
        let directory = directories.iter().find(|dir| path.starts_with(dir));
        match (directory, names.last_mut()) {
            (Some(dir), Some((last, number))) if dir == last => *number += 1,
            (Some(dir), _) => names.push((dir, 1)),
            (None, _) => names.push((path, 0)),
        }
    }
    let name = |(path, number): &(&Path, usize)| match number {
        0 => shown(path),
        number => format!("{} ({})", shown(path), count(*number, "file")),
    };
    first(&names.iter().map(name).collect::<Vec<_>>())
}

/// The names of the first few files.
pub(super) fn named(changes: &[Change]) -> String {
    let names: Vec<String> = changes.iter().map(|c| shown(&c.path)).collect();
    first(&names)
}

fn first(names: &[String]) -> String {
    const LISTED: usize = 8;
    let more = match names.len() > LISTED {
        true => ", …",
        false => "",
    };
    format!("{}{more}", names[..names.len().min(LISTED)].join(", "))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ignored_files_are_named_as_git_does() {
        let ignored = |path: &str| Change {
            code: *b"!!",
            path: path.into(),
            submodule: false,
            overlooked: None,
        };
        let files = [".env", "a/x.log", "node_modules/a/b", "node_modules/c", "z"].map(ignored);
        let directories = ["node_modules/", "z"].map(PathBuf::from);
        assert_eq!(
            collapsed(&files, directories.to_vec()),
            ".env, a/x.log, node_modules/ (2 files), z"
        );
        assert_eq!(collapsed(&files[..1], Vec::new()), ".env");
    }
}
