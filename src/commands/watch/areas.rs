//! The areas of the view.

use ratatui::layout::Rect;

/// The width from which the screen is beside the tasks.
const WIDE: u16 = 160;

/// The height from which there is a screen at all.
const HIGH: u16 = 12;

/// The areas of the view.
pub(super) struct Areas {
    pub(super) tasks: Rect,
    pub(super) screen: Option<Rect>,
    pub(super) help: Rect,
}

impl Areas {
    /// Splits the terminal into the tasks and the line of help.
    pub(super) fn without_screen(all: Rect) -> Self {
        let (tasks, help) = split_rows(all, all.height.saturating_sub(1));
        Self {
            tasks,
            screen: None,
            help,
        }
    }

    /// Splits the terminal into a list of `tasks` tasks, the screen of one task and the line of
    /// help. The screen is below the list, or beside it from 160 columns; a terminal with less than
    /// 12 rows has none.
    pub(super) fn with_screen(all: Rect, tasks: usize) -> Self {
        let without = Self::without_screen(all);
        let rest = without.tasks;
        if all.height < HIGH {
            return without;
        }
        let (tasks, screen) = if all.width >= WIDE {
            let left = all.width / 2;
            let tasks = Rect {
                width: left - 2,
                ..rest
            };
            let screen = Rect {
                x: rest.x + left,
                width: rest.width - left,
                ..rest
            };
            (tasks, screen)
        } else {
            let rows = u16::try_from(tasks).unwrap_or(u16::MAX);
            split_rows(rest, rows.saturating_add(1).clamp(4, rest.height / 2))
        };
        Self {
            tasks,
            screen: Some(screen),
            ..without
        }
    }
}

/// Splits an area after a number of rows.
pub(super) fn split_rows(area: Rect, rows: u16) -> (Rect, Rect) {
    let rows = rows.min(area.height);
    let above = Rect {
        height: rows,
        ..area
    };
    let below = Rect {
        y: area.y + rows,
        height: area.height - rows,
        ..area
    };
    (above, below)
}
