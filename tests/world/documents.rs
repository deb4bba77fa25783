//! Reads README, the manual and the pages of docs.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::PathBuf;

use crate::world::*;

pub(crate) fn document(name: &str) -> String {
    fs::read_to_string(root().join(name)).unwrap_or_else(|e| panic!("{name}: {e}"))
}

/// Returns the first block in `sh` under `heading`.
#[track_caller]
pub(crate) fn block(document: &str, heading: &str) -> String {
    let section = document
        .split_once(&format!("\n{heading}\n"))
        .unwrap_or_else(|| panic!("there is no '{heading}'"))
        .1;
    let (_, rest) = section.split_once("\n```sh\n").expect("a block of shell");
    rest.split_once("\n```").unwrap().0.to_owned()
}

/// The manual: its sections, each a list of lines in plain text with the macro in front.
pub(crate) struct Manual(BTreeMap<String, Vec<String>>);

impl Manual {
    pub(crate) fn read() -> Self {
        let mut sections: BTreeMap<String, Vec<String>> = BTreeMap::new();
        let mut section = String::new();
        for line in document("man/git-flux.1").lines() {
            if let Some(name) = line.strip_prefix(".SH ") {
                section = name.trim_matches('"').to_owned();
            }
            sections
                .entry(section.clone())
                .or_default()
                .push(plain(line));
        }
        Self(sections)
    }

    #[track_caller]
    pub(crate) fn section(&self, name: &str) -> &[String] {
        let section = self.0.get(name);
        section.unwrap_or_else(|| panic!("the manual has no section {name}"))
    }

    /// Returns the names under which the commands are explained, each with its options: one set for all names of an
    /// option.
    pub(crate) fn commands(&self) -> BTreeMap<String, Vec<Options>> {
        let mut commands: BTreeMap<String, Vec<Options>> = BTreeMap::new();
        let mut current = None;
        for pair in self.section("COMMANDS").windows(2) {
            if let Some(heading) = pair[1].strip_prefix(".SS \"git flux ") {
                let name = heading.split([' ', '"']).next().unwrap();
                current = Some(commands.entry(name.to_owned()).or_default());
            } else if pair[0] == ".TP" {
                let options = current.as_mut().expect("a command before its options");
                options.push(tags(&pair[1]));
            }
        }
        commands
    }

    /// Returns what the entries of a section explain.
    pub(crate) fn entries(&self, section: &str) -> Vec<&str> {
        let lines = self.section(section).windows(2);
        let tags = lines.filter(|pair| pair[0] == ".TP").map(|pair| &pair[1]);
        tags.map(|tag| tag.strip_prefix(".B ").unwrap_or(tag))
            .collect()
    }
}

/// Returns a line of roff without fonts and escapes.
pub(crate) fn plain(line: &str) -> String {
    let mut text = line.replace("\\-", "-").replace("\\(aq", "'");
    for font in ["\\fB", "\\fI", "\\fR"] {
        text = text.replace(font, "");
    }
    text
}

pub(crate) fn root() -> PathBuf {
    env!("CARGO_MANIFEST_DIR").into()
}

/// Returns the options that one tag line names.
pub(crate) fn tags(line: &str) -> Options {
    let words = line.split([' ', ',', '[', '=']);
    words
        .filter(|word| word.starts_with('-'))
        .map(str::to_owned)
        .collect()
}

/// The options of one command as `-x`, `--long`, each alone.
pub(crate) type Options = BTreeSet<String>;
