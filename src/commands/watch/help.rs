//! The help of the view: a line, and a page.

use std::mem;

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

/// Returns the help for a terminal with so many columns.
pub(super) fn help_lines(width: usize) -> Vec<Line<'static>> {
    let mut lines = vec![Line::styled("With the selected task:", Modifier::BOLD)];
    let key = |key: &str, what: &str| wrap(&format!("  {key:<14}"), what, width);
    lines.extend(key(OTHERS[0].0, OTHERS[0].1));
    lines.extend(COMMANDS.iter().flat_map(|(letter, name, _, what)| {
        key(&letter.to_string(), &format!("{what}: git flux {name}"))
    }));
    lines.extend(key(OTHERS[1].0, OTHERS[1].1));
    lines.push(Line::default());
    lines.extend(OTHERS[2..].iter().flat_map(|(name, what)| key(name, what)));
    lines.push(Line::default());
    lines.extend(wrap("", FIRST, width));
    lines
}

/// Returns the line below the help, or below a part of it if `has_more`.
pub(super) fn help_end(has_more: bool) -> &'static str {
    if has_more {
        "Any key shows more, Esc goes back."
    } else {
        "Any key goes back."
    }
}

/// Breaks a text between words into lines of at most `width` columns, the first one after `start`
/// and the others indented as far. A word without room stays whole.
fn wrap(start: &str, text: &str, width: usize) -> Vec<Line<'static>> {
    let mut lines = Vec::new();
    let mut line = start.to_owned();
    for word in text.split(' ') {
        let is_begun = line.len() > start.len();
        if is_begun && line.len() + 1 + word.len() > width {
            let next = " ".repeat(start.len());
            lines.push(Line::from(mem::replace(&mut line, next)));
        } else if is_begun {
            line.push(' ');
        }
        line.push_str(word);
    }
    lines.push(Line::from(line));
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
