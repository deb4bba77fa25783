//! Tests `gate` and `land` on a full disk, with a little more room each time until there is enough.

use super::disk::failures;
use super::matrix::injects_all;

/// Begins both: a repository, and how to fill its disk.
const BEGIN: &str = r#"
mkdir disk && mount -t tmpfs -o size=2m tmpfs disk || exit 77
mkdir disk/myapp && cd disk/myapp || exit 1
git init -q && echo 1 >one.txt && git add -A && git commit -q -m 'Initial commit' || exit 1
wrong() { echo "with $free pages free: $1"; echo "$said"; shift; printf '%s\n' "$@"; exit 1; }
fill() {
	cat /dev/zero >../ballast 2>/dev/null
	truncate -s -$((free * 4096)) ../ballast
}
more() {
	case $said in *'no space is left on the disk'*) ;; *) wrong 'the reason is not said' ;; esac
	failures=$((failures + 1))
	free=$((free + STEP))
	[ "$free" -lt 300 ] || wrong 'it never succeeded'
}
task() {
	git worktree add -q -b "$1" "../$1" && git-flux adopt -q --name "$1" "../$1" || exit 1
	head -c 20000 /dev/urandom >"../$1/$1.bin"
}
tidy() {
	[ -z "$(git for-each-ref refs/flux/land)" ] || wrong 'a ref is left' "$(git for-each-ref)"
	left=$(find .git -name index.lock -o -name HEAD.lock -o -name config.lock -o -name running)
	[ -z "$left" ] || wrong 'something is left' "$left"
	git fsck || exit 1
	echo "$failures failures"
}
free=0 failures=0
"#;

/// The gate itself needs room. What fails for want of it is not red.
const GATE: &str = r#"
task fix
git config flux.gate 'cat fix.bin fix.bin >built'
facts() {
	git for-each-ref && cat .git/config
	git status --porcelain=v2 && git -C ../fix status --porcelain=v2
}
before=$(facts)
while fill; do
	said=$(git-flux gate fix 2>&1)
	code=$?
	rm ../ballast
	[ "$code" = 0 ] && break
	[ "$code" = 125 ] || [ "$code" = 1 ] || wrong "exit code $code"
	case $said in *'fix: no verdict: no space is left on the disk'*) ;; *) wrong 'the reason is not said' ;; esac
	[ "$before" = "$(facts)" ] || wrong 'something has changed' "$before" -- "$(facts)"
	more
done
case $said in *'fix: green') ;; *) wrong 'it is not green' ;; esac
[ "$before" = "$(facts)" ] || wrong 'something has changed' "$before" -- "$(facts)"
tidy
"#;

const LAND: &str = r#"
for task in a b; do
	task $task
	git -C ../$task add -A && git -C ../$task commit -q -m Work && cp ../$task/$task.bin .. || exit 1
done
git config flux.gate 'test -s one.txt'
while fill; do
	said=$(git-flux land --all -y 2>&1)
	code=$?
	rm ../ballast
	[ "$code" = 0 ] || [ "$code" = 1 ] || wrong "exit code $code"
	# The next command completes or undoes what was half done.
	[ "$code" = 0 ] || said="$said
$(git-flux cleanup no-such-task 2>&1)"
	[ -z "$(git status --porcelain)" ] || wrong 'the checkout has changed' "$(git status)"
	for task in a b; do
		if git rev-parse -q --verify refs/flux/tasks/$task >/dev/null; then
			cmp ../$task/$task.bin ../$task.bin || wrong "the files of $task are not whole"
		else
			cmp $task.bin ../$task.bin || wrong "$task is lost"
		fi
	done
	[ "$code" = 0 ] && break
	more
done
[ -z "$(git for-each-ref refs/flux/tasks)" ] || wrong 'a task is left'
tidy
"#;

/// Runs a script on a small disk, in CI with larger steps; returns how many commands met the full disk.
fn meet_full_disk(script: &str) -> usize {
    let step = if injects_all() { "1" } else { "4" };
    failures(&format!("{BEGIN}{script}").replace("STEP", step))
}

#[test]
fn gate_has_no_verdict_and_changes_nothing_on_a_full_disk() {
    let failures = meet_full_disk(GATE);
    assert!(failures > 3, "only {failures} gates met the full disk");
}

#[test]
fn land_lands_or_leaves_each_task_whole_on_a_full_disk() {
    let failures = meet_full_disk(LAND);
    assert!(failures > 3, "only {failures} landings met the full disk");
}
