//! Installs hooks of the user.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};

use crate::world::removal::*;
use crate::world::*;

/// Writes an executable hook that first notes its name, its arguments and the top of the worktree it runs in.
pub(crate) fn hook(world: &World, dir: &Path, name: &str, script: &str) {
    let log = log_file(world);
    let note = format!(
        "echo \"{name} $# $(git rev-parse --show-toplevel)\" >>'{}'",
        log.display()
    );
    let path = world.repo().join(dir).join(name);
    install_at(&path, &format!("#!/bin/sh\n{note}\n{script}\n"));
}

/// A `gpg.program` that signs like gpg, or refuses.
pub(crate) fn fake_gpg(world: &World, script: &str) {
    world.install("fake-gpg", &format!("#!/bin/sh\n{script}\n"));
    let program = world.tools().join("bin/fake-gpg");
    world.git(["config", "gpg.program", program.to_str().unwrap()]);
    world.git(["config", "user.signingKey", "0xF1"]);
}

pub(crate) const SIGNS: &str = "cat >/dev/null; echo '[GNUPG:] SIG_CREATED D 1 8 00 0 F1' >&2\n\
    printf -- '-----BEGIN PGP SIGNATURE-----\\n\\nflux\\n-----END PGP SIGNATURE-----\\n'";

/// Runs `script` once in this hook, as a person at another terminal would: without git's environment, and without
/// hooks. `when` is a condition in shell.
pub(crate) fn once_in_hook(world: &World, hook: &str, when: &str, script: &str) {
    let script = format!(
        "#!/bin/sh\nif [ -e '{0}' ] || ! {{ {when}; }}; then exit 0; fi\n: >'{0}'\n\
         unset $(git rev-parse --local-env-vars)\n\
         export GIT_CONFIG_COUNT=1 GIT_CONFIG_KEY_0=core.hooksPath GIT_CONFIG_VALUE_0=/dev/null\n\
         {{ set -e; {script}\n}} >'{0}' 2>&1\n",
        mark(world).display()
    );
    install_at(&world.repo().join(".git/hooks").join(hook), &script);
}

/// Asserts that the hook has run: there was something to survive.
#[track_caller]
pub(crate) fn assert_hooked(world: &World) {
    assert!(mark(world).exists(), "the hook did not run");
}

/// When the record of a task was just written.
pub(crate) const CLAIMED: &str = "[ \"$1\" = committed ] && grep -q refs/flux/tasks/";

pub(crate) fn log_file(world: &World) -> std::path::PathBuf {
    world.tools().join("hooks.log")
}

pub(crate) fn mark(world: &World) -> PathBuf {
    world.tools().join("hooked")
}
