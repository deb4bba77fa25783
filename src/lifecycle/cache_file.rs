//! Files in `.git/flux/cache`, which may be deleted or damaged at any time.

use std::fs;
use std::hash::{DefaultHasher, Hash as _, Hasher as _};
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

use anyhow::{Result, ensure};
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::context::Flux;
use crate::system::program::which;
use crate::system::regular_file::read_file;
use crate::system::{Sharing, none_if_missing};

/// A file of the cache.
pub(super) struct CacheFile {
    path: PathBuf,
    sharing: Sharing,
}

impl CacheFile {
    pub(super) fn new(flux: &Flux, name: &str) -> Self {
        Self {
            path: flux.repo.flux_dir().join("cache").join(name),
            sharing: flux.repo.sharing().unwrap_or(Sharing::Private),
        }
    }

    /// Reads and parses this JSON file of the cache; `None` if it is missing or damaged.
    pub(super) fn read<T: DeserializeOwned>(&self) -> Option<T> {
        let bytes = read_file(&self.path).ok()?;
        serde_json::from_slice(&bytes).ok()
    }

    /// Writes `content` as JSON to this file of the cache. Fails also if a path in it is not UTF-8,
    /// which has no form in JSON.
    pub(super) fn write(&self, content: &impl Serialize) -> Result<()> {
        let bytes = serde_json::to_vec(content)?;
        let dir = self.path.parent().unwrap_or(&self.path);
        if none_if_missing(dir.symlink_metadata())?.is_none() {
            self.sharing.make_dir(dir)?;
        }
        ensure!(dir.symlink_metadata()?.is_dir(), "it is no directory");
        self.sharing.write(&self.path, &bytes)
    }
}

/// Returns a text that changes with git's program, the configuration of merges and
/// `info/attributes`; without starting git.
pub(super) fn fingerprint(flux: &Flux) -> String {
    let mut hasher = DefaultHasher::new();
    let attributes = flux.repo.common_dir().join("info/attributes");
    for path in [which(Path::new("git")), Some(attributes)] {
        let found = path.as_ref().and_then(|path| fs::metadata(path).ok());
        let facts = found.map(|it| (it.len(), it.mtime(), it.mtime_nsec(), it.ino()));
        (path, facts).hash(&mut hasher);
    }
    for entry in flux.settings.merge_entries() {
        entry.hash(&mut hasher);
    }
    format!("{} {:016x}", env!("CARGO_PKG_VERSION"), hasher.finish())
}
