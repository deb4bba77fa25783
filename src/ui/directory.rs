//! Commands to paste that work in the user's shell.

use std::env;
use std::path::{Path, PathBuf};

use crate::sanitize::quoted;

/// Replaces each `git flux` in a text by `git -C <dir> flux`, where `<dir>` is this process's
/// working directory, if the user's shell is outside of `<dir>` or in a repository inside it.
/// Otherwise, returns the text unchanged.
pub(crate) fn with_directory(text: &str) -> String {
    match other_directory() {
        Some(dir) => insert_directory(text, &dir),
        None => text.to_owned(),
    }
}

fn insert_directory(text: &str, dir: &Path) -> String {
    text.replace("git flux ", &format!("git -C {} flux ", quoted(dir)))
}

/// Returns this process's working directory if the shell that started it (`PWD`) is outside of that
/// directory or in a repository inside it; otherwise, or if that is unknown, `None`.
fn other_directory() -> Option<PathBuf> {
    let shell = PathBuf::from(env::var_os("PWD")?).canonicalize().ok()?;
    let dir = env::current_dir().ok()?;
    let is_repository = |path: &Path| path.join(".git").exists();
    let mut between = shell.ancestors().take_while(|path| *path != dir);
    let is_within = shell.starts_with(&dir) && !between.any(is_repository);
    (!is_within).then_some(dir)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn insert_directory_changes_each_command() {
        let dir = Path::new("/a b");
        let text = "git flux attach fix, or: git flux list";
        let expected = "git -C '/a b' flux attach fix, or: git -C '/a b' flux list";
        assert_eq!(insert_directory(text, dir), expected);
        let other = "git -C /c flux attach fix";
        assert_eq!(insert_directory(other, dir), other);
    }
}
