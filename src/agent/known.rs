//! The agents known from the start: one table, and for each the version it was seen with.
//!
//! What is true of an agent is true of a version. So it stands here, and nowhere in the code.

use std::borrow::Cow;
use std::ffi::OsString;
use std::path::Path;

use nix::sys::signal::Signal;

use super::Prompt;
use crate::task::{Habit, Title};
use crate::tmux::composer::{Composer, Frame, Remedy, Trap};

/// What an agent tells of itself while it runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Voice {
    /// Hooks of a settings file that `--settings` names, beside those of the user.
    Claude,
    /// A program that `-c notify=…` names, after each turn.
    Codex,
    /// Hooks of a file that `GEMINI_CLI_SYSTEM_DEFAULTS_PATH` names, beside those of the user.
    Gemini,
    /// A plugin that `OPENCODE_CONFIG_CONTENT` names, beside those of the user.
    Opencode,
    /// Nothing, but it is quiet when it has nothing to do.
    Quiet,
    /// Nothing that anybody knows of.
    None,
}

/// A known agent.
pub(super) struct Known {
    pub(super) name: &'static str,
    pub(super) program: &'static str,
    pub(super) prompt: Prompt,
    /// What makes it do everything without asking; none if it has no option for that.
    pub(super) yolo: &'static [&'static str],
    /// Whether it does so unless it is configured otherwise.
    pub(super) bold: bool,
    /// The options that make it ask, whatever its own default is.
    pub(super) ask: &'static [&'static str],
    /// Its options about permissions: a command of the user's with one of them has decided.
    pub(super) permissions: &'static [&'static str],
    /// What makes it go on with its last conversation in this directory; none if it cannot.
    pub(super) resume: &'static [&'static str],
    /// The signal on which it closes its session and ends.
    pub(super) end: Signal,
    pub(super) voice: Voice,
    /// What the title that it gives its terminal says.
    pub(super) title: Option<fn(&str, &str) -> Option<Title>>,
    /// Where it shows what is typed.
    pub(super) composer: Option<Composer>,
}

/// An agent of which nothing more is known.
const PLAIN: Known = Known {
    name: "",
    program: "",
    prompt: Prompt::AfterDashes,
    yolo: &[],
    bold: false,
    ask: &[],
    permissions: &[],
    resume: &[],
    end: Signal::SIGHUP,
    voice: Voice::Quiet,
    title: None,
    composer: None,
};

