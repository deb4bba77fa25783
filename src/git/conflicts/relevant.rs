//! The part of two changes on which the conflicts of their merge depend, so that what is known about
//! them stays known while they change elsewhere. Pure.

use std::collections::HashSet;
use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt as _;
use std::path::Path;

use super::touched::{NewFile, Touched, directories};

/// Returns all of two changes, made from one tree, that the conflicts of their merge depend on: the
/// paths that both touch, with their contents; and all files that a change adds and deletes, if it
/// may have renamed any, if the other may have renamed the directory of an added one, or if one
/// adds a file where the other adds a directory.
pub(crate) fn relevant(one: &Touched, two: &Touched) -> Vec<u8> {
    let is_file_above = adds_below(one, added(two)) || adds_below(two, added(one));
    let mut text = Vec::new();
    for (own, other) in [(one, two), (two, one)] {
        let shared: HashSet<&OsStr> = other.paths().map(Path::as_os_str).collect();
        let may_rename = !own.deleted.is_empty();
        let may_move = adds_below(own, other.emptied.iter().map(AsRef::as_ref));
        let has_all = may_rename || may_move || is_file_above;
        let mut write = |kind: &[u8], path: &Path, content: &str, is_always: bool| {
            if is_always || shared.contains(path.as_os_str()) || is_attributes(path) {
                let parts = [kind, path.as_os_str().as_bytes(), content.as_bytes()];
                text.extend(parts.join(&b'\0'));
                text.push(b'\0');
            }
        };
        for NewFile { path, content } in &own.added {
            write(b"added", path, content, has_all);
        }
        for path in &own.deleted {
            write(b"deleted", path, "", has_all);
        }
        for NewFile { path, content } in &own.modified {
            write(b"modified", path, content, false);
        }
        text.push(b'\0');
    }
    text
}

fn added(change: &Touched) -> impl Iterator<Item = &Path> {
    change.added.iter().map(|file| file.path.as_path())
}

/// Returns whether a change adds a file below one of these paths.
fn adds_below<'a>(change: &Touched, paths: impl Iterator<Item = &'a Path>) -> bool {
    let paths: HashSet<&Path> = paths.collect();
    let is_below = |path: &Path| directories(path).any(|dir| paths.contains(dir));
    !paths.is_empty() && added(change).any(is_below)
}

/// Returns whether a file may say how others are merged.
fn is_attributes(path: &Path) -> bool {
    path.file_name()
        .is_some_and(|name| name == ".gitattributes")
}

#[cfg(test)]
mod tests {
    use super::super::touched::tests::touched;
    use super::*;

    #[test]
    fn relevant_changes_with_what_both_touch_and_with_what_may_be_renamed() {
        /// `before` becomes `after`, beside another change.
        #[track_caller]
        fn case(before: &str, after: &str, other: &str, is_relevant: bool) {
            let [before, after, other] = [before, after, other].map(touched);
            let [old, new] = [&before, &after].map(|one| relevant(one, &other));
            assert_eq!(old != new, is_relevant, "first");
            let [old, new] = [&before, &after].map(|one| relevant(&other, one));
            assert_eq!(old != new, is_relevant, "second");
        }
        case("~a=1", "~a=2", "~a=3", true);
        case("~a=1", "~a=1 ~b", "~a=3", false);
        case("~a=1", "~a=1 +b", "~a=3", false);
        case("~a=1", "~a=1", "~a=3", false);
        case("+a=1", "+a=2", "+a=3", true);
        case("+a=1", "~a=1", "~a=3", true);
        case("~a", "-a", "~a=3", true);
        case("~a=1", "~a=1 ~b", "~a=3 ~b", true);
        // A file that may be renamed, and its new name.
        case("-a +b=1", "-a +b=2", "~a", true);
        case("-a +b", "-a +b +c", "~a", true);
        case("-a +b", "-a +b -c", "~a", true);
        case("-a +b ~c=1", "-a +b ~c=2", "~a", false);
        // The other one renames.
        case("~a +n", "~a +n +m", "-a +b", false);
        case("~a ~m=1", "~a ~m=2", "-a +b", false);
        case("~a", "~a +d/n", "~a -d/x +e/x /d", true);
        case("+d/n +e/n=1", "+d/n +e/n=2", "-d/x +e/x /d", true);
        case("+d/n ~f=1", "+d/n ~f=2", "-d/x +e/x /d", false);
        // A file where the other has a directory.
        case("+a=1", "+a=2", "+a/b", true);
        case("+a/b=1", "+a/b=2", "+a", true);
        // Attributes say how other files are merged.
        case("~a", "~a ~d/.gitattributes", "~a=2", true);
        // Which of the two it is.
        assert_ne!(
            relevant(&touched("~a=1"), &touched("~a=2")),
            relevant(&touched("~a=2"), &touched("~a=1"))
        );
    }
}
