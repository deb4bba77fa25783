//! Tests of the entries, with git's own stash in the same directory.

use std::fs;

use super::*;

/// Makes a repository with `count` stash entries, and returns it and the stash that reads them.
fn repository(count: usize) -> (tempfile::TempDir, TaskStash) {
    let temp = tempfile::tempdir().unwrap();
    let dir = temp.path();
    let git = || {
        let identity = [
            "user.name=a",
            "user.email=a@example.com",
            "commit.gpgSign=false",
        ];
        identity
            .iter()
            .fold(Git::new(dir), |git, it| git.config(it))
    };
    git().words("init -q stash").run().unwrap();
    let dir = dir.join("stash");
    let git = || git().option("-C").option(&dir);
    git()
        .words("commit -q --allow-empty -m base")
        .run()
        .unwrap();
    fs::write(dir.join("file"), "").unwrap();
    git().words("add file").run().unwrap();
    for n in 0..count {
        fs::write(dir.join("file"), format!("{n}")).unwrap();
        git()
            .words("stash push -q -m")
            .arg(format!("entry {n}\ttab"))
            .run()
            .unwrap();
        git().words("stash apply -q --index").run().unwrap();
    }
    let stash = TaskStash {
        dir: dir.join(".git"),
    };
    (temp, stash)
}

fn names(stash: &TaskStash) -> Vec<String> {
    let subject = |entry: &StashEntry| entry.subject.to_string();
    stash.list().unwrap().iter().map(subject).collect()
}

/// Lists the entries as git does.
fn by_git(stash: &TaskStash) -> Vec<StashEntry> {
    shared::list(&stash.dir).unwrap()
}

#[test]
fn list_reads_what_git_lists() {
    for count in [0, 1, 3] {
        let (_temp, stash) = repository(count);
        let entries = stash.list().unwrap();
        assert_eq!(entries.len(), count);
        assert_eq!(entries, by_git(&stash));
    }
}

#[test]
fn list_is_empty_without_a_directory() {
    let stash = TaskStash::of(Path::new("/nowhere"));
    assert_eq!(stash.list().unwrap(), []);
    assert!(stash.created().unwrap().is_empty());
}

#[test]
fn list_fails_for_a_file_that_is_none_of_gits() {
    let (_temp, stash) = repository(2);
    let log = stash.dir.join(LOG);
    let text = fs::read(&log).unwrap();
    for wrong in [&b"x\n"[..], b"\n", &text[20..], b"\0\0\n"] {
        fs::write(&log, wrong).unwrap();
        stash.list().unwrap_err();
    }
    fs::remove_file(&log).unwrap();
    // The newest entry is still known.
    assert_eq!(stash.list().unwrap().len(), 1);
    fs::create_dir(&log).unwrap();
    stash.list().unwrap_err();
}

#[test]
fn store_adds_an_entry_that_git_lists() {
    let (_temp, stash) = repository(1);
    let first = stash.list().unwrap().remove(0);
    let dir = &stash.dir;
    let new = StashEntry {
        commit: Git::reading(dir).words("rev-parse HEAD").object().unwrap(),
        subject: "two\nlines".into(),
    };
    stash.store(&new).unwrap();
    assert_eq!(
        names(&stash),
        ["two lines".to_owned(), first.subject.to_string()]
    );
    assert_eq!(by_git(&stash), stash.list().unwrap());
    // Also the first one.
    let (_temp, stash) = repository(0);
    stash.store(&first).unwrap();
    assert_eq!(names(&stash), [first.subject.to_string()]);
}

#[test]
fn has_finds_entries_and_created_commits() {
    let (_temp, stash) = repository(1);
    let entry = stash.list().unwrap().remove(0);
    let other = ObjectId::parse(&[b'1'; 40]).unwrap();
    assert!(stash.has(&entry.commit).unwrap() && !stash.has(&other).unwrap());
    stash.note_created(&other).unwrap();
    stash.note_created(&entry.commit).unwrap();
    assert!(stash.has(&other).unwrap());
    assert_eq!(stash.created().unwrap(), [other, entry.commit]);
}

#[test]
fn resolve_finds_entries_by_number_and_name() {
    let (_temp, stash) = repository(3);
    let entries = stash.list().unwrap();
    let resolve = |name: &str| stash.resolve(Some(name.as_ref())).unwrap();
    let commit = |n: usize| Some(entries[n].commit.clone());
    assert_eq!(stash.resolve(None).unwrap(), commit(0));
    assert_eq!(resolve("1"), commit(1));
    assert_eq!(resolve("stash@{2}"), commit(2));
    assert_eq!(resolve(&entries[1].commit), commit(1));
    for none in ["3", "stash@{7}", "nothing", "-x"] {
        assert_eq!(resolve(none), None, "{none}");
    }
}
