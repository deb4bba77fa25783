//! Every setting there is: what the program asks for, `git flux config` shows and the manual explains.

use strum::VariantNames as _;

use crate::agent::{Prompt, Yolo};
use crate::git::Style;
use crate::git::repo::parse_bool;
use crate::launcher::notify::{METHODS, is_method};
use crate::task::Layout;

/// Something that can be configured.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Setting {
    /// As it is written; what stands in `<…>` is anybody's.
    pub(crate) key: &'static str,
    /// What it means, in a line.
    pub(crate) meaning: &'static str,
    /// What holds where nothing is configured, if there is one value for everybody.
    pub(crate) default: Option<&'static str>,
    pub(crate) kind: Kind,
}

/// What a value may be.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Kind {
    /// What it names is looked for where it is used.
    Text,
    /// The name of an agent.
    Agent,
    /// One of these.
    OneOf(fn() -> Vec<&'static str>),
    /// A program with its options, quoted as in a shell.
    Command,
    /// Arguments, quoted as in a shell; there may be none.
    Arguments,
    /// How a prompt is handed over.
    Prompt,
    /// A boolean, or arguments.
    Yolo,
    /// A whole number.
    Number,
    /// A time, as `gc.reflogExpire` has it.
    Time,
    /// Yes or no, as git writes it.
    Bool,
    /// When there are colours, as git writes it.
    Colour,
    /// Any text, several times; an empty one takes back those before it.
    Many,
    /// The same, each one of these or a command for a shell.
    Ways,
}

impl Kind {
    /// What a value may be, in words.
    pub(crate) fn words(self) -> Option<String> {
        Some(match self {
            Self::Text | Self::Agent | Self::Many => return None,
            Self::Bool => "it is true or false".to_owned(),
            Self::Colour => "it is always, auto, never, true or false".to_owned(),
            Self::OneOf(values) => format!("it is one of {}", values().join(", ")),
            Self::Command => "a command with its options, quoted as in a shell".to_owned(),
            Self::Arguments => "it is arguments, quoted as in a shell".to_owned(),
            Self::Ways => format!("it is {}, or a command for a shell", METHODS.join(", ")),
            Self::Prompt => {
                "it is positional, file, stdin, or an option with its '=', such as --prompt="
                    .to_owned()
            }
            Self::Yolo => "it is true, false, or arguments, quoted as in a shell".to_owned(),
            Self::Number => "it is a number of worktrees".to_owned(),
            Self::Time => "it is a time, such as 90.days, or never".to_owned(),
        })
    }

    /// Whether `value` is one, as far as it can be told without git.
    pub(crate) fn allows(self, value: &str) -> bool {
        match self {
            Self::Text | Self::Agent | Self::Time | Self::Many => true,
            Self::Bool => parse_bool(value).is_some(),
            Self::Colour => colour(value).is_some(),
            Self::OneOf(values) => values().contains(&value),
            Self::Ways => is_method(value.trim()),
            Self::Command => words(value).is_some(),
            Self::Arguments => shell_words::split(value).is_ok(),
            Self::Prompt => prompt(value).is_some(),
            Self::Yolo => yolo(value).is_some(),
            Self::Number => value.parse::<usize>().is_ok(),
        }
    }
}

/// When output is coloured.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Colour {
    Always,
    /// On a terminal.
    Auto,
    Never,
}

/// What git takes a value of `color.flux` for: as a boolean, true is on a terminal.
pub(super) fn colour(value: &str) -> Option<Colour> {
    match value {
        "always" => Some(Colour::Always),
        "never" => Some(Colour::Never),
        "auto" => Some(Colour::Auto),
        value => parse_bool(value).map(|is| if is { Colour::Auto } else { Colour::Never }),
    }
}

/// The words of a command; none if it has none or its quotes do not match.
pub(crate) fn words(command: &str) -> Option<Vec<String>> {
    let words = shell_words::split(command).ok();
    words.filter(|words| !words.is_empty())
}

/// What `flux.<agent>.promptArg` says.
pub(super) fn prompt(value: &str) -> Option<Prompt> {
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

/// What `flux.<agent>.yolo` says.
pub(super) fn yolo(value: &str) -> Option<Yolo> {
    let is = parse_bool(value).map(Yolo::Is);
    is.or_else(|| words(value).map(Yolo::Words))
}

/// The values of `flux.layout`.
fn layouts() -> Vec<&'static str> {
    [&["auto"], Layout::VARIANTS].concat()
}

/// The values of `flux.merge`.
fn styles() -> Vec<&'static str> {
    Style::VARIANTS.to_vec()
}

/// Makes a constant of each setting, and `ALL` of them all.
macro_rules! settings {
    ($($name:ident = $key:literal, $kind:expr, $default:expr, $meaning:literal;)*) => {
        $(pub(crate) const $name: Setting = Setting {
            key: $key,
            meaning: $meaning,
            default: $default,
            kind: $kind,
        };)*

        /// All of them, in the order of the manual.
        pub(crate) const ALL: &[Setting] = &[$($name),*];
    };
}

