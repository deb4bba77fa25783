//! What tmux is asked for, so that its answer can be taken apart whatever is in it: names, titles and
//! options are anyone's, and may hold newlines, tabs and what looks like another record.

use std::str::FromStr;

use anyhow::{Context as _, Result};

use crate::task::{Layout, Rest, SessionName, Target};

/// The names of the values that a target is made of.
const TARGET: [&str; 7] = [
    "socket_path",
    "pid",
    "start_time",
    "session_name",
    "window_id",
    "pane_id",
    "pane_pid",
];

/// The names of the values of a record.
pub(super) struct Fields {
    names: Vec<&'static str>,
    /// Stands before each value and at the end: a word that was never seen before.
    mark: String,
}

/// The values of a record.
pub(super) struct Record<'a> {
    names: &'a [&'static str],
    values: Vec<&'a str>,
}

impl Fields {
    pub(super) fn new(names: &[&'static str]) -> Self {
        Self {
            names: names.to_vec(),
            mark: format!("<{:016x}>", rand::random::<u64>()),
        }
    }

    /// Adds those that a target is made of to `names`.
    pub(super) fn of_target(names: &[&'static str]) -> Self {
        Self::new(&[&TARGET, names].concat())
    }

    /// Returns the format for tmux's `-F`, or for `display-message -p`.
    pub(super) fn format(&self) -> String {
        let mark = &self.mark;
        let value = |name: &&str| format!("{mark}#{{{name}}}");
        let values: String = self.names.iter().map(value).collect();
        values + mark
    }

    /// Returns each record that tmux has printed, a record a line.
    ///
    /// # Errors
    /// When it has printed something else.
    pub(super) fn read<'a>(&'a self, out: &'a str) -> Result<Vec<Record<'a>>> {
        let mut records = Vec::new();
        let mut rest = out;
        while !rest.is_empty() {
            let (record, more) = self.first(rest)?;
            records.push(record);
            rest = more;
        }
        Ok(records)
    }

    /// Returns the record that is printed first, and what follows its line.
    ///
    /// # Errors
    /// When something else is printed.
    pub(super) fn first<'a>(&'a self, out: &'a str) -> Result<(Record<'a>, &'a str)> {
        let unknown = "tmux printed an unknown line";
        let mut rest = out.strip_prefix(&self.mark).context(unknown)?;
        let mut values = Vec::with_capacity(self.names.len());
        for _ in &self.names {
            let found = rest.split_once(&self.mark);
            let (value, more) = found.context("tmux printed half a record")?;
            values.push(value);
            rest = more;
        }
        let record = Record {
            names: &self.names,
            values,
        };
        Ok((record, rest.strip_prefix('\n').context(unknown)?))
    }
}

impl<'a> Record<'a> {
    /// Returns the value of this name; empty if it was not asked for.
    pub(super) fn get(&self, name: &str) -> &'a str {
        let at = self.names.iter().position(|known| *known == name);
        at.map_or("", |at| self.values[at])
    }

    pub(super) fn parse<T: FromStr>(&self, name: &str) -> Option<T> {
        self.get(name).parse().ok()
    }

    /// Returns the target that the values of [`Fields::of_target`] are.
    pub(super) fn target(&self, kind: Layout) -> Option<Target> {
        Some(Target {
            kind,
            session: SessionName::new(self.get("session_name")),
            window: self.parse("window_id")?,
            pane: self.parse("pane_id")?,
            pane_pid: self.parse("pane_pid")?,
            socket: self.get("socket_path").into(),
            server_pid: self.parse("pid")?,
            server_start: self.parse("start_time")?,
            rest: Rest::default(),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_value_may_look_like_anything_but_its_end() {
        let fields = Fields::new(&["pid", "@flux_repo"]);
        let (mark, format) = (&fields.mark, fields.format());
        assert_eq!(format, format!("{mark}#{{pid}}{mark}#{{@flux_repo}}{mark}"));
        for odd in ["x\n1\t2\n<0>\u{fffd}\u{1b}", "\n", "\n\n"] {
            let out = format!("{mark}1{mark}{odd}{mark}\n{mark}2{mark}{mark}\n");
            let records = fields.read(&out).unwrap();
            let values: Vec<_> = records.iter().map(|it| it.values.as_slice()).collect();
            assert_eq!(values, [["1", odd], ["2", ""]]);
            assert_eq!(records[0].get("@flux_repo"), odd);
            assert_eq!(records[1].parse("pid"), Some(2));
            assert_eq!(records[1].get("window_id"), "");
            assert!(fields.read(&out[..out.len() - 22]).is_err());
        }
        assert!(fields.read("").unwrap().is_empty());
        for wrong in ["server version is too old\n", "\n\n"] {
            assert!(fields.read(wrong).is_err(), "{wrong:?}");
        }
        // Each question has a mark of its own.
        assert_ne!(Fields::new(&["pid"]).mark, Fields::new(&["pid"]).mark);
    }
}
