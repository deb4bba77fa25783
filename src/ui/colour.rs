//! Colours, as git is configured: `color.flux` or `color.ui`, and `color.flux.<slot>`.

use std::collections::HashMap;
use std::fmt::Display;
use std::path::Path;
use std::sync::OnceLock;

use anyhow::Result;
use console::Style;

use crate::settings::{Colour, Settings};

/// What begins the colour of a slot that is configured.
static SLOTS: OnceLock<HashMap<String, String>> = OnceLock::new();

/// Follows what is configured, from here on; git is asked for colours in `dir`.
pub(crate) fn follow(settings: &Settings, dir: &Path) -> Result<()> {
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

/// A text for standard output in the colour of a slot, or in `style` where that has none.
pub(crate) fn paint(slot: &str, style: &Style, text: impl Display) -> String {
    paint_if(console::colors_enabled(), slot, style, text)
}

/// The same for standard error.
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
