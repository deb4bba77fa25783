//! The facts about an agent: its options, and its signs of activity.

use std::borrow::Cow;
use std::ffi::OsString;
use std::path::{Path, PathBuf};

use anyhow::Result;
use nix::sys::signal::Signal;
use notify::RecursiveMode;
use serde_json::Value;

use super::hooks::{HookFiles, HookOption};
use super::report::{Hook, HookReport};
use super::transcript::Conversation;
use crate::run::events::Event;
use crate::run::launch::Running;
use crate::task::observation::SessionState;
use crate::task::{OutputPattern, Title};
use crate::tmux::composer::Composer;

/// The way to pass a prompt to an agent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Prompt {
    /// As the last argument after `--`, so that it may begin with a dash.
    AfterDashes,
    /// As the last argument.
    Last,
    /// As the last argument after this, which ends in `=`, so that it may begin with a dash.
    Joined(Cow<'static, str>),
    /// As a file, whose path is the last argument.
    File,
    /// As a file, whose path is the last argument after this, which ends in `=`.
    FileJoined(Cow<'static, str>),
    /// On standard input.
    Input,
    /// Printed for the user of the pane.
    Shown,
    /// Not at all: the session is continued.
    Resumed,
    /// In this way, to the continued session.
    ResumedWith(Box<Self>),
}

/// The configuration of an agent, which overrides its profile.
#[derive(Clone, Debug, Default)]
pub(crate) struct AgentConfig {
    /// `flux.<name>.command`
    pub(crate) command: Option<Vec<String>>,
    /// `flux.<name>.promptArg`
    pub(crate) prompt: Option<Prompt>,
    /// `flux.<name>.resume`
    pub(crate) resume: Option<Vec<String>>,
    /// `flux.<name>.yolo`
    pub(crate) yolo: Option<Yolo>,
}

/// The setting for permission prompts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Yolo {
    /// Skip them with the known option, or do not.
    Enabled(bool),
    /// Skip them with these options.
    Options(Vec<String>),
}

/// The times when an agent paints.
pub(super) enum Output {
    /// All the time while it works.
    WhileWorking,
    /// Not while it is idle, as soon as its title begins with this.
    NotWhileIdle {
        title: &'static str,
    },
    Unknown,
}

/// Files in which an agent records more than its hooks report.
pub(crate) struct Files {
    /// Returns their directory, in an environment.
    pub(crate) dir: fn(&Variables) -> Option<PathBuf>,
    /// The mode to watch it.
    pub(crate) mode: RecursiveMode,
    /// Returns the event of a run in a worktree that contradicts or follows the last one.
    pub(crate) read: fn(&Path, &Running, &Path, &Event) -> Option<Event>,
}

/// An environment.
pub(crate) type Variables<'a> = dyn Fn(&str) -> Option<OsString> + 'a;

/// Returns the directory in which an agent's program keeps its files: the value of the environment
/// variable `variable` or, if that is unset or empty, `$HOME/<name>`. `None` if `$HOME` is unset,
/// too.
pub(super) fn home_of(var: &Variables, variable: &str, name: &str) -> Option<PathBuf> {
    match var(variable).filter(|dir| !dir.is_empty()) {
        Some(own) => Some(own.into()),
        None => Some(Path::new(&var("HOME")?).join(name)),
    }
}

/// The facts about an agent.
pub(crate) struct Profile {
    /// Its name; empty for an unknown one.
    pub(crate) name: &'static str,
    /// Its program; empty for the user's shell.
    pub(super) program: &'static str,
    pub(super) prompt: &'static Prompt,
    /// The options that skip permission prompts.
    pub(super) yolo: &'static [&'static str],
    /// It skips permission prompts by default.
    pub(super) is_permissive: bool,
    /// The options that enable permission prompts.
    pub(super) ask: &'static [&'static str],
    /// Its options about permissions: a configured command with one of them decides.
    pub(super) permissions: &'static [&'static str],
    /// The options that continue the last session in this directory.
    pub(super) resume: &'static [&'static str],
    /// The signal that makes it save its session and exit.
    pub(crate) stop_signal: Signal,
    /// Its hooks.
    pub(super) hooks: &'static [Hook],
    /// Writes the files of its hooks.
    pub(super) configure_hooks: fn(&HookFiles) -> Result<Option<HookOption>>,
    /// It reports a message as soon as it gets one.
    pub(crate) confirms_messages: bool,
    /// Reads the title of its terminal, in a worktree.
    pub(super) title: Option<fn(&str, &Path) -> Option<Title>>,
    pub(super) output: Output,
    /// The input field.
    pub(crate) composer: Option<Composer>,
    /// The transcript.
    pub(crate) conversation: Option<Conversation>,
    /// Reads its session file.
    pub(super) session: Option<fn(&Running, &Path) -> Option<SessionState>>,
    /// The files to watch while it runs.
    pub(crate) files: Option<Files>,
    /// The variables that it sets for its children.
    pub(super) env_markers: &'static [&'static str],
}

