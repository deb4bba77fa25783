//! What is known of an agent: how it is started, and how it shows what it does.

use std::borrow::Cow;
use std::ffi::OsString;
use std::path::{Path, PathBuf};

use anyhow::Result;
use nix::sys::signal::Signal;
use notify::RecursiveMode;
use serde_json::Value;

use super::hooks::{Additions, HookFiles};
use super::report::{Hook, Report};
use super::transcript::Conversation;
use crate::run::events::Event;
use crate::run::launch::Running;
use crate::task::seen::Session;
use crate::task::{Habit, Title};
use crate::tmux::composer::Composer;

/// How an agent is given its prompt.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Prompt {
    /// As the last argument, after `--`, so that it may begin with a dash.
    AfterDashes,
    /// As the last argument.
    Last,
    /// As the last argument, behind this, which ends in `=`: so it may begin with a dash.
    Joined(Cow<'static, str>),
    /// The path of a file with it, as the last argument.
    File,
    /// The path of a file with it, as the last argument behind this, which ends in `=`.
    FileJoined(Cow<'static, str>),
    /// On standard input.
    Input,
    /// Printed for the person who works in the pane.
    Shown,
    /// Not at all: it goes on with what it has.
    Resumed,
}

/// What is configured for an agent, instead of what is known of it.
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

/// Whether an agent does everything without asking.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Yolo {
    /// By the option it is known to have for that.
    Is(bool),
    /// By these.
    Words(Vec<String>),
}

/// When an agent paints.
pub(super) enum Output {
    /// All the time while it is at work.
    WhileAtWork,
    /// Not while it has nothing to do. That is known only once its title begins with this.
    NotWhileIdle { title: &'static str },
    /// Nothing is known of it.
    Unknown,
}

/// Files in which an agent keeps what no hook tells.
pub(crate) struct Files {
    /// Returns the directory that they are in, in an environment.
    pub(crate) dir: fn(&Variables) -> Option<PathBuf>,
    /// How they are watched there.
    pub(crate) mode: RecursiveMode,
    /// Returns what those in a directory say of a run, in a worktree, beyond the last event.
    pub(crate) read: fn(&Path, &Running, &Path, &Event) -> Option<Event>,
}

/// An environment.
pub(crate) type Variables<'a> = dyn Fn(&str) -> Option<OsString> + 'a;

/// Returns where an agent has what it keeps: what its `variable` names, or `name` in the user's
/// home directory.
pub(super) fn home_of(var: &Variables, variable: &str, name: &str) -> Option<PathBuf> {
    match var(variable).filter(|dir| !dir.is_empty()) {
        Some(own) => Some(own.into()),
        None => Some(Path::new(&var("HOME")?).join(name)),
    }
}

/// An agent, as it was seen.
pub(crate) struct Profile {
    /// Its name; empty for one that is not known.
    pub(crate) name: &'static str,
    /// Its program; empty for the user's shell, which is not the same for everybody.
    pub(super) program: &'static str,
    pub(super) prompt: &'static Prompt,
    /// What makes it do everything without asking; none if it has no option for that.
    pub(super) yolo: &'static [&'static str],
    /// Whether it does so unless it is configured otherwise.
    pub(super) is_yolo: bool,
    /// The options that make it ask, whatever its own default is.
    pub(super) ask: &'static [&'static str],
    /// Its options about permissions: a command of the user's with one of them has decided.
    pub(super) permissions: &'static [&'static str],
    /// What makes it go on with its last conversation in this directory; none if it cannot.
    pub(super) resume: &'static [&'static str],
    /// The signal on which it closes its session and ends.
    pub(crate) stop_signal: Signal,
    /// What it tells of itself while it runs.
    pub(super) hooks: &'static [Hook],
    /// Makes it tell that.
    pub(super) arrange: fn(&HookFiles) -> Result<Additions>,
    /// Whether it says at once that it has got a message.
    pub(crate) confirms: bool,
    /// What the title that it gives its terminal says, beside the name of the directory that it
    /// works in.
    pub(super) title: Option<fn(&str, &str) -> Option<Title>>,
    pub(super) output: Output,
    /// Where it shows what is typed.
    pub(crate) composer: Option<Composer>,
    /// How it writes down its conversation.
    pub(crate) conversation: Option<Conversation>,
    /// Reads the file in which it keeps what its session does.
    pub(super) session: Option<fn(&Running, &Path) -> Option<Session>>,
    /// What is followed while it runs.
    pub(crate) files: Option<Files>,
    /// What it leaves in the environment of what it starts.
    pub(super) traces: &'static [&'static str],
}

