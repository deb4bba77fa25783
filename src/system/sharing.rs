//! Files and directories below `.git/flux`. Those that several users write get the permissions that
//! git gives its own, all others are private.

use std::fs::{self, DirBuilder, File, Metadata, OpenOptions, Permissions, TryLockError};
use std::io::{self, ErrorKind, Write as _};
use std::os::unix::fs::{
    DirBuilderExt as _, MetadataExt as _, OpenOptionsExt as _, PermissionsExt as _,
};
use std::path::Path;

use anyhow::{Context as _, Result, bail};
use nix::unistd::{AccessFlags, access, geteuid};
use tempfile::NamedTempFile;

use super::regular_file::{
    REGULAR, ensure_file, ensure_owned_as_its_dir, open_file, other_owner_error,
};

/// The suffix of a file that is being written.
const PART: &str = ".part";

/// The users who may use a new file or directory: `core.sharedRepository`, or its owner.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Sharing {
    /// `0600` and `0700`, whatever the umask.
    Private,
    /// The umask decides.
    Umask,
    /// These bits in addition to the umask.
    AtLeast(u32),
    /// These bits, whatever the umask.
    Exactly(u32),
}

impl Sharing {
    const GROUP: Self = Self::AtLeast(0o660);
    const EVERYBODY: Self = Self::AtLeast(0o664);

    /// Parses a value of `core.sharedRepository` as `git_config_perm` in git's `setup.c` does. A
    /// `value` of `None` means a key without a value; `truth` is the value as a boolean, `None` if
    /// it is no boolean. Fails for a value that git rejects.
    pub(crate) fn parse(value: Option<&str>, truth: Option<bool>) -> Result<Self> {
        let value = match value {
            None | Some("group") => return Ok(Self::GROUP),
            Some("umask" | "") => return Ok(Self::Umask),
            Some("all" | "world" | "everybody") => return Ok(Self::EVERYBODY),
            Some(value) => value,
        };
        Ok(match (u32::from_str_radix(value, 8), truth) {
            (Ok(0), _) | (Err(_), Some(false)) => Self::Umask,
            (Ok(1), _) | (Err(_), Some(true)) => Self::GROUP,
            (Ok(2), _) => Self::EVERYBODY,
            (Ok(bits), _) if bits & 0o600 == 0o600 => Self::Exactly(bits & 0o666),
            (Ok(bits), _) => bail!(
                "core.sharedRepository is 0{bits:o}: the owner of files must be able to read and write them"
            ),
            (Err(_), None) => bail!("core.sharedRepository is '{value}', which git does not know"),
        })
    }

    /// Returns the mode to create a file with, before the umask: 0600 if it is private, otherwise
    /// 0666.
    fn mode(self) -> u32 {
        if self == Self::Private { 0o600 } else { 0o666 }
    }

    /// Returns the permissions that a file or directory created with `mode` should have, as
    /// `calc_shared_perm` in git's `path.c` does. With `Private`, these are 0600 for a file and
    /// 0700 for a directory.
    fn adjusted(self, mode: u32, is_dir: bool) -> u32 {
        // An object is read-only for its owner, so it is for all.
        let never = if mode & 0o200 == 0 { 0o222 } else { 0 };
        let searched = if is_dir { 0o444 } else { 0 };
        let searchable = |mode: u32| mode | (mode & searched) >> 2;
        let adjusted = match self {
            Self::Private => return searchable(0o600),
            Self::Umask => return mode,
            Self::AtLeast(bits) => searchable(mode | bits & !never),
            Self::Exactly(bits) => searchable(mode & !0o777 | bits & !never),
        };
        // Its entries inherit its group, on every system.
        let inherits = is_dir && adjusted & 0o060 != 0;
        adjusted | if inherits { 0o2000 } else { 0 }
    }

