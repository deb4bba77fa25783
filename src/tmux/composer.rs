//! The composer of an agent: the input field for its next message.

use std::mem;

use super::screen::{Row, Screen};

/// The appearance of an agent's composer, and its special characters.
pub(crate) struct Composer {
    pub(crate) frame: Frame,
    /// Prompts; one of them precedes the text if it is a message.
    pub(crate) marks: &'static [&'static str],
    /// The beginning of the text in an empty composer; empty if it is faint, or if there is none.
    pub(crate) placeholder: &'static str,
    /// The longest paste in bytes that the program treats as typed text. It marks longer ones, and
    /// those of three lines. `None` if it marks no paste.
    pub(crate) longest_paste: Option<usize>,
    /// Texts with a special meaning, and how to type them as text.
    pub(crate) traps: &'static [(Trap, Remedy)],
}

/// The lines around a composer.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Frame {
    /// Rows above and below that begin with three of `─`, `▄` or `▀`.
    Rules,
    /// `┃` before each row, a blank row above and below the text, and the mode in the last row.
    Bar,
    /// A mark before the first row, and a blank row or such a line below.
    Open,
}

/// A text with a special meaning in a composer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Trap {
    /// The text begins with this.
    Begins(char),
    /// The text begins with `/` and a word.
    Command,
    /// A word begins with this.
    Mention(char),
    /// The last word contains this, which opens a list.
    LastWord(char),
    /// The text ends with this.
    Ends(char),
}

/// A way to type a text without its special meaning.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Remedy {
    /// A space before the text, which the program trims.
    Space,
    /// A space after the text, which the program trims.
    SpaceBehind,
    /// A space before the text, which keys erase afterwards.
    ErasedSpace,
    /// These keys before Enter.
    Keys(&'static str),
    None,
}

/// The content of a composer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Content {
    Empty,
    /// A message.
    Text(String),
    /// The end of a message; the beginning is scrolled out, with its mark.
    End(String),
    /// A command instead of a message.
    Command(String),
}

/// A message with everything that keeps special characters as text.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct SafeText {
    pub(crate) text: String,
    /// The first character is typed after a space, which is then erased.
    pub(crate) is_erased_space_first: bool,
    /// The maximum length of a paste in bytes, also limited to two lines. `None` for no limit.
    pub(crate) longest_paste: Option<usize>,
    /// Keys before Enter.
    pub(crate) keys: Vec<&'static str>,
}

/// Clears a line, and joins it with the previous one. Does nothing in an empty composer.
const CLEAR_LINE: &str = "\u{15}\u{7f}";

/// A field with fewer rows and a mark shows the whole message. A program may also show the mark
/// before the first visible row of a scrolled field.
const MIN_ROWS: usize = 5;

/// Longer texts are pasted at once.
const MAX_SPLIT: usize = 8_000;

/// Shorter pastes of one line are shown in full.
const MAX_UNFOLDED: usize = 100;

impl Composer {
    /// Reads what an agent's input field contains from a screen of its pane: nothing, a message, the
    /// end of one, or a command. Returns `None` if the screen shows no input field, as in a dialog.
    pub(crate) fn read(&self, screen: &Screen) -> Option<Content> {
        let (rows, is_message) = self.rows(screen)?;
        let first = rows.first()?.text();
        let mark = self.marks.iter().find(|mark| first.starts_with(**mark));
        let mut skipped = mark.map_or(0, |mark| mark.chars().count());
        let texts = rows
            .iter()
            .map(|row| row.without_hints(mem::take(&mut skipped)));
        let text = texts.collect::<Vec<_>>().join("\n");
        // A blank first row counts as one.
        let is_indent = |c: char| c.is_whitespace() && c != '\n';
        let text = text.trim_start_matches(is_indent).trim_end().to_owned();
        let is_hint = rows.len() < MIN_ROWS
            && !self.placeholder.is_empty()
            && text.starts_with(self.placeholder);
        let is_continuation = first.starts_with("  ") || rows[0].is_blank();
        Some(match (is_message, mark) {
            (true, Some(_)) if text.is_empty() || is_hint => Content::Empty,
            (true, Some(_)) => Content::Text(text),
            (true, None) if is_continuation && !text.is_empty() => Content::End(text),
            _ => Content::Command(text),
        })
    }