/// All of them, in the order in which they are shown.
pub(super) const KNOWN: &[Known] = &[
    // Seen with 2.1.197, 2.1.330 and 2.1.332: hooks of --settings run beside the user's, it runs those for
    // the end of a session and exits with 143 when it is terminated; a prompt of 120 000 bytes
    // arrives; Esc fires no hook, and mostly leaves a line in the transcript.
    Known {
        name: "claude",
        program: "claude",
        yolo: &["--dangerously-skip-permissions"],
        bold: true,
        // Without an option 2.1.332 starts in a mode that asks for little (`auto`).
        ask: &["--permission-mode", "default"],
        permissions: &[
            "--permission-mode",
            "--permission-prompt-tool",
            "--dangerously-skip-permissions",
            "--allow-dangerously-skip-permissions",
            "--allowed-tools",
            "--allowedTools",
            "--disallowed-tools",
            "--disallowedTools",
        ],
        resume: &["--continue"],
        end: Signal::SIGTERM,
        voice: Voice::Claude,
        title: Some(claude),
        // Seen with 2.1.332: it takes spaces away behind a message; before Enter one closes the
        // list of files, and keeps a last `\` from making a newline of it; nothing keeps `/word`
        // from being a command. Of 600 bytes and two lines it does not say that they were pasted.
        composer: Some(Composer {
            frame: Frame::Rules,
            marks: &["❯"],
            placeholder: "Try \"",
            longest_paste: Some(600),
            traps: &[
                (Trap::Command, Remedy::None),
                (Trap::Begins('!'), Remedy::ErasedSpace),
                (Trap::LastWord('@'), Remedy::SpaceBehind),
                (Trap::Ends('\\'), Remedy::SpaceBehind),
            ],
        }),
        ..PLAIN
    },
    // Seen with 0.169.0 and 0.171.0: a notify given on the command line replaces the user's, so it passes on
    // what it is told; it is told twice of each turn, and of a thread beside it that has no
    // rollout file and finds a title; a prompt of 17 000 bytes after -- arrives.
    Known {
        name: "codex",
        program: "codex",
        yolo: &["--dangerously-bypass-approvals-and-sandbox"],
        resume: &["resume", "--last"],
        voice: Voice::Codex,
        title: Some(codex),
        // Seen with 0.171.0: it takes spaces away around a message.
        composer: Some(Composer {
            frame: Frame::Open,
            marks: &["›"],
            placeholder: "",
            longest_paste: None,
            traps: &[
                (Trap::Begins('!'), Remedy::Space),
                (Trap::Begins('/'), Remedy::Space),
                (Trap::LastWord('@'), Remedy::SpaceBehind),
                (Trap::LastWord('$'), Remedy::SpaceBehind),
            ],
        }),
        ..PLAIN
    },
    // Seen with 0.61.0: it takes a value that begins with a dash only behind '='; hooks of the
    // defaults run beside the user's, unless others may write where the file is.
    Known {
        name: "gemini",
        program: "gemini",
        prompt: Prompt::Joined(Cow::Borrowed("--prompt-interactive=")),
        yolo: &["--yolo"],
        resume: &["--resume"],
        voice: Voice::Gemini,
        title: Some(gemini),
        // Seen with 0.61.0: a pasted `!` is text; `@file` is read, or asked about, wherever it is.
        // Without colours enough there are blank rows around it.
        composer: Some(Composer {
            frame: Frame::Open,
            marks: &[" >", " *"],
            placeholder: "Type your message",
            longest_paste: None,
            traps: &[
                (Trap::Command, Remedy::None),
                (Trap::Mention('@'), Remedy::None),
                (Trap::Ends('\\'), Remedy::SpaceBehind),
            ],
        }),
        ..PLAIN
    },
    // Seen with 1.18.33: the prompt is sent at once; it has no option that skips permissions,
    // and asks for few.
    Known {
        name: "opencode",
        program: "opencode",
        prompt: Prompt::Joined(Cow::Borrowed("--prompt=")),
        resume: &["--continue"],
        voice: Voice::Opencode,
        // Seen with 1.18.33: a pasted `!` is text; Esc, said so that no
        // other key can be a part of it, closes the list of files; behind a paste of
        // three lines it adds a space.
        composer: Some(Composer {
            frame: Frame::Bar,
            marks: &["  "],
            placeholder: "Ask anything",
            longest_paste: None,
            traps: &[
                (Trap::Command, Remedy::None),
                (Trap::LastWord('@'), Remedy::Keys("\u{1b}[27u")),
            ],
        }),
        ..PLAIN
    },
    // Parsed by 1.0.102, and no more was seen: a value that begins with a dash only behind '='.
    Known {
        name: "copilot",
        program: "copilot",
        prompt: Prompt::Joined(Cow::Borrowed("--interactive=")),
        yolo: &["--allow-all"],
        resume: &["--continue"],
        ..PLAIN
    },
    // Not seen, and found in no manual: what stands on its input is said to be the first message.
    Known {
        name: "amp",
        program: "amp",
        prompt: Prompt::Input,
        yolo: &["--dangerously-allow-all"],
        resume: &["threads", "continue"],
        ..PLAIN
    },
    // Not seen; as its manual has it, it works off the file and ends, since what
    // --load reads may only be commands; to go on with it is a conversation.
    Known {
        name: "aider",
        program: "aider",
        prompt: Prompt::FileJoined(Cow::Borrowed("--message-file=")),
        yolo: &["--yes-always"],
        resume: &["--restore-chat-history"],
        ..PLAIN
    },
    // Not seen; `resume` is in its manual.
    Known {
        name: "cursor-agent",
        program: "cursor-agent",
        yolo: &["--force"],
        resume: &["resume"],
        ..PLAIN
    },
    // The user's shell: it has no program here, since it is not the same for everybody.
    Known {
        name: "shell",
        prompt: Prompt::Shown,
        voice: Voice::None,
        ..PLAIN
    },
];

/// What an agent leaves in the environment of what it starts. Seen with claude 2.1.330: another
/// one that finds it there takes itself for a part of the first, and keeps no transcript.
pub(super) const TRACES: [&str; 7] = [
    "CLAUDECODE",
    "CLAUDE_CODE_CHILD_NOTES_DIR",
    "CLAUDE_CODE_CHILD_SESSION",
    "CLAUDE_CODE_ENTRYPOINT",
    "CLAUDE_CODE_SESSION_ATTENDED",
    "CLAUDE_CODE_SESSION_ID",
    "CLAUDE_PID",
];

impl Known {
    /// Returns whether a command of the user's, if there is one, is this agent's own program.
    pub(super) fn is_started_by(&self, command: Option<&[String]>) -> bool {
        let program = |command: &[String]| Path::new(command.first()?).file_name().map(Into::into);
        command.is_none_or(|command| program(command) == Some(OsString::from(self.program)))
    }

    /// Returns whether a command of the user's has an option about permissions.
    pub(super) fn decides(&self, command: Option<&[String]>) -> bool {
        let is = |word: &str, option: &str| {
            let rest = word.strip_prefix(option);
            rest.is_some_and(|rest| rest.is_empty() || rest.starts_with('='))
        };
        let about = |word: &String| self.permissions.iter().any(|option| is(word, option));
        command.is_some_and(|command| command.iter().any(about))
    }
}