    /// Creates a directory and its missing parents. Corrects the directory's permissions, new or
    /// not, if this user owns it. Fails if it is a link, or if it should be private and belongs to
    /// another user.
    pub(crate) fn make_dir(self, path: &Path) -> io::Result<()> {
        let mode = self.mode() | (self.mode() & 0o444) >> 2;
        let make = || DirBuilder::new().mode(mode).create(path);
        let made = match (make(), path.parent()) {
            (Err(error), Some(parent)) if error.kind() == ErrorKind::NotFound => {
                self.make_dir(parent)?;
                make()
            }
            (made, _) => made,
        };
        let is_new = match made {
            Ok(()) => true,
            Err(error) if error.kind() == ErrorKind::AlreadyExists => false,
            Err(error) => return Err(error),
        };
        // A link could lead to other files, which would be deleted, or to another user's.
        let there = path.symlink_metadata()?;
        if !there.is_dir() {
            return Err(io::Error::new(ErrorKind::NotADirectory, "not a directory"));
        }
        // Some file systems give every file one owner, even a new one.
        if self == Self::Private && !is_new && !is_ours(path, &there) {
            return Err(other_owner_error());
        }
        self.fix_permissions(path, &there)
    }

    /// Corrects the permissions of the file or directory at `path`. Does nothing if another user
    /// owns it, or if its file system has no permissions.
    pub(crate) fn adjust(self, path: &Path) -> io::Result<()> {
        self.fix_permissions(path, &path.symlink_metadata()?)
    }

    fn fix_permissions(self, path: &Path, there: &Metadata) -> io::Result<()> {
        let mode = there.mode() & 0o7777;
        let adjusted = self.adjusted(mode, there.is_dir());
        if adjusted == mode || there.uid() != geteuid().as_raw() {
            return Ok(());
        }
        match fs::set_permissions(path, Permissions::from_mode(adjusted)) {
            // FAT has no permissions.
            Err(error) if error.kind() == ErrorKind::PermissionDenied => Ok(()),
            done => done,
        }
    }

    /// Opens a lock file to read and write it, created if it is missing; fails if it is a symbolic
    /// link or no regular file. Sets its mode, if this user owns it, so that users who may not
    /// write it may not read it either, because any user who can open a file can lock it.
    pub(crate) fn open_lock(self, path: &Path) -> io::Result<File> {
        let mut options = OpenOptions::new();
        options.read(true).write(true).create(true).truncate(false);
        options.mode(self.mode()).custom_flags(REGULAR);
        let file = options.open(path)?;
        let there = ensure_file(&file)?;
        if self == Self::Private {
            ensure_owned_as_its_dir(&there, path)?;
        }
        if there.uid() == geteuid().as_raw() {
            let mode = self.adjusted(there.mode() & 0o666, false);
            let written = mode & 0o222;
            let mode = written | written << 1;
            if mode != there.mode() & 0o7777 {
                drop(file.set_permissions(Permissions::from_mode(mode)));
            }
        }
        Ok(file)
    }

    /// Replaces the file at `path` atomically and durably, by renaming a temporary file. Also
    /// removes temporary files that killed writers have left in its directory.
    pub(crate) fn write(self, path: &Path, bytes: &[u8]) -> Result<()> {
        self.replace(path, bytes)
            .with_context(|| format!("could not write '{}'", path.display()))
    }

    /// Creates a file with this content, atomically and durably, from a temporary file. Returns
    /// `false`, and changes nothing at `path`, if something is there.
    pub(crate) fn create(self, path: &Path, bytes: &[u8]) -> Result<bool> {
        let created =
            self.write_part(path, bytes)
                .and_then(|file| match file.persist_noclobber(path) {
                    Ok(_) => sync_dir_of(path).map(|()| true),
                    Err(error) if error.error.kind() == ErrorKind::AlreadyExists => Ok(false),
                    Err(error) => Err(error.error),
                });
        created.with_context(|| format!("could not write '{}'", path.display()))
    }

    fn replace(self, path: &Path, bytes: &[u8]) -> io::Result<()> {
        self.write_part(path, bytes)?.persist(path)?;
        sync_dir_of(path)
    }

    /// Writes a temporary file beside `path`, durably.
    fn write_part(self, path: &Path, bytes: &[u8]) -> io::Result<NamedTempFile> {
        let dir = path.parent().unwrap_or(path);
        remove_stale_parts(dir);
        let mut file = self.create_part(path, dir)?;
        file.write_all(bytes)?;
        file.as_file().sync_all()?;
        Ok(file)
    }

