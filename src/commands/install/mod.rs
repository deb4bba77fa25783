//! `git flux install`: the files that cargo does not install.

mod check;
mod install_file;
mod shells;

use std::fs::{self, DirBuilder, Permissions};
use std::io::Write as _;
use std::os::unix::fs::{DirBuilderExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, anyhow};
use clap::Args;
use tempfile::NamedTempFile;

use self::install_file::{ExistingFile, InstallFile, Reader};
pub(super) use self::shells::exec_alone;
use crate::failure::Failure;
use crate::interrupt;
use crate::ui::{Ui, quoted, shown};

/// Install the manual and shell completion
///
/// Then checks that they are found. Replaces only files of git flux, and
/// edits no dotfile.
#[derive(Debug, Args)]
#[command(override_usage = "git flux install [<options>]")]
pub(crate) struct InstallArgs {
    /// dry run: only say what would be done
    #[arg(short = 'n', long)]
    dry_run: bool,
    /// install below this directory instead of your home directory
    #[arg(long, value_name = "dir")]
    prefix: Option<PathBuf>,
    /// remove what was installed
    #[arg(long)]
    uninstall: bool,
}

impl InstallArgs {
    pub(crate) fn run(self) -> Result<()> {
        let ui = Ui::default();
        let mut files = install_file::list_files(self.prefix.as_deref())?;
        if !self.uninstall && self.prefix.is_none() {
            files.retain(|file| file.reader == Reader::Man || file.reader.is_installed());
        }
        let mut found = Vec::new();
        for file in files {
            let existing = file.read_existing()?;
            found.push((file, existing));
        }
        if self.uninstall {
            self.uninstall(&ui, &found)
        } else {
            self.install(&ui, found)
        }
    }

    fn install(&self, ui: &Ui, wanted: Vec<(InstallFile, ExistingFile)>) -> Result<()> {
        refuse_obstacles(&wanted)?;
        if !self.dry_run {
            install_files(&wanted)?;
        }
        for (file, found) in &wanted {
            let done = match (found, self.dry_run) {
                (ExistingFile::Current, _) => "unchanged",
                (ExistingFile::Own, false) => "updated",
                (ExistingFile::Own, true) => "would update",
                (_, false) => "installed",
                (_, true) => "would install",
            };
            ui.data(format_args!("{done} '{}'", shown(&file.path)))?;
        }
        if self.dry_run {
            return Ok(());
        }
        let installed: Vec<InstallFile> = wanted.into_iter().map(|(file, _)| file).collect();
        check::check(ui, &installed)
    }

    /// Removes the files that git flux has installed, and prints each; in a dry run, only prints
    /// them. Warns of other files at these paths, and keeps them.
    fn uninstall(&self, ui: &Ui, found: &[(InstallFile, ExistingFile)]) -> Result<()> {
        let root = install_file::root(self.prefix.as_deref())?;
        let mut own = Vec::new();
        for (file, found) in found {
            match found {
                ExistingFile::Current | ExistingFile::Own => own.push(&file.path),
                ExistingFile::Foreign(what) => {
                    ui.warning(format_args!("'{}' {what} (kept)", shown(&file.path)));
                }
                ExistingFile::Nothing => {}
            }
        }
        if own.is_empty() {
            ui.status("nothing is installed");
        }
        for path in own {
            let done = if self.dry_run {
                "would remove"
            } else {
                remove(path, &root)?;
                "removed"
            };
            ui.data(format_args!("{done} '{}'", shown(path)))?;
        }
        Ok(())
    }
}

/// Fails if there is something at the path of a file to install that git flux did not install.
fn refuse_obstacles(wanted: &[(InstallFile, ExistingFile)]) -> Result<()> {
    let mut causes = Vec::new();
    let mut failure = Failure::new("could not install; nothing was changed");
    for (file, found) in wanted {
        if let ExistingFile::Foreign(what) = found {
            causes.push(format!("'{}' {what}", file.path.display()));
            let path = quoted(&file.path);
            failure = failure.hint(format!("mv {path} {path}.old"));
        }
    }
    if causes.is_empty() {
        return Ok(());
    }
    Err(anyhow!(causes.join("\n")).context(failure))
}

