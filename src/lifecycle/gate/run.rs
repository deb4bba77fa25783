//! Runs the commands of a gate in the scratch worktree.

use std::collections::HashSet;
use std::ffi::OsString;
use std::io::Write as _;
use std::os::unix::process::{CommandExt as _, ExitStatusExt as _};
use std::path::PathBuf;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, anyhow};

use super::gate::Gate;
use super::group::GateGroup;
use super::log::GateLog;
use super::scratch::{NAME, ScratchWorktree, gate_dir};
use super::subject::Candidate;
use crate::agent::caller_environment;
use crate::context::Flux;
use crate::git::changes::{DETACHED, Head};
use crate::git::{Checkout, Ignored, whole_status};
use crate::lifecycle::start::agent_launch::find_wrapper;
use crate::lifecycle::start::ports;
use crate::run::begin::{BeginDir, UnseenPart};
use crate::run::launch::SetupStep;
use crate::system::clock::this_second;
use crate::system::disk::full_disk_hint;
use crate::system::wait_until;
use crate::task::{Bytes, GateState, GateVerdict};
use crate::ui::shown;

/// The script of the group's leader, which runs a command once its group is on record: a git flux that
/// is killed before that leaves nothing running. The leader stays in the scratch worktree, by which
/// [`GateGroup::end_left`] recognizes it.
const LEADER: &str = r#"read -r go && [ "$go" = go ] || exit; "$@" </dev/null; exit $?"#;

/// The longest pause between two looks at a command.
const MAX_PAUSE: Duration = Duration::from_millis(50);

/// The statuses by which a shell says that a command cannot be started.
const NOT_STARTED: [i32; 2] = [126, 127];

/// The status of a shell whose command was killed by the signal 1; that of signal 64 is the last.
const FIRST_SIGNAL: i32 = 129;
const LAST_SIGNAL: i32 = 192;

/// The files that are named in a message.
const MAX_NAMED: usize = 3;

/// The result of one run of the whole gate.
enum Attempt {
    Passed,
    Failed { command: String, status: i32 },
    Undecided(String),
}

/// The gate in the scratch worktree, for one tree.
pub(super) struct GateRun<'a> {
    pub(super) flux: &'a Flux,
    pub(super) gate: &'a Gate,
    pub(super) scratch: &'a ScratchWorktree<'a>,
    pub(super) candidate: &'a Candidate,
    wrapper: Vec<Bytes>,
    timeout: Duration,
    port: Option<u16>,
    log: GateLog,
}

impl<'a> GateRun<'a> {
    /// Prepares a run: finds the wrapper, reserves ports and makes the log. Fails if a setting is
    /// invalid. Starts nothing.
    pub(super) fn new(
        flux: &'a Flux,
        gate: &'a Gate,
        scratch: &'a ScratchWorktree<'a>,
        candidate: &'a Candidate,
    ) -> Result<Self> {
        let dir = gate_dir(&flux.repo);
        let (wrapper, timeout) = (find_wrapper(&flux.settings)?, flux.settings.gate_timeout()?);
        let log = GateLog::create(&flux.repo, &candidate.tree)?;
        Ok(Self {
            flux,
            gate,
            scratch,
            candidate,
            wrapper,
            timeout,
            port: ports::claim(flux, &dir, None),
            log,
        })
    }

    /// Runs the gate, again at most `retries` times while it fails, and returns the verdict. `failed`
    /// are the command and the status of an earlier run on the same tree that failed. Fails on ^C,
    /// after it has ended the processes of the gate.
    pub(super) fn decide(
        &self,
        failed: Option<(String, i32)>,
        retries: usize,
    ) -> Result<GateVerdict> {
        let (begun, mut left, mut first) = (Instant::now(), retries, failed);
        let (state, failed, why) = loop {
            match (self.attempt()?, first) {
                (Attempt::Passed, None) => break (GateState::Green, None, None),
                (Attempt::Passed, failed) => break (GateState::Flaky, failed, None),
                (Attempt::Failed { command, status }, _) if left == 0 => {
                    break (GateState::Red, Some((command, status)), None);
                }
                (Attempt::Failed { command, status }, before) => {
                    first = before.or(Some((command, status)));
                    left -= 1;
                }
                (Attempt::Undecided(why), failed) => break (GateState::None, failed, Some(why)),
            }
        };
        let (command, status) = failed.unzip();
        Ok(GateVerdict {
            state,
            command,
            status,
            why,
            seconds: Some(begun.elapsed().as_secs()),
            at: Some(this_second()),
            log: Some(self.log.path().to_string_lossy().into_owned()),
            ..GateVerdict::untested(self.candidate.tree.clone())
        })
    }

    /// Runs the commands of the gate once, up to the first that fails, on newly checked out files.
    fn attempt(&self) -> Result<Attempt> {
        let checkout = self.scratch.check_out(self.gate, &self.candidate.commit)?;
        // Line endings may differ from the commit at once.
        let (_, before) = tracked_status(&checkout)?;
        let end = Instant::now() + self.timeout;
        let mut result = Attempt::Passed;
        for Bytes(command) in &self.gate.commands {
            let step = SetupStep::shell(command);
            result = self.run(&step, end)?;
            if !matches!(result, Attempt::Passed) {
                break;
            }
        }
        if matches!(result, Attempt::Undecided(_)) {
            return Ok(result);
        }
        Ok(match self.find_change(&before)? {
            Some(why) => Attempt::Undecided(why),
            None => result,
        })
    }

