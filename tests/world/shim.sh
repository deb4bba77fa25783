#!/bin/sh
# Stands for git and tmux on PATH: notes the calls that git-flux itself makes, and injects faults. See shim.rs.
# Builtins only on the way through, so that counting costs next to nothing.
# By its name in the world, `<tools>/shim/git`.
name=${0##*/}
tools=${0%/*}/..
real=$tools/real/$name

parent=
{ read -r parent <"/proc/$PPID/comm"; } 2>/dev/null
[ "$parent" = git-flux ] || exec "$real" "$@"

line=
{ read -r line <"/proc/$PPID/cmdline"; } 2>/dev/null
case $line in
*__run*) by=launcher ;;
*__hook*) by=hook ;;
*) by=flux ;;
esac

record() { printf '%s\0' "$name" "$by" "$$" "$PPID" "$@" end; }
nothing() { :; }

# Runs "$@" with its output in the first file of $1/1, $1/2, … that does not exist yet; its number is $n.
# Creating a file exclusively (set -C) is the one atomic thing a shell can do without starting a program.
claim() {
	dir=$1
	shift
	n=1
	{ read -r n <"$dir/last"; } 2>/dev/null
	case $n in '' | *[!0-9]*) n=1 ;; esac
	set -C
	until "$@" >"$dir/$n"; do
		# Not because it exists: the world is gone.
		[ -e "$dir/$n" ] || break
		n=$((n + 1))
	done 2>/dev/null
	set +C
	{ echo "$n" >"$dir/last"; } 2>/dev/null
}

claim "$tools/calls" record "$@"
[ -e "$tools/fault/plan" ] || exec "$real" "$@"

. "$tools/fault/plan"
[ "$program" = "$name" ] && [ "$caller" = "$by" ] || exec "$real" "$@"
case " $* " in *"$words"*) ;; *) exec "$real" "$@" ;; esac
claim "$tools/fault" nothing
[ "$nth" = 0 ] || [ "$nth" = "$n" ] || exec "$real" "$@"

: >"$tools/fault/fired"
case $mode in
fail)
	echo 'fatal: injected' >&2
	code=1 ;;
fail-after)
	"$real" "$@"
	echo 'fatal: injected' >&2
	code=1 ;;
cut-off)
	"$real" "$@" | head -c -1
	code=0 ;;
meanwhile)
	"$tools/bin/meanwhile" </dev/null >/dev/null 2>&1
	exec "$real" "$@" ;;
hang) exec sleep 100000 ;;
kill-before)
	kill -9 "$PPID"
	code=1 ;;
kill-during)
	# A background command reads /dev/null unless told otherwise.
	exec 3<&0
	"$real" "$@" <&3 3<&- &
	kill -9 "$PPID"
	wait "$!"
	code=$? ;;
kill-group)
	# It may be in the group itself.
	: >"$tools/fault/over"
	kill -s KILL -- "-$PPID"
	code=1 ;;
kill-after)
	"$real" "$@"
	code=$?
	kill -9 "$PPID" ;;
esac
: >"$tools/fault/over"
exit "$code"
