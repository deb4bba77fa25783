//! Text with colours, for the view: of the escape sequences in it, only colours survive.

use std::mem;
use std::str::Chars;

use console::colors_enabled;
use ratatui::style::{Color, Modifier, Style};
use ratatui::text::{Line, Span};

use crate::sanitize;

/// Parses text of any origin, such as the output of `tmux capture-pane -e`, into lines for the view.
/// Colours and attributes (SGR) become styles; without colours on standard output, only the
/// attributes. All other escape sequences are dropped, and control, invisible and direction
/// characters are replaced by `\u{fffd}`.
pub(crate) fn styled_lines(text: &str) -> Vec<Line<'static>> {
    let mut style = Style::new();
    let lines = text.split('\n').map(|line| {
        let mut parser = Parser {
            style,
            ..Parser::default()
        };
        parser.read(line.trim_end_matches('\r'));
        style = parser.style;
        parser.finish()
    });
    lines.collect()
}

#[derive(Default)]
struct Parser {
    style: Style,
    text: String,
    spans: Vec<Span<'static>>,
    /// Between SO and SI: letters stand for lines.
    draws_lines: bool,
}

impl Parser {
    fn read(&mut self, line: &str) {
        let mut chars = line.chars();
        while let Some(c) = chars.next() {
            match c {
                '\u{1b}' => self.escape(&mut chars),
                '\u{e}' => self.draws_lines = true,
                '\u{f}' => self.draws_lines = false,
                '\t' => self.text.push_str("    "),
                c if sanitize::is_harmful(c) => self.text.push('\u{fffd}'),
                c if self.draws_lines => self.text.push(line_char(c)),
                c => self.text.push(c),
            }
        }
    }

    /// Reads an escape sequence to its end. Applies SGR to the style of the text that follows, and
    /// drops any other sequence.
    fn escape(&mut self, chars: &mut Chars<'_>) {
        match chars.next() {
            Some('[') => {
                let rest = chars.as_str();
                let end = chars.find(|c| ('@'..='~').contains(c));
                let length = rest.len() - chars.as_str().len();
                if end == Some('m') {
                    self.push_span();
                    self.style = apply_sgr(self.style, &rest[..length - 1]);
                }
            }
            // A text for the terminal, such as a link: until BEL or ESC \.
            Some(']' | 'P' | 'X' | '^' | '_') => {
                if let Some('\u{1b}') = chars.find(|c| ['\u{7}', '\u{1b}'].contains(c)) {
                    chars.next();
                }
            }
            // A character set: one more.
            Some('(' | ')' | '*' | '+' | '#' | '%' | ' ') => drop(chars.next()),
            _ => {}
        }
    }

    fn push_span(&mut self) {
        if !self.text.is_empty() {
            let text = mem::take(&mut self.text);
            self.spans.push(Span::styled(text, self.style));
        }
    }

    fn finish(mut self) -> Line<'static> {
        self.push_span();
        Line::from(self.spans)
    }
}

/// Returns the line-drawing character for a letter in the special character set of terminals, such
/// as `─` for `q`; any other character as it is.
fn line_char(c: char) -> char {
    const LETTERS: &str = "jklmnqtuvwxa";
    const LINES: &str = "┘┐┌└┼─├┤┴┬│▒";
    let at = LETTERS.chars().position(|letter| letter == c);
    at.and_then(|at| LINES.chars().nth(at)).unwrap_or(c)
}

fn apply_sgr(mut style: Style, numbers: &str) -> Style {
    let mut numbers = numbers.split(';');
    while let Some(number) = numbers.next() {
        // `4:3` is a curly underline, `38:5:1` a colour.
        let (number, kind) = match number.split_once(':') {
            Some((number, kind)) => (number, Some(kind)),
            None => (number, None),
        };
        let number = if number.is_empty() { "0" } else { number };
        let mut colour = || match kind {
            Some(kind) => nested_colour(kind),
            None => long_colour(&mut numbers),
        };
        let Ok(number) = number.parse::<u8>() else {
            continue;
        };
        style = match number {
            0 => Style::new(),
            4 if kind == Some("0") => style.remove_modifier(Modifier::UNDERLINED),
            1..=9 => modifier(number).map_or(style, |modifier| style.add_modifier(modifier)),
            // Both of them.
            22 => style.remove_modifier(Modifier::BOLD | Modifier::DIM),
            23..=29 => {
                let modifier = modifier(number - 20);
                modifier.map_or(style, |modifier| style.remove_modifier(modifier))
            }
            30..=37 | 90..=97 | 39 => foreground(style, simple_colour(number)),
            40..=47 | 100..=107 | 49 => background(style, simple_colour(number - 10)),
            38 => foreground(style, colour()),
            48 => background(style, colour()),
            58 => {
                colour();
                style
            }
            _ => style,
        };
    }
    style
}

fn modifier(number: u8) -> Option<Modifier> {
    Some(match number {
        1 => Modifier::BOLD,
        2 => Modifier::DIM,
        3 => Modifier::ITALIC,
        4 => Modifier::UNDERLINED,
        7 => Modifier::REVERSED,
        9 => Modifier::CROSSED_OUT,
        // Text that blinks or is hidden is shown.
        _ => return None,
    })
}

