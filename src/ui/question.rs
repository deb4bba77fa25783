//! The look of yes-or-no questions.

use std::fmt::{Result, Write};

use console::measure_text_width;
use dialoguer::theme::{ColorfulTheme, Theme};

/// The theme of a question, with a tick only where there is an answer.
#[derive(Default)]
pub(super) struct QuestionTheme(ColorfulTheme);

impl Theme for QuestionTheme {
    fn format_confirm_prompt(
        &self,
        f: &mut dyn Write,
        prompt: &str,
        default: Option<bool>,
    ) -> Result {
        self.0.format_confirm_prompt(f, prompt, default)
    }

    fn format_confirm_prompt_selection(
        &self,
        f: &mut dyn Write,
        prompt: &str,
        answer: Option<bool>,
    ) -> Result {
        match answer {
            Some(_) => self.0.format_confirm_prompt_selection(f, prompt, answer),
            // Esc has cancelled the question.
            None => {
                let mut theme = ColorfulTheme::default();
                theme.success_prefix = theme.error_prefix.clone();
                theme.format_confirm_prompt_selection(f, prompt, None)
            }
        }
    }
}

/// Breaks a line between words into rows of at most `columns`; a longer word has a row of its own.
pub(super) fn wrap(line: &str, columns: usize) -> Vec<String> {
    let mut rows = vec![String::new()];
    for word in line.split(' ') {
        let row = rows.last_mut().expect("there is a row");
        if row.is_empty() {
            *row = word.to_owned();
        } else if measure_text_width(row) + 1 + measure_text_width(word) <= columns {
            *row += " ";
            *row += word;
        } else {
            rows.push(word.to_owned());
        }
    }
    rows
}

#[cfg(test)]
mod tests {
    use console::strip_ansi_codes;

    use super::*;

    #[test]
    fn wrap_breaks_between_words() {
        assert_eq!(wrap("Remove it?", 10), ["Remove it?"]);
        assert_eq!(wrap("Remove it?", 9), ["Remove", "it?"]);
        assert_eq!(wrap("a 'feature/long' b", 5), ["a", "'feature/long'", "b"]);
    }

    #[test]
    fn a_cancelled_question_has_no_tick() {
        let shown = |answer| {
            let mut text = String::new();
            let theme = QuestionTheme::default();
            theme
                .format_confirm_prompt_selection(&mut text, "Go on?", answer)
                .unwrap();
            strip_ansi_codes(&text).trim_end().to_owned()
        };
        assert_eq!(shown(Some(true)), "✔ Go on? · yes");
        assert_eq!(shown(Some(false)), "✔ Go on? · no");
        assert_eq!(shown(None), "✘ Go on? ·");
    }
}
