//! A Slurm of one test: munged, slurmctld and two slurmd on loopback, with ports and a directory of their own. They
//! end with it, also if the test fails.

use std::ffi::OsStr;
use std::fs;
use std::net::TcpListener;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use tempfile::TempDir;

use super::wait::try_wait_for;
use super::{Flux, Process, World, kill, require, wait_until};

/// A machine runs one job of the partition `main` at a time, and all jobs of `many`. A machine that does not answer
/// is down after five seconds, and a job that does not end on SIGTERM is killed after two.
const CONFIG: &str = "\
ClusterName=test
SlurmctldHost=localhost
SlurmUser=@user@
SlurmdUser=@user@
AuthType=auth/munge
CredType=cred/munge
AuthInfo=socket=@dir@/munge.socket
StateSaveLocation=@dir@/state
SlurmdSpoolDir=@dir@/%n
SlurmctldPidFile=@dir@/slurmctld.pid
SlurmdPidFile=@dir@/%n.pid
SlurmctldLogFile=@dir@/slurmctld.log
SlurmdLogFile=@dir@/%n.log
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
SelectType=select/cons_tres
SelectTypeParameters=CR_CPU
SchedulerParameters=sched_min_interval=0
MpiDefault=none
ReturnToService=2
KillWait=2
MessageTimeout=3
SlurmdTimeout=5
SlurmctldPort=@0@
NodeName=node1 NodeHostname=@host@ NodeAddr=127.0.0.1 Port=@1@
NodeName=node2 NodeHostname=@host@ NodeAddr=127.0.0.1 Port=@2@
PartitionName=main Nodes=node1,node2 Default=YES
PartitionName=many Nodes=node1,node2 OverSubscribe=FORCE:64
";

/// The value of `flux.wrapper` in docs/scale.md.
pub(crate) const WRAPPER: &str = "srun --quiet --pty";

/// The daemons, which are killed when it is dropped.
pub(crate) struct Slurm<'a> {
    world: &'a World,
    dir: TempDir,
    daemons: Vec<Child>,
    nodes: [i32; 2],
}

impl<'a> Slurm<'a> {
    /// Starts Slurm, and waits until both machines are idle. Sets `flux.wrapper`.
    pub(crate) fn start(world: &'a World) -> Self {
        // A socket's path may not be long.
        let dir = tempfile::Builder::new().prefix("slurm-").tempdir_in("/tmp");
        let dir = dir.unwrap();
        fs::set_permissions(dir.path(), fs::Permissions::from_mode(0o755)).unwrap();
        let mut slurm = Self {
            world,
            dir,
            daemons: Vec::new(),
            nodes: [0; 2],
        };
        slurm.configure();
        slurm.start_munged();
        slurm.daemon("slurmctld", &["-D", "-i"]);
        slurm.nodes = ["node1", "node2"].map(|node| slurm.daemon("slurmd", &["-D", "-N", node]));
        slurm.wait_idle();
        world.git(["config", "flux.wrapper", WRAPPER]);
        slurm
    }

    fn configure(&self) {
        let said = |program: &str, args: &[&str]| {
            let output = self.world.command(program).args(args).output().unwrap();
            String::from_utf8(output.stdout).unwrap().trim().to_owned()
        };
        let mut config = CONFIG
            .replace("@dir@", self.path().to_str().unwrap())
            .replace("@user@", &said("id", &["-un"]))
            .replace("@host@", &said("uname", &["-n"]));
        let free = [(); 3].map(|()| TcpListener::bind("127.0.0.1:0").unwrap());
        for (number, port) in free.iter().enumerate() {
            let port = port.local_addr().unwrap().port().to_string();
            config = config.replace(&format!("@{number}@"), &port);
        }
        fs::write(self.config(), config).unwrap();
        for name in ["state", "node1", "node2"] {
            fs::create_dir(self.path().join(name)).unwrap();
        }
    }

