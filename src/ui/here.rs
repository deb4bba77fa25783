//! Commands to paste, as they work where the user's shell is.

use std::env;
use std::path::{Path, PathBuf};

use crate::sanitize::quoted;

/// Returns a text in which each `git flux` works where the user's shell is: after `git -C <dir> flux`, that is
/// elsewhere.
pub(crate) fn pasted(text: &str) -> String {
    match elsewhere() {
        Some(dir) => directed(text, &dir),
        None => text.to_owned(),
    }
}

fn directed(text: &str, dir: &Path) -> String {
    text.replace("git flux ", &format!("git -C {} flux ", quoted(dir)))
}

/// Returns the directory of this process, if the shell that started it stands in another repository, or in none.
fn elsewhere() -> Option<PathBuf> {
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
    fn each_command_in_a_text_gets_the_directory() {
        let dir = Path::new("/a b");
        let text = "git flux attach fix, or: git flux list";
        let expected = "git -C '/a b' flux attach fix, or: git -C '/a b' flux list";
        assert_eq!(directed(text, dir), expected);
        let other = "git -C /c flux attach fix";
        assert_eq!(directed(other, dir), other);
    }
}
