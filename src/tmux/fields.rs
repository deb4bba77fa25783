//! Formats for tmux, and parsing of its output. Names, titles and options may contain anything,
//! even newlines or text that looks like another record.

use anyhow::{Context as _, Result};

use crate::system::clock::from_seconds;
use crate::task::{Layout, Rest, SessionName, Target};

/// The variables of a target, which every format contains.
const TARGET_NAMES: &str = "socket_path pid start_time session_name window_id pane_id pane_pid";
const TARGET_COUNT: usize = 7;

/// A format with a target and `N` other variables.
pub(super) struct Fields<const N: usize> {
    names: &'static str,
    /// A random word before each value and at the end.
    mark: String,
}

/// One record of tmux's output.
pub(super) struct Record<'a, const N: usize> {
    target: [&'a str; TARGET_COUNT],
    pub(super) values: [&'a str; N],
}

impl<const N: usize> Fields<N> {
    pub(super) fn new(names: &'static str) -> Self {
        let mark = format!("<{:016x}>", rand::random::<u64>());
        Self { names, mark }
    }

    /// Returns the format to pass to tmux with `-F` or `display-message -p`: its variables, each
    /// after a random word that separates them in the output.
    pub(super) fn format(&self) -> String {
        let mark = &self.mark;
        let names = [TARGET_NAMES, self.names].into_iter();
        let names = names.flat_map(str::split_whitespace);
        let values: String = names.map(|name| format!("{mark}#{{{name}}}")).collect();
        values + mark
    }

    /// Parses the whole output of tmux in this format into records, one for each pane, client or
    /// session. Fails if a line has another form.
    pub(super) fn read<'a>(&self, out: &'a str) -> Result<Vec<Record<'a, N>>> {
        let mut records = Vec::new();
        let mut rest = out;
        while !rest.is_empty() {
            let (record, more) = self.read_first(rest)?;
            records.push(record);
            rest = more;
        }
        Ok(records)
    }

    /// Parses the first record of tmux's output in this format, and returns it with the rest of the
    /// output.
    pub(super) fn read_first<'a>(&self, out: &'a str) -> Result<(Record<'a, N>, &'a str)> {
        let parts: Vec<&str> = out.splitn(TARGET_COUNT + N + 2, &self.mark).collect();
        let first = || {
            let ["", values @ .., rest] = &parts[..] else {
                return None;
            };
            let (&target, values) = values.split_first_chunk()?;
            let values = values.try_into().ok()?;
            Some((Record { target, values }, rest.strip_prefix('\n')?))
        };
        first().context("tmux printed an unknown line")
    }
}

impl<const N: usize> Record<'_, N> {
    /// Returns the pane in a record of tmux's output, as a [`Target`] with the layout `kind`; for
    /// the record of a window or session, its active pane. `None` if a value is no id or number.
    pub(super) fn target(&self, kind: Layout) -> Option<Target> {
        let [socket, server, start, session, window, pane, process] = self.target;
        Some(Target {
            kind,
            session: SessionName::new(session),
            window: window.parse().ok()?,
            pane: pane.parse().ok()?,
            pane_pid: process.parse().ok()?,
            socket: socket.into(),
            server_pid: server.parse().ok()?,
            server_start: from_seconds(start.parse().ok()?)?,
            rest: Rest::default(),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_read_values_with_newlines_and_marks() {
        let fields = Fields::new("prefix @flux_repo");
        let (mark, format) = (&fields.mark, fields.format());
        let end = format!("{mark}#{{prefix}}{mark}#{{@flux_repo}}{mark}");
        assert!(format.starts_with(&format!("{mark}#{{socket_path}}{mark}#{{pid}}{mark}")));
        assert!(format.ends_with(&end), "{format}");
        let target = ["/s", "2", "3", "name", "@4", "%5", "6"];
        let target: String = target.map(|value| format!("{mark}{value}")).concat();
        for odd in ["x\n1\t2\n<0>\u{fffd}\u{1b}", "\n", "\n\n"] {
            let out = format!("{target}{mark}1{mark}{odd}{mark}\n{target}{mark}2{mark}{mark}\n");
            let records = fields.read(&out).unwrap();
            let values: Vec<_> = records.iter().map(|it| it.values).collect();
            assert_eq!(values, [["1", odd], ["2", ""]]);
            let target = records[0].target(Layout::Pane).unwrap();
            assert_eq!((target.server_pid, target.pane_pid), (2, 6));
            assert_eq!(target.pane.to_string(), "%5");
            assert!(fields.read(&out[..out.len() - 22]).is_err());
        }
        assert!(fields.read("").unwrap().is_empty());
        for wrong in ["server version is too old\n", "\n\n", &target] {
            assert!(fields.read(wrong).is_err(), "{wrong:?}");
        }
        // Each format has its own mark.
        assert_ne!(Fields::<1>::new("pid").mark, Fields::<1>::new("pid").mark);
    }
}
