//! The table of all settings, for the program, `git flux config` and the manual.

use strum::VariantNames as _;

use crate::agent::{Prompt, Yolo};
use crate::git::Style;
use crate::git::repo::parse_bool;
use crate::launcher::notify::{METHODS, is_notify_value};
use crate::system::clock::parse_duration;
use crate::task::Layout;

/// A setting.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Setting {
    /// The documented key; `<…>` is a placeholder.
    pub(crate) key: &'static str,
    /// Its meaning, in a line.
    pub(crate) meaning: &'static str,
    /// The value that an unset key has, if it is constant.
    pub(crate) default: Option<&'static str>,
    pub(crate) kind: ValueKind,
}

/// The values that a setting accepts.
#[derive(Clone, Copy, Debug)]
pub(crate) enum ValueKind {
    /// Any text; it is checked on use.
    Text,
    /// The name of an agent.
    Agent,
    /// One of these.
    OneOf(fn() -> Vec<&'static str>),
    /// A program with its options, quoted as in a shell.
    Command,
    /// Arguments, quoted as in a shell; there may be none.
    Arguments,
    /// The way to pass a prompt.
    Prompt,
    /// A boolean, or arguments.
    Yolo,
    /// A whole number.
    Number,
    /// A duration such as `30m`.
    Duration,
    /// A time in the format of `gc.reflogExpire`.
    Time,
    /// A boolean of git.
    Bool,
    /// A value of `color.ui`.
    Colour,
    /// Any text, several times; an empty one clears those before it.
    Many,
    /// A way to notify, or a shell command; several times.
    Ways,
}

impl ValueKind {
    /// Returns a hint that names the valid values of a setting: `use true or false`. `None` for a
    /// setting that may be any text, and for one that is the name of an agent.
    pub(crate) fn describe(self) -> Option<String> {
        Some(match self {
            Self::Text | Self::Agent | Self::Many => return None,
            Self::Bool => "use true or false".to_owned(),
            Self::Colour => "use always, auto, never, true or false".to_owned(),
            Self::OneOf(values) => format!("use one of {}", values().join(", ")),
            Self::Command => {
                "quote the command and its options as in a shell, and close each quote".to_owned()
            }
            Self::Arguments => "quote the arguments as in a shell, and close each quote".to_owned(),
            Self::Ways => format!("use {}, or a shell command", METHODS.join(", ")),
            Self::Prompt => {
                "use positional, file, stdin, or an option with its '=', such as --prompt="
                    .to_owned()
            }
            Self::Yolo => "use true, false, or arguments, quoted as in a shell".to_owned(),
            Self::Number => "use a whole number".to_owned(),
            Self::Duration => "use a time, such as 90s, 30m or 1h 30m".to_owned(),
            Self::Time => "use a time, such as 90.days, or never".to_owned(),
        })
    }

    /// Returns whether `value` is valid for this kind of setting. `true` also for values that only
    /// git or the list of agents can check: times and agents.
    pub(crate) fn allows(self, value: &str) -> bool {
        match self {
            Self::Text | Self::Agent | Self::Time | Self::Many => true,
            Self::Bool => parse_bool(value).is_some(),
            Self::Colour => parse_colour(value).is_some(),
            Self::OneOf(values) => values().contains(&value),
            Self::Ways => is_notify_value(value.trim()),
            Self::Command => split_command(value).is_some(),
            Self::Arguments => shell_words::split(value).is_ok(),
            Self::Prompt => parse_prompt(value).is_some(),
            Self::Yolo => parse_yolo(value).is_some(),
            Self::Number => value.parse::<usize>().is_ok(),
            Self::Duration => parse_duration(value).is_some(),
        }
    }
}

/// The condition for colours.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Colour {
    Always,
    /// On a terminal.
    Auto,
    Never,
}

/// Parses a value of `color.flux` or `color.ui` as git does: `true` means only on a terminal.
/// `None` if it is invalid.
pub(super) fn parse_colour(value: &str) -> Option<Colour> {
    match value {
        "always" => Some(Colour::Always),
        "never" => Some(Colour::Never),
        "auto" => Some(Colour::Auto),
        value => parse_bool(value).map(|is| if is { Colour::Auto } else { Colour::Never }),
    }
}

/// Splits a command into words as a shell does; `None` if it is empty or its quotes do not match.
pub(crate) fn split_command(command: &str) -> Option<Vec<String>> {
    let words = shell_words::split(command).ok();
    words.filter(|words| !words.is_empty())
}

/// Parses a value of `flux.<agent>.promptArg`: `positional`, `file`, `stdin`, or an option that
/// ends in `=`. `None` for any other.
pub(super) fn parse_prompt(value: &str) -> Option<Prompt> {
    match value {
        "positional" => Some(Prompt::Last),
        "file" => Some(Prompt::File),
        "stdin" => Some(Prompt::Input),
        option if option.starts_with('-') && option.ends_with('=') => {
            Some(Prompt::Joined(option.to_owned().into()))
        }
        _ => None,
    }
}

