//! Processes on macOS (libproc, sysctl).
#![allow(unsafe_code)]

use std::ffi::{CStr, OsStr, OsString, c_char, c_int, c_void};
use std::fmt::Display;
use std::mem::{self, MaybeUninit};
use std::os::unix::ffi::OsStrExt as _;
use std::path::PathBuf;
use std::ptr;

use anyhow::{Result, bail};
use nix::libc::{self, off_t, proc_bsdinfo, proc_vnodepathinfo, vnode_info_path};
use nix::unistd::{Pid, getsid};

use super::stat::Stat;

/// `pbi_status` of a suspended process, and of one that has ended (`sys/proc.h`).
const SSTOP: u32 = 4;
const SZOMB: u32 = 5;

/// The kind of question about an open file whose answer is a [`VnodePath`] (`sys/proc_info.h`).
const PROC_PIDFDVNODEPATHINFO: c_int = 2;

/// `struct vnode_fdinfowithpath`
#[repr(C)]
struct VnodePath {
    _open_flags: u32,
    _status: u32,
    _offset: off_t,
    _type: i32,
    _guard_flags: u32,
    vnode: vnode_info_path,
}

/// Types of the kernel that any bytes are valid for.
trait Plain {}
impl Plain for proc_bsdinfo {}
impl Plain for proc_vnodepathinfo {}
impl Plain for VnodePath {}

/// Calls `ask` with a buffer for a `T` and its size, and returns the value; `None` if `ask` did not
/// fill the buffer.
fn filled<T: Plain>(ask: impl FnOnce(*mut c_void, c_int) -> c_int) -> Option<T> {
    let mut info = MaybeUninit::<T>::zeroed();
    let size = c_int::try_from(mem::size_of::<T>()).ok()?;
    let got = ask(info.as_mut_ptr().cast(), size);
    // SAFETY: it is plain data, and zero where it was not filled.
    (got == size).then(|| unsafe { info.assume_init() })
}

fn info<T: Plain>(pid: i32, flavor: c_int, arg: u64) -> Option<T> {
    // SAFETY: the buffer is as large as it is said to be.
    filled(|buffer, size| unsafe { libc::proc_pidinfo(pid, flavor, arg, buffer, size) })
}

/// Returns the bytes of a C string up to the first NUL.
fn text(chars: &[c_char]) -> Vec<u8> {
    let bytes = chars.iter().map(|c| c.cast_unsigned());
    bytes.take_while(|byte| *byte != 0).collect()
}

pub(super) fn stat(pid: i32) -> Option<Stat> {
    // 1 includes processes that have ended.
    let info: proc_bsdinfo = info(pid, libc::PROC_PIDTBSDINFO, 1)?;
    Some(Stat {
        pid,
        name: String::from_utf8_lossy(&text(&info.pbi_name)).into_owned(),
        state: match info.pbi_status {
            SSTOP => 'T',
            SZOMB => 'Z',
            _ => 'R',
        },
        parent: info.pbi_ppid.try_into().ok()?,
        group: info.pbi_pgid.try_into().ok()?,
        // A process that has ended has no session.
        session: getsid(Some(Pid::from_raw(pid))).map_or(0, Pid::as_raw),
        foreground: info.e_tpgid.cast_signed(),
        born: info.pbi_start_tvsec * 1_000_000 + info.pbi_start_tvusec,
    })
}

pub(crate) fn boot_id() -> Option<String> {
    sysctl(c"kern.bootsessionuuid")
}

pub(crate) fn machine_id() -> Option<String> {
    let mut id = [0_u8; 16];
    let no_time = libc::timespec {
        tv_sec: 0,
        tv_nsec: 0,
    };
    // SAFETY: an id has 16 bytes.
    let got = unsafe { libc::gethostuuid(id.as_mut_ptr(), &raw const no_time) };
    let digits = id.iter().map(|byte| format!("{byte:02x}"));
    (got == 0).then(|| digits.collect())
}

pub(crate) fn hostname() -> Option<String> {
    sysctl(c"kern.hostname")
}

/// Returns `None`: macOS has no PID namespaces.
pub(super) fn pid_namespace(_: impl Display) -> Option<String> {
    None
}

/// Returns the value of the sysctl `name` as text; `None` if it cannot be read, or has more than
/// 255 bytes.
fn sysctl(name: &CStr) -> Option<String> {
    let mut buffer = vec![0_u8; 256];
    let mut size = buffer.len();
    // SAFETY: the name ends in NUL, and the buffer is as large as it is said to be.
    let got = unsafe {
        let buffer = buffer.as_mut_ptr().cast();
        libc::sysctlbyname(name.as_ptr(), buffer, &raw mut size, ptr::null_mut(), 0)
    };
    buffer.truncate(size);
    let text = CStr::from_bytes_until_nul(&buffer).ok()?.to_str().ok()?;
    (got == 0).then(|| text.to_owned())
}

/// Returns the command line of the process `pid`, program and arguments; `None` if it is not
/// visible. The sysctl `KERN_PROCARGS2` gives the number of arguments, the path of the program,
/// NULs, and the arguments, each with a NUL at its end.
pub(super) fn arguments(pid: i32) -> Option<Vec<OsString>> {
    let mut name = [libc::CTL_KERN, libc::KERN_PROCARGS2, pid];
    // The limit for arguments and environment.
    let mut buffer = vec![0_u8; 1 << 20];
    let mut size = buffer.len();
    // SAFETY: the name has three parts, and the buffer is as large as it is said to be.
    let got = unsafe {
        let (name, buffer) = (name.as_mut_ptr(), buffer.as_mut_ptr().cast());
        libc::sysctl(name, 3, buffer, &raw mut size, ptr::null_mut(), 0)
    };
    let bytes = buffer.get(..size).filter(|_| got == 0)?;
    let (count, rest) = bytes.split_first_chunk()?;
    let count = usize::try_from(c_int::from_ne_bytes(*count)).ok()?;
    let program = rest.iter().position(|byte| *byte == 0)?;
    let begin = rest[program..].iter().position(|byte| *byte != 0)?;
    let words = rest[program + begin..].split(|byte| *byte == 0);
    let words: Vec<OsString> = words
        .take(count)
        .map(|word| OsStr::from_bytes(word).into())
        .collect();
    (words.len() == count).then_some(words)
}

pub(super) fn cwd(pid: i32) -> Option<PathBuf> {
    let info: proc_vnodepathinfo = info(pid, libc::PROC_PIDVNODEPATHINFO, 0)?;
    let path = text(info.pvi_cdir.vip_path.as_flattened());
    Some(OsStr::from_bytes(&path).into())
}

pub(super) fn open_file_path(pid: i32, descriptor: i32) -> Option<PathBuf> {
    // SAFETY: the buffer is as large as it is said to be.
    let info: VnodePath = filled(|buffer, size| unsafe {
        libc::proc_pidfdinfo(pid, descriptor, PROC_PIDFDVNODEPATHINFO, buffer, size)
    })?;
    let path = text(info.vnode.vip_path.as_flattened());
    Some(OsStr::from_bytes(&path).into())
}

pub(super) fn list_pids() -> Result<Vec<i32>> {
    // More than the limit of the system.
    let mut pids = vec![0_i32; 100_000];
    let size = c_int::try_from(mem::size_of_val(pids.as_slice()))?;
    // SAFETY: the buffer is as large as it is said to be.
    let count = unsafe { libc::proc_listallpids(pids.as_mut_ptr().cast(), size) };
    match usize::try_from(count) {
        Ok(count @ 1..) => pids.truncate(count),
        _ => bail!("could not list the processes"),
    }
    Ok(pids)
}
