# restore when admin name is taken
. /tmp/h4/adv/env.sh G; mklib lib; git submodule --quiet add ../lib.git lib 2>&1; git commit -qm sub
git-flux run -q --name fix "Fix it" >/dev/null; git -C $W submodule --quiet update --init --recursive; echo I>$W/x.ign; echo st>$W/a; git -C $W add a; echo wt>>$W/a
g cleanup -y --discard fix
mkdir $B/o; git worktree add -q --detach $B/o/myapp-fix
g restore fix
ls .git/flux/trash/fix .git/worktrees; g list
git worktree remove $B/o/myapp-fix
g restore fix; git -C $W status -sb; git -C $W/lib status -sb; cat $W/x.ign; git -C $W submodule status
tmux kill-server
