//! Counts the system calls of a process with ptrace(2).

use std::fs;
use std::thread;
use std::time::{Duration, Instant};

use nix::sys::ptrace;
use nix::sys::signal::Signal;
use nix::sys::wait::{WaitPidFlag, WaitStatus, waitpid};
use nix::unistd::Pid;

/// Returns the fewest system calls that all threads of `pid` together make within one second, of
/// the seconds that are tried until there are at most `enough`.
///
/// It is a measure over time, so it sleeps. How fast the machine is changes nothing: a process that
/// waits makes no calls, and one that asks again and again makes them in every second.
pub(crate) fn calls_in_an_idle_second(pid: i32, enough: usize) -> usize {
    // A thread of its own: when it ends, the kernel lets go of what it traces.
    let count = || {
        let counted = thread::spawn(move || count(pid, Duration::from_secs(1)));
        counted.join().unwrap().0
    };
    let mut fewest = usize::MAX;
    for _ in 0..20 {
        fewest = fewest.min(count());
        if fewest <= enough {
            break;
        }
    }
    fewest
}

/// Returns the system calls that all threads of `pid` together make in a minute, and the processes
/// and threads that they start.
pub(crate) fn calls_and_starts_in_a_minute(pid: i32) -> (usize, usize) {
    let counted = thread::spawn(move || count(pid, Duration::from_secs(60)));
    counted.join().unwrap()
}

/// Counts the system calls of all threads of `pid`, and the processes and threads that they start.
fn count(pid: i32, time: Duration) -> (usize, usize) {
    let tasks = fs::read_dir(format!("/proc/{pid}/task")).unwrap();
    let threads: Vec<Pid> = tasks
        .map(|task| task.unwrap().file_name().into_string().unwrap())
        .map(|tid| Pid::from_raw(tid.parse().unwrap()))
        .collect();
    let trace = |tid: Pid| {
        ptrace::seize(
            tid,
            ptrace::Options::PTRACE_O_TRACESYSGOOD
                | ptrace::Options::PTRACE_O_TRACEFORK
                | ptrace::Options::PTRACE_O_TRACEVFORK
                | ptrace::Options::PTRACE_O_TRACECLONE,
        )?;
        ptrace::interrupt(tid)?;
        waitpid(tid, Some(WaitPidFlag::__WALL))?;
        ptrace::syscall(tid, None)
    };
    // One may have ended since.
    let threads: Vec<Pid> = threads
        .into_iter()
        .filter(|tid| trace(*tid).is_ok())
        .collect();
    assert!(!threads.is_empty(), "no process {pid}");
    // The call that each of them was in begins once more, since it was interrupted.
    let mut stops = vec![0_usize; threads.len()];
    let mut starts = 0;
    let begun = Instant::now();
    while begun.elapsed() < time {
        for (tid, stops) in threads.iter().zip(&mut stops) {
            let options = WaitPidFlag::__WALL | WaitPidFlag::WNOHANG;
            let signal = match waitpid(*tid, Some(options)) {
                Ok(WaitStatus::PtraceSyscall(_)) => {
                    *stops += 1;
                    None
                }
                Ok(WaitStatus::Stopped(_, signal)) if signal != Signal::SIGTRAP => Some(signal),
                Ok(WaitStatus::PtraceEvent(.., event)) => {
                    if event != ptrace::Event::PTRACE_EVENT_STOP as i32 {
                        starts += 1;
                        release(ptrace::getevent(*tid).unwrap());
                    }
                    None
                }
                Ok(WaitStatus::Stopped(..)) => None,
                _ => continue,
            };
            ptrace::syscall(*tid, signal).ok();
        }
        thread::sleep(Duration::from_millis(1));
    }
    // One stop where a call begins, and one where it ends.
    let calls = stops
        .iter()
        .map(|stops| stops.saturating_sub(1).div_ceil(2))
        .sum();
    (calls, starts)
}

/// Lets a new process or thread go on, which is traced, too. It cannot be released before it has stopped.
fn release(new: i64) {
    let new = Pid::from_raw(i32::try_from(new).unwrap());
    waitpid(new, Some(WaitPidFlag::__WALL)).ok();
    ptrace::detach(new, None).ok();
}
