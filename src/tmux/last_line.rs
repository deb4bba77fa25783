//! The last lines of many panes.

use std::collections::{BTreeMap, HashMap};
use std::path::Path;
use std::time::Duration;

use rand::RngExt as _;

use super::Tmux;
use crate::task::{PaneId, Target};

/// A line that frames the input field of an agent.
const RULES: [&str; 6] = ["───", "━━━", "▄▄▄", "▀▀▀", "╭──", "╰──"];

/// The most rows from the end of a screen to the first answer of a dialog.
const MAX_ANSWERS: usize = 20;

/// The most rows from the end of a screen to the upper rule of an input field.
const MAX_COMPOSER: usize = 12;

/// Returns the last line of each pane, above the input field of its agent; none of a pane without
/// text, or that is gone. One process for each server: `tmux display-message -p <mark> ;
/// capture-pane -p -t <pane> ; …`
pub(crate) fn find_last_lines(targets: &[Target]) -> Vec<Option<String>> {
    let mut servers: BTreeMap<&Path, Vec<&Target>> = BTreeMap::new();
    for target in targets {
        servers.entry(&target.socket).or_default().push(target);
    }
    let mut found: HashMap<(&Path, PaneId), String> = HashMap::new();
    for (socket, targets) in servers {
        let panes: Vec<PaneId> = targets.iter().map(|target| target.pane).collect();
        // One that is gone makes tmux fail for all.
        let alone = || panes.iter().flat_map(|pane| capture(socket, &[*pane]));
        let texts = capture(socket, &panes).unwrap_or_else(|| alone().flatten().collect());
        for (pane, text) in texts {
            found.extend(last_line(&text).map(|line| ((socket, pane), line)));
        }
    }
    let line = |target: &Target| found.get(&(&*target.socket, target.pane)).cloned();
    targets.iter().map(line).collect()
}

/// Returns the texts of panes; `None` if one of them is gone, or if tmux does not answer.
fn capture(socket: &Path, panes: &[PaneId]) -> Option<Vec<(PaneId, String)>> {
    // No screen can contain it.
    let mark = format!("flux-{:032x}", rand::rng().random::<u128>());
    let mut tmux = Tmux::on(socket, "display-message").args(["-p", &mark]);
    for pane in panes {
        tmux = tmux.then("capture-pane").arg("-p").target(pane);
        tmux = tmux.then("display-message").args(["-p", &mark]);
    }
    let out = tmux.within(Duration::from_secs(2)).output().ok()?;
    let texts = out.split(&mark).skip(1).map(str::to_owned);
    Some(panes.iter().copied().zip(texts).collect())
}

/// Returns the last line of a screen that says what an agent does or asks: the question of a dialog
/// with numbered answers, or the last line above the agent's input field. On other screens, the
/// last line that is not blank.
pub(crate) fn last_line(screen: &str) -> Option<String> {
    let lines: Vec<&str> = screen.trim_end().lines().map(str::trim).collect();
    let text = |line: &&&str| !line.is_empty() && !is_rule(line);
    if let Some(end) = find_answers(&lines) {
        return lines[..end].iter().rfind(text).map(|&line| line.into());
    }
    let first = lines.len().saturating_sub(MAX_COMPOSER);
    let rules = (first..lines.len()).filter(|at| is_rule(lines[*at]));
    let rules: Vec<usize> = rules.collect();
    let [.., upper, _] = rules[..] else {
        return lines.iter().rfind(text).map(|&line| line.into());
    };
    let mut above = lines[..upper].iter().rev().filter(text);
    above.find(|line| !is_note(line)).map(|&line| line.into())
}

fn is_rule(line: &str) -> bool {
    RULES.iter().any(|rule| line.starts_with(rule))
}

