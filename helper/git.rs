//! The `git` that is first on an agent's PATH: hands a command that may be `git stash` to git flux,
//! and becomes the next git on PATH for every other.
//!
//! Each git call of an agent starts it, so it is small: no standard library, no allocation but one
//! array, no child process.
//!
//! Unsafe code calls the C library alone: every text that it gets ends with NUL and lives until this
//! process becomes another program.

#![no_std]
#![no_main]

#[path = "../src/launcher/git_words.rs"]
mod git_words;

use core::ffi::{CStr, c_char, c_int};
use core::panic::PanicInfo;

#[link(name = "c")]
unsafe extern "C" {
    fn access(path: *const c_char, mode: c_int) -> c_int;
    fn calloc(count: usize, size: usize) -> *mut *const c_char;
    fn execv(path: *const c_char, argv: *const *const c_char) -> c_int;
    fn getenv(name: *const c_char) -> *const c_char;
    fn readlink(path: *const c_char, to: *mut c_char, size: usize) -> isize;
    fn setenv(name: *const c_char, value: *const c_char, replace: c_int) -> c_int;
    fn write(file: c_int, bytes: *const u8, count: usize) -> isize;
    fn abort() -> !;
}

const F_OK: c_int = 0;
const X_OK: c_int = 1;
const STDERR: c_int = 2;

/// The exit code of a shell for a program that is missing.
const NOT_FOUND: c_int = 127;

/// The exit code of a shell for a program that it cannot start.
const NOT_EXECUTABLE: c_int = 126;

/// The link to git flux, beside this program.
const FLUX: &[u8] = b".git-flux";

#[panic_handler]
fn panic(_: &PanicInfo) -> ! {
    unsafe { abort() }
}

/// The standard library's parts that are compiled with unwinding name this function.
#[unsafe(no_mangle)]
extern "C" fn rust_eh_personality() {}

/// A path that ends with NUL.
struct Path {
    bytes: [u8; 4096],
    length: usize,
}

impl Path {
    const fn new() -> Self {
        Self {
            bytes: [0; 4096],
            length: 0,
        }
    }

    /// Sets the path to `parts`, one after another. Returns `false` if that is too long.
    fn set(&mut self, parts: &[&[u8]]) -> bool {
        self.length = 0;
        for byte in parts.iter().copied().flatten() {
            if self.length + 1 >= self.bytes.len() {
                return false;
            }
            self.bytes[self.length] = *byte;
            self.length += 1;
        }
        self.bytes[self.length] = 0;
        true
    }

    /// Reads the link at `path`. Returns `false` if it is no link.
    fn read_link(&mut self, path: &Self) -> bool {
        let room = self.bytes.len() - 1;
        let length = unsafe { readlink(path.as_ptr(), self.bytes.as_mut_ptr().cast(), room) };
        self.length = usize::try_from(length).unwrap_or(0);
        length > 0
    }

    fn can(&self, mode: c_int) -> bool {
        unsafe { access(self.as_ptr(), mode) == 0 }
    }

    fn as_ptr(&self) -> *const c_char {
        self.bytes.as_ptr().cast()
    }

    fn as_bytes(&self) -> &[u8] {
        &self.bytes[..self.length]
    }
}

fn env(name: &CStr) -> Option<&'static [u8]> {
    let value = unsafe { getenv(name.as_ptr()) };
    (!value.is_null()).then(|| unsafe { CStr::from_ptr(value) }.to_bytes())
}

/// Sets `git` to the first executable git on PATH in a directory without a link `.git-flux`, which
/// marks this program and those of other tasks. Returns `false` if there is none.
fn find_git(git: &mut Path) -> bool {
    let path = env(c"PATH").unwrap_or(b"/usr/bin:/bin");
    let (mut link, mut target) = (Path::new(), Path::new());
    for dir in path.split(|&b| b == b':') {
        // An empty one is the working directory.
        let dir = if dir.is_empty() { b"." } else { dir };
        let dir = dir.strip_suffix(b"/").unwrap_or(dir);
        if !link.set(&[dir, b"/", FLUX]) || target.read_link(&link) {
            continue;
        }
        // A directory has an entry `.`.
        let is_dir = link.set(&[dir, b"/git/."]) && link.can(F_OK);
        if !is_dir && git.set(&[dir, b"/git"]) && git.can(X_OK) {
            return true;
        }
    }
    false
}

/// Returns the name of the command, after the global options.
fn find_command(words: &[*const c_char]) -> Option<&[u8]> {
    let mut at = 0;
    while let Some(word) = words.get(at) {
        let word = unsafe { CStr::from_ptr(*word) }.to_bytes();
        match git_words::option_length(word) {
            Some(length) => at += length,
            None => return Some(word),
        }
    }
    None
}

/// Becomes git flux as `git-flux-stash <git> <argv...>`. Returns if that fails, as after its removal.
fn exec_flux(run: &[u8], git: &Path, argv: &[*const c_char]) {
    let mut flux = Path::new();
    let all = unsafe { calloc(argv.len() + 3, size_of::<*const c_char>()) };
    if all.is_null() || !flux.set(&[run, b"/bin/", FLUX]) {
        return;
    }
    let own = [c"git-flux-stash".as_ptr(), git.as_ptr()];
    // The null pointer after the last is there.
    for (at, word) in own.into_iter().chain(argv.iter().copied()).enumerate() {
        unsafe { *all.add(at) = word };
    }
    unsafe { execv(flux.as_ptr(), all) };
}

/// Sets `GIT_EXEC_PATH` to the directory of the task in which `git` is this program, if `git` is the
/// git whose programs are there. git puts it first on the PATH of hooks, aliases and its own calls.
fn set_exec_path(run: &[u8], git: &Path) {
    let (mut link, mut source) = (Path::new(), Path::new());
    if link.set(&[run, b"/exec/.git"]) && source.read_link(&link) {
        if source.as_bytes() == git.as_bytes() && link.set(&[run, b"/exec"]) {
            unsafe { setenv(c"GIT_EXEC_PATH".as_ptr(), link.as_ptr(), 0) };
        }
    }
}

#[unsafe(no_mangle)]
extern "C" fn main(argc: c_int, argv: *const *const c_char) -> c_int {
    let count = usize::try_from(argc).unwrap_or(0);
    let words = unsafe { core::slice::from_raw_parts(argv, count) };
    let command = find_command(words.get(1..).unwrap_or_default());
    let mut git = Path::new();
    if !find_git(&mut git) {
        let message = b"error: git is not on PATH\n";
        unsafe { write(STDERR, message.as_ptr(), message.len()) };
        return NOT_FOUND;
    }
    if let (Some(run), Some(command)) = (env(c"FLUX_RUN"), command) {
        if git_words::may_be_stash(command) {
            exec_flux(run, &git, words);
        }
        set_exec_path(run, &git);
    }
    unsafe { execv(git.as_ptr(), argv) };
    NOT_EXECUTABLE
}
