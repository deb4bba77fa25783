//! Colours of `color.flux` or `color.ui`, and `color.flux.<slot>`.

use std::collections::HashMap;
use std::fmt::Display;
use std::path::Path;
use std::sync::OnceLock;

use anyhow::Result;
use console::Style;

use crate::settings::{Colour, Settings};

/// The escape sequences of the configured slots.
static SLOTS: OnceLock<HashMap<String, String>> = OnceLock::new();

/// Applies `color.flux` or `color.ui` to the output of this process from now on; `always` does not
/// concern standard error. Reads the colours of `color.flux.<slot>` by `git config --get-color` in
/// `dir`.
pub(crate) fn configure(settings: &Settings, dir: &Path) -> Result<()> {
    match settings.colour()? {
        Some(Colour::Always) => console::set_colors_enabled(true),
        Some(Colour::Never) => {
            console::set_colors_enabled(false);
            console::set_colors_enabled_stderr(false);
        }
        Some(Colour::Auto) | None => {}
    }
    SLOTS.set(settings.slot_colours(dir)?).ok();
    Ok(())
}

/// Colours a text for standard output with `color.flux.<slot>`, or else with `style`; returns it
/// plain if colours are off.
pub(crate) fn paint(slot: &str, style: &Style, text: impl Display) -> String {
    paint_if(console::colors_enabled(), slot, style, text)
}

/// Colours a text for standard error with `color.flux.<slot>`, or else with `style`; returns it
/// plain if colours are off.
pub(super) fn paint_stderr(slot: &str, style: Style, text: impl Display) -> String {
    let is_coloured = console::colors_enabled_stderr();
    paint_if(is_coloured, slot, &style.for_stderr(), text)
}

fn paint_if(is_coloured: bool, slot: &str, style: &Style, text: impl Display) -> String {
    match SLOTS.get().and_then(|slots| slots.get(slot)) {
        Some(code) if is_coloured => format!("{code}{text}\x1b[m"),
        _ => style.apply_to(text).to_string(),
    }
}
