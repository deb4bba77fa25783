//! The verdicts of a gate, each in its own file: `<git-common-dir>/flux/verdicts/<gate>.<tree>`. They do
//! not travel with the repository.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use anyhow::{Context as _, Result, ensure};
use bstr::ByteSlice as _;
use jiff::SignedDuration;

use super::gate::Gate;
use crate::context::Flux;
use crate::git::{Repo, Sharing};
use crate::run::file::read_json;
use crate::system::clock;
use crate::system::none_if_missing;
use crate::task::{GateVerdict, ObjectId};

/// The time after which a verdict expires: tools and services outside of the tree change, too.
pub(super) const MAX_DAYS: u32 = 14;

/// The maximal number of verdicts of a repository.
const MAX_VERDICTS: usize = 1000;

/// The verdicts of one gate.
pub(crate) struct Verdicts {
    dir: PathBuf,
    sharing: Sharing,
    gate: ObjectId,
}

impl Verdicts {
    /// Returns the stored verdicts of a gate, to look one up or add one. Reads none yet.
    pub(crate) fn of(flux: &Flux, gate: &Gate) -> Result<Self> {
        Ok(Self {
            dir: flux.repo.flux_dir().join("verdicts"),
            sharing: flux.repo.sharing()?,
            gate: gate.key(&flux.repo)?,
        })
    }

    fn path(&self, tree: &ObjectId) -> PathBuf {
        self.dir.join(format!("{}.{tree}", self.gate))
    }

    /// Returns the verdict about a tree; `None` if there is none, if it was made more than 14 days
    /// before or after now, or if its file cannot be read.
    pub(crate) fn find(&self, tree: &ObjectId) -> Option<GateVerdict> {
        let verdict: GateVerdict = read_json(&self.path(tree)).ok()??;
        let age = clock::now().duration_since(verdict.at?).abs();
        let is_recent = age <= SignedDuration::from_hours(i64::from(MAX_DAYS) * 24);
        (verdict.tree.as_ref() == Some(tree) && !verdict.is_none() && is_recent).then_some(verdict)
    }

    /// Returns the verdict about a tree or, if there is none, a verdict with the state
    /// [`GateState::None`](crate::task::GateState::None).
    pub(crate) fn look_up(&self, tree: ObjectId) -> GateVerdict {
        let found = self.find(&tree);
        found.unwrap_or_else(|| GateVerdict::untested(tree))
    }

    /// Writes the verdict about a tree to its own file, by a rename, and deletes expired ones.
    pub(super) fn add(&self, tree: &ObjectId, verdict: &GateVerdict) -> Result<()> {
        let what = || format!("could not make '{}'", self.dir.display());
        self.sharing.make_dir(&self.dir).with_context(what)?;
        let bytes = serde_json::to_vec(verdict)?;
        self.sharing.write(&self.path(tree), &bytes)?;
        keep_newest(&self.dir, is_verdict, MAX_VERDICTS, Some(MAX_DAYS))
    }
}

/// Lists the files of verdicts that have expired.
pub(in crate::lifecycle) fn list_expired(repo: &Repo) -> Result<Vec<PathBuf>> {
    let dir = repo.flux_dir().join("verdicts");
    list_old(&dir, is_verdict, MAX_VERDICTS, Some(MAX_DAYS))
}

/// Returns whether a file of this name is a verdict: `<gate>.<tree>`.
fn is_verdict(name: &[u8]) -> bool {
    let parts = name.split_once_str(".");
    parts.is_some_and(|(gate, tree)| is_hex(gate) && is_hex(tree))
}

pub(super) fn is_hex(text: &[u8]) -> bool {
    let is_digit = |byte: &u8| matches!(byte, b'0'..=b'9' | b'a'..=b'f');
    !text.is_empty() && text.iter().all(is_digit)
}

/// Deletes the files in a directory that are older than `max_days`, and the oldest if there are more
/// than `most`. Keeps, and does not count, those whose name `is_own` rejects. Fails if the directory is a
/// link or a file.
pub(super) fn keep_newest(
    dir: &Path,
    is_own: fn(&[u8]) -> bool,
    most: usize,
    max_days: Option<u32>,
) -> Result<()> {
    delete_files(&list_old(dir, is_own, most, max_days)?)
}

/// Lists the files that [`keep_newest`] would delete; none if there is no such directory.
pub(super) fn list_old(
    dir: &Path,
    is_own: fn(&[u8]) -> bool,
    most: usize,
    max_days: Option<u32>,
) -> Result<Vec<PathBuf>> {
    let what = || format!("could not read '{}'", dir.display());
    let mut files: Vec<(SystemTime, PathBuf)> = Vec::new();
    let Some(there) = none_if_missing(dir.symlink_metadata()).with_context(what)? else {
        return Ok(Vec::new());
    };
    ensure!(there.is_dir(), "'{}' is not a directory", dir.display());
    for entry in fs::read_dir(dir).with_context(what)? {
        let entry = entry.with_context(what)?;
        if !is_own(entry.file_name().as_encoded_bytes()) {
            continue;
        }
        // Another process may have deleted it.
        let changed = none_if_missing(entry.metadata().and_then(|it| it.modified()));
        files.extend(changed.with_context(what)?.map(|at| (at, entry.path())));
    }
    files.sort();
    let limit = max_days.map(|days| Duration::from_secs(u64::from(days) * 86_400));
    let is_old =
        |at: &SystemTime| limit.is_some_and(|limit| at.elapsed().is_ok_and(|it| it > limit));
    let surplus = files.len().saturating_sub(most);
    let files = files.into_iter().enumerate();
    let old = files.filter(|(n, (at, _))| *n < surplus || is_old(at));
    Ok(old.map(|(_, (_, path))| path).collect())
}

