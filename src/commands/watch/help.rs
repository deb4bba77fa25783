//! The help of the view: a line, and a page.

use ratatui::style::Modifier;
use ratatui::text::Line;

use super::actions::Pause;

/// The keys that run a command on the selected task, with the words of the help.
pub(super) const COMMANDS: [(char, &str, Pause, &str); 6] = [
    ('d', "diff", Pause::IfShort, "show its changes"),
    ('v', "review", Pause::IfShort, "review what is unseen"),
    ('l', "land", Pause::Always, "test and land it"),
    ('c', "cleanup", Pause::Always, "merge and remove it"),
    ('r', "resume", Pause::OnFailure, "start its agent again"),
    ('x', "stop", Pause::OnFailure, "stop its agent"),
];

/// The other keys, with the words of the help.
pub(super) const OTHERS: [(&str, &str); 10] = [
    (
        "Enter",
        "attach to it; Ctrl+b d comes back (inside tmux: Ctrl+b L)",
    ),
    ("s", "send a message; an empty one: write it in the editor"),
    (
        "n",
        "start a task; an empty description: write it in the editor",
    ),
    ("/", "filter the tasks; Esc: all of them"),
    ("j, k, arrows", "select another task"),
    ("g, G", "select the first, the last task"),
    ("Ctrl+Z", "stop this view until 'fg'"),
    ("Ctrl+L", "draw it again"),
    ("?", "this help"),
    ("q", "quit"),
];

/// The explanation of the order.
const FIRST: &str = "The first tasks need you: they wait, have failed, or have something unseen.";

/// The line of help.
pub(super) const HELP: &str = "? help  q quit  Enter attach  d diff  v review  s send  l land  \
    c cleanup  r resume  x stop  n new  / filter";

/// Returns the line of help without the last keys that have no room in so many columns.
pub(super) fn help_line(width: usize) -> &'static str {
    let ends = HELP.match_indices("  ").map(|(at, _)| at);
    let ends = ends.chain([HELP.len()]).filter(|end| *end <= width);
    &HELP[..ends.max().unwrap_or_default()]
}

/// Returns the page of help.
pub(super) fn help_lines() -> Vec<Line<'static>> {
    let mut lines = vec![Line::styled("With the selected task:", Modifier::BOLD)];
    let line = |key: &str, what: &str| Line::from(format!("  {key:<14}{what}"));
    lines.push(line(OTHERS[0].0, OTHERS[0].1));
    lines.extend(
        COMMANDS.iter().map(|(key, name, _, what)| {
            line(&key.to_string(), &format!("{what}: git flux {name}"))
        }),
    );
    lines.push(line(OTHERS[1].0, OTHERS[1].1));
    lines.push(Line::default());
    lines.extend(OTHERS[2..].iter().map(|(key, what)| line(key, what)));
    lines.push(Line::default());
    lines.push(Line::from(FIRST));
    lines.push(Line::from("Any key goes back."));
    lines
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn help_line_has_whole_keys() {
        for (width, expected) in [
            (5, ""),
            (13, "? help"),
            (14, "? help  q quit"),
            (27, "? help  q quit"),
            (28, "? help  q quit  Enter attach"),
            (500, HELP),
        ] {
            assert_eq!(help_line(width), expected, "{width}");
        }
    }
}
