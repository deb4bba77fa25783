//! The command line of git.

use std::env;
use std::ffi::{OsStr, OsString};
use std::io;
use std::os::unix::ffi::{OsStrExt as _, OsStringExt as _};
use std::os::unix::process::CommandExt as _;
use std::path::PathBuf;
use std::process::Command;

use anyhow::Result;

use super::arguments::StashArgs;
use crate::git::task_stash::caller::GlobalOptions;
use crate::launcher::git_words::{may_be_stash, option_length};
use crate::run::RunDir;

/// A git command of an agent.
pub(super) struct CommandLine {
    pub(super) git: PlainGit,
    /// The arguments, global options first.
    words: Vec<OsString>,
}

/// The next git on PATH.
#[derive(Clone, Debug)]
pub(super) struct PlainGit {
    file: PathBuf,
    /// Its name as the caller wrote it.
    argv0: OsString,
}

impl PlainGit {
    /// Builds a command of git in this process's environment, without arguments.
    pub(super) fn command(&self) -> Command {
        let mut command = Command::new(&self.file);
        command.arg0(&self.argv0);
        command
    }
}

impl CommandLine {
    /// Parses the arguments `<git> <argv...>`, with which the agent's own `git` starts git flux:
    /// the path of the next git on PATH, and the command as the agent called it, `git` first.
    /// `None` if one of them is missing.
    pub(super) fn parse(mut args: impl Iterator<Item = OsString>) -> Option<Self> {
        let file = args.next()?.into();
        let argv0 = args.next()?;
        Some(Self {
            git: PlainGit { file, argv0 },
            words: args.collect(),
        })
    }

    /// Replaces this process by git, with the same arguments. Returns only an error.
    pub(super) fn become_git(&self) -> io::Error {
        let mut command = self.git.command();
        command.args(&self.words);
        let run = env::var_os("FLUX_RUN").map(|run| RunDir(run.into()));
        // As the agent's git sets it for a command that it knows.
        if let Some(exec) = run.and_then(|run| run.exec_dir_of(&self.git.file))
            && env::var_os("GIT_EXEC_PATH").is_none()
        {
            command.env("GIT_EXEC_PATH", exec);
        }
        command.exec()
    }

    /// Returns the global options and the arguments of `git stash`, if the command is that or an
    /// alias of it; otherwise `None`, as for an alias that is a shell command.
    pub(super) fn resolve(&self) -> Result<Option<(GlobalOptions, StashArgs)>> {
        let mut words = self.words.clone();
        let mut seen: Vec<OsString> = Vec::new();
        loop {
            let at = count_options(&words);
            let Some(name) = words.get(at).cloned() else {
                return Ok(None);
            };
            if name == "stash" {
                let args = StashArgs(words.split_off(at + 1));
                words.truncate(at);
                return Ok(Some((GlobalOptions(words), args)));
            }
            // git refuses an alias that leads to itself.
            if !may_be_stash(name.as_bytes()) || seen.contains(&name) {
                return Ok(None);
            }
            let options = GlobalOptions(words[..at].to_vec());
            let expansion = options.alias(&name)?;
            let Some(expansion) = expansion.as_deref().and_then(split_alias) else {
                return Ok(None);
            };
            words.splice(at..=at, expansion);
            seen.push(name);
        }
    }
}

/// Counts the words before the name of the command.
fn count_options(words: &[OsString]) -> usize {
    let mut at = 0;
    while let Some(length) = words
        .get(at)
        .and_then(|word| option_length(word.as_bytes()))
    {
        at += length;
    }
    at.min(words.len())
}

/// Splits an alias into words, as git does; `None` if it is a shell command or has an open quote.
fn split_alias(text: &OsStr) -> Option<Vec<OsString>> {
    let text = text.as_bytes();
    if text.starts_with(b"!") {
        return None;
    }
    let mut words: Vec<Vec<u8>> = Vec::new();
    let mut quote = None;
    let mut is_in_word = false;
    let mut bytes = text.iter().copied();
    while let Some(byte) = bytes.next() {
        if quote.is_none() && byte.is_ascii_whitespace() {
            is_in_word = false;
            continue;
        }
        if !is_in_word {
            words.push(Vec::new());
            is_in_word = true;
        }
        match byte {
            b'\'' | b'"' if quote.is_none() => quote = Some(byte),
            _ if quote == Some(byte) => quote = None,
            b'\\' if quote != Some(b'\'') => words.last_mut()?.push(bytes.next()?),
            _ => words.last_mut()?.push(byte),
        }
    }
    let words = words.into_iter().map(OsString::from_vec).collect();
    quote.is_none().then_some(words)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(text: &str) -> Vec<OsString> {
        text.split_whitespace().map(OsString::from).collect()
    }

    #[test]
    fn split_alias_splits_as_git_does() {
        let split = |text: &str| split_alias(text.as_ref());
        assert_eq!(split("stash push -u"), Some(words("stash push -u")));
        let quoted = split(r#"stash  push -m 'a "b' "c 'd\" \\" e\ f"#).unwrap();
        assert_eq!(quoted[3..], [r#"a "b"#, r#"c 'd" \"#, "e f"]);
        assert_eq!(split("stash ''").unwrap()[1], "");
        for other in ["!git stash", "stash 'a", "stash \\"] {
            assert_eq!(split(other), None, "{other}");
        }
    }

    #[test]
    fn count_options_passes_values() {
        for (text, count) in [
            ("stash list", 0),
            ("-C stash stash", 2),
            ("-c a.b=c --git-dir stash --bare -p stash", 6),
            ("--git-dir=stash stash", 1),
            ("--config-env=a.b=C stash", 1),
            ("-C", 1),
            ("--version", 1),
        ] {
            assert_eq!(count_options(&words(text)), count, "{text}");
        }
    }
}