    fn start_munged(&mut self) {
        let key = self.path().join("key");
        fs::write(&key, [7; 64]).unwrap();
        fs::set_permissions(&key, fs::Permissions::from_mode(0o400)).unwrap();
        let files = [
            ("key-file", "key"),
            ("socket", "munge.socket"),
            ("log-file", "munged.log"),
            ("pid-file", "munged.pid"),
            ("seed-file", "seed"),
        ];
        let mut args = vec!["--foreground".to_owned(), "--num-threads=2".to_owned()];
        for (option, name) in files {
            args.push(format!("--{option}={}", self.path().join(name).display()));
        }
        self.daemon("munged", &args);
        let socket = self.path().join("munge.socket");
        wait_until("munged to listen", || socket.exists());
    }

    fn daemon<A: AsRef<OsStr>>(&mut self, program: &str, args: &[A]) -> i32 {
        let daemon = self.command(require(program)).args(args).spawn().unwrap();
        let pid = daemon.id();
        self.daemons.push(daemon);
        i32::try_from(pid).unwrap()
    }

    fn path(&self) -> &Path {
        self.dir.path()
    }

    fn config(&self) -> PathBuf {
        self.path().join("slurm.conf")
    }

    fn command(&self, program: impl AsRef<OsStr>) -> Command {
        let mut command = self.world.command(program);
        command
            .env("SLURM_CONF", self.config())
            .stdout(Stdio::null())
            .stderr(Stdio::null());
        command
    }

    /// Asks a program of Slurm.
    pub(crate) fn ask(&self, program: &str, args: &[&str]) -> String {
        let mut command = self.command(require(program));
        let output = command.args(args).stdout(Stdio::piped()).output().unwrap();
        String::from_utf8(output.stdout).unwrap().trim().to_owned()
    }

    /// Prepares `git-flux <args>` in an environment with this Slurm.
    pub(crate) fn flux<const N: usize>(&self, args: [&str; N]) -> Flux<'a> {
        self.world.flux(args).env("SLURM_CONF", self.config())
    }

    /// Returns the id of the only job in this state: `R` runs, `PD` is pending.
    #[track_caller]
    pub(crate) fn job(&self, state: &str) -> String {
        let jobs = self.ask("squeue", &["-h", "-t", state, "-o", "%i"]);
        assert!(jobs.parse::<u32>().is_ok(), "{jobs:?}");
        jobs
    }

    fn jobs(&self) -> usize {
        self.ask("squeue", &["-h"]).lines().count()
    }

    #[track_caller]
    pub(crate) fn wait_jobs(&self, count: usize) {
        wait_until(&format!("{count} jobs"), || self.jobs() == count);
    }

    #[track_caller]
    fn wait_idle(&self) {
        wait_until("both machines to be idle", || {
            self.ask("sinfo", &["-h", "-p", "main", "-t", "idle", "-o", "%D"]) == "2"
        });
    }

    /// Stops the machine that a process of a job runs on, as if it had frozen: its slurmd, the process that waits for
    /// the job, and the processes below that down to this one. Returns the machine's name.
    pub(crate) fn freeze(&self, pid: i32) -> String {
        let environ = fs::read_to_string(format!("/proc/{pid}/environ")).unwrap();
        let mut variables = environ.split('\0');
        let node = variables.find_map(|it| it.strip_prefix("SLURMD_NODENAME="));
        let node = node.expect("a machine of Slurm").to_owned();
        let slurmd = self.nodes[usize::from(node == "node2")];
        kill(slurmd, "STOP");
        let mut next = pid;
        while next > 1 && next != slurmd {
            kill(next, "STOP");
            next = Process::find(next).unwrap().parent;
        }
        node
    }
}

impl Drop for Slurm<'_> {
    fn drop(&mut self) {
        self.nodes.iter().for_each(|pid| kill(*pid, "CONT"));
        for partition in ["main", "many"] {
            self.ask("scancel", &["-p", partition]);
        }
        try_wait_for(|| (self.jobs() == 0).then_some(()));
        for daemon in self.daemons.iter_mut().rev() {
            daemon.kill().ok();
            daemon.wait().ok();
        }
    }
}
