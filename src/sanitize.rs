//! Escapes untrusted text for a terminal.
//!
//! Descriptions, branch names, paths, titles and captured screens are untrusted. Control
//! characters, direction overrides, invisible characters and tags become `\u{…}`.

use std::path::Path;

/// Escapes untrusted text for one line on a terminal: control, invisible and direction characters,
/// newlines included, become `\u{…}`. A tab becomes four spaces.
pub(crate) fn line(text: &str) -> String {
    escape(text, |c| c == '\t')
}

/// Escapes untrusted text of several lines for a terminal: control, invisible and direction
/// characters become `\u{…}`. Newlines stay, and a tab becomes four spaces.
pub(crate) fn text(text: &str) -> String {
    escape(text, |c| c == '\n' || c == '\t')
}

/// Escapes untrusted code of one line for an editor: control, invisible and direction characters
/// become `\u{…}`. Keeps tabs, and a carriage return at the end of the line.
pub(crate) fn code(line: &str) -> String {
    let (line, end) = match line.strip_suffix('\r') {
        Some(line) => (line, "\r"),
        None => (line, ""),
    };
    let parts = line.split('\t').map(self::line);
    parts.collect::<Vec<_>>().join("\t") + end
}

/// Escapes control, invisible and direction characters in a JSON text as `\uXXXX`, which does not
/// change its value, since they occur only in strings. Newlines stay.
pub(crate) fn json(json: &str) -> String {
    let mut out = String::with_capacity(json.len());
    for c in json.chars() {
        if is_harmful(c) && c != '\n' {
            for unit in c.encode_utf16(&mut [0; 2]) {
                out.push_str(&format!("\\u{unit:04x}"));
            }
        } else {
            out.push(c);
        }
    }
    out
}

/// Formats a path as one line of a message, and escapes control, invisible and direction
/// characters.
pub(crate) fn shown(path: &Path) -> String {
    line(&path.to_string_lossy())
}

/// Quotes a path for a command that the user can paste into a shell, and escapes control
/// characters.
pub(crate) fn quoted(path: &Path) -> String {
    word(&path.to_string_lossy())
}

/// Quotes a word, such as a branch name, for a command that the user can paste into a shell, and
/// escapes control characters. git allows `;` and `$` in branch names.
pub(crate) fn word(text: &str) -> String {
    line(&shell_words::quote(text))
}

/// Quotes a text for a command that the user can paste into a shell, as [`word`] does, but without
/// changing it: with a control character, in `$'…'`, which a shell need not have.
pub(crate) fn exact_word(text: &str) -> String {
    if !text.contains(is_harmful) {
        return word(text);
    }
    let mut out = "$'".to_owned();
    for c in text.chars() {
        match c {
            '\n' => out.push_str("\\n"),
            '\'' | '\\' => out.extend(['\\', c]),
            _ if is_harmful(c) => {
                let mut bytes = [0; 4];
                let bytes = c.encode_utf8(&mut bytes).bytes();
                out.extend(bytes.map(|byte| format!("\\{byte:03o}")));
            }
            _ => out.push(c),
        }
    }
    out + "'"
}

fn escape(text: &str, keep: impl Fn(char) -> bool) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '\t' if keep(c) => out.push_str("    "),
            _ if !is_harmful(c) || keep(c) => out.push(c),
            _ => out.extend(c.escape_unicode()),
        }
    }
    out
}

/// Returns whether a terminal obeys a character, or does not show it: control, invisible and
/// direction characters.
pub(crate) fn is_harmful(c: char) -> bool {
    matches!(c,
        '\0'..='\x1f' | '\x7f'..='\u{9f}'           // C0, DEL, C1
        | '\u{61c}' | '\u{200b}'..='\u{200f}'       // zero width, direction marks
        | '\u{2028}'..='\u{202e}'                   // line and paragraph separators, overrides
        | '\u{2060}'..='\u{206f}' | '\u{feff}'      // invisible operators, isolates, shaping
        | '\u{ad}' | '\u{34f}' | '\u{fff9}'..='\u{fffb}' // soft hyphen, joiner, annotations
        | '\u{115f}'..='\u{1160}' | '\u{3164}' | '\u{ffa0}' // fillers
        | '\u{17b4}'..='\u{17b5}' | '\u{180b}'..='\u{180f}' // invisible vowels, selectors
        | '\u{1bca0}'..='\u{1bca3}' | '\u{1d173}'..='\u{1d17a}' // controls of shorthand, music
        // The two selectors of emoji are visible.
        | '\u{fe00}'..='\u{fe0d}' | '\u{e0000}'..='\u{e0fff}') // other selectors, tags
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn exact_word_loses_no_character() {
        assert_eq!(exact_word("two words"), "'two words'");
        let text = "a\n\t\x1b1 'b' \\ \u{202e}größe";
        let word = r"$'a\n\011\0331 \'b\' \\ \342\200\256größe'";
        assert_eq!(exact_word(text), word);
        assert_eq!(line(word), word);
    }

    #[test]
    fn control_characters_are_escaped() {
        assert_eq!(
            line("a\x1b[31mb\u{9b}c\nd\te"),
            "a\\u{1b}[31mb\\u{9b}c\\u{a}d    e"
        );
        assert_eq!(
            json("{\n\"a\": \"\u{9b}\u{e0041}\"}"),
            "{\n\"a\": \"\\u009b\\udb40\\udc41\"}"
        );
        assert_eq!(code("\ta\x1bb\r\tc\r"), "\ta\\u{1b}b\\u{d}\tc\r");
        assert_eq!(text("a\nb\r\u{202e}"), "a\nb\\u{d}\\u{202e}");
        assert_eq!(
            line("a\u{ad}\u{3164}\u{e0101}b"),
            "a\\u{ad}\\u{3164}\\u{e0101}b"
        );
        assert_eq!(line("größe 修复 🎯 ❤\u{fe0f}"), "größe 修复 🎯 ❤\u{fe0f}");
    }
}
