#!/bin/sh
# The fake agent: writes down what it was given, then behaves as it is told. See agent.rs.
# By its name in the world, `<tools>/bin/claude`.
agents=${0%/*}/../agent
dir=$agents/${FLUX_TASK:-$$}
mkdir -p "$dir"
if [ $# -gt 0 ]; then printf '%s\0' "$@"; fi >"$dir/argv"
cat "/proc/$$/environ" >"$dir/env" 2>/dev/null || env -0 >"$dir/env"
printf '%s' "$(pwd -P; echo .)" >"$dir/cwd"
echo "$$" >"$dir/pid"

terminal=
[ ! -t 0 ] || terminal=yes
looping=
# A reader that outlives a killed agent would steal what the user types into the shell.
with_us=
command -v setpriv >/dev/null && with_us='setpriv --pdeathsig KILL'

newline='
'
# Sets $text to what a file says, without a program for that.
load() {
	text=
	while IFS= read -r line || [ -n "$line" ]; do text=${text:+$text$newline}$line; done <"$1"
}

commit() {
	printf '%s\n' "$1" >>agent.txt
	git add -- agent.txt && git commit -q -m "$1"
}

perform() {
	word=${1%% *}
	rest=${1#"$word"}
	rest=${rest# }
	case $word in
	wait) looping= ;;
	exit) exit "${rest:-0}" ;;
	signal) kill -s "$rest" "$$" ;;
	commit) commit "${rest:-Agent work}" ;;
	loop-commit) looping=yes ;;
	sh) eval "$rest" ;;
	say) printf '%b\n' "$rest" ;;
	sigint-*) trap "exit ${word#sigint-}" INT ;;
	stubborn) trap '' HUP INT QUIT TERM ;;
	raw) stty -icanon -icrnl -echo min 1 time 0 && printf '\033[?2004h\033[?1049h' ;;
	*) echo "no such behaviour: $1" >&2; exit 99 ;;
	esac
}

behaviour=wait
if [ -e "$agents/behaviour" ]; then load "$agents/behaviour"; behaviour=$text; fi
# What changes how it reacts must hold before anyone can know that it has started.
case $behaviour in sigint-* | stubborn | raw) perform "$behaviour"; behaviour=wait ;; esac
echo "fake agent ready"
# With a trap, the first reader notes the start: a ^C between its fork and its exec would be lost.
unnoted=$(trap)
[ -n "$unnoted" ] || echo "$$" >>"$dir/starts"
perform "$behaviour"
echo "first $?" >>"$dir/done"

while :; do
	# An empty one is done.
	if [ -s "$dir/wish" ]; then
		load "$dir/wish"
		: >"$dir/wish"
		perform "$text"
		echo "told $?" >>"$dir/done"
	elif [ -n "$looping" ]; then
		commit "Another one"
	else
		# In the foreground, so that ^C and ^Z reach it as they reach us. Ends when a wish comes: agent.rs kills it.
		# It does not outlive us even if we are killed before it asks for that.
		{ $with_us sh -c '[ "$PPID" = "$3" ] || exit; echo "$$" >"$1/reader"; [ -z "$2" ] || echo "$3" >>"$1/starts"; exec cat >>"$1/stdin"' reader "$dir" "$unnoted" "$$"; } 2>/dev/null
		code=$?
		unnoted=
		: >"$dir/reader"
		[ ! -s "$dir/wish" ] || continue
		# What ends it when its terminal goes is the hang-up, whichever comes first.
		if [ -n "$terminal" ] && [ ! -t 0 ]; then sleep 60; fi
		exit "$code"
	fi
done
