//! Every setting there is: what the program asks for, `git flux config` shows and the manual explains.

use strum::VariantNames as _;

use super::colours::is_colour;
use crate::agent::{Prompt, Yolo};
use crate::git::Style;
use crate::git::repo::parse_bool;
use crate::launcher::notify::{is_way, ways};
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
            Self::Ways => format!("it is {}, or a command for a shell", ways().join(", ")),
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
            Self::Colour => is_colour(value),
            Self::OneOf(values) => values().contains(&value),
            Self::Ways => is_way(value.trim()),
            Self::Command => words(value).is_some(),
            Self::Arguments => shell_words::split(value).is_ok(),
            Self::Prompt => prompt(value).is_some(),
            Self::Yolo => yolo(value).is_some(),
            Self::Number => value.parse::<usize>().is_ok(),
        }
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

pub(crate) const AGENT: Setting = Setting {
    key: "flux.agent",
    meaning: "the agent that run starts",
    default: Some("claude"),
    kind: Kind::Agent,
};
pub(crate) const COMMAND: Setting = Setting {
    key: "flux.<agent>.command",
    meaning: "an agent's program and options; the prompt is added at the end",
    default: None,
    kind: Kind::Command,
};
pub(crate) const PROMPT_ARG: Setting = Setting {
    key: "flux.<agent>.promptArg",
    meaning: "how an agent takes its prompt: positional, file, stdin, or behind an option such as --prompt=",
    default: None,
    kind: Kind::Prompt,
};
pub(crate) const RESUME: Setting = Setting {
    key: "flux.<agent>.resume",
    meaning: "the arguments that make an agent go on with its last conversation",
    default: None,
    kind: Kind::Arguments,
};
pub(crate) const YOLO: Setting = Setting {
    key: "flux.<agent>.yolo",
    meaning: "whether an agent does everything without asking, or the arguments that make it",
    default: None,
    kind: Kind::Yolo,
};
pub(crate) const LAYOUT: Setting = Setting {
    key: "flux.layout",
    meaning: "where agents run; auto is a pane inside tmux, and a session outside",
    default: Some("auto"),
    kind: Kind::OneOf(layouts),
};
pub(crate) const MERGE: Setting = Setting {
    key: "flux.merge",
    meaning: "how cleanup merges",
    default: Some("merge"),
    kind: Kind::OneOf(styles),
};
pub(crate) const INTO: Setting = Setting {
    key: "flux.into",
    meaning: "the branch that cleanup merges into, instead of the one a task started from",
    default: None,
    kind: Kind::Text,
};
pub(crate) const BRANCH_PREFIX: Setting = Setting {
    key: "flux.branchPrefix",
    meaning: "what the name of a task's branch begins with",
    default: Some("feature/"),
    kind: Kind::Text,
};
pub(crate) const WORKTREE_DIR: Setting = Setting {
    key: "flux.worktreeDir",
    meaning: "where worktrees are made, relative to the main worktree",
    default: Some(".."),
    kind: Kind::Text,
};
pub(crate) const TEMPLATE: Setting = Setting {
    key: "flux.template",
    meaning: "a file with the prompt, instead of the one that is built in",
    default: None,
    kind: Kind::Text,
};
pub(crate) const COPY: Setting = Setting {
    key: "flux.copy",
    meaning: "files that git does not track, to copy into a new worktree; as in .gitignore",
    default: None,
    kind: Kind::Many,
};
pub(crate) const SETUP: Setting = Setting {
    key: "flux.setup",
    meaning: "a shell command to run in a new worktree before its agent",
    default: None,
    kind: Kind::Many,
};
pub(crate) const SETUP_REQUIRED: Setting = Setting {
    key: "flux.setupRequired",
    meaning: "whether a setup command that fails stops the start",
    default: Some("true"),
    kind: Kind::Bool,
};
pub(crate) const WRAPPER: Setting = Setting {
    key: "flux.wrapper",
    meaning: "a command that the agent is started by",
    default: None,
    kind: Kind::Arguments,
};
pub(crate) const TRUST: Setting = Setting {
    key: "flux.trust",
    meaning: "a .worktree-init that may run: the object name of its tree",
    default: None,
    kind: Kind::Many,
};
pub(crate) const NOTIFY: Setting = Setting {
    key: "flux.notify",
    meaning: "how you are told that an agent waits, is done or has ended: bell, osc9, osc777, desktop, or a command",
    default: None,
    kind: Kind::Ways,
};
pub(crate) const TRASH_KEEP: Setting = Setting {
    key: "flux.trashKeep",
    meaning: "how many removed worktrees are kept whole for more than an hour",
    default: Some("3"),
    kind: Kind::Number,
};
pub(crate) const ARCHIVE_EXPIRE: Setting = Setting {
    key: "flux.archiveExpire",
    meaning: "how long a removed task that was merged is kept",
    default: Some("90.days"),
    kind: Kind::Time,
};
pub(crate) const DESCRIPTION: Setting = Setting {
    key: "branch.<name>.description",
    meaning: "what the list of tasks shows for the task on a branch: the first line",
    default: None,
    kind: Kind::Text,
};
pub(crate) const TASK: Setting = Setting {
    key: "branch.<name>.fluxTask",
    meaning: "the task that a branch belongs to; leave it as it is",
    default: None,
    kind: Kind::Text,
};
pub(crate) const BRANCH_INTO: Setting = Setting {
    key: "branch.<name>.fluxInto",
    meaning: "the branch that cleanup merges this one into",
    default: None,
    kind: Kind::Text,
};
pub(crate) const BRANCH_AGENT: Setting = Setting {
    key: "branch.<name>.fluxAgent",
    meaning: "the agent's name, as the list of tasks has it",
    default: None,
    kind: Kind::Text,
};

pub(crate) const COLOUR: Setting = Setting {
    key: "color.flux",
    meaning: "when output is coloured: always, auto (on a terminal) or never; color.ui if it is not set",
    default: None,
    kind: Kind::Colour,
};
pub(crate) const COLOUR_SLOT: Setting = Setting {
    key: "color.flux.<slot>",
    meaning: "the colour of a state in lists, or of error, warning and hint, as in color.branch.<slot>",
    default: None,
    kind: Kind::Text,
};

/// All of them, in the order of the manual.
pub(crate) const ALL: [Setting; 25] = [
    AGENT,
    COMMAND,
    PROMPT_ARG,
    RESUME,
    YOLO,
    LAYOUT,
    MERGE,
    INTO,
    BRANCH_PREFIX,
    WORKTREE_DIR,
    TEMPLATE,
    COPY,
    SETUP,
    SETUP_REQUIRED,
    WRAPPER,
    TRUST,
    NOTIFY,
    TRASH_KEEP,
    ARCHIVE_EXPIRE,
    COLOUR,
    COLOUR_SLOT,
    DESCRIPTION,
    TASK,
    BRANCH_INTO,
    BRANCH_AGENT,
];

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
