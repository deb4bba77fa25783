//! What tmux is asked for, so that its answer can be taken apart whatever is in it: names, titles and
//! options are anyone's, and may hold newlines, tabs and what looks like another record.

use anyhow::{Context as _, Result, bail};

/// The names of the values of a record.
pub(super) struct Fields<const N: usize> {
    names: [&'static str; N],
    /// Stands before each value and at the end: a word that was never seen before.
    mark: String,
}

impl<const N: usize> Fields<N> {
    pub(super) fn new(names: [&'static str; N]) -> Self {
        let mark = format!("<{:016x}>", rand::random::<u64>());
        Self { names, mark }
    }

    /// Returns the format for tmux's `-F`, or for `display-message -p`.
    pub(super) fn format(&self) -> String {
        let mark = &self.mark;
        let value = |name: &&str| format!("{mark}#{{{name}}}");
        let values: String = self.names.iter().map(value).collect();
        values + mark
    }

    /// Returns the values of each record that tmux has printed, a record a line.
    ///
    /// # Errors
    /// When it has printed something else.
    pub(super) fn read<'a>(&self, out: &'a str) -> Result<Vec<[&'a str; N]>> {
        let mut parts = out.split(self.mark.as_str());
        let mut records = Vec::new();
        // What is before a record, or behind the last one, is the newline alone.
        while let Some("" | "\n") = parts.next() {
            let Some(first) = parts.next() else {
                return Ok(records);
            };
            let mut values = [first; N];
            for value in &mut values[1..] {
                *value = parts.next().context("tmux printed half a record")?;
            }
            records.push(values);
        }
        bail!("tmux printed an unknown line")
    }
}

impl<const N: usize> Fields<N> {
    /// Returns the values of the one record that is printed first, and what follows its line.
    ///
    /// # Errors
    /// When something else is printed.
    pub(super) fn first<'a>(&self, out: &'a str) -> Result<([&'a str; N], &'a str)> {
        let end = format!("{}\n", self.mark);
        let (record, rest) = out.split_once(&end).context("tmux printed no line")?;
        let mut parts = record.split(self.mark.as_str());
        if parts.next() != Some("") {
            bail!("tmux printed an unknown line");
        }
        let mut values = [""; N];
        for value in &mut values {
            *value = parts.next().context("tmux printed half a record")?;
        }
        Ok((values, rest))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_value_may_look_like_anything_but_its_end() {
        let fields = Fields::new(["pid", "@flux_repo"]);
        let (mark, format) = (&fields.mark, fields.format());
        assert_eq!(format, format!("{mark}#{{pid}}{mark}#{{@flux_repo}}{mark}"));
        let odd = "x\n1\t2\n<0>\u{fffd}\u{1b}";
        let out = format!("{mark}1{mark}{odd}{mark}\n{mark}2{mark}{mark}\n");
        assert_eq!(fields.read(&out).unwrap(), [["1", odd], ["2", ""]]);
        assert_eq!(fields.read("").unwrap(), [["", ""]; 0]);
        for wrong in [
            "server version is too old\n",
            &out[..out.len() - 22],
            "\n\n",
        ] {
            assert!(fields.read(wrong).is_err(), "{wrong:?}");
        }
        // Each question has a mark of its own.
        assert_ne!(Fields::new(["pid"]).mark, Fields::new(["pid"]).mark);
    }
}
