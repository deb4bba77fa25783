//! `git flux help`, and hints for usage errors: many people type other words.

use anyhow::Result;
use clap::error::{ContextKind, ContextValue};
use clap::{Args, Command};

use crate::failure::{Failure, USAGE, nearest};
use crate::ui::{Ui, word};

/// Show this help, or the help of a command
#[derive(Debug, Args)]
#[command(override_usage = "git flux help [<command>]")]
pub(crate) struct HelpArgs {
    /// the command
    #[arg(value_name = "<command>")]
    command: Option<String>,
}

impl HelpArgs {
    pub(crate) fn run(self, mut all: Command) -> Result<()> {
        all.build();
        let Some(name) = self.command else {
            return Ui::default().data(all.render_help().to_string().trim_end());
        };
        if let Some(found) = all.find_subcommand_mut(&name).filter(|c| !c.is_hide_set()) {
            return Ui::default().data(found.render_help().to_string().trim_end());
        }
        let (name, args) = (name.as_str(), &[][..]);
        Err(UnknownCommand { name, args }.failure(&all).into())
    }
}

fn context(error: &clap::Error, kind: ContextKind) -> Option<&str> {
    match error.get(kind) {
        Some(ContextValue::String(text)) => Some(text),
        _ => None,
    }
}

/// Converts a usage error of clap to a failure with exit code 2, whose hints are clap's tips and
/// similar commands. `args` are the words after `git flux`.
pub(super) fn usage_error(all: &Command, error: &clap::Error, args: &[String]) -> Failure {
    if let Some(name) = context(error, ContextKind::InvalidSubcommand) {
        let at = args.iter().position(|arg| arg == name);
        let args = at.map_or(&[][..], |at| &args[at + 1..]);
        return UnknownCommand { name, args }.failure(all);
    }
    let text = error.to_string();
    let (message, rest) = text.split_once("\n\n").unwrap_or((&text, ""));
    let message: Vec<&str> = message.split_whitespace().collect();
    let message = message.join(" ");
    // clap does not always name the command. No option with a value precedes it.
    let first = args.first().map_or("", String::as_str);
    let named = all.find_subcommand(first).map_or("", Command::get_name);
    let invalid = context(error, ContextKind::InvalidArg);
    let mut hints = Vec::new();
    if let ("cleanup", Some("--force" | "-f")) = (named, invalid) {
        hints.extend(FORCE.map(str::to_owned));
    } else {
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

/// Commands, each with other words for it.
const SYNONYMS: [(&str, &str); 19] = [
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
    ("gc", "prune empty housekeeping"),
    ("install", "setup uninstall update upgrade"),
    ("--version", "version"),
];

/// Hints for `git flux cleanup --force`.
pub(super) const FORCE: [&str; 3] = [
    "to agree to the merge and to stopping the agent: git flux cleanup --yes <task>",
    "to merge without uncommitted changes: git flux cleanup --discard <task>",
    "to drop the branch without a merge: git flux cleanup --discard-branch <task>",
];

/// `git flux <name> <args>` with an unknown command.
struct UnknownCommand<'a> {
    name: &'a str,
    args: &'a [String],
}

impl UnknownCommand<'_> {
    fn failure(&self, all: &Command) -> Failure {
        let failure = Failure::new(format!("'{}' is not a git flux command", self.name));
        let hints = self.suggestions(all).into_iter();
        let failure = hints.fold(failure.code(USAGE), Failure::hint);
        failure.hint("git flux -h")
    }

    /// Returns commands to paste in place of an unknown one: the one that a table of synonyms has
    /// for it, or else those with a similar name, followed by `git flux run` with the words if
    /// there are several.
    fn suggestions(&self, all: &Command) -> Vec<String> {
        let sentence = || run_command(&format!("{} {}", self.name, self.words().join(" ")));
        if self.name.contains(char::is_whitespace) {
            return vec![sentence()];
        }
        let lower = self.name.to_lowercase();
        let means = |words: &str| words.split(' ').any(|word| word == lower);
        match SYNONYMS.iter().find(|(_, words)| means(words)) {
            Some(("run", _)) => vec![run_command(&self.words().join(" "))],
            Some((command, _)) => vec![self.command(command)],
            None => {
                let known = all.get_subcommands().filter(|c| !c.is_hide_set());
                let near = nearest(self.name, known.map(Command::get_name)).into_iter();
                let near = near.map(|near| self.command(near));
                // Several words are more likely a sentence.
                near.chain((self.words().len() > 1).then(sentence))
                    .collect()
            }
        }
    }

    /// Returns the arguments of the unknown command; none if one begins with a dash, since options
    /// may be wrong for another command.
    fn words(&self) -> &[String] {
        let has_options = self.args.iter().any(|word| word.starts_with('-'));
        if has_options { &[] } else { self.args }
    }

    /// Returns `git flux <command> <args>` to paste, without the arguments if the command takes
    /// none.
    fn command(&self, command: &str) -> String {
        let takes_none =
            command.starts_with('-') || ["list", "config", "gc", "install"].contains(&command);
        let words = self.words().iter().filter(|_| !takes_none);
        let words = words.map(|one| format!(" {}", word(one)));
        format!("git flux {command}{}", words.collect::<String>())
    }
}

/// Returns `git flux run "<text>"` to paste, in other quotes if the text needs an escape in these.
/// An empty text becomes `<description>`.
fn run_command(text: &str) -> String {
    let text = match text.trim() {
        "" => "<description>",
        text => text,
    };
    let is_plain = |c: char| !c.is_control() && !"\"$`\\!'".contains(c);
    if text.chars().all(is_plain) && word(text).contains(text) {
        format!("git flux run \"{text}\"")
    } else {
        format!("git flux run {}", word(text))
    }
}