/// Parses a value of `flux.<agent>.yolo`: a boolean, or else options, quoted as in a shell. `None`
/// if it is empty or its quotes do not match.
pub(super) fn parse_yolo(value: &str) -> Option<Yolo> {
    let is = parse_bool(value).map(Yolo::Enabled);
    is.or_else(|| split_command(value).map(Yolo::Options))
}

/// Returns the valid values of `flux.layout`.
fn layouts() -> Vec<&'static str> {
    [&["auto"], Layout::VARIANTS].concat()
}

/// Returns the valid values of `flux.merge`.
fn styles() -> Vec<&'static str> {
    Style::VARIANTS.to_vec()
}

/// Defines a constant for each setting, and `ALL` for all.
macro_rules! settings {
    ($($name:ident = $key:literal, $kind:expr, $default:expr, $meaning:literal;)*) => {
        $(pub(crate) const $name: Setting = Setting {
            key: $key,
            meaning: $meaning,
            default: $default,
            kind: $kind,
        };)*

        /// All settings, in the order of the manual.
        pub(crate) const ALL: &[Setting] = &[$($name),*];
    };
}

settings! {
    AGENT = "flux.agent", ValueKind::Agent, Some("claude"),
        "the agent that run starts";
    COMMAND = "flux.<agent>.command", ValueKind::Command, None,
        "an agent's program and options; the prompt is added at the end";
    PROMPT_ARG = "flux.<agent>.promptArg", ValueKind::Prompt, None,
        "how an agent takes its prompt: positional, file, stdin, or behind an option such as --prompt=";
    RESUME = "flux.<agent>.resume", ValueKind::Arguments, None,
        "the options that continue the agent's last session";
    YOLO = "flux.<agent>.yolo", ValueKind::Yolo, None,
        "skip permission prompts; or the options that do";
    LAYOUT = "flux.layout", ValueKind::OneOf(layouts), Some("auto"),
        "where agents run; auto is a pane inside tmux, and a session outside";
    MERGE = "flux.merge", ValueKind::OneOf(styles), Some("merge"),
        "how cleanup merges";
    INTO = "flux.into", ValueKind::Text, None,
        "the branch that cleanup merges into, instead of the one a task started from";
    LAND_ROUNDS = "flux.landRounds", ValueKind::Number, Some("3"),
        "how often land sends a task back to its agent before you have to look at it";
    LAND_UNSEEN = "flux.landUnseen", ValueKind::Bool, Some("true"),
        "whether land without a <task> lands files that you have not looked at; see review";
    BRANCH_PREFIX = "flux.branchPrefix", ValueKind::Text, Some("feature/"),
        "the prefix of the names of new branches";
    WORKTREE_DIR = "flux.worktreeDir", ValueKind::Text, Some(".."),
        "where worktrees are created, relative to the main worktree";
    TEMPLATE = "flux.template", ValueKind::Text, None,
        "a file that replaces the built-in prompt";
    COPY = "flux.copy", ValueKind::Many, None,
        "untracked files to copy to a new worktree, as in .gitignore";
    SETUP = "flux.setup", ValueKind::Many, None,
        "a shell command to run in a new worktree before its agent";
    SETUP_REQUIRED = "flux.setupRequired", ValueKind::Bool, Some("true"),
        "abort the start if a setup command fails";
    WRAPPER = "flux.wrapper", ValueKind::Arguments, None,
        "wrapper command for the agent";
    GATE = "flux.gate", ValueKind::Many, None,
        "a shell command that the files of a task must pass";
    GATE_TIMEOUT = "flux.gateTimeout", ValueKind::Duration, Some("30m"),
        "how long all commands of the gate may take together";
    GATE_RETRIES = "flux.gateRetries", ValueKind::Number, Some("1"),
        "how often a gate that fails is run again";
    GATE_SEED = "flux.gateSeed", ValueKind::Many, None,
        "untracked files to copy to the worktree of the gate, as in .gitignore; flux.copy if it is not set";
    TRUST = "flux.trust", ValueKind::Many, None,
        "a .worktree-init that may run: the object name of its tree";
    NOTIFY = "flux.notify", ValueKind::Ways, None,
        "how to notify you that an agent needs you: bell, osc9, osc777, desktop, or a command";
    TRASH_KEEP = "flux.trashKeep", ValueKind::Number, Some("3"),
        "how many removed worktrees are kept whole for more than an hour";
    ARCHIVE_EXPIRE = "flux.archiveExpire", ValueKind::Time, Some("90.days"),
        "how long a removed task that was merged can be restored";
    COLOUR = "color.flux", ValueKind::Colour, None,
        "when output is coloured: always, auto (on a terminal) or never; color.ui if it is not set";
    COLOUR_SLOT = "color.flux.<slot>", ValueKind::Text, None,
        "the colour of a state in lists, or of error, warning and hint, as in color.branch.<slot>";
    DESCRIPTION = "branch.<name>.description", ValueKind::Text, None,
        "the description of the branch; list shows its first line";
    TASK = "branch.<name>.fluxTask", ValueKind::Text, None,
        "the task that a branch belongs to; do not change it";
    BRANCH_INTO = "branch.<name>.fluxInto", ValueKind::Text, None,
        "the branch that cleanup merges this one into";
    BRANCH_AGENT = "branch.<name>.fluxAgent", ValueKind::Text, None,
        "the agent that list shows and resume starts";
}

