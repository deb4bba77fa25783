//! Objects that are written to a temporary directory, so that a question leaves nothing behind in
//! the repository.

use std::ffi::OsString;
use std::fs;
use std::os::unix::ffi::OsStrExt as _;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, ensure};
use bstr::ByteSlice as _;

use crate::git::{Checkout, Git, Lock, ObjectId, Repo};
use crate::system::temporary_dir::TemporaryDir;

/// Settings for objects that are soon deleted: neither small nor safe, but fast.
const FOR_A_MOMENT: [&str; 3] = [
    "core.looseCompression=0",
    "core.fsync=none",
    "core.createObject=rename",
];

/// A temporary bare repository whose alternate is the object directory of another one. Deleted on
/// drop.
pub(crate) struct Quarantine {
    _dir: TemporaryDir,
    home: PathBuf,
    objects: PathBuf,
    /// Reads objects of both, and writes to the temporary one.
    objects_only: Repo,
}

impl Quarantine {
    /// Makes a quarantine: a temporary bare repository for new objects, which can also read the
    /// objects of `repo`.
    pub(crate) fn make(repo: &Repo) -> Result<Self> {
        let dir = TemporaryDir::make()?;
        let made = fill(dir.path(), repo);
        made.context("could not make a temporary repository")?;
        // libgit2 compares real paths.
        let path = dir.path().canonicalize()?;
        Ok(Self {
            home: repo.home().to_owned(),
            objects: path.join("objects"),
            objects_only: Repo::open_at(&path)?,
            _dir: dir,
        })
    }

    /// Builds a command of git in the repository that writes objects to the quarantine and fetches
    /// none.
    pub(super) fn git(&self) -> Git {
        let home: &Path = &self.home;
        let git = Git::reading(home).env("GIT_OBJECT_DIRECTORY", &self.objects);
        let git = FOR_A_MOMENT.into_iter().fold(git, Git::config);
        git.env("GIT_NO_LAZY_FETCH", "1")
    }

    /// Returns `checkout`, in which git writes objects to the quarantine.
    pub(super) fn redirect(&self, checkout: &Checkout) -> Checkout {
        checkout.with_objects_in(&self.objects)
    }

    /// Returns the temporary repository, which reads its own objects and those of the user's
    /// repository, and writes only its own. It has no refs and no worktree.
    pub(crate) fn objects(&self) -> &Repo {
        &self.objects_only
    }

    /// Copies a commit of the quarantine to the repository, with the objects that its parent does not
    /// have: `git pack-objects --revs`, `git unpack-objects`.
    pub(crate) fn keep(&self, commit: &ObjectId, parent: &ObjectId, lock: &Lock) -> Result<()> {
        let pack = self.git().words("pack-objects --revs --stdout -q");
        let pack = pack.input(format!("{commit}\n^{parent}\n")).output()?;
        let home: &Path = &self.home;
        let unpack = Git::reading(home).words("unpack-objects -q");
        unpack.input(pack).holding(lock)?.run()
    }

    /// Shows the difference of two trees, and returns git's exit code: `git diff <old> <new>
    /// <args>`. Uses git's pager on a terminal.
    pub(crate) fn show_diff(&self, trees: [&ObjectId; 2], args: &[OsString]) -> Result<i32> {
        // A partial clone may have to fetch blobs.
        let git = self.git().env("GIT_NO_LAZY_FETCH", "0");
        let git = git.env("GIT_ATTR_SOURCE", trees[1]);
        git.arg("diff").args(trees).args(args).in_foreground()
    }

    pub(super) fn home(&self) -> &Path {
        &self.home
    }
}

/// Writes the files of a bare repository with the object format and objects of `repo`.
fn fill(dir: &Path, repo: &Repo) -> Result<()> {
    let objects = repo.common_dir().join("objects");
    let bytes = objects.as_os_str().as_bytes();
    // A line of the file is a path.
    ensure!(
        !bytes.contains_str("\n"),
        "the repository's path has a newline"
    );
    fs::create_dir_all(dir.join("objects/info"))?;
    fs::create_dir(dir.join("refs"))?;
    fs::write(dir.join("objects/info/alternates"), [bytes, b"\n"].concat())?;
    fs::write(dir.join("HEAD"), "ref: refs/heads/none\n")?;
    let format = match repo.is_sha256() {
        true => {
            "\trepositoryformatversion = 1\n\tbare = true\n[extensions]\n\tobjectformat = sha256\n"
        }
        false => "\trepositoryformatversion = 0\n\tbare = true\n",
    };
    fs::write(dir.join("config"), ["[core]\n", format].concat())?;
    Ok(())
}
