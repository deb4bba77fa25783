//! Ignored files that contain the path of their checkout. Used from elsewhere, they would lead
//! back to its files.

use std::fs::{self, DirEntry};
use std::os::unix::ffi::OsStrExt as _;
use std::path::{Path, PathBuf};

use bstr::ByteSlice as _;

use crate::system::regular_file::read_file;

/// Returns whether `path`, or a directory directly in it, is a CMake build directory of the
/// checkout or a Python environment with an editable package of it. `false` also for a link, a file
/// or an unreadable directory.
pub(super) fn names_checkout(path: &Path, checkout: &Path) -> bool {
    if !path.symlink_metadata().is_ok_and(|found| found.is_dir()) {
        return false;
    }
    let mut places = vec![path.to_owned()];
    // `.tox` and `.nox` contain several environments. `node_modules` is large and has none.
    if !path.ends_with("node_modules") {
        places.extend(subdirs(path));
    }
    places.iter().any(|place| {
        let libs = ["lib", "lib64"].map(|lib| subdirs(&place.join(lib)));
        let dirs = libs.iter().flatten();
        let mut sites: Vec<_> = dirs.map(|dir| dir.join("site-packages")).collect();
        sites.push(place.join("lib"));
        is_cmake_build(place, checkout) || sites.iter().any(|site| has_package(site, checkout))
    })
}

fn entries(dir: &Path) -> impl Iterator<Item = DirEntry> {
    fs::read_dir(dir).into_iter().flatten().flatten()
}

fn subdirs(dir: &Path) -> Vec<PathBuf> {
    let is_dir = |entry: &DirEntry| entry.file_type().is_ok_and(|kind| kind.is_dir());
    let dirs = entries(dir).filter(is_dir);
    dirs.map(|entry| entry.path()).collect()
}

/// Returns whether a file that Python keeps in the directory `site` for an installed package
/// (`*.pth`, `*.egg-link`, `__editable__*`, `direct_url.json`) contains a path of the checkout.
fn has_package(site: &Path, checkout: &Path) -> bool {
    entries(site).any(|entry| {
        let (name, mut file) = (entry.file_name(), entry.path());
        let name = name.as_bytes();
        if name.ends_with(b".dist-info") {
            file.push("direct_url.json");
        } else if !(name.ends_with(b".pth")
            || name.ends_with(b".egg-link")
            || name.starts_with(b"__editable__"))
        {
            return false;
        }
        read_file(&file).is_ok_and(|text| mentions(&text, checkout) || leads_into(&text, checkout))
    })
}

/// Returns whether `dir` has a `CMakeCache.txt` whose source directory, `CMAKE_HOME_DIRECTORY`, is
/// the checkout or in it.
fn is_cmake_build(dir: &Path, checkout: &Path) -> bool {
    let text = read_file(&dir.join("CMakeCache.txt")).unwrap_or_default();
    text.lines().any(|line| {
        let home = line.strip_prefix(b"CMAKE_HOME_DIRECTORY:INTERNAL=");
        home.is_some_and(|home| mentions(home, checkout))
    })
}

/// Returns whether a text contains the path of the checkout, plain or with `%20` and the like as in
/// a URL, but not as the beginning of a longer name.
fn mentions(text: &[u8], checkout: &Path) -> bool {
    let path = checkout.as_os_str().as_bytes();
    let has = |text: &[u8]| {
        let mut rests = text.find_iter(path).map(|at| &text[at + path.len()..]);
        rests.any(|rest| !rest.first().is_some_and(is_in_name))
    };
    has(text) || has(&percent_decoded(text))
}

/// Returns whether `byte`, found after a directory's path in a text, continues the directory's
/// name: a letter, digit, `-`, `_`, `.` or part of a non-ASCII character.
fn is_in_name(byte: &u8) -> bool {
    byte.is_ascii_alphanumeric() || b"-_.".contains(byte) || !byte.is_ascii()
}

/// Replaces `%20` and other `%` with two hexadecimal digits by the byte that they stand for; keeps
/// any other `%`.
fn percent_decoded(text: &[u8]) -> Vec<u8> {
    let mut parts = text.split_str("%");
    let mut bytes = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        let digits = part.get(..2).and_then(|digits| digits.to_str().ok());
        let code = digits.and_then(|digits| u8::from_str_radix(digits, 16).ok());
        bytes.push(code.unwrap_or(b'%'));
        bytes.extend(&part[if code.is_some() { 2 } else { 0 }..]);
    }
    bytes
}

/// Returns whether a line of a text is an absolute path that, after resolving links, is in the
/// checkout or the checkout itself.
fn leads_into(text: &[u8], checkout: &Path) -> bool {
    let paths = text.lines().map(|line| line.to_path_lossy());
    let paths = paths.filter(|path| path.is_absolute());
    let mut places = paths.filter_map(|path| path.canonicalize().ok());
    places.any(|place| place.starts_with(checkout))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn mentions_ignores_the_path_as_part_of_a_longer_name() {
        let checkout = Path::new("/x/my p");
        for (text, expected) in [
            ("/x/my p", true),
            ("/x/my p/src\n", true),
            ("{'a': '/x/my p/src'}", true),
            ("file:///x/my%20p", true),
            ("/x/my p2 /x/my p-a", false),
            ("/x/my", false),
        ] {
            assert_eq!(mentions(text.as_bytes(), checkout), expected, "{text}");
        }
    }
}