    /// Returns the rows of an agent's input field on a screen, and `false` if the field is for
    /// shell commands, otherwise `true`. Returns `None` if the cursor is in no input field.
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

    /// Returns whether the input field contains `typed` as a message, apart from spaces and
    /// wrapping. Of a scrolled field, the visible end is enough; for a long text, also a placeholder
    /// such as `[Pasted text]`.
    pub(crate) fn holds(&self, content: &Content, typed: &SafeText) -> bool {
        let text = &typed.text;
        let is_long = text.contains('\n') || text.len() > MAX_UNFOLDED;
        self.shows(content, typed)
            || match content {
                Content::Text(shown) => is_long && is_folded(&normalize(shown)),
                Content::End(shown) => is_end(shown, text),
                Content::Empty | Content::Command(_) => false,
            }
    }

    /// Returns whether the input field shows `typed` as a message, or at least five rows of its end.
    /// Unlike for [`Composer::holds`], a placeholder such as `[Pasted text]` is not enough.
    pub(crate) fn shows(&self, content: &Content, typed: &SafeText) -> bool {
        let (Content::Text(shown) | Content::End(shown)) = content else {
            return false;
        };
        let is_window = shown.lines().count() >= MIN_ROWS && is_end(shown, &typed.text);
        is_window || normalize(shown) == normalize(&typed.text)
    }

    /// Returns whether a message in which a word begins with `@` cannot be typed into the agent's
    /// input field: the word would be a mention, and cannot be escaped.
    pub(crate) fn refuses_mentions(&self) -> bool {
        self.traps.contains(&(Trap::Mention('@'), Remedy::None))
    }

    /// Prepares a message so that the agent takes all of it as text, and no part as a command, a
    /// mention or a shortcut. Does not type it.
    ///
    /// # Errors
    /// Returns the special text that cannot be escaped.
    pub(crate) fn escape(&self, text: &str) -> Result<SafeText, Trap> {
        let mut typed = SafeText {
            text: text.to_owned(),
            longest_paste: self.longest_paste.filter(|_| text.len() <= MAX_SPLIT),
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

    /// Describes a text that is special in an input field, as a predicate of the message: `begins
    /// with '!'`.
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

impl SafeText {
    /// Returns keys that delete `text` from an input field, from its end: Ctrl+u and Backspace, more
    /// often than necessary.
    pub(super) fn clearing_keys(&self) -> String {
        let lines = self.text.lines().count() + self.text.len() / 20 + 4;
        CLEAR_LINE.repeat(lines.min(2_000))
    }
}

/// Removes spaces, newlines and all symbols beyond ASCII from a text, which depend on wrapping and
/// on the terminal.
fn normalize(text: &str) -> String {
    let is_kept = |c: &char| c.is_ascii_graphic() || c.is_alphanumeric();
    text.chars().filter(is_kept).collect()
}

/// Returns whether `shown` is the end of `text`, apart from spaces and wrapping.
fn is_end(shown: &str, text: &str) -> bool {
    let visible = normalize(shown);
    !visible.is_empty() && normalize(text).ends_with(&visible)
}

/// Returns whether the text of an input field is a placeholder for a long paste: `[Pasted text #1
/// +3 lines]`.
fn is_folded(shown: &str) -> bool {
    let shown = shown.strip_prefix('!').unwrap_or(shown);
    let inner = shown.strip_prefix("[Pasted");
    let inner = inner.and_then(|inner| inner.strip_suffix(']'));
    inner.is_some_and(|inner| !inner.contains(['[', ']']))
}
