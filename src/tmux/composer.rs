//! The composer of an agent: where it shows what is typed for its next message.

use std::mem;

use super::screen::{Row, Screen};

/// How a program draws its composer, and what it does with what stands there.
pub(crate) struct Composer {
    pub(crate) frame: Frame,
    /// One of these stands before what is typed, as long as that is a message.
    pub(crate) marks: &'static [&'static str],
    /// How the text begins that an empty one shows; nothing if that is faint, or if it shows none.
    pub(crate) placeholder: &'static str,
    /// How many bytes of a paste it takes for typed text; more of them, or three lines, it marks as
    /// a paste where it passes them on. None if it passes on what was pasted and no more.
    pub(crate) longest_paste: Option<usize>,
    /// What it would obey in a message, and what keeps it from that.
    pub(crate) traps: &'static [(Trap, Remedy)],
}

/// What is around a composer.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Frame {
    /// A row above and one below that begin with three of `─`, `▄` or `▀`.
    Rules,
    /// `┃` before each row, a blank row above and below the text, and the mode in the last row.
    Bar,
    /// A mark before its first row, and below it a blank row or such a one.
    Open,
}

/// A text that a composer would obey.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Trap {
    /// It begins with this.
    Begins(char),
    /// It begins with a `/` and a word.
    Command,
    /// A word begins with this.
    Mention(char),
    /// This is in its last word, so that there is a list to choose from.
    LastWord(char),
    /// It ends with this.
    Ends(char),
}

/// What keeps a composer from obeying a text.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Remedy {
    /// A space before it, which the program takes away itself.
    Space,
    /// A space behind it, which the program takes away itself.
    SpaceBehind,
    /// A space before it, which is taken away by keys once the text is known to be a message.
    ErasedSpace,
    /// These keys before Enter.
    Keys(&'static str),
    /// Nothing.
    None,
}

/// What a composer holds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Content {
    Empty,
    /// A message.
    Text(String),
    /// It is no message, but a command to be.
    Command(String),
}

/// A message as it has to be typed.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct SafeText {
    pub(crate) text: String,
    /// The first character of the text has to be typed behind a space that is erased.
    pub(crate) is_erased_space_first: bool,
    /// How many bytes may be pasted at once, and no more than two lines; none if all may.
    pub(crate) longest_paste: Option<usize>,
    /// Keys before Enter.
    pub(crate) keys: Vec<&'static str>,
}

/// Clears a line, and joins it with the one before. In an empty composer that does nothing.
const CLEAR_LINE: &str = "\u{15}\u{7f}";

/// As many rows may be a part of a message; fewer have to be all of it.
const MIN_ROWS: usize = 5;

/// How many bytes are pasted in pieces.
const MAX_SPLIT_BYTES: usize = 8_000;

/// A paste of fewer bytes in one line is shown as it is.
const MAX_UNFOLDED_BYTES: usize = 100;

impl Composer {
    /// Returns what the composer holds; `None` if the screen shows something else, like a dialog.
    pub(crate) fn read(&self, screen: &Screen) -> Option<Content> {
        let (rows, is_message) = self.rows(screen)?;
        let first = rows.first()?.text();
        let mark = self.marks.iter().find(|mark| first.starts_with(**mark));
        // Without a mark its beginning is scrolled out of sight.
        let is_message = is_message && (mark.is_some() || first.starts_with("  "));
        let mut skipped = mark.map_or(0, |mark| mark.chars().count());
        let texts = rows
            .iter()
            .map(|row| row.without_hints(mem::take(&mut skipped)));
        let text = texts.collect::<Vec<_>>().join("\n").trim().to_owned();
        let shows_hint = !self.placeholder.is_empty() && text.starts_with(self.placeholder);
        Some(if !is_message {
            Content::Command(text)
        } else if text.is_empty() || shows_hint {
            Content::Empty
        } else {
            Content::Text(text)
        })
    }

    /// Returns the rows of the composer, and whether what is typed there is a message as far as the
    /// rows below say it.
    fn rows(&self, screen: &Screen) -> Option<(Vec<Row>, bool)> {
        let (rows, cursor) = (&screen.rows, screen.cursor);
        rows.get(cursor)?;
        let up = |is: &dyn Fn(&Row) -> bool| (0..=cursor).rev().find(|at| is(&rows[*at]));
        let down = |is: &dyn Fn(&Row) -> bool| (cursor + 1..rows.len()).find(|at| is(&rows[*at]));
        let (first, end) = match self.frame {
            Frame::Rules => (up(&Row::is_rule)? + 1, down(&Row::is_rule)?),
            Frame::Open => {
                let first = up(&|row| !row.text().starts_with("  ") && !row.is_blank())?;
                (first, down(&|row| row.is_blank() || row.is_rule())?)
            }
            Frame::Bar => {
                rows[cursor].behind_bar()?;
                let is_edge = |row: &Row| row.behind_bar().is_none_or(|text| text.is_blank());
                let first = (0..cursor).rev().find(|at| is_edge(&rows[*at]))? + 1;
                let end = down(&is_edge)?;
                let below = rows[end..].iter().map_while(Row::behind_bar);
                let is_shell = |mode: Row| mode.text().trim_start().starts_with("Shell");
                let is_message = below.last().is_some_and(|mode| !is_shell(mode));
                let inner = rows[first..end].iter().filter_map(Row::behind_bar);
                return Some((inner.collect(), is_message));
            }
        };
        (first <= cursor && cursor < end).then(|| (rows[first..end].to_vec(), true))
    }

