//! Asks about changes of the configuration that worktrees share.

use anyhow::{Result, bail};
use bstr::ByteSlice as _;

use crate::context::Flux;
use crate::failure::Failure;
use crate::git::shared_config::FileContent;
use crate::git::shared_config::keys::ConfigEffect;
use crate::lifecycle::cleanup::facts::Facts;
use crate::lifecycle::cleanup::options::{Agreed, Options, Question};
use crate::lifecycle::cleanup::plan::Plan;
use crate::lifecycle::shared_config::change::{PartState, SharedChange};
use crate::lifecycle::shared_config::keep;
use crate::lifecycle::shared_config::put_back::put_back;
use crate::sanitize;
use crate::ui::shown;

/// The lines of a state that are shown.
const MAX_LINES: usize = 100;

/// An answer to a change.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Answer {
    Keep,
    PutBack,
    Show,
    Abort,
}

impl Answer {
    fn words(self) -> String {
        let words = match self {
            Self::Keep => "keep it",
            Self::PutBack => "put it back",
            Self::Show => "show it",
            Self::Abort => "abort",
        };
        words.to_owned()
    }
}

/// Asks whether to keep a change of the shared configuration, put it back, show it and ask again,
/// or abort, which is an error. Records the answer, so that no other cleanup asks again. The
/// default answer is to show a change that decides which program runs, and to keep any other.
pub(super) fn ask(flux: &Flux, facts: &Facts, change: &SharedChange) -> Result<()> {
    use Answer::{Abort, Keep, PutBack, Show};
    let mut answers = match change.effect {
        ConfigEffect::RunsProgram => vec![Show, Keep, PutBack, Abort],
        ConfigEffect::Plain => vec![Keep, PutBack, Show, Abort],
    };
    answers.retain(|answer| *answer != PutBack || change.is_reversible());
    let words: Vec<String> = answers.iter().map(|answer| answer.words()).collect();
    let id = &facts.task.id;
    flux.ui.status(sanitize::line(&change.describe(id)));
    loop {
        match answers[flux.ui.select("What should happen to it?", &words)?] {
            Keep => keep(flux, change)?,
            PutBack => {
                let replaced = put_back(flux, (id, &facts.command), change)?;
                flux.ui.status(format_args!("put back {}", change.name()));
                if let Some(path) = replaced {
                    let what = format!("the replaced file is kept in '{}'", shown(&path));
                    flux.ui.status(what);
                }
            }
            Show => {
                show(flux, change);
                continue;
            }
            Abort => bail!(Failure::declined("nothing was changed")),
        }
        return Ok(());
    }
}

/// Prints the lines before a change with `-`, and those after it with `+`.
fn show(flux: &Flux, change: &SharedChange) {
    let [before, after] = [&change.before, &change.after].map(|state| lines(state.as_ref()));
    let same = before
        .iter()
        .zip(&after)
        .take_while(|(old, new)| old == new);
    let start = same.count();
    for (sign, lines) in [('-', &before[start..]), ('+', &after[start..])] {
        for line in lines.iter().take(MAX_LINES) {
            flux.ui
                .status(format_args!("  {sign} {}", sanitize::line(line)));
        }
        if let Some(more) = lines.len().checked_sub(MAX_LINES + 1) {
            flux.ui
                .status(format_args!("  {sign} … and {} more lines", more + 1));
        }
    }
}

fn lines(state: Option<&PartState>) -> Vec<String> {
    let text = |bytes: &[u8]| bytes.to_str_lossy().into_owned();
    let file = match state {
        None => return Vec::new(),
        Some(PartState::Values(values)) => return values.iter().map(|value| text(value)).collect(),
        Some(PartState::File(file)) => file,
    };
    let mode = if file.is_executable {
        "executable"
    } else {
        "not executable"
    };
    match &file.content {
        FileContent::Whole(_) => {
            let lines = file.bytes().unwrap_or_default().lines().map(text);
            [mode.to_owned()].into_iter().chain(lines).collect()
        }
        FileContent::Hash(hash) => vec![mode.to_owned(), format!("a long file: {hash}")],
        FileContent::Link(target) => {
            vec![format!("a link to {}", text(target.0.as_encoded_bytes()))]
        }
        FileContent::Unreadable => vec!["it cannot be read".to_owned()],
    }
}

/// Warns of each change of the shared configuration to which the options agree without a question,
/// except those in `warned`, and appends it to `warned`. With `--keep-config`, also records that
/// the user has agreed to all changes.
pub(in crate::commands) fn note_agreed(
    flux: &Flux,
    options: &Options,
    plan: &Plan,
    warned: &mut Vec<String>,
) -> Result<()> {
    use Question::{Configuration, PlainConfiguration};
    for consent in plan.consents(Agreed::Yes) {
        let is_ours = matches!(consent.question, Configuration | PlainConfiguration);
        let is_new = !warned.contains(&consent.finding);
        if is_ours && is_new && options.agrees(consent.question) {
            flux.ui.warning(&consent.finding);
            warned.push(consent.finding.clone());
        }
    }
    if !options.agrees(Configuration) {
        return Ok(());
    }
    let facts = plan.facts.iter();
    let mut changes = facts.flat_map(|facts| facts.configuration.changes());
    changes.try_for_each(|change| keep(flux, change))
}
