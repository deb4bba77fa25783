//! Agents: programs that are given a task. What differs between them is data.

mod command;
#[cfg(test)]
mod composers;
mod hooks;
mod known;
pub(crate) mod messages;
pub(crate) mod prompt;
pub(crate) mod report;
pub(crate) mod session;
pub(crate) mod transcript;

use std::borrow::Cow;
use std::ffi::OsString;
use std::path::{Path, PathBuf};

use nix::sys::signal::Signal;

use self::known::{KNOWN, known};
pub(crate) use self::known::{Voice, composer, confirms, habit, shows, title, voice};
use crate::system::program::{shell, which};

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

/// An agent, ready to be started.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Agent {
    pub(crate) name: String,
    /// The program and its options.
    pub(crate) argv: Vec<OsString>,
    pub(crate) prompt: Prompt,
    /// What makes it go on with its last conversation; none if it cannot.
    pub(crate) resume: Vec<OsString>,
}

/// What is configured for an agent, instead of what is known of it.
#[derive(Clone, Debug, Default)]
pub(crate) struct Own {
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

impl Agent {
    /// The agent of this name, as it is configured; none if nothing is known of it.
    pub(crate) fn find(name: &str, own: Own) -> Option<Self> {
        let known = known(name);
        let words = |words: Vec<String>| words.into_iter().map(OsString::from).collect::<Vec<_>>();
        let bold = is_bold(name, own.command.as_deref());
        let decided = known.is_some_and(|known| known.decides(own.command.as_deref()));
        let mut argv: Vec<OsString> = match (own.command, known) {
            (Some(command), _) => words(command),
            (None, Some(known)) if known.program.is_empty() => vec![shell()],
            (None, Some(known)) => vec![known.program.into()],
            (None, None) => return None,
        };
        let (yolo, ask) = known.map_or((&[][..], &[][..]), |known| (known.yolo, known.ask));
        match own.yolo {
            Some(Yolo::Is(true)) => argv.extend(yolo.iter().map(OsString::from)),
            None if bold => argv.extend(yolo.iter().map(OsString::from)),
            Some(Yolo::Is(false)) if !decided => argv.extend(ask.iter().map(OsString::from)),
            Some(Yolo::Is(false)) | None => {}
            Some(Yolo::Words(options)) => argv.extend(words(options)),
        }
        let resume = known.map_or(&[][..], |known| known.resume);
        let resume = resume.iter().map(OsString::from).collect();
        Some(Self {
            name: name.to_owned(),
            argv,
            prompt: own
                .prompt
                .unwrap_or_else(|| known.map_or(Prompt::Last, |known| known.prompt.clone())),
            resume: own.resume.map_or(resume, words),
        })
    }

    /// The same agent, to go on where it was; none if it cannot.
    pub(crate) fn resumed(&self) -> Option<Self> {
        (!self.resume.is_empty()).then(|| Self {
            prompt: Prompt::Resumed,
            ..self.clone()
        })
    }

    /// Where its program is on PATH.
    pub(crate) fn program(&self) -> Option<PathBuf> {
        which(Path::new(self.argv.first()?))
    }
}

/// Whether the agent of this name is known to have an option that skips permissions.
pub(crate) fn has_yolo(name: &str) -> bool {
    known(name).is_some_and(|known| !known.yolo.is_empty())
}

/// Returns whether the agent of this name does everything without asking where `flux.<agent>.yolo`
/// is not set. With a `command` of the user's it does if that is the agent's own program, and says
/// nothing about permissions: what another program starts is not known.
pub(crate) fn is_bold(name: &str, command: Option<&[String]>) -> bool {
    known(name)
        .is_some_and(|known| known.bold && known.is_started_by(command) && !known.decides(command))
}

/// The signal that asks the agent of this name to end. One that is not known is hung
/// up, as if its terminal were closed.
pub(crate) fn farewell(name: &str) -> Signal {
    known(name).map_or(Signal::SIGHUP, |known| known.end)
}

/// Whether the agent of this name takes what is typed for a message: a shell would
/// take it for a command.
pub(crate) fn converses(name: &str) -> bool {
    known(name).is_none_or(|known| known.prompt != Prompt::Shown)
}

/// The names of all known agents.
pub(crate) fn names<'a>() -> impl Iterator<Item = &'a str> {
    KNOWN.iter().map(|known| known.name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn permissions_are_skipped_unless_they_are_configured_otherwise() {
        #[track_caller]
        fn case(name: &str, command: &str, yolo: Option<bool>, expected: &str) {
            let words = |text: &str| text.split(' ').map(ToOwned::to_owned).collect::<Vec<_>>();
            let own = Own {
                command: (!command.is_empty()).then(|| words(command)),
                yolo: yolo.map(Yolo::Is),
                ..Own::default()
            };
            let argv = Agent::find(name, own).unwrap().argv;
            let argv: Vec<_> = argv.iter().map(|word| word.to_str().unwrap()).collect();
            assert_eq!(argv.join(" "), expected);
        }
        let skip = |command: &str| format!("{command} --dangerously-skip-permissions");
        let ask = |command: &str| format!("{command} --permission-mode default");
        case("claude", "", None, &skip("claude"));
        case("claude", "", Some(true), &skip("claude"));
        case("claude", "", Some(false), &ask("claude"));
        // Another model is no other opinion about permissions.
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