    /// Returns whether that is `text`, or as much of it as there is room for.
    pub(crate) fn holds(&self, content: &Content, text: &str) -> bool {
        let Content::Text(shown) = content else {
            return false;
        };
        let (shown_text, whole_text) = (normalize(shown), normalize(text));
        let is_long = text.contains('\n') || text.len() > MAX_UNFOLDED_BYTES;
        let is_window = shown.lines().count() >= MIN_ROWS && whole_text.ends_with(&shown_text);
        shown_text == whole_text || is_long && (is_window || is_folded(&shown_text))
    }

    /// Returns whether that is all of `text`, or its end; and not a paste of which it shows nothing.
    pub(crate) fn shows(&self, content: &Content, text: &str) -> bool {
        let is_folded = matches!(content, Content::Text(shown) if is_folded(&normalize(shown)));
        !is_folded && self.holds(content, text)
    }

    /// Returns how a message has to be typed so that it is not obeyed.
    ///
    /// # Errors
    /// When nothing prevents that: with the trap.
    pub(crate) fn escape(&self, text: &str) -> Result<SafeText, Trap> {
        let mut typed = SafeText {
            text: text.to_owned(),
            longest_paste: self.longest_paste.filter(|_| text.len() <= MAX_SPLIT_BYTES),
            ..SafeText::default()
        };
        for (trap, remedy) in self.traps.iter().filter(|(trap, _)| trap.is_in(text)) {
            match remedy {
                Remedy::Space => typed.text.insert(0, ' '),
                Remedy::SpaceBehind if typed.text.ends_with(' ') => {}
                Remedy::SpaceBehind => typed.text.push(' '),
                Remedy::ErasedSpace => typed.is_erased_space_first = true,
                Remedy::Keys(keys) if typed.keys.contains(keys) => {}
                Remedy::Keys(keys) => typed.keys.push(keys),
                Remedy::None => return Err(*trap),
            }
        }
        Ok(typed)
    }
}

impl Trap {
    fn is_in(self, text: &str) -> bool {
        let is_name = |c: char| c.is_alphanumeric() || "_-:.".contains(c);
        match self {
            Self::Begins(c) => text.starts_with(c),
            Self::Command => text.trim_start().strip_prefix('/').is_some_and(|rest| {
                let word = rest.split_whitespace().next().unwrap_or_default();
                rest.starts_with(is_name) && word.chars().all(is_name)
            }),
            Self::Mention(c) => text.split_whitespace().any(|word| {
                word.match_indices(c).any(|(at, found)| {
                    let is_last = at + found.len() == word.len();
                    !is_last && !word[..at].ends_with(char::is_alphanumeric)
                })
            }),
            Self::LastWord(c) => {
                let last = text.split_whitespace().next_back();
                last.is_some_and(|word| word.contains(c))
            }
            Self::Ends(c) => text.ends_with(c),
        }
    }

    /// Returns what the text is taken for, in words.
    pub(crate) fn meaning(self) -> String {
        match self {
            Self::Command => "begins with a command".to_owned(),
            Self::Mention('@') => "names a file with '@'".to_owned(),
            Self::Begins(c) => format!("begins with '{c}'"),
            Self::Mention(c) | Self::LastWord(c) => format!("has a word with '{c}'"),
            Self::Ends(c) => format!("ends with '{c}'"),
        }
    }
}

/// Returns the keys that clear a composer with `text` in it, whose cursor is at the end.
pub(super) fn clearing_keys(text: &str) -> String {
    CLEAR_LINE.repeat((text.lines().count() + text.len() / 20 + 4).min(2_000))
}

/// Returns what is left of a text wherever it is wrapped, and however a terminal paints it.
fn normalize(text: &str) -> String {
    let is_kept = |c: &char| c.is_ascii_graphic() || c.is_alphanumeric();
    text.chars().filter(is_kept).collect()
}

/// Returns whether this stands for a long paste: `[Pasted text #1 +3 lines]`.
fn is_folded(shown: &str) -> bool {
    let shown = shown.strip_prefix('!').unwrap_or(shown);
    let inner = shown.strip_prefix("[Pasted");
    let inner = inner.and_then(|inner| inner.strip_suffix(']'));
    inner.is_some_and(|inner| !inner.contains(['[', ']']))
}