    /// Creates and locks a temporary file `.<name>.<random>.part` beside `path`, which a rename
    /// will move there. [`remove_stale_parts`] deletes only unlocked ones.
    fn create_part(self, path: &Path, dir: &Path) -> io::Result<NamedTempFile> {
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        let mode = Permissions::from_mode(self.mode());
        loop {
            let file = tempfile::Builder::new()
                .prefix(&format!(".{name}."))
                .suffix(PART)
                .permissions(mode.clone())
                .tempfile_in(dir)?;
            // Another process that is removing it holds the lock. On file systems without locks no
            // process removes it.
            let is_swept = matches!(file.as_file().try_lock(), Err(TryLockError::WouldBlock));
            if !is_swept && file.path().exists() {
                self.adjust(file.path())?;
                return Ok(file);
            }
        }
    }
}

/// Makes a rename to `path` survive a power cut.
fn sync_dir_of(path: &Path) -> io::Result<()> {
    File::open(path.parent().unwrap_or(path))?.sync_all()
}

/// Returns whether the directory at `path` belongs to this user. Also `true` if it is private and
/// this user, other than root, may write in it: some file systems give all files one owner.
pub(crate) fn is_ours(path: &Path, there: &Metadata) -> bool {
    let us = geteuid();
    let is_private = there.mode() & 0o077 == 0;
    let is_open_to_us = || !us.is_root() && access(path, AccessFlags::W_OK).is_ok();
    there.uid() == us.as_raw() || (there.is_dir() && is_private && is_open_to_us())
}

/// Deletes the temporary files (`*.part`) in `dir` that killed writers have left: those that no
/// process holds locked. Ignores failures.
fn remove_stale_parts(dir: &Path) {
    let entries = fs::read_dir(dir).into_iter().flatten().flatten();
    for path in entries.map(|entry| entry.path()) {
        let name = path.as_os_str().as_encoded_bytes();
        // A live writer holds the lock; a writer that has just created it waits for ours.
        if name.ends_with(PART.as_bytes())
            && let Ok(file) = open_file(&path)
            && file.try_lock().is_ok()
        {
            drop(fs::remove_file(path));
        }
    }
}

#[cfg(test)]
mod tests {
    use std::fs::symlink_metadata;
    use std::os::unix::fs::symlink;

    use super::*;

    #[test]
    fn parse_accepts_every_value_that_git_accepts() {
        #[track_caller]
        fn case(value: Option<&str>, expected: Option<Sharing>) {
            let truth = match value {
                Some("true" | "yes") => Some(true),
                Some("false" | "no") => Some(false),
                _ => None,
            };
            assert_eq!(Sharing::parse(value, truth).ok(), expected, "{value:?}");
        }
        let (group, all) = (Sharing::AtLeast(0o660), Sharing::AtLeast(0o664));
        for value in [None, Some("group"), Some("1"), Some("true"), Some("yes")] {
            case(value, Some(group));
        }
        for value in ["all", "world", "everybody", "2"] {
            case(Some(value), Some(all));
        }
        for value in ["umask", "", "0", "false", "no", "000"] {
            case(Some(value), Some(Sharing::Umask));
        }
        case(Some("0640"), Some(Sharing::Exactly(0o640)));
        case(Some("0777"), Some(Sharing::Exactly(0o666)));
        case(Some("0440"), None);
        case(Some("Group"), None);
        case(Some("0888"), None);
    }

    #[test]
    fn adjusted_returns_the_permissions_that_git_gives() {
        let cases = [
            (Sharing::Umask, 0o755, 0o644, 0o755, 0o644),
            (Sharing::AtLeast(0o660), 0o755, 0o644, 0o2775, 0o664),
            (Sharing::AtLeast(0o660), 0o700, 0o600, 0o2770, 0o660),
            (Sharing::AtLeast(0o664), 0o700, 0o600, 0o2775, 0o664),
            (Sharing::Exactly(0o640), 0o777, 0o666, 0o2750, 0o640),
            (Sharing::Exactly(0o600), 0o777, 0o666, 0o700, 0o600),
            (Sharing::Private, 0o2777, 0o666, 0o700, 0o600),
            (Sharing::AtLeast(0o664), 0o755, 0o400, 0o2775, 0o444),
        ];
        for (sharing, dir, file, adjusted_dir, adjusted_file) in cases {
            let found = (sharing.adjusted(dir, true), sharing.adjusted(file, false));
            assert_eq!(found, (adjusted_dir, adjusted_file), "{sharing:?}");
        }
    }