fn simple_colour(number: u8) -> Color {
    match number {
        30..=37 => Color::Indexed(number - 30),
        90..=97 => Color::Indexed(number - 90 + 8),
        _ => Color::Reset,
    }
}

/// Reads the colour that follows 38, 48 or 58 in SGR: 5 and a number, or 2 and red, green and blue.
/// Returns `Color::Reset` if it is invalid.
fn long_colour<'a>(numbers: &mut impl Iterator<Item = &'a str>) -> Color {
    let kind = numbers.next();
    let mut next = || numbers.next().and_then(|number| number.parse().ok());
    let colour = match kind {
        Some("5") => next().map(Color::Indexed),
        Some("2") => {
            let [red, green, blue] = [next(), next(), next()].map(Option::unwrap_or_default);
            Some(Color::Rgb(red, green, blue))
        }
        _ => None,
    };
    colour.unwrap_or(Color::Reset)
}

/// Reads the colour that follows `38:`, `48:` or `58:` in SGR: `5:<number>`,
/// `2:<red>:<green>:<blue>`, or `2:<colour space>:<red>:<green>:<blue>`.
fn nested_colour(text: &str) -> Color {
    let mut parts: Vec<&str> = text.split(':').collect();
    if parts[0] == "2" && parts.len() > 4 {
        parts.remove(1);
    }
    long_colour(&mut parts.into_iter())
}

fn foreground(style: Style, colour: Color) -> Style {
    if colors_enabled() {
        style.fg(colour)
    } else {
        style
    }
}

fn background(style: Style, colour: Color) -> Style {
    if colors_enabled() {
        style.bg(colour)
    } else {
        style
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Returns the text of the lines, and the styles of their spans.
    fn parse(text: &str) -> (Vec<String>, Vec<Style>) {
        let lines = styled_lines(text);
        let styles = lines
            .iter()
            .flat_map(|line| &line.spans)
            .map(|span| span.style);
        (
            lines.iter().map(ToString::to_string).collect(),
            styles.collect(),
        )
    }

    #[test]
    fn styled_lines_keep_attributes_and_colours() {
        console::set_colors_enabled(true);
        let (text, styles) =
            parse("a\u{1b}[1;31mb\u{1b}[0mc\u{1b}[38;5;200;48;2;1;2;3md\ne\u{1b}[39;49;7mf");
        assert_eq!(text, ["abcd", "ef"]);
        let plain = Style::new();
        let pink = plain.fg(Color::Indexed(200)).bg(Color::Rgb(1, 2, 3));
        let reset = plain.fg(Color::Reset).bg(Color::Reset);
        let bold = plain.fg(Color::Indexed(1)).add_modifier(Modifier::BOLD);
        let reversed = reset.add_modifier(Modifier::REVERSED);
        assert_eq!(styles, [plain, bold, plain, pink, pink, reversed]);
    }

    #[test]
    fn styled_lines_read_numbers_with_colons() {
        console::set_colors_enabled(true);
        let (_, styles) = parse(
            "\u{1b}[4:3ma\u{1b}[4:0;3mb\u{1b}[0;38:5:200;48:2:1:2:3mc\u{1b}[0;38:2::1:2:3;58:2::4:5:6md",
        );
        let plain = Style::new();
        let pink = plain.fg(Color::Indexed(200)).bg(Color::Rgb(1, 2, 3));
        let under = plain.add_modifier(Modifier::UNDERLINED);
        let italic = under.remove_modifier(Modifier::UNDERLINED);
        let italic = italic.add_modifier(Modifier::ITALIC);
        let blue = plain.fg(Color::Rgb(1, 2, 3));
        assert_eq!(styles, [under, italic, pink, blue]);
    }

    #[test]
    fn styled_lines_drop_all_that_a_terminal_would_obey() {
        for (shown, expected) in [
            ("a\u{1b}[2Jb\u{1b}[10;20Hc\u{1b}[?1049ld", "abcd"),
            ("a\u{1b}]0;title\u{7}b\u{1b}]52;c;QQ==\u{1b}\\c", "abc"),
            (
                "a\u{1b}]8;;http://x\u{1b}\\link\u{1b}]8;;\u{1b}\\b",
                "alinkb",
            ),
            ("a\u{1b}Pq#0\u{1b}\\b\u{1b}cc\u{1b}(Bd\u{1b}7e", "abcde"),
            (
                "a\u{7}\u{8}\u{9b}31m\u{202e}b\u{200b}\r",
                "a\u{fffd}\u{fffd}\u{fffd}31m\u{fffd}b\u{fffd}",
            ),
            ("a\tb", "a    b"),
            ("\u{e}lqk\u{f}q", "┌─┐q"),
            // Without an end.
            ("a\u{1b}[31", "a"),
            ("a\u{1b}]0;b", "a"),
            ("a\u{1b}", "a"),
        ] {
            assert_eq!(parse(shown).0, [expected], "{shown:?}");
        }
        assert_eq!(parse("\u{1b}[38:5mx\u{1b}[4:mx\u{1b}[38:2:::mx").0, ["xxx"]);
        assert_eq!(parse("\u{1b}[38;5mx\u{1b}[99999mx\u{1b}[:::mx").0, ["xxx"]);
    }
}
