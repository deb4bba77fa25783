//! Tests a restore on a full disk, with a little more room each time, and from a read-only trash.

use super::disk::namespace;
use crate::world::*;

/// Runs in a mount namespace of its own, so that the small file system goes with it.
const SCRIPT: &str = r#"
mkdir disk && mount -t tmpfs -o size=2m tmpfs disk || exit 77
mkdir disk/myapp && cd disk/myapp || exit 1
git init -q
head -c 40000 /dev/urandom >big.bin
printf '%s\n' '*.log' >.gitignore
git add -A && git commit -q -m 'Initial commit' || exit 1

git flux run -q --name fix Fix >/dev/null || exit 1
cd ../myapp-fix || exit 1
head -c 40000 /dev/urandom >more.bin && git add -A && git commit -q -m More || exit 1
head -c 40000 /dev/urandom >more.bin && git add -A && echo changed >>more.bin
head -c 40000 /dev/urandom >'new file.bin'
echo ignored >x.log

# What is in a worktree. There is nothing else that is ignored.
state() {
	git status --porcelain=v2 --branch --untracked-files=all && git ls-files -s
	find . -type f ! -name .git ! -name '*.log' -exec cksum {} + | sort
	[ "$mode" = archive ] || cat x.log
}
facts() {
	git for-each-ref
	git worktree list --porcelain
	cat .git/config
	find .. .git/worktrees .git/flux/run -mindepth 1 -maxdepth 1 2>/dev/null | sort
	[ "$mode" = archive ] || find .git/flux/trash -type f | sort
	tmux list-sessions -F '#{session_name}' 2>/dev/null
}
wrong() { echo "with $free pages free: $1"; echo "$said"; shift; printf '%s\n' "$@"; exit 1; }
whole() {
	said=$(git-flux restore -q fix 2>&1) || [ "$1" = done ] || wrong 'it cannot be restored'
	cd ../myapp-fix && now=$(state) && cd ../myapp || wrong 'nothing is there'
	[ "$now" = "$work" ] || wrong 'it is not what it was' "$work" -- "$now"
	[ ! -e .git/flux/trash/fix ] || wrong 'its place in the trash is left'
}

mode=$1 free=0 failures=0
work=$(state)
cd ../myapp
git flux cleanup -y --discard --discard-branch fix 2>/dev/null || exit 1
[ "$mode" != archive ] || rm -r .git/flux/trash
before=$(facts)

if [ "$mode" = readonly ]; then
	mount --bind .git/flux/trash .git/flux/trash || exit 77
	mount -o remount,bind,ro .git/flux/trash || exit 77
	said=$(git-flux restore fix 2>&1) && wrong 'it cannot have been restored'
	case $said in *"could not restore 'fix'; nothing was lost"*) ;; *) wrong 'it is not said' ;; esac
	after=$(facts)
	[ "$before" = "$after" ] || wrong 'something is left' "$before" -- "$after"
	umount .git/flux/trash
	whole
	exit 0
fi

while :; do
	rm -f ../ballast
	cat /dev/zero >../ballast 2>/dev/null
	truncate -s -$((free * 4096)) ../ballast
	said=$(git-flux restore -q fix 2>&1)
	code=$?
	[ "$code" = 0 ] && break
	[ "$code" = 1 ] || wrong "exit code $code"
	case $said in *'no space is left on the disk'*) ;; *) wrong 'the reason is not said' ;; esac
	rm ../ballast
	case $said in
	# Its agent is at work already: the next command completes it.
	*'its record is not complete'*) git-flux cleanup no-such-task 2>/dev/null; break ;;
	*'nothing was lost'*) ;;
	*) said="$said
$(git-flux cleanup no-such-task 2>&1)" ;;
	esac
	after=$(facts)
	[ "$before" = "$after" ] || wrong 'something is left' "$before" -- "$after"
	# What was half made is kept beside; it must not pass for the task.
	[ "$mode" != archive ] || rm -rf .git/flux/trash/fix.*
	[ ! -e .git/flux/trash/fix ] || [ "$mode" != archive ] || wrong 'it is taken for the task'
	failures=$((failures + 1))
	free=$((free + 1))
	[ "$free" -lt 200 ] || wrong 'it never succeeded'
done
rm -f ../ballast
whole done
git fsck --no-dangling || exit 1
echo "$failures failures"
"#;

/// Runs the script, and says how many restores failed.
#[track_caller]
fn run(mode: &str) -> Option<usize> {
    let world = World::without_repository("flux world");
    world.behaviour("raw");
    let output = world
        .command(require("unshare"))
        .args(namespace(&world))
        .args(["sh", "-c", SCRIPT, "sh", mode])
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&output.stdout);
    let errors = String::from_utf8_lossy(&output.stderr);
    if output.status.code() == Some(77) && std::env::var_os("CI").is_none() {
        eprintln!("this machine lets nobody mount a file system: {errors}");
        return None;
    }
    assert!(output.status.success(), "{said}\n{errors}");
    let last = said.lines().last();
    let failures = last.and_then(|line| line.strip_suffix(" failures"));
    Some(failures.map_or(0, |failures| failures.parse().unwrap()))
}

#[test]
fn restore_from_the_trash_is_undone_on_a_full_disk() {
    let failures = run("trash");
    assert!(failures.is_none_or(|failures| failures > 5), "{failures:?}");
}

#[test]
fn restore_from_the_archive_is_undone_on_a_full_disk() {
    let failures = run("archive");
    assert!(
        failures.is_none_or(|failures| failures > 20),
        "{failures:?}"
    );
}

#[test]
fn restore_changes_nothing_if_the_trash_cannot_be_written() {
    run("readonly");
}
