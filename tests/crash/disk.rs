//! Tests `run` and `resume` on a full disk, with a little more room each time until there is enough.

use crate::world::*;

/// Runs in a mount namespace of its own, so that the small file system goes with it.
const SCRIPT: &str = r#"
mkdir disk && mount -t tmpfs -o size=1m tmpfs disk || exit 77
mkdir disk/myapp && cd disk/myapp || exit 1
git init -q
head -c 40000 /dev/urandom >big.bin
git add -A && git commit -q -m 'Initial commit' || exit 1

facts() {
	git for-each-ref
	git worktree list --porcelain
	cat .git/config
	find .. .git/worktrees .git/flux/run .git/flux/trash -mindepth 1 -maxdepth 1 2>/dev/null | sort
	tmux list-sessions -F '#{session_name}' 2>/dev/null
}
wrong() { echo "with $free pages free: $1"; echo "$said"; shift; printf '%s\n' "$@"; exit 1; }

# What a run and a cleanup leave for good is there before.
git flux run -q --name first First >/dev/null && git flux cleanup -y first 2>/dev/null || exit 1
before=$(facts)
free=0 failures=0
while :; do
	rm -f ../ballast
	cat /dev/zero >../ballast 2>/dev/null
	truncate -s -$((free * 4096)) ../ballast
	said=$(git-flux run -q --name fix 'Fix it' 2>&1)
	code=$?
	[ "$code" = 0 ] && break
	[ "$code" = 1 ] || wrong "exit code $code"
	case $said in *'no space is left on the disk'*) ;; *) wrong 'the reason is not said' ;; esac
	case $said in
	# Its agent is at work already: the next command completes it.
	*'its record is not complete'*) rm ../ballast; git-flux cleanup no-such-task 2>/dev/null; break ;;
	*'nothing was left behind'*) after=$(rm ../ballast; facts) ;;
	*) rm ../ballast; said="$said
$(git-flux cleanup no-such-task 2>&1)"; after=$(facts) ;;
	esac
	[ "$before" = "$after" ] || wrong 'something is left' "$before" -- "$after"
	failures=$((failures + 1))
	free=$((free + 1))
	[ "$free" -lt 200 ] || wrong 'it never succeeded'
done
rm -f ../ballast
cmp big.bin ../myapp-fix/big.bin || wrong 'a file is not whole'
git-flux list --json | grep -q '"state": "running"' || wrong 'it does not run'
git-flux cleanup -y fix 2>/dev/null || wrong 'it cannot be cleaned up'
git fsck || exit 1
echo "$failures failures"
"#;

/// Resumes a task that has ended, until there is room for it.
const RESUME: &str = r#"
mkdir disk && mount -t tmpfs -o size=1m tmpfs disk || exit 77
mkdir disk/myapp && cd disk/myapp || exit 1
git init -q && git commit -q --allow-empty -m 'Initial commit' || exit 1
# As long as eight pages: it is written beside the one that is there.
git flux run -q --name fix "$(seq 7000)" >/dev/null && tmux kill-server || exit 1
until [ -e .git/flux/run/fix/exit ]; do sleep 0.01; done

wrong() { echo "with $free pages free: $1"; echo "$said"; ls -A .git/flux/run/fix; exit 1; }
free=0 failures=0
while :; do
	rm -f ../ballast
	cat /dev/zero >../ballast 2>/dev/null
	truncate -s -$((free * 4096)) ../ballast
	said=$(git-flux resume -q --restart fix 2>&1) && break
	case $said in
	*'its record is not complete'*'no space is left on the disk'*) break ;;
	*"could not resume 'fix'"*'no space is left on the disk'*) ;;
	*'could not be started: '*'No space left on device'*) ;;
	*) wrong 'the reason is not said' ;;
	esac
	case $(ls -A .git/flux/run/fix) in *.part*) wrong 'a part is left' ;; esac
	failures=$((failures + 1))
	free=$((free + 1))
	[ "$free" -lt 50 ] || wrong 'it never succeeded'
done
rm ../ballast
git-flux list --json | grep -q '"state": "running"' || wrong 'it does not run'
echo "$failures failures"
"#;

#[test]
fn run_leaves_nothing_behind_on_a_full_disk() {
    let failures = failures(SCRIPT);
    assert!(failures > 10, "only {failures} runs met the full disk");
}

#[test]
fn resume_names_the_full_disk_and_leaves_nothing_behind() {
    let failures = failures(RESUME);
    assert!(failures > 1, "only {failures} resumes met the full disk");
}

/// Runs a script that counts how often a command has met a full disk.
pub(super) fn failures(script: &str) -> usize {
    let world = World::without_repository("flux world");
    world.behaviour("raw");
    let output = world
        .command(require("unshare"))
        .args(namespace(&world))
        .args(["sh", "-c", script])
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&output.stdout);
    let errors = String::from_utf8_lossy(&output.stderr);
    if output.status.code() == Some(77) && std::env::var_os("CI").is_none() {
        eprintln!("this machine lets nobody mount a file system: {errors}");
        return usize::MAX;
    }
    assert!(output.status.success(), "{said}\n{errors}");
    let failures = said
        .lines()
        .last()
        .and_then(|line| line.strip_suffix(" failures"));
    failures.expect("the script counts").parse().unwrap()
}

/// Makes a mount namespace, in a user namespace unless the user is root.
pub(super) fn namespace(world: &World) -> &'static [&'static str] {
    let id = world.command("id").arg("-u").output().unwrap();
    match id.stdout.as_slice() {
        b"0\n" => &["--mount"],
        _ => &["--user", "--map-root-user", "--mount"],
    }
}
