//! What the user has configured: git config, every level of it, `git -c` included.

use std::env;
use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::OsStrExt as _;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result};

use crate::agent::{self, Agent};
use crate::failure::Failure;
use crate::git::Git;
use crate::git::command::failed;
use crate::git::repo::parse_bool;
use crate::task::Layout;

/// One line of configuration.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Entry {
    /// As git prints it: section and variable in lower case, subsection as written.
    key: String,
    value: String,
    /// The same, also where it is not UTF-8.
    raw: OsString,
    /// Whether it is the repository's own.
    local: bool,
    /// `file:.git/config`, `command line:`
    origin: String,
}

/// The configuration that concerns git flux, read in one go.
#[derive(Clone, Debug, Default)]
pub(crate) struct Settings(Vec<Entry>);

/// What [`Settings::load`] asks for.
const KEYS: &str = r"^(flux\..*|branch\..*|core\.hookspath|commit\.gpgsign)$";

impl Settings {
    /// `git config -z --show-origin --show-scope --get-regexp …` in `dir`. git reads it, not
    /// libgit2, which knows neither `git -c` nor every kind of include.
    ///
    /// # Errors
    /// When git fails; that there is no such key is no failure.
    pub(crate) fn load(dir: &Path) -> Result<Self> {
        let args = [
            "config",
            "-z",
            "--show-origin",
            "--show-scope",
            "--get-regexp",
            KEYS,
        ];
        let (code, output) = Git::reading(dir, args).outcome()?;
        match code {
            0 => Ok(Self(parse(&output.stdout))),
            // No such key; anything that git has to say beside it is a failure.
            1 if output.stderr.is_empty() => Ok(Self::default()),
            _ => Err(failed("git config", code, &output.stderr)),
        }
    }

    fn entry(&self, key: &str) -> Option<&Entry> {
        self.0.iter().rev().find(|entry| entry.key == key)
    }

    fn value(&self, key: &str) -> Option<&str> {
        self.entry(key).map(|entry| entry.value.as_str())
    }

    /// The name of the agent to use: `flux.agent`, or `claude`.
    pub(crate) fn agent(&self) -> &str {
        self.value("flux.agent").unwrap_or("claude")
    }

    /// The agent `name`, its program found on PATH.
    ///
    /// # Errors
    /// When it is not known, or not installed.
    pub(crate) fn find_agent(&self, name: &str) -> Result<(Agent, PathBuf)> {
        let key = format!("flux.{name}.command");
        let words = self.entry(&key).map(|entry| {
            shell_words::split(&entry.value)
                .ok()
                .filter(|words| !words.is_empty())
                .with_context(|| {
                    Failure::new(format!(
                        "bad value '{}' for '{key}' ({})",
                        entry.value, entry.origin
                    ))
                    .hint("a command with its options, quoted as in a shell")
                })
        });
        let Some(agent) = Agent::find(name, words.transpose()?) else {
            return Err(Failure::new(format!("there is no agent '{name}'"))
                .hint(format!("installed agents: {}", self.installed().join(", ")))
                .hint(format!(
                    "git config flux.{name}.command '<program> <options>'"
                ))
                .into());
        };
        let Some(program) = agent.program() else {
            let program = agent.argv[0].to_string_lossy().into_owned();
            return Err(Failure::new(format!(
                "the agent '{name}' is not installed: no '{program}' on PATH"
            ))
            .hint(format!("installed agents: {}", self.installed().join(", ")))
            .hint("git flux run --agent shell … needs nothing installed")
            .into());
        };
        Ok((agent, program))
    }

    /// The names of the agents that could be started now.
    pub(crate) fn installed(&self) -> Vec<String> {
        let own = self
            .0
            .iter()
            .filter_map(|e| e.key.strip_prefix("flux.")?.strip_suffix(".command"));
        let mut names: Vec<&str> = agent::names().chain(own).collect();
        names.sort_unstable();
        names.dedup();
        let usable = |name: &&str| {
            let words = self
                .value(&format!("flux.{name}.command"))
                .map(|v| shell_words::split(v).unwrap_or_default());
            Agent::find(name, words).is_some_and(|agent| agent.program().is_some())
        };
        names
            .into_iter()
            .filter(usable)
            .map(str::to_owned)
            .collect()
    }

    /// `flux.layout`; none means `auto`.
    ///
    /// # Errors
    /// When it is something else.
    pub(crate) fn layout(&self) -> Result<Option<Layout>> {
        let Some(entry) = self.entry("flux.layout") else {
            return Ok(None);
        };
        match entry.value.as_str() {
            "auto" => Ok(None),
            "pane" => Ok(Some(Layout::Pane)),
            "window" => Ok(Some(Layout::Window)),
            "session" => Ok(Some(Layout::Session)),
            other => Err(Failure::new(format!(
                "bad value '{other}' for 'flux.layout' ({})",
                entry.origin
            ))
            .hint("it is one of auto, pane, window, session")
            .into()),
        }
    }

    /// `flux.branchPrefix`: what a task's branch begins with, by default `feature/`.
    pub(crate) fn branch_prefix(&self) -> &str {
        self.value("flux.branchprefix").unwrap_or("feature/")
    }

    /// `flux.worktreeDir`: where worktrees are made, relative to `home`, by default beside it.
    pub(crate) fn worktree_dir(&self, home: &Path, beside: &Path) -> PathBuf {
        match self.entry("flux.worktreedir") {
            Some(entry) => home.join(expanded(&entry.raw)),
            None => beside.to_owned(),
        }
    }

