//! Colours, as git is configured: `color.flux` or `color.ui`, and `color.flux.<slot>`.

use std::collections::HashMap;
use std::path::Path;
use std::sync::OnceLock;

use anyhow::Result;
use console::Style;

use crate::settings::{Colour, Settings};

/// What begins the colour of a slot that is configured.
static SLOTS: OnceLock<HashMap<String, String>> = OnceLock::new();

/// Follows what is configured, from here on; git is asked for colours in `dir`.
///
/// # Errors
/// When that is no colour, or no time for colours.
pub(crate) fn follow(settings: &Settings, dir: &Path) -> Result<()> {
    match settings.colour()? {
        Some(Colour::Always) => console::set_colors_enabled(true),
        Some(Colour::Never) => {
            console::set_colors_enabled(false);
            console::set_colors_enabled_stderr(false);
        }
        Some(Colour::Auto) | None => {}
    }
    SLOTS.set(settings.colours_of_slots(dir)?).ok();
    Ok(())
}

/// A text for standard output in the colour of a slot, or in `style` where that has none.
pub(crate) fn paint(slot: &str, style: &Style, text: &str) -> String {
    match code(slot).filter(|_| console::colors_enabled()) {
        Some(code) => format!("{code}{text}\x1b[m"),
        None => style.apply_to(text).to_string(),
    }
}

/// The same for standard error.
pub(super) fn paint_stderr(slot: &str, style: Style, text: &str) -> String {
    match code(slot).filter(|_| console::colors_enabled_stderr()) {
        Some(code) => format!("{code}{text}\x1b[m"),
        None => style.for_stderr().apply_to(text).to_string(),
    }
}

fn code(slot: &str) -> Option<&'static str> {
    SLOTS.get()?.get(slot).map(String::as_str)
}