/// The known agent of this name.
pub(super) fn known(name: &str) -> Option<&'static Known> {
    KNOWN.iter().find(|known| known.name == name)
}

/// What the agent of this name tells of itself.
pub(crate) fn voice(name: &str) -> Voice {
    known(name).map_or(Voice::None, |known| known.voice)
}

/// What `title`, which the agent of this name has given its terminal, says; `project` is
/// the name of the directory that it works in.
pub(crate) fn title(name: &str, title: &str, project: &str) -> Option<Title> {
    known(name)?.title?(title, project)
}

/// Returns where the agent of this name shows what is typed, if that is known.
pub(crate) fn composer(name: &str) -> Option<&'static Composer> {
    known(name)?.composer.as_ref()
}

/// Returns whether the agent of this name says at once that it has got a message.
pub(crate) fn confirms(name: &str) -> bool {
    matches!(voice(name), Voice::Claude | Voice::Gemini | Voice::Opencode)
}

/// Returns what can be concluded from when the agent of this name last showed something, under this
/// title.
pub(crate) fn habit(name: &str, title: &str, is_alone: bool) -> Habit {
    match voice(name) {
        Voice::Claude => Habit::Busy,
        Voice::Quiet if is_alone => Habit::Quiet,
        // Before its first session is there, which may take minutes, it shows nothing either.
        Voice::Opencode if is_alone && title.starts_with("OC | ") => Habit::Quiet,
        _ => Habit::Unknown,
    }
}

/// Whether anything can be learned of the agent of this name from its pane.
pub(crate) fn shows(name: &str) -> bool {
    known(name).is_some_and(|known| known.title.is_some() || known.voice != Voice::None)
}

/// `⠐ Claude Code` at work, with 2.1.197. `✳ Claude Code` otherwise, and with 2.1.330 always:
/// that says nothing.
fn claude(title: &str, _: &str) -> Option<Title> {
    matches!(title.chars().next()?, '\u{2800}'..='\u{28ff}').then_some(Title::Working)
}

/// With 0.169 `⠏ project` at work, `[ ! ] Action Required | project` at a question, `project`
/// otherwise, shortened if it is long; with 0.171 each with `<thread> | ` before the project.
fn codex(title: &str, project: &str) -> Option<Title> {
    if title.contains("Action Required") {
        return Some(Title::Asking);
    }
    if matches!(title.chars().next()?, '\u{2800}'..='\u{28ff}') {
        return Some(Title::Working);
    }
    let last = title.rsplit(" | ").next()?;
    let name = last.trim_end_matches(['.', '…']);
    (!name.is_empty() && project.starts_with(name)).then_some(Title::Idle)
}

/// `✦  Working… (project)`, `◇  Ready (project)`, `✋  Action Required (project)`
fn gemini(title: &str, _: &str) -> Option<Title> {
    match title.chars().next()? {
        '✦' | '⏲' => Some(Title::Working),
        '✋' => Some(Title::Asking),
        '◇' => Some(Title::Idle),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn titles_say_what_an_agent_does() {
        #[track_caller]
        fn case(agent: &str, text: &str, expected: Option<Title>) {
            assert_eq!(title(agent, text, "repo-one"), expected, "{agent}: {text}");
        }
        case("claude", "⠐ Claude Code", Some(Title::Working));
        case("claude", "✳ Claude Code", None);
        case("claude", "host", None);
        case("claude", "", None);
        case("codex", "⠏ repo", Some(Title::Working));
        case("codex", "repo...", Some(Title::Idle));
        case("codex", "⠏ a | b | repo-one", Some(Title::Working));
        case("codex", "a | b | repo-one", Some(Title::Idle));
        case("codex", "a | b | repo…", Some(Title::Idle));
        case("codex", "repo-one | host", None);
        case("codex", "host", None);
        case("codex", "[ ! ] Action Required | repo", Some(Title::Asking));
        case("gemini", "✦  Working… (repo)", Some(Title::Working));
        case("gemini", "◇  Ready (repo)", Some(Title::Idle));
        case("gemini", "✋  Action Required (repo)", Some(Title::Asking));
        case("opencode", "OC | ✳", None);
        case("shell", "✳", None);
        case("mine", "✳", None);
    }

    #[test]
    fn a_still_window_says_something_of_an_agent_that_is_up() {
        for (name, title, is_alone, expected) in [
            ("claude", "", false, Habit::Busy),
            ("copilot", "GitHub Copilot", true, Habit::Quiet),
            ("copilot", "GitHub Copilot", false, Habit::Unknown),
            ("opencode", "host", true, Habit::Unknown),
            ("opencode", "OC | Fix", true, Habit::Quiet),
            ("opencode", "OC | Fix", false, Habit::Unknown),
            ("codex", "repo", true, Habit::Unknown),
            ("shell", "host", true, Habit::Unknown),
        ] {
            assert_eq!(habit(name, title, is_alone), expected, "{name}: {title}");
        }
    }
}
