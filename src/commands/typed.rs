//! Words that people type where git flux has another one for the same.

use crate::failure::nearest;
use crate::ui::word;

/// Commands, each with what people type for it.
const COMMANDS: [(&str, &str); 18] = [
    ("run", "start new add create begin task do go spawn launch"),
    (
        "cleanup",
        "rm remove delete del merge done finish close complete",
    ),
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
pub(super) fn instead_of(name: &str, rest: &[String], known: &[&str]) -> Vec<String> {
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
pub(super) fn run(text: &str) -> String {
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