settings! {
    AGENT = "flux.agent", Kind::Agent, Some("claude"),
        "the agent that run starts";
    COMMAND = "flux.<agent>.command", Kind::Command, None,
        "an agent's program and options; the prompt is added at the end";
    PROMPT_ARG = "flux.<agent>.promptArg", Kind::Prompt, None,
        "how an agent takes its prompt: positional, file, stdin, or behind an option such as --prompt=";
    RESUME = "flux.<agent>.resume", Kind::Arguments, None,
        "the arguments that make an agent go on with its last conversation";
    YOLO = "flux.<agent>.yolo", Kind::Yolo, None,
        "whether an agent does everything without asking, or the arguments that make it";
    LAYOUT = "flux.layout", Kind::OneOf(layouts), Some("auto"),
        "where agents run; auto is a pane inside tmux, and a session outside";
    MERGE = "flux.merge", Kind::OneOf(styles), Some("merge"),
        "how cleanup merges";
    INTO = "flux.into", Kind::Text, None,
        "the branch that cleanup merges into, instead of the one a task started from";
    BRANCH_PREFIX = "flux.branchPrefix", Kind::Text, Some("feature/"),
        "what the name of a task's branch begins with";
    WORKTREE_DIR = "flux.worktreeDir", Kind::Text, Some(".."),
        "where worktrees are made, relative to the main worktree";
    TEMPLATE = "flux.template", Kind::Text, None,
        "a file with the prompt, instead of the one that is built in";
    COPY = "flux.copy", Kind::Many, None,
        "files that git does not track, to copy into a new worktree; as in .gitignore";
    SETUP = "flux.setup", Kind::Many, None,
        "a shell command to run in a new worktree before its agent";
    SETUP_REQUIRED = "flux.setupRequired", Kind::Bool, Some("true"),
        "whether a setup command that fails stops the start";
    WRAPPER = "flux.wrapper", Kind::Arguments, None,
        "a command that the agent is started by";
    TRUST = "flux.trust", Kind::Many, None,
        "a .worktree-init that may run: the object name of its tree";
    NOTIFY = "flux.notify", Kind::Ways, None,
        "how you are told that an agent waits, is done or has ended: bell, osc9, osc777, desktop, or a command";
    TRASH_KEEP = "flux.trashKeep", Kind::Number, Some("3"),
        "how many removed worktrees are kept whole for more than an hour";
    ARCHIVE_EXPIRE = "flux.archiveExpire", Kind::Time, Some("90.days"),
        "how long a removed task that was merged is kept";
    COLOUR = "color.flux", Kind::Colour, None,
        "when output is coloured: always, auto (on a terminal) or never; color.ui if it is not set";
    COLOUR_SLOT = "color.flux.<slot>", Kind::Text, None,
        "the colour of a state in lists, or of error, warning and hint, as in color.branch.<slot>";
    DESCRIPTION = "branch.<name>.description", Kind::Text, None,
        "what the list of tasks shows for the task on a branch: the first line";
    TASK = "branch.<name>.fluxTask", Kind::Text, None,
        "the task that a branch belongs to; leave it as it is";
    BRANCH_INTO = "branch.<name>.fluxInto", Kind::Text, None,
        "the branch that cleanup merges this one into";
    BRANCH_AGENT = "branch.<name>.fluxAgent", Kind::Text, None,
        "the agent's name, as the list of tasks has it";
}

impl Setting {
    /// What stands before and after the part of the key that is anybody's.
    fn ends(&self) -> Option<(&'static str, &'static str)> {
        let (before, rest) = self.key.split_once('<')?;
        Some((before, rest.split_once('>')?.1))
    }

    /// What stands in a key, as git prints it, for the part that is anybody's.
    pub(crate) fn name_in<'a>(&self, key: &'a str) -> Option<&'a str> {
        let (before, after) = self.ends()?;
        let after = after.to_ascii_lowercase();
        let name = key.strip_prefix(before)?.strip_suffix(&after)?;
        (!name.is_empty()).then_some(name)
    }

    /// Whether `key`, as git prints it, is one of this setting.
    pub(crate) fn is(&self, key: &str) -> bool {
        match self.ends() {
            Some(_) => self.name_in(key).is_some(),
            None => key.eq_ignore_ascii_case(self.key),
        }
    }

    /// The key with `name` for the part that is anybody's, as git prints it: the variable in lower case.
    pub(crate) fn of(&self, name: &str) -> String {
        match self.ends() {
            Some((before, after)) => [before, name, &after.to_ascii_lowercase()].concat(),
            None => self.key.to_ascii_lowercase(),
        }
    }

    /// The same, as it is documented.
    pub(crate) fn named(&self, name: &str) -> String {
        match self.ends() {
            Some((before, after)) => format!("{before}{name}{after}"),
            None => self.key.to_owned(),
        }
    }

    /// A key of this setting as it is documented.
    pub(crate) fn spelled(&self, key: &str) -> String {
        self.named(self.name_in(key).unwrap_or_default())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_belongs_to_one_setting_at_most() {
        #[track_caller]
        fn case(key: &str, expected: &[&str]) {
            let found: Vec<_> = ALL.iter().filter(|s| s.is(key)).map(|s| s.key).collect();
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
        assert_eq!(
            BRANCH_INTO.spelled("branch.A.fluxinto"),
            "branch.A.fluxInto"
        );
        assert_eq!(COMMAND.of("My"), "flux.My.command");
        assert_eq!(COMMAND.name_in("flux.a.b.command"), Some("a.b"));
    }

    #[test]
    fn every_default_is_a_value() {
        for setting in ALL {
            let default = setting
                .default
                .is_none_or(|value| setting.kind.allows(value));
            assert!(default, "{}", setting.key);
        }
    }
}
