//! The usual repository, made once by git and then copied: three processes fewer in every world.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;

use super::World;

/// A file below the git directory, its mode and its content; a directory has none.
struct Entry {
    path: PathBuf,
    mode: u32,
    content: Option<Vec<u8>>,
}

static TEMPLATE: OnceLock<Vec<Entry>> = OnceLock::new();

impl World {
    /// Makes the default repository as `make_repository` does.
    pub(super) fn copy_repository(&self) {
        let repo = self.repo();
        let Some(template) = TEMPLATE.get() else {
            self.make_repository(&repo);
            let mut entries = Vec::new();
            collect(&repo.join(".git"), Path::new(""), &mut entries);
            // The index knows the files of its own worktree by inode and time.
            entries.retain(|entry| entry.path != Path::new("index"));
            TEMPLATE.set(entries).ok();
            return;
        };
        let git_dir = repo.join(".git");
        fs::create_dir_all(&git_dir).unwrap();
        for entry in template {
            let path = git_dir.join(&entry.path);
            match &entry.content {
                Some(content) => fs::write(&path, content).unwrap(),
                None => fs::create_dir(&path).unwrap(),
            }
            fs::set_permissions(path, fs::Permissions::from_mode(entry.mode)).unwrap();
        }
        self.git(["read-tree", "--reset", "-u", "HEAD"]);
    }
}

/// Takes up all that is in a directory, directories before what is in them.
fn collect(root: &Path, below: &Path, entries: &mut Vec<Entry>) {
    for entry in fs::read_dir(root.join(below)).unwrap() {
        let entry = entry.unwrap();
        let meta = entry.metadata().unwrap();
        let path = below.join(entry.file_name());
        let content = meta.is_file().then(|| fs::read(entry.path()).unwrap());
        let is_dir = meta.is_dir();
        let mode = meta.permissions().mode();
        entries.push(Entry {
            path: path.clone(),
            mode,
            content,
        });
        if is_dir {
            collect(root, &path, entries);
        }
    }
}
