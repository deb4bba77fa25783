//! `color.flux`, `color.ui` and `color.flux.<slot>`.

use std::collections::HashMap;
use std::path::Path;

use anyhow::{Context as _, Result};

use super::Settings;
use super::table::{self, Colour, colour};
use crate::failure::Failure;
use crate::git::Git;

impl Settings {
    /// `color.flux`, or `color.ui`, of which git itself says what is wrong with it.
    ///
    /// # Errors
    /// When it is something else.
    pub(crate) fn colour(&self) -> Result<Option<Colour>> {
        let own = self.checked(&table::COLOUR)?;
        Ok(own.or_else(|| self.value_of("color.ui")).and_then(colour))
    }

    /// The slots that have a colour, with what begins it on a terminal:
    /// `git config --get-color color.flux.<slot>`
    ///
    /// # Errors
    /// When one is no colour.
    pub(crate) fn colours_of_slots(&self, dir: &Path) -> Result<HashMap<String, String>> {
        let mut slots = HashMap::new();
        for entry in self.entries.iter() {
            let slot = table::COLOUR_SLOT.name_in(&entry.key);
            let Some(slot) = slot.filter(|slot| !slots.contains_key(*slot)) else {
                continue;
            };
            let args = ["--get-color", &entry.key];
            let code = Git::reading(dir, "config").args(args).output();
            let code = code.with_context(|| {
                let (key, value, place) = (&entry.key, &entry.value, entry.place());
                Failure::new(format!("'{value}' is no colour for '{key}' {place}"))
                    .hint(format!("git config {} 'red bold'", shell_words::quote(key)))
            })?;
            slots.insert(slot.to_owned(), String::from_utf8(code)?);
        }
        Ok(slots)
    }
}

#[cfg(test)]
mod tests {
    use super::{Colour, colour};

    #[test]
    fn colours_are_switched_as_git_does() {
        for (value, expected) in [
            ("always", Some(Colour::Always)),
            ("auto", Some(Colour::Auto)),
            ("true", Some(Colour::Auto)),
            ("never", Some(Colour::Never)),
            ("false", Some(Colour::Never)),
            ("sometimes", None),
        ] {
            assert_eq!(colour(value), expected, "{value}");
        }
    }
}
