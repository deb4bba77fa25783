//! Entries of one task in the stash that all worktrees share.

use std::path::Path;

use anyhow::{Context as _, Result};
use bstr::BString;

use super::{StashEntry, TaskStash};
use crate::git::records::records;
use crate::git::{Git, Lock, ObjectId, Repo};

/// Lists the entries of the repository's own stash, newest first; empty if there is none.
pub(crate) fn list(dir: &Path) -> Result<Vec<StashEntry>> {
    // A pattern, because git fails for a ref that does not exist.
    let git = Git::reading(dir).words("log -g -z --no-show-signature --no-color --no-patch");
    let git = git.args(["--glob=refs/stas[h]", "--format=%H %gs", "--"]);
    let entry = |record: &[u8]| {
        let mut fields = record.splitn(2, |&b| b == b' ');
        let commit = ObjectId::parse(fields.next()?)?;
        let subject = BString::from(fields.next()?);
        Some(StashEntry { commit, subject })
    };
    let parse = |record| entry(record).context("`git log` printed an unknown record");
    records(&git.output()?)?.map(parse).collect()
}

impl TaskStash {
    /// Moves the entries whose commits `git stash create` of this task has made from the
    /// repository's stash to the task's, and returns them. Such an entry is an autostash that a git
    /// started outside the agent's `PATH` has stored. The caller holds [`TaskStash::lock`], which
    /// is `lock`.
    pub(crate) fn adopt_autostashes(&self, repo: &Repo, lock: &Lock) -> Result<Vec<StashEntry>> {
        let created = self.created()?;
        if created.is_empty() {
            return Ok(Vec::new());
        }
        let mut own = list(repo.home())?;
        own.retain(|entry| created.contains(&entry.commit));
        let known = self.list()?;
        for entry in own.iter().rev() {
            if !known.contains(entry) {
                self.store(entry)?;
            }
            drop_shared(repo, entry, lock)?;
        }
        Ok(own)
    }
}

/// Drops `entry` from the repository's stash. git finds an entry by number alone, and other git
/// commands take no lock: if another entry was dropped instead, that one is put back, and `entry` is
/// looked for again.
fn drop_shared(repo: &Repo, entry: &StashEntry, lock: &Lock) -> Result<()> {
    let home = repo.home();
    for _ in 0..3 {
        let before = list(home)?;
        let Some(at) = before.iter().position(|one| one.commit == entry.commit) else {
            return Ok(());
        };
        let delete = Git::new(home).words("reflog delete --updateref --rewrite");
        let delete = delete.arg(format!("refs/stash@{{{at}}}"));
        delete.holding(lock)?.run()?;
        let after = list(home)?;
        let is_in = |list: &[StashEntry], commit: &ObjectId| {
            list.iter().any(|entry| entry.commit == *commit)
        };
        if !is_in(&after, &entry.commit) {
            // git leaves the ref when its last entry goes.
            return delete_if_empty(home, entry, lock);
        }
        let lost = before.iter().filter(|one| !is_in(&after, &one.commit));
        for lost in lost.rev() {
            let store = Git::new(home).words("update-ref --create-reflog -m");
            let store = store.arg(String::from_utf8_lossy(&lost.subject).as_ref());
            store
                .args(["refs/stash", &lost.commit])
                .holding(lock)?
                .run()?;
        }
    }
    Ok(())
}

fn delete_if_empty(home: &Path, entry: &StashEntry, lock: &Lock) -> Result<()> {
    if !list(home)?.is_empty() {
        return Ok(());
    }
    let delete = Git::new(home).words("update-ref -d refs/stash");
    // It may have been replaced, or git may have deleted it.
    delete.arg(&entry.commit).holding(lock)?.outcome().map(drop)
}
