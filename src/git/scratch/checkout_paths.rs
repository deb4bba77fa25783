//! Which ignored things name the checkout that they are in by its path, so that whoever uses them
//! from elsewhere uses the files of that checkout.

use std::fs::{self, DirEntry};
use std::os::unix::ffi::OsStrExt as _;
use std::path::{Path, PathBuf};

use bstr::ByteSlice as _;

use crate::git::regular_file::read_file;

/// Returns whether what is at `there` is such a thing, or has one right in it: a Python environment with a
/// package of the checkout installed in place, a build directory of CMake.
pub(super) fn names_checkout(there: &Path, checkout: &Path) -> bool {
    if !there.symlink_metadata().is_ok_and(|found| found.is_dir()) {
        return false;
    }
    let mut places = vec![there.to_owned()];
    // `.tox` and `.nox` have an environment for each of theirs; node_modules have none.
    if !there.ends_with("node_modules") {
        places.extend(dirs(there));
    }
    places.iter().any(|place| {
        let libs = ["lib", "lib64"].map(|lib| dirs(&place.join(lib)));
        let pythons = libs.iter().flatten();
        let mut sites: Vec<_> = pythons.map(|dir| dir.join("site-packages")).collect();
        sites.push(place.join("lib"));
        is_build(place, checkout) || sites.iter().any(|site| has_installed(site, checkout))
    })
}

fn entries(dir: &Path) -> impl Iterator<Item = DirEntry> {
    fs::read_dir(dir).into_iter().flatten().flatten()
}

fn dirs(dir: &Path) -> Vec<PathBuf> {
    let is_dir = |entry: &DirEntry| entry.file_type().is_ok_and(|kind| kind.is_dir());
    let dirs = entries(dir).filter(is_dir);
    dirs.map(|entry| entry.path()).collect()
}

/// Returns whether a directory that Python looks for packages in sends it to the checkout.
fn has_installed(site: &Path, checkout: &Path) -> bool {
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
        read_file(&file).is_ok_and(|text| names(&text, checkout) || leads_into(&text, checkout))
    })
}

/// Returns whether a directory is one in which CMake builds what is in the checkout.
fn is_build(dir: &Path, checkout: &Path) -> bool {
    let text = read_file(&dir.join("CMakeCache.txt")).unwrap_or_default();
    text.lines().any(|line| {
        let home = line.strip_prefix(b"CMAKE_HOME_DIRECTORY:INTERNAL=");
        home.is_some_and(|home| names(home, checkout))
    })
}

/// Returns whether a text has the path of the checkout in it, as it is or as in a URL.
fn names(text: &[u8], checkout: &Path) -> bool {
    let path = checkout.as_os_str().as_bytes();
    let has = |text: &[u8]| {
        let mut rests = text.find_iter(path).map(|at| &text[at + path.len()..]);
        rests.any(|rest| !rest.first().is_some_and(is_in_name))
    };
    has(text) || has(&decoded(text))
}

/// Returns whether a byte after the name of a directory makes it another name.
fn is_in_name(byte: &u8) -> bool {
    byte.is_ascii_alphanumeric() || b"-_.".contains(byte) || !byte.is_ascii()
}

/// Takes `%20` for a blank.
fn decoded(text: &[u8]) -> Vec<u8> {
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

/// Returns whether a line of a text is a path into the checkout, however it is spelled.
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
    fn names_knows_the_path_from_a_longer_one() {
        let checkout = Path::new("/x/my p");
        for (text, expected) in [
            ("/x/my p", true),
            ("/x/my p/src\n", true),
            ("{'a': '/x/my p/src'}", true),
            ("file:///x/my%20p", true),
            ("/x/my p2 /x/my p-a", false),
            ("/x/my", false),
        ] {
            assert_eq!(names(text.as_bytes(), checkout), expected, "{text}");
        }
    }
}