impl Setting {
    /// Splits the key of a setting, such as `flux.<agent>.command`, at its placeholder, and returns
    /// the parts before and after it; `None` if it has none.
    pub(super) fn split_key(&self) -> Option<(&'static str, &'static str)> {
        let (before, rest) = self.key.split_once('<')?;
        Some((before, rest.split_once('>')?.1))
    }

    /// Returns the key of this setting as git prints it, with section and variable in lower case;
    /// `name` replaces the placeholder, if the key has one.
    pub(crate) fn canonical_key(&self, name: &str) -> String {
        match self.split_key() {
            Some((before, after)) => [before, name, &after.to_ascii_lowercase()].concat(),
            None => self.key.to_ascii_lowercase(),
        }
    }

    /// Returns the key of this setting as the manual writes it; `name` replaces the placeholder, if
    /// the key has one.
    pub(crate) fn documented_key(&self, name: &str) -> String {
        match self.split_key() {
            Some((before, after)) => format!("{before}{name}{after}"),
            None => self.key.to_owned(),
        }
    }
}

/// The settings whose value is a program, or a command for a shell.
const PROGRAMS: [Setting; 4] = [COMMAND, SETUP, WRAPPER, NOTIFY];

/// The key of the commands that a tree must pass.
const GATE_KEY: &str = "flux.gate";

/// Returns whether a key, as git prints it, is a setting of git flux that names a program.
pub(crate) fn names_program(key: &str) -> bool {
    let is_of = |setting: &Setting| match setting.split_key() {
        Some((before, after)) => {
            let name = key
                .strip_prefix(before)
                .and_then(|rest| rest.strip_suffix(after));
            name.is_some_and(|name| !name.is_empty())
        }
        None => key.eq_ignore_ascii_case(setting.key),
    };
    key == GATE_KEY || PROGRAMS.iter().any(is_of)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::settings::ConfigEntry;

    fn entry(key: &str) -> ConfigEntry {
        ConfigEntry {
            key: key.to_owned(),
            ..ConfigEntry::default()
        }
    }

    #[test]
    fn matches_at_most_one_setting_for_a_key() {
        #[track_caller]
        fn case(key: &str, expected: &[&str]) {
            let entry = entry(key);
            let found = ALL.iter().filter(|s| entry.is_of(s)).map(|s| s.key);
            let found: Vec<_> = found.collect();
            assert_eq!(found, expected, "{key}");
        }
        case("flux.branchprefix", &["flux.branchPrefix"]);
        case("flux.agent", &["flux.agent"]);
        case("flux.My.robot.command", &["flux.<agent>.command"]);
        case("flux.x.promptarg", &["flux.<agent>.promptArg"]);
        case("flux.command", &[]);
        case("flux.agent.x", &[]);
        case("branch.feature/a.b.fluxinto", &["branch.<name>.fluxInto"]);
        case("branch.fluxinto", &[]);
        let key = entry("branch.A.fluxinto").documented_key(&BRANCH_INTO);
        assert_eq!(key, "branch.A.fluxInto");
        assert_eq!(COMMAND.canonical_key("My"), "flux.My.command");
        let dotted = entry("flux.a.b.command");
        assert_eq!(dotted.placeholder_of(&COMMAND), Some("a.b"));
    }

    #[test]
    fn names_program_knows_the_settings_that_run() {
        for key in [
            "flux.gate",
            "flux.setup",
            "flux.wrapper",
            "flux.notify",
            "flux.a.b.command",
        ] {
            assert!(names_program(key), "{key}");
        }
        for key in [
            "flux.trust",
            "flux.command",
            "flux.agent",
            "flux.x.resume",
            "branch.x.fluxtask",
        ] {
            assert!(!names_program(key), "{key}");
        }
    }

    #[test]
    fn every_default_is_allowed() {
        for setting in ALL {
            let default = setting
                .default
                .is_none_or(|value| setting.kind.allows(value));
            assert!(default, "{}", setting.key);
        }
    }
}