    fn mode(path: &Path) -> u32 {
        symlink_metadata(path).unwrap().mode() & 0o7777
    }

    #[test]
    fn make_dir_corrects_permissions() {
        let temp = tempfile::tempdir().unwrap();
        let dir = temp.path().join("a/b");
        fs::create_dir(temp.path().join("a")).unwrap();
        fs::create_dir(&dir).unwrap();
        fs::set_permissions(&dir, Permissions::from_mode(0o777)).unwrap();
        Sharing::Private.make_dir(&dir).unwrap();
        assert_eq!(mode(&dir), 0o700);
        Sharing::GROUP.make_dir(&dir).unwrap();
        assert_eq!(mode(&dir), 0o2770);
        let below = dir.join("c/d");
        Sharing::GROUP.make_dir(&below).unwrap();
        assert_eq!(mode(&below) & 0o2770, 0o2770);
        assert_eq!(mode(below.parent().unwrap()) & 0o2770, 0o2770);
        let link = temp.path().join("link");
        symlink(&dir, &link).unwrap();
        assert!(Sharing::Private.make_dir(&link).is_err());
        assert!(Sharing::GROUP.make_dir(&link).is_err());
        fs::write(temp.path().join("file"), "").unwrap();
        assert!(Sharing::GROUP.make_dir(&temp.path().join("file")).is_err());
    }

    #[test]
    fn write_works_at_the_same_time_in_one_directory() {
        let temp = tempfile::tempdir().unwrap();
        std::thread::scope(|scope| {
            for thread in 0..8 {
                let path = temp.path().join(format!("{thread}"));
                scope.spawn(move || {
                    for _ in 0..200 {
                        Sharing::Umask.write(&path, b"text").unwrap();
                    }
                });
            }
        });
        assert_eq!(fs::read_dir(temp.path()).unwrap().count(), 8);
    }

    #[test]
    fn open_lock_makes_it_readable_only_for_its_writers() {
        let temp = tempfile::tempdir().unwrap();
        let path = temp.path().join("lock");
        fs::write(&path, "").unwrap();
        for (before, sharing, after) in [
            (0o644, Sharing::Umask, 0o600),
            (0o664, Sharing::Umask, 0o660),
            (0o600, Sharing::EVERYBODY, 0o660),
            (0o666, Sharing::Exactly(0o640), 0o600),
            (0o666, Sharing::Private, 0o600),
        ] {
            fs::set_permissions(&path, Permissions::from_mode(before)).unwrap();
            sharing.open_lock(&path).unwrap();
            assert_eq!(mode(&path), after, "{sharing:?}");
        }
        let link = temp.path().join("link");
        symlink(&path, &link).unwrap();
        assert!(Sharing::Umask.open_lock(&link).is_err());
        assert!(Sharing::Umask.open_lock(temp.path()).is_err());
    }

    #[test]
    fn write_replaces_a_link_and_removes_stale_parts() {
        let temp = tempfile::tempdir().unwrap();
        let (path, other) = (temp.path().join("exit"), temp.path().join("other"));
        fs::write(&other, "theirs").unwrap();
        symlink(&other, &path).unwrap();
        fs::write(temp.path().join("prompt.part"), "left").unwrap();
        symlink(&other, temp.path().join("exit.part")).unwrap();
        let living = Sharing::Private.create_part(&path, temp.path()).unwrap();
        Sharing::Private.write(&path, b"ours").unwrap();
        assert_eq!(fs::read(&path).unwrap(), b"ours");
        assert_eq!(fs::read(&other).unwrap(), b"theirs");
        assert_eq!(mode(&path), 0o600);
        assert!(!temp.path().join("prompt.part").exists());
        // The part of a live writer is kept.
        living.persist(&path).unwrap();
        Sharing::GROUP.write(&path, b"all").unwrap();
        assert_eq!(mode(&path) & 0o660, 0o660);
        // A link cannot be locked, so it is no part.
        assert_eq!(fs::read_dir(temp.path()).unwrap().count(), 3);
    }
}