/// Deletes files, as far as they exist.
pub(in crate::lifecycle) fn delete_files(files: &[PathBuf]) -> Result<()> {
    for path in files {
        let removed = none_if_missing(fs::remove_file(path));
        removed.with_context(|| format!("could not delete '{}'", path.display()))?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::fs::File;
    use std::os::unix::fs::symlink;
    use std::process::Command;
    use std::{env, thread};

    use super::*;
    use crate::task::GateState;

    fn verdicts(dir: &Path) -> Verdicts {
        Verdicts {
            dir: dir.to_owned(),
            sharing: Sharing::Umask,
            gate: ObjectId::from("a".repeat(40)),
        }
    }

    fn tree(number: usize) -> ObjectId {
        ObjectId::from(format!("{number:040x}"))
    }

    fn green(number: usize) -> GateVerdict {
        GateVerdict {
            state: GateState::Green,
            at: Some(clock::this_second()),
            seconds: Some(3),
            ..GateVerdict::untested(tree(number))
        }
    }

    #[test]
    fn find_returns_only_recent_and_undamaged_verdicts() {
        let temp = tempfile::tempdir().unwrap();
        let verdicts = verdicts(temp.path());
        assert_eq!(verdicts.find(&tree(1)), None);
        verdicts.add(&tree(1), &green(1)).unwrap();
        assert_eq!(verdicts.find(&tree(1)), Some(green(1)));
        assert_eq!(verdicts.find(&tree(2)), None);
        // One that was moved or copied is about another tree.
        fs::copy(verdicts.path(&tree(1)), verdicts.path(&tree(2))).unwrap();
        assert_eq!(verdicts.find(&tree(2)), None);
        for days in [-15_i64, 15] {
            let at = clock::this_second() + SignedDuration::from_hours(days * 24);
            let moved = GateVerdict {
                at: Some(at),
                ..green(3)
            };
            verdicts.add(&tree(3), &moved).unwrap();
            assert_eq!(verdicts.find(&tree(3)), None, "{days} days");
        }
        let text = fs::read(verdicts.path(&tree(1))).unwrap();
        for length in 0..text.len() {
            fs::write(verdicts.path(&tree(1)), &text[..length]).unwrap();
            assert_eq!(verdicts.find(&tree(1)), None, "{length} bytes");
        }
        let newer = String::from_utf8(text).unwrap();
        let newer = newer.replacen('{', r#"{"version":2,"#, 1);
        fs::write(verdicts.path(&tree(1)), newer).unwrap();
        assert_eq!(verdicts.find(&tree(1)), None, "of a newer git flux");
    }

    #[test]
    fn keep_newest_deletes_old_files_and_the_oldest_and_no_others() {
        let temp = tempfile::tempdir().unwrap();
        let day = Duration::from_secs(86_400);
        for (name, days) in [("a.1", 1), ("b.1", 3), ("c.1", 13), ("d.1", 15)] {
            let others = [name, &format!(".{name}"), &format!("{name}.txt")].map(str::to_owned);
            for name in others {
                let file = File::create(temp.path().join(name)).unwrap();
                file.set_modified(SystemTime::now() - day * days).unwrap();
            }
        }
        let own = || {
            let entries = fs::read_dir(temp.path()).unwrap();
            let names = entries.map(|it| it.unwrap().file_name().into_string().unwrap());
            let (mut own, others): (Vec<String>, Vec<String>) =
                names.partition(|name| is_verdict(name.as_bytes()));
            assert_eq!(others.len(), 8);
            own.sort();
            own.join(" ")
        };
        keep_newest(temp.path(), is_verdict, 10, Some(14)).unwrap();
        assert_eq!(own(), "a.1 b.1 c.1");
        keep_newest(temp.path(), is_verdict, 2, None).unwrap();
        assert_eq!(own(), "a.1 b.1");
        // The directory was moved away, and a link to other files is in its place.
        let link = temp.path().join("link");
        symlink(temp.path(), &link).unwrap();
        let error = keep_newest(&link, is_verdict, 0, None).unwrap_err();
        let expected = format!("'{}' is not a directory", link.display());
        assert_eq!(error.to_string(), expected);
        fs::remove_file(&link).unwrap();
        assert_eq!(own(), "a.1 b.1");
        assert_eq!(
            list_old(&link, is_verdict, 0, None).unwrap(),
            [""; 0].map(PathBuf::from)
        );
    }

    /// Writes ten verdicts, if the environment says where: one of the processes of the next test.
    #[test]
    fn add_of_one_process() {
        let Some((dir, first)) = env::var_os("VERDICTS").zip(env::var("FIRST").ok()) else {
            return;
        };
        let (verdicts, first) = (verdicts(Path::new(&dir)), first.parse::<usize>().unwrap());
        (first..first + 10).for_each(|number| verdicts.add(&tree(number), &green(number)).unwrap());
    }

    #[test]
    fn add_loses_no_verdict_of_eight_processes() {
        let temp = tempfile::tempdir().unwrap();
        let process = |number: usize| {
            let mut command = Command::new(env::current_exe().unwrap());
            command.args([
                "--exact",
                "lifecycle::gate::verdicts::tests::add_of_one_process",
            ]);
            command.env("VERDICTS", temp.path());
            command.env("FIRST", (number * 10).to_string());
            let output = command.output().unwrap();
            assert!(output.status.success(), "{output:?}");
        };
        thread::scope(|scope| {
            (0..8).for_each(|number| drop(scope.spawn(move || process(number))));
        });
        let verdicts = verdicts(temp.path());
        let kept = (0..80).filter(|number| verdicts.find(&tree(*number)).is_some());
        assert_eq!(kept.count(), 80);
    }
}
