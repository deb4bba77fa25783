# unborn HEAD, gone remote, shallow, no remote
. /tmp/h4/adv/env.sh F; mklib lib; git submodule --quiet add ../lib.git lib 2>&1; git submodule --quiet add ../lib.git with/slash; git commit -qm sub
git-flux run -q --name fix "Fix it" >/dev/null; git -C $W submodule --quiet update --init --recursive
echo "== unborn"; (cd $W/lib; git checkout -q --orphan x; git rm -rqf . ; git status -sb)
g cleanup -n fix --discard| grep -A2 submod
(cd $W/lib; git checkout -qf main)
echo "== unborn, reset submodule to it, deinit"; (cd $W/with/slash; git checkout -q --orphan y; git rm -rqf .); git -C $W submodule deinit -qf with/slash;  g cleanup -n fix --discard| grep -A2 submod
git -C $W submodule --quiet update --init --recursive --force
echo "== reflog only/detached commit then back"; (cd $W/lib; git checkout -q --detach; git commit -q --allow-empty -m det; git tag keepme; git checkout -q main)
g cleanup -n fix | grep submod
echo "== remote gone"; (cd $W/lib; git remote remove origin); g cleanup -n fix | grep submod
tmux kill-server