    /// `flux.template`: a file, relative to `home`.
    pub(crate) fn template(&self, home: &Path) -> Option<(PathBuf, String)> {
        let entry = self
            .entry("flux.template")
            .filter(|entry| !entry.value.is_empty())?;
        Some((home.join(expanded(&entry.raw)), entry.origin.clone()))
    }

    /// `commit.gpgSign`
    ///
    /// # Errors
    /// When it is not a boolean.
    pub(crate) fn sign(&self) -> Result<bool> {
        let Some(entry) = self.entry("commit.gpgsign") else {
            return Ok(false);
        };
        parse_bool(&entry.value).with_context(|| {
            format!(
                "bad value '{}' for 'commit.gpgSign' ({})",
                entry.value, entry.origin
            )
        })
    }

    /// `core.hooksPath` as it stands.
    pub(crate) fn hooks_path(&self) -> Option<&str> {
        self.value("core.hookspath")
    }

    /// `branch.<branch>.<name>`
    pub(crate) fn of_branch(&self, branch: &str, name: &str) -> Option<&str> {
        self.value(&format!("branch.{branch}.{}", name.to_ascii_lowercase()))
    }

    /// Whether anything is configured for this branch that is ours.
    pub(crate) fn knows_branch(&self, branch: &str) -> bool {
        let ours = |name: &str| name == "description" || name.starts_with("flux");
        self.section(branch).any(|(name, _)| ours(name))
    }

    /// What the repository itself has configured for this branch, in order. What is not
    /// UTF-8 is left out.
    pub(crate) fn section_of(&self, branch: &str) -> Vec<(String, String)> {
        let own = self.section(branch).filter(|(_, entry)| entry.local);
        own.filter(|(_, entry)| entry.raw.to_str().is_some())
            .map(|(name, entry)| (name.to_owned(), entry.value.clone()))
            .collect()
    }

    fn section(&self, branch: &str) -> impl Iterator<Item = (&str, &Entry)> {
        let prefix = format!("branch.{branch}.");
        self.0.iter().filter_map(move |entry| {
            let name = entry.key.strip_prefix(&prefix)?;
            (!name.contains('.')).then_some((name, entry))
        })
    }

    /// The branch that says it belongs to task `id`: it may have been renamed by `git branch -m`.
    pub(crate) fn branch_of(&self, id: &str) -> Option<&str> {
        let entry = self
            .0
            .iter()
            .rev()
            .find(|entry| entry.value == id && entry.key.ends_with(".fluxtask"))?;
        entry.key.strip_prefix("branch.")?.strip_suffix(".fluxtask")
    }
}

fn parse(out: &[u8]) -> Vec<Entry> {
    let mut fields = out.split(|&b| b == 0);
    let text = |bytes| String::from_utf8_lossy(bytes).into_owned();
    let mut entries = Vec::new();
    while let (Some(scope), Some(origin), Some(pair)) =
        (fields.next(), fields.next(), fields.next())
    {
        // A key without a value is true, as git has it.
        let (key, value) = match pair.iter().position(|&b| b == b'\n') {
            Some(at) => (&pair[..at], &pair[at + 1..]),
            None => (pair, &b"true"[..]),
        };
        entries.push(Entry {
            key: text(key),
            value: text(value),
            raw: OsStr::from_bytes(value).to_owned(),
            local: scope == b"local",
            origin: text(origin),
        });
    }
    entries
}

/// A path with a leading `~/` replaced, as `git config --type=path` does.
fn expanded(path: &OsStr) -> PathBuf {
    match (path.as_bytes().strip_prefix(b"~/"), env::var_os("HOME")) {
        (Some(rest), Some(home)) => Path::new(&home).join(OsStr::from_bytes(rest)),
        _ => path.into(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn settings() -> Settings {
        Settings(parse(
            b"global\0file:/g\0flux.agent\ncodex\0local\0file:/l\0flux.agent\nclaude\0\
              command\0command line:\0flux.layout\nmiddle\0local\0file:/l\0commit.gpgsign\0\
              local\0file:/l\0branch.feature/a.b.description\none\ntwo\0\
              global\0file:/g\0branch.feature/a.b.rebase\0local\0file:/l\0branch.feature/a.b.merge\nx\0\
              local\0file:/l\0branch.other.merge\nx\0\
              local\0file:/l\0branch.renamed.fluxtask\nfix-1\0\
              local\0file:/l\0flux.Mine.command\nsh -c 'a b'\0",
        ))
    }

    #[test]
    fn the_last_value_wins_and_says_where_it_is_from() {
        let settings = settings();
        assert_eq!(settings.agent(), "claude");
        assert_eq!(
            settings.layout().unwrap_err().to_string(),
            "bad value 'middle' for 'flux.layout' (command line:)"
        );
        assert!(settings.sign().unwrap());
        assert_eq!(
            settings.of_branch("feature/a.b", "description"),
            Some("one\ntwo")
        );
        assert!(settings.knows_branch("feature/a.b") && !settings.knows_branch("feature/a"));
        assert_eq!(settings.branch_of("fix-1"), Some("renamed"));
        let pair = |name: &str, value: &str| (name.to_owned(), value.to_owned());
        let own = [pair("description", "one\ntwo"), pair("merge", "x")];
        assert_eq!(settings.section_of("feature/a.b"), own);
        assert!(!settings.knows_branch("other"));
    }

    #[test]
    fn commands_are_split_as_a_shell_would_and_nothing_is_expanded() {
        let (agent, _) = settings().find_agent("Mine").unwrap();
        assert_eq!(agent.argv, ["sh", "-c", "a b"]);
        assert!(settings().find_agent("none").is_err());
    }
}