/// Returns the index of the first line of the numbered answers at the end of a screen, one of which
/// is selected: `❯ 1. Yes`. `None` if there are none, or if a horizontal line is above the selected
/// one, which then is text in an input field.
fn find_answers(lines: &[&str]) -> Option<usize> {
    let first = lines.len().saturating_sub(MAX_ANSWERS);
    let selected = |line: &&str| {
        let answer = line.strip_prefix(['❯', '›']).map(str::trim_start);
        answer.is_some_and(|answer| answer.starts_with(|c: char| c.is_ascii_digit()))
    };
    let at = first + lines[first..].iter().rposition(selected)?;
    let above = at.checked_sub(1)?;
    let is_first = |line: &&str| line.trim_start_matches(['❯', '›', ' ']).starts_with("1. ");
    let answers = lines[..=at].iter().rposition(is_first)?;
    (!is_rule(lines[above])).then_some(answers)
}

/// Returns whether a line above the input field is a note of Claude Code about itself: its effort,
/// a tip, or how long it works or has worked.
fn is_note(line: &str) -> bool {
    let is_effort = line.ends_with("/effort");
    let is_tip = line.trim_start_matches(['⎿', '※', ' ']).starts_with("Tip:");
    let time = line.strip_prefix(['·', '✢', '✳', '✶', '✻', '✽', '*']);
    let is_time = time.is_some_and(|rest| {
        let has_worked = rest.split_once(" for ").is_some_and(|(word, time)| {
            !word.trim().contains(' ')
                && time.ends_with(['s', 'm', 'h'])
                && time.starts_with(|c: char| c.is_ascii_digit())
        });
        rest.contains("… (") || rest.ends_with('…') || has_worked
    });
    is_effort || is_tip || is_time
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn last_line_is_above_the_input_field() {
        let rule = "─".repeat(40);
        let composer = format!("{rule}\n❯ \n{rule}\n  ⏵⏵ bypass permissions on");
        let boxed = "╭───╮\n│ > │\n╰───╯\n  ? for help";
        for (screen, expected) in [
            ("", None),
            ("\n \n", None),
            ("one\n  two  \n\n", Some("two")),
            (
                &format!("● All right.\n\n{composer}\n\n"),
                Some("● All right."),
            ),
            (&format!("said\n{boxed}"), Some("said")),
            (&composer, None),
            // One rule alone is a line of the text.
            (&format!("{rule}\n Do it?\n ❯ 1. Yes"), Some("Do it?")),
            (
                &format!("{rule}\n Bash\n\n Do it?\n 1. Yes\n ❯ 2. No\n\n Esc to cancel"),
                Some("Do it?"),
            ),
            (
                "Run it?\n\n› 1. Yes (y)\n  2. No\n\n  Press enter",
                Some("Run it?"),
            ),
            // A list that is typed as a message.
            (
                &format!("● Say.\n{rule}\n❯ 1. this\n  2. that\n{rule}\n  ? for help"),
                Some("● Say."),
            ),
            (
                &format!("● Say:\n  1. One.\n{rule}\n❯ 2. this\n{rule}\n  ? for help"),
                Some("1. One."),
            ),
            // A list that the agent has printed.
            ("1. one\n2. two\n❯ ls", Some("❯ ls")),
        ] {
            assert_eq!(last_line(screen).as_deref(), expected, "{screen}");
        }
    }

    #[test]
    fn last_line_skips_the_notes_of_claude_code() {
        let rule = "─".repeat(40);
        for notes in [
            "        ◐ medium · /effort",
            "✻ Cooked for 1m 12s\n\n        ◐ medium · /effort",
            "✢ Noodling… (12s · ↓ 1k tokens)\n  ⎿  Tip: use /memory\n\n  ◐ high · /effort",
            "✶ Noodling…",
        ] {
            let screen = format!("● Added the test.\n\n{notes}\n{rule}\n❯ \n{rule}\n  help");
            let line = last_line(&screen);
            assert_eq!(line.as_deref(), Some("● Added the test."), "{notes}");
            // Other programs may print the same.
            let last = notes.lines().last().unwrap().trim();
            assert_eq!(last_line(notes).as_deref(), Some(last));
        }
        for text in ["* one for all", "· a list", "✻ Thanks for 3 answers, all"] {
            let screen = format!("{text}\n{rule}\n❯ \n{rule}");
            assert_eq!(last_line(&screen).as_deref(), Some(text));
        }
    }
}
