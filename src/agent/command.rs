//! The command that starts an agent, and its environment.

use std::env;
use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::OsStrExt as _;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result};

use super::hooks::{Additions, HookFiles};
use super::known::{KNOWN, profile};
use super::{Agent, Prompt};
use crate::git::admin;
use crate::run::RunDir;
use crate::run::launch::{Launch, Ready};
use crate::system::program::{ourselves, plain_path, shell};
use crate::task::{Bytes, Task};

/// The longest prompt that is handed over as an argument, in bytes: Linux takes
/// 131 071 in one, and options, environment and other systems need room.
const LONGEST_ARGUMENT: usize = 120_000;

impl Launch {
    /// What starts `agent` on `prompt` in the worktree of `task`. Writes the files that its
    /// hooks are in.
    ///
    /// # Errors
    /// When those cannot be written.
    pub(crate) fn new(
        task: &Task,
        agent: &Agent,
        program: &Path,
        prompt: &[u8],
        source: &Path,
        run: &RunDir,
    ) -> Result<Self> {
        let hooks = arrange(agent, run)?;
        let mut argv = agent.argv.clone();
        argv[0] = program.into();
        argv.extend(hooks.args);
        argv.extend(task.agent_args.iter().map(|arg| arg.0.clone()));
        let by_file = prompt.len() > LONGEST_ARGUMENT || prompt.contains(&0);
        let text = if by_file {
            let mut text = OsString::from("Read the file ");
            text.push(run.prompt());
            text.push(" completely and follow the instructions in it.");
            text
        } else {
            OsStr::from_bytes(prompt).to_owned()
        };
        let joined = |option: &str, value: &OsStr| {
            let mut argument = OsString::from(option);
            argument.push(value);
            argument
        };
        let file = run.prompt().into_os_string();
        match &agent.prompt {
            Prompt::AfterDashes => argv.extend([OsString::from("--"), text]),
            Prompt::Last => argv.push(text),
            Prompt::Joined(option) => argv.push(joined(option, &text)),
            Prompt::File => argv.push(file.clone()),
            Prompt::FileJoined(option) => argv.push(joined(option, &file)),
            Prompt::Resumed => argv.extend(agent.resume.iter().cloned()),
            Prompt::Input | Prompt::Shown => {}
        }
        let common_dir = run.common_dir().context("no run directory")?;
        let mut env = environment(task, source, common_dir);
        env.push(("FLUX_RUN".into(), run.0.clone().into()));
        env.extend(hooks.env);
        let file = |wanted: Prompt| (agent.prompt == wanted).then(|| Bytes(file.clone()));
        Ok(Self {
            id: task.id.to_string(),
            agent: agent.name.clone(),
            argv: argv.into_iter().map(Bytes).collect(),
            env: env
                .into_iter()
                .map(|(name, value)| (Bytes(name), Bytes(value)))
                .collect(),
            worktree: task.worktree.clone(),
            directory: None,
            shell: shell(),
            ready: Ready::default(),
            shown: file(Prompt::Shown),
            input: file(Prompt::Input),
        })
    }
}

/// Writes what makes `agent` tell of itself into the directory of its run. Nothing for an agent that
/// cannot be made to, or whose user has other plans for that place.
fn arrange(agent: &Agent, run: &RunDir) -> Result<Additions> {
    let program = ourselves()?;
    // Their files and options are text; a path that is none has no place in them.
    let (Some(program), Some(dir)) = (program.to_str(), run.0.to_str()) else {
        return Ok(Additions::default());
    };
    let profile = profile(&agent.name);
    let (agent, hooks) = (profile.name, profile.hooks);
    (profile.arrange)(&HookFiles {
        agent,
        hooks,
        program,
        dir,
    })
}

/// The caller's environment without what belongs to its git, its tmux pane, its
/// directory, to a virtual environment in another worktree and, if it is an agent, to that; and with the
/// task's own facts.
fn environment(task: &Task, source: &Path, common_dir: &Path) -> Vec<(OsString, OsString)> {
    const OF_THE_PANE: [&str; 9] = [
        "TERM",
        "TERM_PROGRAM",
        "TERM_PROGRAM_VERSION",
        "COLUMNS",
        "LINES",
        "PWD",
        "OLDPWD",
        "SHLVL",
        "PATH",
    ];
    let foreign = |name: &OsStr| {
        let bytes = name.as_bytes();
        let prefixed = [b"GIT_".as_slice(), b"TMUX", b"FLUX_", b"DIRENV_"]
            .iter()
            .any(|prefix| bytes.starts_with(prefix));
        let traces = KNOWN.iter().flat_map(|known| known.traces);
        prefixed || OF_THE_PANE.iter().chain(traces).any(|own| name == *own)
    };
    let venv = venv_of_others(task, source, common_dir);
    let of_venv = |name: &OsStr| {
        let names = ["VIRTUAL_ENV", "VIRTUAL_ENV_PROMPT"];
        venv.is_some() && names.iter().any(|own| name == *own)
    };
    let mut env: Vec<(OsString, OsString)> = env::vars_os()
        .filter(|(name, _)| !foreign(name) && !of_venv(name))
        .collect();
    if let Some(path) = plain_path() {
        let path = match &venv {
            Some(venv) => without(&path, venv),
            None => path,
        };
        env.push(("PATH".into(), path));
    }
    env.push(("PWD".into(), task.worktree.clone().into()));
    env.push(("FLUX_TASK".into(), task.id.as_str().into()));
    env.push(("FLUX_BRANCH".into(), task.branch.clone().into()));
    env.push(("FLUX_BASE".into(), task.base.clone().into()));
    env.push(("FLUX_WORKTREE".into(), task.worktree.clone().into()));
    env.push(("FLUX_SOURCE".into(), source.into()));
    env
}

/// The virtual environment of Python that is active, if it lies in another worktree of the repository: what
/// the agent installs would be installed there.
fn venv_of_others(task: &Task, source: &Path, common_dir: &Path) -> Option<PathBuf> {
    let venv = PathBuf::from(env::var_os("VIRTUAL_ENV")?);
    let is_of_repository =
        |dir: &&Path| *dir == source || admin::is_ours(common_dir, dir).unwrap_or(false);
    let worktree = venv.ancestors().skip(1).find(is_of_repository)?;
    (worktree != task.worktree).then_some(venv)
}

/// A PATH without the directories that lie in `dir`.
fn without(path: &OsStr, dir: &Path) -> OsString {
    let dirs = env::split_paths(path).filter(|one| !one.starts_with(dir));
    env::join_paths(dirs).unwrap_or_else(|_| path.to_owned())
}
