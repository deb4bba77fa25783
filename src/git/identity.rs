//! Names that are one thing: a file system may fold case, and links may lead to one place.

use std::fs;
use std::os::unix::fs::MetadataExt as _;
use std::path::Path;

use crate::task::RefName;

/// Returns whether two names of refs are one ref: on a file system that folds case they may be one file.
pub(crate) fn is_same_ref(common_dir: &Path, one: &RefName, other: &RefName) -> bool {
    one == other || is_same_file(&common_dir.join(&**one), &common_dir.join(&**other))
}

/// Returns whether two paths lead to one file or directory.
pub(crate) fn is_same_file(one: &Path, other: &Path) -> bool {
    let file = |path: &Path| fs::metadata(path).ok().map(|file| (file.dev(), file.ino()));
    file(one).is_some_and(|found| file(other) == Some(found))
}

/// Returns whether two paths lead to one place. Where case is folded, they may be spelled differently.
/// It is not enough that they are one directory: that may be mounted at a second place, which git does
/// not know.
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
    fn a_place_is_the_same_by_its_name_and_its_directory() {
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
        // Where case is folded, it is there already.
        let is_folded = fs::create_dir(at("P")).is_err();
        assert_eq!(is_same_place(&at("p"), &at("P")), is_folded);
    }
}
