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
        Err(unknown(&all, &name, &[]).into())
    }
}

/// Returns the error for a command that there is not; `rest` is what follows it.
fn unknown(all: &Command, name: &str, rest: &[String]) -> Failure {
    let known = all.get_subcommands().filter(|c| !c.is_hide_set());
    let known: Vec<&str> = known.map(Command::get_name).collect();
    let failure = Failure::new(format!("'{name}' is not a git flux command")).code(USAGE);
    let hints = instead_of(name, rest, &known).into_iter();
    hints.fold(failure, Failure::hint).hint("git flux -h")
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
        return unknown(all, name, at.map_or(&[], |at| &args[at + 1..]));
    }
    let text = error.to_string();
    let (message, rest) = text.split_once("\n\n").unwrap_or((&text, ""));
    let message: Vec<&str> = message.split_whitespace().collect();
    let message = message.join(" ");
    // clap does not always say of which command it speaks: no option with a value comes before.
    let named = args
        .first()
        .filter(|name| all.find_subcommand(name).is_some());
    let named = named.map_or("", String::as_str);
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

/// The commands that can be pasted instead of `git flux <name> <rest>`, where `known` are all there are.
fn instead_of(name: &str, rest: &[String], known: &[&str]) -> Vec<String> {
    let is_plain = rest.iter().all(|word| !word.starts_with('-'));
    let rest = if is_plain { rest } else { &[] };
    let sentence = || format!("{name} {}", rest.join(" "));
    if name.contains(char::is_whitespace) {
        return vec![run(&sentence())];
    }
    let lower = name.to_lowercase();
    let mut same = COMMANDS.iter().filter(|(command, words)| {
        let name = command.split(' ').next().unwrap_or_default();
        let exists = command.starts_with('-') || known.contains(&name);
        exists && words.split(' ').any(|word| word == lower)
    });
    match same.next() {
        Some(("run", _)) => vec![run(&rest.join(" "))],
        Some((command, _)) => vec![called(command, rest)],
        None => {
            let near = nearest(name, known.iter().copied()).into_iter();
            let near = near.map(|near| called(near, rest));
            // Several words are more likely a sentence.
            near.chain((rest.len() > 1).then(|| run(&sentence())))
                .collect()
        }
    }
}

/// `git flux <command> <rest>`; a command that takes no words gets none.
fn called(command: &str, rest: &[String]) -> String {
    let takes_words =
        !command.starts_with('-') && !["list", "config", "install"].contains(&command);
    let words = rest.iter().filter(|_| takes_words);
    let words = words.map(|one| format!(" {}", word(one)));
    format!("git flux {command}{}", words.collect::<String>())
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
