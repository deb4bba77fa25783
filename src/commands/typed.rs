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

/// Options that a command has not, with what to type for the same; `<task>` is what is named beside it.
const OPTIONS: &str = r#"
cleanup | --force -f | to agree to the merge and to stopping the agent: git flux cleanup --yes <task>
cleanup | --force -f | to leave out what is uncommitted: git flux cleanup --discard <task>
cleanup | --force -f | to drop the branch without a merge: git flux cleanup --discard-branch <task>
cleanup | --delete -d -D --no-merge --drop | git flux cleanup --discard-branch <task>
cleanup | -m --message | git flux cleanup --commit='<message>' <task>
cleanup | -a | git flux cleanup --all
cleanup | --onto --to --target --branch -b | git flux cleanup --into <branch> <task>
cleanup | --no-ff | git flux cleanup --merge <task>
cleanup | --ff | git flux cleanup --ff-only <task>
cleanup | --stash | git flux cleanup --discard <task>
run | -m --message -p --prompt --task -d --detach --background | git flux run "<what is to be done>"
run | --model | git flux run --agent-arg=--model --agent-arg=<model> "<what is to be done>"
run | -b --checkout | git flux run --branch <branch> "<what is to be done>"
run | -a | git flux run --agent <name> "<what is to be done>"
run | --from --start-point | git flux run --base <rev> "<what is to be done>"
run | --id | git flux run --name <id> "<what is to be done>"
run | --stdin | git flux run -F -
list | -a --all | git flux list --everywhere
wait | -t | git flux wait --timeout <time> <task>
"#;

/// The commands that can be pasted instead of `git flux <name> <rest>`, where `known` are all there are.
pub(super) fn instead_of(name: &str, rest: &[String], known: &[&str]) -> Vec<String> {
    let is_plain = rest.iter().all(|word| !word.starts_with('-'));
    let rest = if is_plain { rest } else { &[] };
    let all: Vec<&str> = [name]
        .into_iter()
        .chain(rest.iter().map(String::as_str))
        .collect();
    if name.contains(char::is_whitespace) {
        return vec![run(&all.join(" "))];
    }
    let lower = name.to_lowercase();
    let mut same = COMMANDS.iter().filter(|(command, words)| {
        let name = command.split(' ').next().unwrap_or_default();
        let exists = command.starts_with('-') || known.contains(&name);
        exists && is_among(&lower, words)
    });
    match same.next() {
        Some(("run", _)) => vec![run(&rest.join(" "))],
        Some((command, _)) => vec![called(command, rest)],
        None => {
            let near = nearest(name, known.iter().copied()).into_iter();
            let near = near.map(|near| called(near, rest));
            // Several words are more likely a sentence.
            let sentence = (rest.len() > 1).then(|| run(&all.join(" ")));
            near.chain(sentence).collect()
        }
    }
}

/// What can be typed instead of an option that a command has not. `words` are those beside it, if it is
/// the only option.
pub(super) fn instead_of_option(command: &str, option: &str, words: &[String]) -> Vec<String> {
    let rows = OPTIONS.lines().filter_map(|row| {
        let mut cells = row.split(" | ");
        let is_meant = cells.next()? == command && is_among(option, cells.next()?);
        cells.next().filter(|_| is_meant)
    });
    let fill = |hint: &str| match (words, command) {
        ([], _) => hint.to_owned(),
        (_, "run") => hint.replace("\"<what is to be done>\"", &sentence(&words.join(" "))),
        _ => {
            let words: Vec<String> = words.iter().map(|one| word(one)).collect();
            hint.replace("<task>", &words.join(" "))
        }
    };
    rows.map(fill).collect()
}

/// Returns whether a word is one of those in a row.
fn is_among(word: &str, row: &str) -> bool {
    row.split(' ').any(|one| one == word)
}

/// `git flux <command> <rest>`; a command that takes no words gets none.
fn called(command: &str, rest: &[String]) -> String {
    let takes_words =
        !command.starts_with('-') && !["list", "config", "install"].contains(&command);
    let words = rest.iter().filter(|_| takes_words).map(|one| word(one));
    let words: Vec<String> = ["git flux".to_owned(), command.to_owned()]
        .into_iter()
        .chain(words)
        .collect();
    words.join(" ")
}

/// `git flux run "<text>"`
pub(super) fn run(text: &str) -> String {
    let text = match text.trim() {
        "" => "<what is to be done>",
        text => text,
    };
    format!("git flux run {}", sentence(text))
}

/// A sentence as one word of a shell, in the quotes that people use if it has nothing in it that means
/// something there.
fn sentence(text: &str) -> String {
    let quoted = word(text);
    let is_plain = |c: char| !c.is_control() && !"\"$`\\!'".contains(c);
    if text.chars().all(is_plain) && quoted.contains(text) {
        format!("\"{text}\"")
    } else {
        quoted
    }
}