/// An agent of which nothing more is known than that it is one.
pub(super) const PLAIN: Profile = Profile {
    name: "",
    program: "",
    prompt: &Prompt::AfterDashes,
    yolo: &[],
    is_yolo: false,
    ask: &[],
    permissions: &[],
    resume: &[],
    stop_signal: Signal::SIGHUP,
    hooks: &[],
    arrange: |_| Ok(Additions::default()),
    confirms: false,
    title: None,
    output: Output::NotWhileIdle { title: "" },
    composer: None,
    conversation: None,
    session: None,
    files: None,
    traces: &[],
};

/// A program of which nothing is known.
pub(super) static UNKNOWN: Profile = Profile {
    prompt: &Prompt::Last,
    output: Output::Unknown,
    ..PLAIN
};

impl Profile {
    pub(super) fn is_known(&self) -> bool {
        !self.name.is_empty()
    }

    /// Returns whether it has an option that skips permissions.
    pub(crate) fn has_yolo(&self) -> bool {
        !self.yolo.is_empty()
    }

    /// Returns whether it does everything without asking where `flux.<agent>.yolo` is not set. With
    /// a command of the user's it does if that is the agent's own program, and says nothing about
    /// permissions: what another program starts is not known.
    pub(crate) fn skips_permissions(&self, config: &AgentConfig) -> bool {
        self.is_yolo && self.is_started_by(config) && !self.is_decided_by(config)
    }

    /// Returns whether a command of the user's, if there is one, is this agent's own program.
    fn is_started_by(&self, config: &AgentConfig) -> bool {
        let Some(command) = &config.command else {
            return true;
        };
        let program = command.first().and_then(|it| Path::new(it).file_name());
        program.is_some_and(|program| program == self.program)
    }

    /// Returns whether a command of the user's has an option about permissions.
    pub(super) fn is_decided_by(&self, config: &AgentConfig) -> bool {
        let is_option = |word: &String| {
            let name = word.split_once('=').map_or(word.as_str(), |(name, _)| name);
            self.permissions.contains(&name)
        };
        config.command.iter().flatten().any(is_option)
    }

    /// Returns whether it takes what is typed for a message: a shell would take it for a command.
    pub(crate) fn accepts_messages(&self) -> bool {
        *self.prompt != Prompt::Shown
    }

    /// Returns what `title`, which it has given its terminal, says; `project` is the name of the
    /// directory that it works in.
    pub(crate) fn title(&self, title: &str, project: &str) -> Option<Title> {
        self.title?(title, project)
    }

    /// Returns whether anything can be learned of it from its pane.
    pub(crate) fn shows(&self) -> bool {
        self.title.is_some() || !matches!(self.output, Output::Unknown)
    }

    /// Returns the relation of output to activity, for a pane with this title. tmux reports output
    /// by window, so it is certain only for a pane that is alone there.
    pub(crate) fn habit(&self, title: &str, is_alone: bool) -> Habit {
        match self.output {
            Output::WhileAtWork => Habit::Busy,
            Output::NotWhileIdle { title: start } if is_alone && title.starts_with(start) => {
                Habit::Quiet
            }
            _ => Habit::Unknown,
        }
    }

    /// Reads an event; `None` of what says nothing of its state.
    pub(crate) fn report(&self, event: &str, value: &Value) -> Option<Report> {
        let hook = self.hooks.iter().find(|hook| hook.event == event)?;
        hook.report(value)
    }

    /// Returns what it says of its session, if it runs in `worktree` and keeps a file of that. It is
    /// the agent's own, so what cannot be read says nothing.
    pub(crate) fn session(&self, running: &Running, worktree: &Path) -> Option<Session> {
        self.session?(running, worktree)
    }
}