    /// Returns how the gate has changed what was tested; `None` if it has changed neither a tracked
    /// file nor `HEAD`.
    fn find_change(&self, before: &HashSet<PathBuf>) -> Result<Option<String>> {
        let checkout = self.flux.repo.checkout(self.scratch.path())?;
        let (head, after) = tracked_status(&checkout)?;
        if head.oid != *self.candidate.commit || head.branch != DETACHED {
            return Ok(Some("the gate changes HEAD".to_owned()));
        }
        let mut changed: Vec<&PathBuf> = after.difference(before).collect();
        changed.sort();
        let names = changed.iter().take(MAX_NAMED).map(|path| shown(path));
        let names = names.collect::<Vec<_>>().join(", ");
        let more = if changed.len() > MAX_NAMED {
            " …"
        } else {
            ""
        };
        let what = format!("the gate changes files: {names}{more}");
        Ok((!changed.is_empty()).then_some(what))
    }

    /// Runs one command in a process group of its own, with its output in the log, and ends what is
    /// left of the group.
    fn run(&self, step: &SetupStep, end: Instant) -> Result<Attempt> {
        let text = format!("the gate runs: {}", step.name);
        let _spinner = self.flux.ui.spinner(text);
        self.log.write_command(&step.name)?;
        let mut child = self.start(step)?;
        let group = GateGroup::of(&child, self.port);
        let dir = gate_dir(&self.flux.repo);
        let written = group.write(&dir, self.flux.repo.sharing()?);
        let timeout = end.saturating_duration_since(Instant::now());
        let status = written.and_then(|()| {
            // Its end tells why.
            drop(child.stdin.take().map(|mut stdin| stdin.write_all(b"go\n")));
            let exited = || child.try_wait().context("could not wait for the gate");
            wait_until(timeout, MAX_PAUSE, exited)
        });
        drop(child.stdin.take());
        group.end(&mut child)?;
        GateGroup::remove(&dir)?;
        Ok(self.judge(&step.name, status?))
    }

    fn start(&self, step: &SetupStep) -> Result<Child> {
        let mut words = vec![OsString::from("-c"), LEADER.into(), "gate".into()];
        let dir = gate_dir(&self.flux.repo);
        let begin = BeginDir(&dir);
        begin.clear()?;
        let argv = if self.wrapper.is_empty() {
            step.argv.clone()
        } else {
            [&self.wrapper, &begin.script("sh", 0)[..], &step.argv].concat()
        };
        words.extend(argv.into_iter().map(|Bytes(word)| word));
        let mut command = Command::new("sh");
        command.args(words).current_dir(self.scratch.path());
        let repo = &self.flux.repo;
        let env = caller_environment(self.scratch.path(), repo.home(), repo.common_dir());
        command.env_clear().envs(env);
        let project = ports::compose_name(&repo.project(), NAME);
        for (name, value) in ports::variables(self.port, project) {
            match value {
                Some(value) => command.env(name, value),
                None => command.env_remove(name),
            };
        }
        command.stdin(Stdio::piped()).process_group(0);
        command.stdout(self.log.share()?).stderr(self.log.share()?);
        command.spawn().context("could not start the gate")
    }

    /// Returns whether a command has passed, failed or is undecided; `status` is `None` if it timed
    /// out. Undecided is one that timed out, did not start, was killed or failed on a full disk.
    fn judge(&self, command: &str, status: Option<ExitStatus>) -> Attempt {
        let undecided = |why: String| Attempt::Undecided(why);
        let Some(status) = status else {
            let seconds = self.timeout.as_secs();
            return undecided(format!("'{command}' timed out ({seconds} s)"));
        };
        let unseen = self.find_unseen_part();
        if unseen == Some(UnseenPart::Start) {
            return undecided(format!("flux.wrapper did not start '{command}'"));
        }
        let lost = format!("'{command}' was not seen to end: its machine failed");
        if status.success() {
            return unseen.map_or(Attempt::Passed, |_| undecided(lost));
        }
        let temp = std::env::temp_dir();
        let disks = [self.scratch.path(), self.flux.repo.common_dir(), &temp];
        if let Some(full) = full_disk_hint(&anyhow!("the gate failed"), &disks) {
            return undecided(full);
        }
        match (status.code(), status.signal()) {
            (Some(status), _) if NOT_STARTED.contains(&status) => undecided(format!(
                "'{command}' could not be started (status {status})"
            )),
            (Some(status), _) if (FIRST_SIGNAL..=LAST_SIGNAL).contains(&status) => {
                let signal = status - FIRST_SIGNAL + 1;
                undecided(format!("'{command}' was killed by signal {signal}"))
            }
            (Some(_), _) if unseen.is_some() => undecided(lost),
            (Some(status), _) => Attempt::Failed {
                command: command.to_owned(),
                status,
            },
            (None, signal) => {
                let signal = signal.unwrap_or_default();
                undecided(format!("'{command}' was killed by signal {signal}"))
            }
        }
    }

    /// Returns which part of a command's run by `flux.wrapper` has left no record: its start or, in
    /// a job step of Slurm, its end. `None` if no part is missing, or without a wrapper.
    fn find_unseen_part(&self) -> Option<UnseenPart> {
        let dir = gate_dir(&self.flux.repo);
        (!self.wrapper.is_empty())
            .then(|| BeginDir(&dir).find_unseen_part())
            .flatten()
    }
}

impl Drop for GateRun<'_> {
    fn drop(&mut self) {
        ports::release_claim(self.port, &gate_dir(&self.flux.repo));
    }
}

/// Returns the `HEAD` of a worktree, and the tracked files that differ from it, also those marked
/// assume-unchanged or skip-worktree.
fn tracked_status(checkout: &Checkout) -> Result<(Head, HashSet<PathBuf>)> {
    let (head, changes) = whole_status(checkout, Ignored::LeftOut)?;
    let tracked = changes.into_iter().filter(|change| !change.is_untracked());
    Ok((head, tracked.map(|change| change.path).collect()))
}
