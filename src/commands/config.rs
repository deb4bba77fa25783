//! `git flux config`

use std::path::Path;

use anyhow::Result;
use clap::Args;
use console::Style;

use super::object::SettingObject;
use crate::git::Repo;
use crate::sanitize;
use crate::settings::table::ValueKind;
use crate::settings::{EffectiveSetting, Settings};
use crate::ui::{self, Ui};

/// Show all settings: value, origin and meaning
#[derive(Debug, Args)]
#[command(override_usage = "git flux config [<options>]")]
pub(crate) struct ConfigArgs {
    /// machine-readable output: an array of objects
    #[arg(long)]
    json: bool,
}

impl ConfigArgs {
    pub(crate) fn run(self) -> Result<()> {
        let ui = Ui::default();
        // Global settings apply outside of a repository.
        let repo = Repo::open().ok();
        let dir = repo.as_ref().map(|r| r.current().unwrap_or(r.home()));
        let mut settings = Settings::load(dir.unwrap_or(Path::new(".")))?;
        if repo.as_ref().is_some_and(Repo::is_linked) {
            settings = settings.without_worktree();
        }
        let shown = settings.effective();
        if self.json {
            ui.json(&shown.iter().map(object).collect::<Vec<_>>())?;
        } else {
            print(&ui, &shown)?;
        }
        let mut wrong = settings.problems()?;
        let last = wrong.pop();
        wrong.iter().for_each(ui::show);
        last.map_or(Ok(()), Err)
    }
}

fn object<'a>(shown: &'a EffectiveSetting<'_>) -> SettingObject<'a> {
    SettingObject {
        key: &shown.key,
        value: shown.value(),
        default: shown.default.as_deref(),
        scope: shown.entry.map(|entry| entry.scope.as_str()),
        origin: shown.entry.map(|entry| entry.origin.as_str()),
        meaning: shown.setting.meaning,
        values: values(shown),
    }
}

/// Returns the allowed values of a setting; `None` unless they are a fixed list.
fn values(shown: &EffectiveSetting<'_>) -> Option<Vec<&'static str>> {
    match shown.setting.kind {
        ValueKind::OneOf(values) => Some(values()),
        _ => None,
    }
}

fn print(ui: &Ui, shown: &[EffectiveSetting<'_>]) -> Result<()> {
    for (at, one) in shown.iter().enumerate() {
        let origin = match one.entry {
            Some(entry) => {
                let origin = entry.origin.trim_end_matches(':');
                format!("{}, {}", entry.scope, origin.trim_start_matches("file:"))
            }
            None if one.default.is_some() => "default".to_owned(),
            None => "not set".to_owned(),
        };
        let value = one
            .value()
            .map_or(String::new(), |value| format!(" = {value}"));
        let key = Style::new().bold().apply_to(sanitize::line(&one.key));
        let (value, origin) = (sanitize::line(&value), sanitize::line(&origin));
        ui.data(format_args!("{key}{value} ({origin})"))?;
        // The keys of several agents, or branches, share one meaning.
        if shown.get(at + 1).map(|next| next.setting.key) != Some(one.setting.key) {
            let values = values(one).map(|values| format!(" ({})", values.join(", ")));
            let meaning = one.setting.meaning;
            ui.data(format_args!("    {meaning}{}", values.unwrap_or_default()))?;
        }
    }
    ui.status("");
    ui.hint("git config <key> <value>, git config --unset <key>");
    Ok(())
}
