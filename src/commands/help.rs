//! `git flux help`, and usage errors with what may be meant: people type other words for the same.

use anyhow::Result;
use clap::error::{ContextKind, ContextValue};
use clap::{Args, Command};

use crate::failure::{Failure, USAGE, nearest};
use crate::ui::{Ui, word};

/// Show this help, or that of a command
#[derive(Debug, Args)]
#[command(override_usage = "git flux help [<command>]")]
pub(crate) struct Help {
    /// the command
    #[arg(value_name = "<command>")]
    command: Option<String>,
}

impl Help {
    pub(crate) fn run(self, mut all: Command) -> Result<()> {
        all.build();
        let Some(name) = self.command else {
            return Ui::default().data(all.render_help().to_string().trim_end());
        };
        if let Some(found) = all.find_subcommand_mut(&name).filter(|c| !c.is_hide_set()) {
            return Ui::default().data(found.render_help().to_string().trim_end());
        }
        let (name, rest) = (name.as_str(), &[][..]);
        Err(Typed { name, rest }.unknown(&all).into())
    }
}

/// The text of a context of clap's error.
fn context(error: &clap::Error, kind: ContextKind) -> Option<&str> {
    match error.get(kind) {
        Some(ContextValue::String(text)) => Some(text),
        _ => None,
    }
}

/// Returns a usage error of clap's as one of ours: its tips become hints. `args` are the words after `git flux`.
pub(super) fn wrong(all: &Command, error: &clap::Error, args: &[String]) -> Failure {
    if let Some(name) = context(error, ContextKind::InvalidSubcommand) {
        let at = args.iter().position(|arg| arg == name);
        let rest = at.map_or(&[][..], |at| &args[at + 1..]);
        return Typed { name, rest }.unknown(all);
    }
    let text = error.to_string();
    let (message, rest) = text.split_once("\n\n").unwrap_or((&text, ""));
    let message: Vec<&str> = message.split_whitespace().collect();
    let message = message.join(" ");
    // clap does not always say of which command it speaks: no option with a value comes before.
    let first = args.first().map_or("", String::as_str);
    let named = all.find_subcommand(first).map_or("", Command::get_name);
    let mut hints = instead(error, named);
    if hints.is_empty() {
        // Only a text may begin with a dash.
        let is_text = ["run", "send"].contains(&named);
        let tips = rest.lines().filter_map(|line| line.strip_prefix("  tip: "));
        let tips = tips.filter(|tip| is_text || !tip.starts_with("to pass '"));
        hints.extend(tips.map(str::to_owned));
    }
    hints.push(format!("git flux {named} -h").replace("  ", " "));
    let failure = Failure::new(message.trim_start_matches("error: ")).code(USAGE);
    hints.into_iter().fold(failure, Failure::hint)
}

/// What may be meant by an option that a command has not, or by a value that is none.
fn instead(error: &clap::Error, command: &str) -> Vec<String> {
    let value = context(error, ContextKind::InvalidValue);
    match (command, context(error, ContextKind::InvalidArg)) {
        ("cleanup", Some("--force" | "-f")) => FORCE.map(str::to_owned).to_vec(),
        // In other commands -n is a dry run.
        ("run", Some(option)) if option.starts_with("--count") => {
            let texts = value.filter(|value| value.parse::<i64>().is_err() && !value.is_empty());
            let texts = texts.map(|text| run(text).replacen("run", "run --dry-run", 1));
            texts.into_iter().collect()
        }
        _ => Vec::new(),
    }
}

/// Commands, each with what people type for it.
const COMMANDS: [(&str, &str); 18] = [
    ("run", "start new add create begin task do go spawn launch"),
    ("cleanup", "rm remove delete merge done finish close"),
    ("cleanup --discard-branch", "drop discard"),
    ("attach --waiting", "next inbox waiting"),
    ("stop", "kill end abort cancel quit"),
    ("list", "ls ps tasks all top watch"),
    ("status --path", "cd path pwd"),
    ("status", "info describe inspect explain"),
    ("attach", "open goto switch checkout enter join connect"),
    ("send", "tell say message msg ask prompt reply"),
    ("log", "history logs show transcript"),
    ("diff", "changes"),
    ("restore", "undo undelete recover revive unarchive"),
    ("resume", "continue restart retry again"),
    ("adopt", "import take"),
    ("config", "settings set get configure options"),
    ("install", "setup uninstall update upgrade"),
    ("--version", "version"),
];

/// What `git flux cleanup --force` may mean.
pub(super) const FORCE: [&str; 3] = [
    "to agree to the merge and to stopping the agent: git flux cleanup --yes <task>",
    "to leave out what is uncommitted: git flux cleanup --discard <task>",
    "to drop the branch without a merge: git flux cleanup --discard-branch <task>",
];

/// `git flux <name> <rest>`, which is no command.
struct Typed<'a> {
    name: &'a str,
    rest: &'a [String],
}

impl Typed<'_> {
    fn unknown(&self, all: &Command) -> Failure {
        let known = all.get_subcommands().filter(|c| !c.is_hide_set());
        let known: Vec<&str> = known.map(Command::get_name).collect();
        let failure = Failure::new(format!("'{}' is not a git flux command", self.name));
        let hints = self.instead(&known).into_iter();
        let failure = hints.fold(failure.code(USAGE), Failure::hint);
        failure.hint("git flux -h")
    }

    /// The commands that can be pasted instead, where `known` are all there are.
    fn instead(&self, known: &[&str]) -> Vec<String> {
        let sentence = || run(&format!("{} {}", self.name, self.words().join(" ")));
        if self.name.contains(char::is_whitespace) {
            return vec![sentence()];
        }
        let lower = self.name.to_lowercase();
        let means = |words: &str| words.split(' ').any(|word| word == lower);
        match COMMANDS.iter().find(|(_, words)| means(words)) {
            Some(("run", _)) => vec![run(&self.words().join(" "))],
            Some((command, _)) => vec![self.called(command)],
            None => {
                let near = nearest(self.name, known.iter().copied()).into_iter();
                let near = near.map(|near| self.called(near));
                // Several words are more likely a sentence.
                near.chain((self.words().len() > 1).then(sentence))
                    .collect()
            }
        }
    }

    /// The rest, unless there are options in it: they are those of another command.
    fn words(&self) -> &[String] {
        let has_options = self.rest.iter().any(|word| word.starts_with('-'));
        if has_options { &[] } else { self.rest }
    }

    /// `git flux <command> <rest>`; a command that takes no words gets none.
    fn called(&self, command: &str) -> String {
        let takes_none =
            command.starts_with('-') || ["list", "config", "install"].contains(&command);
        let words = self.words().iter().filter(|_| !takes_none);
        let words = words.map(|one| format!(" {}", word(one)));
        format!("git flux {command}{}", words.collect::<String>())
    }
}

/// `git flux run "<text>"`, in the quotes that people use if nothing in the text means something in them.
fn run(text: &str) -> String {
    let text = match text.trim() {
        "" => "<what is to be done>",
        text => text,
    };
    let is_plain = |c: char| !c.is_control() && !"\"$`\\!'".contains(c);
    if text.chars().all(is_plain) && word(text).contains(text) {
        format!("git flux run \"{text}\"")
    } else {
        format!("git flux run {}", word(text))
    }
}
