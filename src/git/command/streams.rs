//! Input and output of git.

use std::io::{self, Write as _};
use std::process::{Child, ChildStdin, Output};
use std::thread;

/// The number of bytes that a pipe takes before anything is read.
const PIPE_BYTES: usize = 4096;

/// Writes `input` to the standard input of the process `child` and closes it. If the process does
/// not read everything, this is no error here: its exit code tells whether it failed.
pub(in crate::git) fn feed(child: &mut Child, input: &[u8]) -> io::Result<()> {
    write(child.stdin.take(), input)
}

/// Feeds a process as [`feed`] does, and waits for its output and end. Reads while it writes: a
/// process that prints before it has read everything would wait for a reader.
pub(super) fn exchange(mut child: Child, input: &[u8]) -> io::Result<Output> {
    let stdin = child.stdin.take();
    if input.len() <= PIPE_BYTES {
        write(stdin, input)?;
        return child.wait_with_output();
    }
    thread::scope(|scope| {
        let writer = scope.spawn(|| write(stdin, input));
        let output = child.wait_with_output();
        let written = writer.join();
        written.map_err(|_| io::Error::other("could not write"))??;
        output
    })
}

fn write(stdin: Option<ChildStdin>, input: &[u8]) -> io::Result<()> {
    match stdin.map_or(Ok(()), |mut stdin| stdin.write_all(input)) {
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(()),
        written => written,
    }
}

#[cfg(test)]
mod tests {
    use crate::git::Git;

    #[test]
    fn exchange_reads_while_it_writes() {
        let temp = tempfile::tempdir().unwrap();
        let git = |words| Git::new(temp.path()).words(words);
        git("init --quiet --bare").run().unwrap();
        // Much more than two pipes take.
        let name = "0".repeat(40);
        let input = format!("{name}\n").repeat(20_000);
        let output = git("cat-file --batch-check").input(input).output().unwrap();
        assert_eq!(
            output,
            format!("{name} missing\n").repeat(20_000).as_bytes()
        );
    }
}