/// An agent without known details.
pub(super) const PLAIN: Profile = Profile {
    name: "",
    program: "",
    prompt: &Prompt::AfterDashes,
    yolo: &[],
    is_permissive: false,
    ask: &[],
    permissions: &[],
    resume: &[],
    stop_signal: Signal::SIGHUP,
    hooks: &[],
    configure_hooks: |_| Ok(None),
    confirms_messages: false,
    title: None,
    output: Output::NotWhileIdle { title: "" },
    composer: None,
    conversation: None,
    session: None,
    files: None,
    env_markers: &[],
};

/// An unknown program.
pub(super) static UNKNOWN: Profile = Profile {
    prompt: &Prompt::Last,
    output: Output::Unknown,
    ..PLAIN
};

impl Profile {
    pub(super) fn is_known(&self) -> bool {
        !self.name.is_empty()
    }

    /// Returns whether git flux knows a command-line option with which this agent skips permission
    /// prompts.
    pub(crate) fn has_yolo(&self) -> bool {
        !self.yolo.is_empty()
    }

    /// Returns whether git flux lets this agent skip permission prompts while `flux.<agent>.yolo`
    /// is not set. `false` if its configured command runs another program, such as a wrapper, or
    /// has a permission option.
    pub(crate) fn skips_permissions(&self, config: &AgentConfig) -> bool {
        self.is_permissive && self.runs_own_program(config) && !self.has_permission_option(config)
    }

    /// Returns whether the agent's configured command runs the agent's own program, by its file
    /// name. `true` also if no command is configured.
    fn runs_own_program(&self, config: &AgentConfig) -> bool {
        let Some(command) = &config.command else {
            return true;
        };
        let program = command.first().and_then(|it| Path::new(it).file_name());
        program.is_some_and(|program| program == self.program)
    }

    /// Returns whether the agent's configured command contains one of the agent's options about
    /// permissions; `false` if no command is configured.
    pub(super) fn has_permission_option(&self, config: &AgentConfig) -> bool {
        let is_option = |word: &String| {
            let name = word.split_once('=').map_or(word.as_str(), |(name, _)| name);
            self.permissions.contains(&name)
        };
        config.command.iter().flatten().any(is_option)
    }

    /// Returns whether text typed into the agent's pane is a message to the agent. `false` for a
    /// shell, which would run the text.
    pub(crate) fn accepts_messages(&self) -> bool {
        *self.prompt != Prompt::Shown
    }

    /// Returns the activity that the title of the agent's terminal shows, or `None` if it shows
    /// none. `worktree` is the worktree of the task, whose name a title may contain.
    pub(crate) fn read_title(&self, title: &str, worktree: &Path) -> Option<Title> {
        self.title?(title, worktree)
    }

    /// Returns whether the agent's pane can show its activity: by its title, or by the times of its
    /// output.
    pub(crate) fn is_observable(&self) -> bool {
        self.title.is_some() || !matches!(self.output, Output::Unknown)
    }

    /// Returns whether the agent prints all the time while it works, or nothing while it is idle;
    /// otherwise `Unknown`. `NotWhileIdle` needs a title that begins as the agent's titles do, and
    /// a pane that is alone in its window (`is_alone`): tmux reports output by window.
    pub(crate) fn output_pattern(&self, title: &str, is_alone: bool) -> OutputPattern {
        match self.output {
            Output::WhileWorking => OutputPattern::WhileWorking,
            Output::NotWhileIdle { title: start } if is_alone && title.starts_with(start) => {
                OutputPattern::NotWhileIdle
            }
            _ => OutputPattern::Unknown,
        }
    }

    /// Returns what a call of the agent's hook `event` with the JSON `value` reports; `None` if the
    /// call does not change the state, or if the agent has no such hook.
    pub(crate) fn report(&self, event: &str, value: &Value) -> Option<HookReport> {
        let hook = self.hooks.iter().find(|hook| hook.event == event)?;
        hook.report(value)
    }

    /// Reads the state that the agent's own session file records, for an agent that runs in
    /// `worktree`. `None` if there is no such file, or if it cannot be read.
    pub(crate) fn session(&self, running: &Running, worktree: &Path) -> Option<SessionState> {
        self.session?(running, worktree)
    }
}
