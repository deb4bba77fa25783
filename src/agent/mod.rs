//! The agents: programs that get a task. Their differences are data.

mod command;
mod hooks;
mod known;
pub(crate) mod messages;
pub(crate) mod own_worktrees;
mod profile;
pub(crate) mod prompt;
pub(crate) mod report;
mod transcript;

use std::ffi::{OsStr, OsString};
use std::path::{Path, PathBuf};

pub(crate) use self::command::{AgentCommand, caller_environment};
pub(crate) use self::known::{KNOWN, profile};
pub(crate) use self::profile::{AgentConfig, Files, Profile, Prompt, Yolo};
use crate::system::program::{user_shell, which};

/// An agent, ready to be started.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Agent {
    pub(crate) name: String,
    /// The program and its options.
    pub(crate) argv: Vec<OsString>,
    pub(crate) prompt: Prompt,
    /// The options that continue its last session, if it has any.
    pub(crate) resume: Vec<OsString>,
}

impl AgentConfig {
    /// Returns the command-line options about permission prompts for an agent, as
    /// `flux.<agent>.yolo` or else the agent's profile requires. May be empty.
    fn permissions(&self, profile: &Profile) -> Vec<OsString> {
        match &self.yolo {
            Some(Yolo::Options(options)) => words(options),
            Some(Yolo::Enabled(true)) => words(profile.yolo),
            None if profile.skips_permissions(self) => words(profile.yolo),
            Some(Yolo::Enabled(false)) if !profile.has_permission_option(self) => {
                words(profile.ask)
            }
            Some(Yolo::Enabled(false)) | None => Vec::new(),
        }
    }
}

fn words<S: AsRef<OsStr>>(words: &[S]) -> Vec<OsString> {
    words.iter().map(|word| word.as_ref().to_owned()).collect()
}

impl Agent {
    /// Returns the agent `name` as its profile and its configuration define it; `None` if it is
    /// unknown and has no configured command. Does not check whether it is installed.
    pub(crate) fn find(name: &str, config: AgentConfig) -> Option<Self> {
        let profile = profile(name);
        let mut argv = match &config.command {
            Some(command) => words(command),
            None if !profile.is_known() => return None,
            None if profile.program.is_empty() => vec![user_shell()],
            None => vec![profile.program.into()],
        };
        argv.extend(config.permissions(profile));
        let resume = config.resume.as_deref();
        Some(Self {
            name: name.to_owned(),
            argv,
            resume: resume.map_or_else(|| words(profile.resume), words),
            prompt: config.prompt.unwrap_or_else(|| profile.prompt.clone()),
        })
    }

    /// Returns a copy of the agent that continues its last session instead of taking a prompt;
    /// `None` if the agent has no options for that.
    pub(crate) fn to_resume(&self) -> Option<Self> {
        (!self.resume.is_empty()).then(|| Self {
            prompt: Prompt::Resumed,
            ..self.clone()
        })
    }

    /// Returns a copy of the agent that continues its last session and takes a prompt; `None` if the
    /// agent has no options to continue.
    pub(crate) fn to_resume_with_prompt(&self) -> Option<Self> {
        (!self.resume.is_empty()).then(|| Self {
            prompt: Prompt::ResumedWith(Box::new(self.prompt.clone())),
            ..self.clone()
        })
    }

    /// Returns how the agent takes a prompt, such as on standard input or as the last argument;
    /// [`Prompt::Resumed`] if it takes none.
    fn prompt_way(&self) -> &Prompt {
        match &self.prompt {
            Prompt::ResumedWith(prompt) => prompt,
            prompt => prompt,
        }
    }

    /// Returns the path of the agent's program, from PATH; `None` if it is not installed.
    pub(crate) fn program(&self) -> Option<PathBuf> {
        which(Path::new(self.argv.first()?))
    }
}

/// Returns the names of the agents that git flux knows, such as `claude` and `codex`, installed or
/// not.
pub(crate) fn known_names<'a>() -> impl Iterator<Item = &'a str> {
    KNOWN.iter().map(|known| known.name)
}

#[cfg(test)]
mod tests {
    mod composers;

    use super::*;

    #[test]
    fn find_adds_permission_options_unless_configured() {
        #[track_caller]
        fn case(name: &str, command: &str, yolo: Option<bool>, expected: &str) {
            let words = |text: &str| text.split(' ').map(ToOwned::to_owned).collect::<Vec<_>>();
            let config = AgentConfig {
                command: (!command.is_empty()).then(|| words(command)),
                yolo: yolo.map(Yolo::Enabled),
                ..AgentConfig::default()
            };
            let argv = Agent::find(name, config).unwrap().argv;
            let argv: Vec<_> = argv.iter().map(|word| word.to_str().unwrap()).collect();
            assert_eq!(argv.join(" "), expected);
        }
        let skip = |command: &str| format!("{command} --dangerously-skip-permissions");
        let ask = |command: &str| format!("{command} --permission-mode default");
        case("claude", "", None, &skip("claude"));
        case("claude", "", Some(true), &skip("claude"));
        case("claude", "", Some(false), &ask("claude"));
        // An option for the model is none about permissions.
        let opus = "/opt/claude --model opus";
        case("claude", opus, None, &skip(opus));
        case("claude", opus, Some(false), &ask(opus));
        for decided in [
            "claude --permission-mode plan",
            "claude --permission-mode=plan",
            "claude --allowedTools Read",
        ] {
            case("claude", decided, None, decided);
            case("claude", decided, Some(false), decided);
        }
        case("claude", "careful-claude", None, "careful-claude");
        case("claude", "robot", Some(true), &skip("robot"));
        case("claude", "robot", Some(false), &ask("robot"));
        case("codex", "", None, "codex");
        case("codex", "", Some(false), "codex");
    }
}
