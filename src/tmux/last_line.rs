//! The last lines of many panes.

use std::collections::{BTreeMap, HashMap};
use std::path::Path;
use std::time::Duration;

use rand::RngExt as _;

use super::Tmux;
use crate::task::{PaneId, Target};

/// A line that frames the input field of an agent.
const RULES: [&str; 6] = ["───", "━━━", "▄▄▄", "▀▀▀", "╭──", "╰──"];

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

/// Returns the last line of a screen that is not blank, above the input field of an agent.
fn last_line(screen: &str) -> Option<String> {
    let lines: Vec<&str> = screen.trim_end().lines().collect();
    let is_rule = |line: &str| RULES.iter().any(|rule| line.trim_start().starts_with(rule));
    let first = lines.len().saturating_sub(MAX_COMPOSER);
    let rules = (first..lines.len()).filter(|at| is_rule(lines[*at]));
    let rules: Vec<usize> = rules.collect();
    let end = match rules[..] {
        [.., upper, _] => upper,
        _ => lines.len(),
    };
    let above = lines[..end].iter().rev().map(|line| line.trim());
    above
        .filter(|line| !line.is_empty() && !is_rule(line))
        .map(str::to_owned)
        .next()
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
            (&format!("{rule}\n Do it?\n ❯ 1. Yes"), Some("❯ 1. Yes")),
        ] {
            assert_eq!(last_line(screen).as_deref(), expected, "{screen}");
        }
    }
}