/// Installs the files that are missing or outdated. If one cannot be written, installs none, and
/// removes the directories that it has created; but if a rename fails, the files renamed before it
/// stay.
fn install_files(wanted: &[(InstallFile, ExistingFile)]) -> Result<()> {
    let mut made = Vec::new();
    let staged = stage(wanted, &mut made).inspect_err(|_| {
        for dir in made.iter().rev() {
            // Fails, as it should, if another program uses it.
            fs::remove_dir(dir).ok();
        }
    });
    let staged = staged.context(Failure::new("could not install; nothing was changed"))?;
    for (temp, file, found) in staged {
        match found {
            ExistingFile::Own | ExistingFile::Current => temp.persist(&file.path),
            // Do not replace a file that was created meanwhile.
            ExistingFile::Nothing | ExistingFile::Foreign(_) => temp.persist_noclobber(&file.path),
        }
        .map_err(|error| error.error)
        .with_context(|| format!("could not install '{}'", file.path.display()))?;
    }
    Ok(())
}

/// Writes the files that are missing or outdated beside their paths, under temporary names. Appends
/// the directories that it creates to `made`. The temporary files disappear when dropped.
fn stage<'a>(
    wanted: &'a [(InstallFile, ExistingFile)],
    made: &mut Vec<PathBuf>,
) -> Result<Vec<(NamedTempFile, &'a InstallFile, &'a ExistingFile)>> {
    let mut staged = Vec::new();
    for (file, found) in wanted {
        if *found != ExistingFile::Current {
            interrupt::check()?;
            let temp = write(file, made)
                .with_context(|| format!("could not write '{}'", file.path.display()))?;
            staged.push((temp, file, found));
        }
    }
    interrupt::check()?;
    Ok(staged)
}

/// Writes a file to the disk under a temporary name in its directory, so that disk errors show
/// before the rename. Creates missing directories, and appends them to `made`.
fn write(file: &InstallFile, made: &mut Vec<PathBuf>) -> Result<NamedTempFile> {
    let dir = file
        .path
        .parent()
        .context("internal error: a path without a directory")?;
    let missing = dir.ancestors().take_while(|dir| !dir.exists());
    let missing: Vec<PathBuf> = missing.map(Path::to_owned).collect();
    made.extend(missing.into_iter().rev());
    // zsh ignores completion in a directory that a group can write to.
    DirBuilder::new().recursive(true).mode(0o755).create(dir)?;
    let mut temp = tempfile::Builder::new()
        .prefix(".git-flux-")
        // The umask applies.
        .permissions(Permissions::from_mode(0o644))
        .tempfile_in(dir)?;
    temp.write_all(file.content().as_bytes())?;
    temp.as_file().sync_all()?;
    Ok(temp)
}

/// Deletes a file, and the directories above it that are empty then, up to and including `root`.
fn remove(path: &Path, root: &Path) -> Result<()> {
    fs::remove_file(path).with_context(|| format!("could not remove '{}'", path.display()))?;
    let dirs = path.ancestors().skip(1);
    let mut dirs = dirs.take_while(|dir| dir.starts_with(root));
    // Stop at the first that is not empty.
    while dirs.next().is_some_and(|dir| fs::remove_dir(dir).is_ok()) {}
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn new_file(path: PathBuf) -> (InstallFile, ExistingFile) {
        let (reader, text) = (Reader::Fish, "complete git-flux\n");
        (InstallFile { reader, text, path }, ExistingFile::Nothing)
    }

    #[test]
    fn remove_deletes_empty_directories_up_to_the_root() {
        let root = tempfile::tempdir().unwrap();
        let below = root.path().join("share");
        let path = below.join("fish/completions/git-flux.fish");
        let wanted = [new_file(path.clone())];
        install_files(&wanted).unwrap();
        assert_eq!(fs::read_to_string(&path).unwrap(), wanted[0].0.content());
        remove(&path, &below).unwrap();
        assert!(!below.exists() && root.path().exists());
    }

    #[test]
    fn install_files_writes_none_if_one_fails() {
        let root = tempfile::tempdir().unwrap();
        fs::write(root.path().join("mine"), "").unwrap();
        let names = ["fish/one", "mine/two"];
        let wanted = names.map(|name| new_file(root.path().join(name)));
        install_files(&wanted).unwrap_err();
        assert!(!root.path().join("fish").exists());
    }

    #[test]
    fn install_files_keeps_a_file_created_meanwhile() {
        let root = tempfile::tempdir().unwrap();
        let path = root.path().join("one");
        fs::write(&path, "mine").unwrap();
        install_files(&[new_file(path.clone())]).unwrap_err();
        assert_eq!(fs::read_to_string(&path).unwrap(), "mine");
    }
}
