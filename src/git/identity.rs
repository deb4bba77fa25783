//! Comparison of paths and refs on file systems that fold case or have links.

use std::fs;
use std::os::unix::fs::MetadataExt as _;
use std::path::Path;

use crate::task::RefName;

/// Returns whether two ref names are equal or lead to the same existing file in `common_dir`, as on
/// a file system that folds case.
pub(crate) fn is_same_ref(common_dir: &Path, one: &RefName, other: &RefName) -> bool {
    one == other || is_same_file(&common_dir.join(&**one), &common_dir.join(&**other))
}

/// Returns whether two paths lead to the same existing file or directory (device and inode), after
/// following links; `false` if either does not exist.
pub(crate) fn is_same_file(one: &Path, other: &Path) -> bool {
    let file = |path: &Path| fs::metadata(path).ok().map(|file| (file.dev(), file.ino()));
    file(one).is_some_and(|found| file(other) == Some(found))
}

/// Returns whether two paths are equal or, after resolving symbolic links, the same existing place;
/// case may differ on a file system that folds it. Two mount points of one directory are different.
pub(crate) fn is_same_place(one: &Path, other: &Path) -> bool {
    if one == other {
        return true;
    }
    let (Ok(one), Ok(other)) = (one.canonicalize(), other.canonicalize()) else {
        return false;
    };
    let folded = |path: &Path| path.to_string_lossy().to_lowercase();
    one == other || (folded(&one) == folded(&other) && is_same_file(&one, &other))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn is_same_place_compares_resolved_paths() {
        let temp = tempfile::tempdir().unwrap();
        let at = |name: &str| temp.path().join(name);
        fs::create_dir(at("p")).unwrap();
        fs::create_dir(at("q")).unwrap();
        std::os::unix::fs::symlink(at("p"), at("link")).unwrap();
        assert!(is_same_place(&at("p"), &at("link")));
        assert!(is_same_place(&at("gone"), &at("gone")));
        for other in ["q", "gone"] {
            assert!(!is_same_place(&at("p"), &at(other)), "{other}");
        }
        // On a file system that folds case, the directory exists already.
        let is_folded = fs::create_dir(at("P")).is_err();
        assert_eq!(is_same_place(&at("p"), &at("P")), is_folded);
    }
}
