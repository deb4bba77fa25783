//! Reads the screen of the selected task, when it has changed.

use std::path::PathBuf;
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use ratatui::text::Line;

use super::model::TaskKey;
use crate::run::watch::{Wakeup, Watch};
use crate::task::Target;
use crate::tmux::screen::capture_colours;
use crate::ui::styled::styled_lines;

/// The minimum between two readings.
const PAUSE: Duration = Duration::from_millis(200);

/// The time between two readings where the system does not tell of output.
const BLIND: Duration = Duration::from_secs(1);

/// The task whose screen is shown.
#[derive(Clone, PartialEq, Eq)]
pub(super) struct Selected {
    pub(super) key: TaskKey,
    pub(super) target: Target,
}

/// The screen of a task.
pub(super) struct Shown {
    pub(super) key: TaskKey,
    pub(super) lines: Vec<Line<'static>>,
}

/// The thread that reads the screen.
pub(super) struct ScreenReader {
    selected: Arc<Mutex<Option<Selected>>>,
    wakeups: Sender<Wakeup>,
}

impl ScreenReader {
    /// Starts a thread that reads the screen of the task given to [`Self::select`], and calls
    /// `show` with each screen that differs from the one before.
    pub(super) fn start(show: impl Fn(Shown) + Send + 'static) -> Self {
        let (wakeups, news) = channel();
        let selected = Arc::new(Mutex::new(None));
        let thread = Thread {
            selected: Arc::clone(&selected),
            watch: Watch::without_signals(wakeups.clone()).ok(),
            terminal: Terminal::None,
            show: Box::new(show),
        };
        thread::spawn(move || thread.run(&news));
        Self { selected, wakeups }
    }

    /// Makes the thread read the screen of the task `next` from now on, or none for `None`. Does
    /// nothing if the thread does so already.
    pub(super) fn select(&self, next: Option<Selected>) {
        let mut selected = self.selected.lock().unwrap_or_else(PoisonError::into_inner);
        if *selected != next {
            *selected = next;
            // The thread lives as long as this one.
            self.wakeups.send(Wakeup::Run(PathBuf::new())).ok();
        }
    }
}

/// The way in which output of the selected task is noticed.
enum Terminal {
    None,
    Watched,
    Unwatched,
}

struct Thread {
    selected: Arc<Mutex<Option<Selected>>>,
    /// `None` if no files can be watched.
    watch: Option<Watch>,
    terminal: Terminal,
    show: Box<dyn Fn(Shown) + Send>,
}

impl Thread {
    fn run(mut self, news: &Receiver<Wakeup>) {
        let mut read: Option<(Selected, String)> = None;
        let mut last = Instant::now();
        loop {
            let news_ended = match self.terminal {
                Terminal::Unwatched => news.recv_timeout(BLIND).err(),
                _ => news.recv().err().map(|_| RecvTimeoutError::Disconnected),
            };
            if news_ended == Some(RecvTimeoutError::Disconnected) {
                return;
            }
            thread::sleep((last + PAUSE).saturating_duration_since(Instant::now()));
            news.try_iter().for_each(drop);
            let selected = self
                .selected
                .lock()
                .unwrap_or_else(PoisonError::into_inner)
                .clone();
            let Some(selected) = selected else {
                (self.terminal, read) = (Terminal::None, None);
                continue;
            };
            // Output from now on needs another reading.
            self.watch.iter().for_each(Watch::reset_output);
            let is_new = read.as_ref().is_none_or(|(before, _)| *before != selected);
            let text = self.capture(&selected, is_new);
            last = Instant::now();
            if !is_new && text.is_some() && text.as_ref() == read.as_ref().map(|(_, before)| before)
            {
                continue;
            }
            let lines = styled_lines(text.as_deref().unwrap_or_default());
            let key = selected.key.clone();
            (self.show)(Shown { key, lines });
            read = text.map(|text| (selected, text));
        }
    }

    /// Returns the text of a task's pane with its colours; `None` if it cannot be read. If the task
    /// `is_new`, not read before, also begins to watch the pane's terminal device for output.
    fn capture(&mut self, selected: &Selected, is_new: bool) -> Option<String> {
        let Ok((text, tty)) = capture_colours(&selected.target) else {
            self.terminal = Terminal::None;
            return None;
        };
        if !is_new {
            return Some(text);
        }
        let watch = self.watch.as_mut();
        self.terminal = match watch.is_some_and(|watch| watch.watch_terminal(&tty)) {
            true => Terminal::Watched,
            false => Terminal::Unwatched,
        };
        // Output before the watch began is read now.
        Some(capture_colours(&selected.target).map_or(text, |(text, _)| text))
    }
}
