//! Which ignored things name the checkout that they are in by its path, so that whoever uses them
//! from elsewhere uses the files of that checkout.

use std::fs;
use std::os::unix::ffi::OsStrExt as _;
use std::path::{Path, PathBuf};

use bstr::ByteSlice as _;

use crate::git::regular_file::read_file;

/// Whether what is at `there` is such a thing, or has one right in it: a Python environment with a
/// package of the checkout installed in place, a build directory of CMake.
pub(super) fn names_checkout(there: &Path, checkout: &Path) -> bool {
    let dirs = |dir: &Path| -> Vec<PathBuf> {
        let entries = fs::read_dir(dir).into_iter().flatten().flatten();
        let is_dir = |entry: &fs::DirEntry| entry.file_type().is_ok_and(|kind| kind.is_dir());
        entries.filter(is_dir).map(|entry| entry.path()).collect()
    };
    if !there.symlink_metadata().is_ok_and(|found| found.is_dir()) {
        return false;
    }
    // `.tox` and `.nox` have an environment for each of theirs; node_modules have none.
    let within = match there.ends_with("node_modules") {
        true => Vec::new(),
        false => dirs(there),
    };
    let mut places = within.iter().map(PathBuf::as_path).chain([there]);
    places.any(|place| {
        is_build(place, checkout)
            || ["lib", "lib64"].iter().any(|lib| {
                let pythons = dirs(&place.join(lib)).into_iter();
                let mut sites = pythons.map(|python| python.join("site-packages"));
                sites.any(|site| has_checkout_installed(&site, checkout))
            })
            || has_checkout_installed(&place.join("lib"), checkout)
    })
}

/// Whether a directory that Python looks for packages in sends it to the checkout.
fn has_checkout_installed(site: &Path, checkout: &Path) -> bool {
    let entries = fs::read_dir(site).into_iter().flatten().flatten();
    entries.into_iter().any(|entry| {
        let (name, path) = (entry.file_name(), entry.path());
        let name = name.as_bytes();
        let file = if name.ends_with(b".dist-info") {
            path.join("direct_url.json")
        } else if name.ends_with(b".pth")
            || name.ends_with(b".egg-link")
            || name.starts_with(b"__editable__")
        {
            path
        } else {
            return false;
        };
        read_file(&file).is_ok_and(|text| names(&text, checkout) || leads_into(&text, checkout))
    })
}

/// Whether a directory is one in which CMake builds what is in the checkout.
fn is_build(dir: &Path, checkout: &Path) -> bool {
    let text = read_file(&dir.join("CMakeCache.txt")).unwrap_or_default();
    let mut lines = text.split_str("\n");
    lines.any(|line| {
        line.strip_prefix(b"CMAKE_HOME_DIRECTORY:INTERNAL=")
            .is_some_and(|home| names(home, checkout))
    })
}

/// Whether a text has the path of the checkout in it, as it is or as in a URL.
fn names(text: &[u8], checkout: &Path) -> bool {
    let path = checkout.as_os_str().as_bytes();
    let has = |text: &[u8]| {
        let mut ends = text.find_iter(path).map(|at| at + path.len());
        ends.any(|end| text.get(end).is_none_or(|&next| !is_in_name(next)))
    };
    has(text) || (text.contains(&b'%') && has(&decoded(text)))
}

/// Whether a byte after the name of a directory makes it another name.
fn is_in_name(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"-_.".contains(&byte) || !byte.is_ascii()
}

/// Takes `%20` for a blank.
fn decoded(text: &[u8]) -> Vec<u8> {
    let mut bytes = Vec::new();
    let mut rest = text;
    while let Some((&byte, after)) = rest.split_first() {
        let digits = after.get(..2).and_then(|two| std::str::from_utf8(two).ok());
        let code = digits.and_then(|two| u8::from_str_radix(two, 16).ok());
        match (byte, code) {
            (b'%', Some(code)) => {
                bytes.push(code);
                rest = &after[2..];
            }
            _ => {
                bytes.push(byte);
                rest = after;
            }
        }
    }
    bytes
}

/// Whether a line of a text is a path into the checkout, however it is spelled.
fn leads_into(text: &[u8], checkout: &Path) -> bool {
    let Ok(text) = std::str::from_utf8(text) else {
        return false;
    };
    let mut paths = text
        .lines()
        .map(Path::new)
        .filter(|path| path.is_absolute());
    paths.any(|path| {
        path.canonicalize()
            .is_ok_and(|path| path.starts_with(checkout))
    })
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
