#!/bin/sh
# One participant of the stress in stash_stress.rs: the user, or the agent of a task.
#
# Does random steps in its worktree until the file `stop` appears. Each content of a file is a line that
# is unique, and is on record before it is written; so is each that is overwritten or deleted on purpose.
# shellcheck disable=SC2086,SC2164

root=@ROOT@
plain_git=@GIT@
name=${FLUX_TASK:-user}
dir=$root/$name
mkdir -p "$dir"
read -r seed <"$root/seed"
seed=$(($(printf '%s %s' "$seed" "$name" | cksum | cut -d ' ' -f 1) & 2147483647))
home=$(git symbolic-ref --short HEAD)
count=0
# The number of names; the more there are, the less is overwritten.
files=100

# Without the program that git flux puts first on PATH, to show what it is for.
if [ -e "$root/plain" ]; then
	unset GIT_EXEC_PATH
	git() { "$plain_git" "$@"; }
fi

# Sets $dice to a random number below $1.
roll() {
	seed=$(((seed * 1103515245 + 12345) & 2147483647))
	dice=$((seed / 65536 % $1))
}

# Prints the contents of this participant that are in standard input.
own() { grep -ao "<<$name-[0-9]*>>"; }

# Runs a step, and notes it with its result.
step() {
	kind=$1
	shift
	if "$@" >>"$dir/out" 2>&1 </dev/null; then
		echo "$kind: done" >>"$dir/steps"
	else
		echo "$kind: refused" >>"$dir/steps"
		false
	fi
}

# Commits everything if files are unmerged, with the conflict markers, so that nothing is lost by it.
settle() {
	[ -n "$(git ls-files --unmerged)" ] || return 0
	step 'commit of a conflict' git add -A
	step 'commit of a conflict' git commit -q --no-verify -m "$name: conflict"
}

write() {
	[ ! -e "$1" ] || own <"$1" >>"$dir/deleted"
	count=$((count + 1))
	echo "<<$name-$count>>" >>"$dir/written"
	step write eval "echo '<<$name-$count>>' >'$1'"
}

write_one() {
	case $1 in
	own) roll "$files" && write "$name-$dice" ;;
	shared) roll 10 && write "shared-$dice" ;;
	esac
}

stage() {
	roll 3
	case $dice in
	0) step stage git add -A ;;
	*) step stage git add -u ;;
	esac
}

commit() {
	roll 2
	case $dice in
	0) step commit git commit -q -m "$name: work" ;;
	1) step commit git commit -q -a -m "$name: work" ;;
	esac
}

amend() {
	case $(git log -1 --format=%s) in
	"$name: "*) step amend git commit -q --amend --no-edit -a ;;
	esac
}

push() {
	roll 7
	case $dice in
	0) step 'stash' git stash ;;
	1) step 'stash -u' git stash -u ;;
	2) step 'stash --keep-index' git stash push --keep-index ;;
	3) step 'stash -u --keep-index' git stash push -u --keep-index ;;
	4) step 'stash -m' git stash push -m "$name" ;;
	5) step 'stash -u -m' git stash push -u -m "$name" ;;
	6)
		roll "$files"
		[ ! -e "$name-$dice" ] || step 'stash of a file' git stash push -- "$name-$dice"
		;;
	esac
}

# Sets $entry to a random entry of the stash as this participant sees it.
choose_entry() {
	entries=$(git stash list | wc -l)
	[ "$entries" -gt 0 ] || return 1
	roll "$entries"
	entry="stash@{$dice}"
}

pop() {
	roll 6
	case $dice in
	0 | 1 | 2) step 'stash pop' git stash pop ;;
	3) step 'stash pop --index' git stash pop --index ;;
	4) choose_entry && step 'stash pop <entry>' git stash pop "$entry" ;;
	5) choose_entry && step 'stash apply <entry>' git stash apply "$entry" ;;
	esac
	settle
}

drop() {
	choose_entry || return
	git stash show -p --include-untracked "$entry" 2>>"$dir/out" | grep -a '^+' | own >>"$dir/deleted"
	step 'stash drop' git stash drop "$entry"
}

rebase() {
	[ "$name" != user ] && [ "$(git symbolic-ref --short HEAD)" = "$home" ] || return
	if ! step 'rebase --autostash' git rebase -q --autostash -X theirs main; then
		[ ! -d "$(git rev-parse --git-path rebase-merge)" ] || step 'rebase --abort' git rebase --abort
	fi
	settle
}

switch() {
	roll 4
	case $dice in
	0) step switch git switch -q -c "side/$name-$((count % 5))" ;;
	1) step switch git switch -q "side/$name-$((count % 5))" ;;
	*) step switch git switch -q "$home" ;;
	esac
}

clean() {
	roll "$files"
	[ -e "$name-$dice" ] && [ -z "$(git ls-files -- "$name-$dice")" ] || return
	own <"$name-$dice" >>"$dir/deleted"
	step clean git clean -q -f -- "$name-$dice"
}

restore() {
	roll "$files"
	[ -e "$name-$dice" ] && [ -n "$(git ls-files -- "$name-$dice")" ] || return
	own <"$name-$dice" >>"$dir/deleted"
	step restore git restore -- "$name-$dice"
}

until [ -e "$root/stop" ]; do
	roll 100
	case $dice in
	[0-9] | 1[0-9] | 2[0-4]) write_one own ;;
	2[5-9]) write_one shared ;;
	3[0-9]) stage ;;
	4[0-9] | 5[01]) commit ;;
	5[2-6]) amend ;;
	5[7-9] | 6[0-8]) push ;;
	69 | 7[0-9] | 80) pop ;;
	8[1-3]) drop ;;
	8[4-9]) rebase ;;
	9[0-3]) switch ;;
	9[4-6]) clean ;;
	*) restore ;;
	esac
done
git stash list --format=%H >"$dir/stash"
pwd -P >"$dir/worktree"
: >"$dir/done"
