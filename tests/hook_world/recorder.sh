# Sourced by every hook: writes what it sees below @CALLS@, a directory per call, a file per fact.
# Commands of the shell where there is one, so a call starts fewer than 20 programs.
name=${0##*/}
calls=@CALLS@
n=0
{ read -r n <"$calls/last"; } 2>/dev/null
n=$((n + 1))
echo "$n" >"$calls/last"
to=$calls/$n
mkdir -p "$to/state"

# What the kernel was given: the shell changes its own copy.
cat "/proc/$$/environ" >"$to/environ"
readlink "/proc/$$/fd/0" >"$to/stdin"
echo "$name" >"$to/name"
echo "$0" >"$to/self"
[ $# = 0 ] || printf '%s\n' "$@" >"$to/arguments"
pwd -P >"$to/directory"
umask >"$to/umask"
case $name in
prepare-commit-msg | commit-msg | applypatch-msg) cat "$1" >"$to/message" ;;
reference-transaction | post-rewrite) cat >"$to/input" ;;
esac
case $name in
# They run so often, and so early and late, that this is all there is to compare.
reference-transaction | post-index-change) return ;;
esac

own=$(git rev-parse --absolute-git-dir)
set --
for file in HEAD ORIG_HEAD MERGE_HEAD MERGE_MODE MERGE_MSG MERGE_AUTOSTASH AUTO_MERGE SQUASH_MSG CHERRY_PICK_HEAD \
	REVERT_HEAD REBASE_HEAD BISECT_LOG rebase-merge rebase-apply sequencer index.lock; do
	[ ! -e "$own/$file" ] || set -- "$@" "$own/$file"
done
cp -RP "$@" "$to/state"
git rev-parse --show-toplevel --git-dir --git-common-dir --absolute-git-dir --is-inside-work-tree \
	--show-prefix >"$to/places" 2>&1
git rev-parse --abbrev-ref HEAD >"$to/branch" 2>&1
git rev-parse --git-path hooks >"$to/hooks" 2>&1
git ls-files -s >"$to/index" 2>&1
git --no-optional-locks status --porcelain -b >"$to/status" 2>&1
git diff-files --name-status >"$to/unstaged" 2>&1
git diff --cached --name-status >"$to/staged" 2>&1
git config user.email >"$to/email" 2>&1
# Through links: where the directory is another one, some of them may be links themselves.
find -L node_modules "ignored [1]" -type f >"$to/ignored" 2>&1
cat .env node_modules/dep/index.js node_modules/.bin/tool node_modules/@x/a/index.js >"$to/contents" 2>&1
readlink -f node_modules/@x/a >"$to/workspace"
# A hook that a test looks at refuses nothing.
true
