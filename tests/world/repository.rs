//! Repositories of the world, and git in them: always the real git, never the shim.

use std::ffi::{OsStr, OsString};
use std::fs;
use std::path::{Path, PathBuf};

use super::World;

impl World {
    /// Three committed files on `main`, one of them in a subdirectory, and a `.gitignore`.
    pub(crate) fn make_repository(&self, dir: &Path) {
        fs::create_dir_all(dir).unwrap();
        self.git_in(dir, ["init", "-q"]);
        self.fill(dir);
    }

    /// Commits the usual files in an existing, empty repository: `git init` with options of the test's own comes first.
    pub(crate) fn fill(&self, dir: &Path) {
        fs::create_dir_all(dir.join("src")).unwrap();
        fs::write(dir.join("README.md"), "# myapp\n").unwrap();
        fs::write(dir.join("src/login.txt"), "one\ntwo\nthree\n").unwrap();
        fs::write(dir.join(".gitignore"), "*.log\n.env\n").unwrap();
        self.git_in(dir, ["add", "-A"]);
        self.git_in(dir, ["commit", "-q", "-m", "Initial commit"]);
    }

    /// Returns the mark of a ref of git flux.
    fn mark(&self, name: &str) -> PathBuf {
        let rest = name.strip_prefix("refs/flux/").expect("a ref of git flux");
        let owner: Vec<&str> = rest.split('/').take(2).collect();
        self.repo().join(".git/flux/marks").join(owner.join("/"))
    }

    /// Makes a ref of git flux as if this repository had: with its mark.
    #[track_caller]
    pub(crate) fn own_ref(&self, name: &str, object: &str) {
        let mark = self.mark(name);
        fs::create_dir_all(mark.parent().unwrap()).unwrap();
        let mut text = fs::read_to_string(&mark).unwrap_or_else(|_| "version 1\n".to_owned());
        let object = self.git(["rev-parse", object]);
        text.push_str(&format!("{object} {name}\n"));
        fs::write(mark, text).unwrap();
        self.git(["update-ref", name, &object]);
    }

    /// Runs git in the default repository and gives its stdout, trimmed; panics when git fails.
    #[track_caller]
    pub(crate) fn git<A: AsRef<OsStr>>(&self, args: impl IntoIterator<Item = A>) -> String {
        self.git_in(self.repo(), args)
    }

    /// Runs git in a directory and gives its stdout, trimmed; panics when git fails.
    #[track_caller]
    pub(crate) fn git_in<A: AsRef<OsStr>>(
        &self,
        dir: impl AsRef<Path>,
        args: impl IntoIterator<Item = A>,
    ) -> String {
        let args: Vec<OsString> = args.into_iter().map(|arg| arg.as_ref().into()).collect();
        self.try_git_in(dir.as_ref(), &args)
            .unwrap_or_else(|failure| {
                panic!("git {args:?} in {}: {failure}", dir.as_ref().display())
            })
    }

    /// Runs git in the default repository; `Err` holds all it said when it failed.
    pub(crate) fn try_git<A: AsRef<OsStr>>(
        &self,
        args: impl IntoIterator<Item = A>,
    ) -> Result<String, String> {
        let args: Vec<OsString> = args.into_iter().map(|arg| arg.as_ref().into()).collect();
        self.try_git_in(&self.repo(), &args)
    }

    fn try_git_in(&self, dir: &Path, args: &[OsString]) -> Result<String, String> {
        // A hook may call git flux.
        self.forget_changed_config();
        let output = self
            .command(&self.git)
            .current_dir(dir)
            .args(args)
            .output()
            .unwrap();
        let stdout = String::from_utf8_lossy(&output.stdout)
            .trim_end()
            .to_owned();
        if output.status.success() {
            return Ok(stdout);
        }
        let stderr = String::from_utf8_lossy(&output.stderr);
        Err(format!("{}\n{stdout}\n{stderr}", output.status))
    }

    /// Writes a file, its directories too; a relative path is one in the default repository.
    pub(crate) fn write(&self, path: impl AsRef<Path>, bytes: impl AsRef<[u8]>) -> PathBuf {
        let path = self.repo().join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(&path, bytes).unwrap();
        path
    }

    /// Reads a file; a relative path is one in the default repository.
    #[track_caller]
    pub(crate) fn read(&self, path: impl AsRef<Path>) -> String {
        let path = self.repo().join(path);
        let bytes = fs::read(&path).unwrap_or_else(|e| panic!("{}: {e}", path.display()));
        String::from_utf8_lossy(&bytes).into_owned()
    }

    /// Writes a file in a worktree and commits it there; gives the commit.
    #[track_caller]
    pub(crate) fn commit_in(&self, dir: impl AsRef<Path>, file: &str, text: &str) -> String {
        let dir = dir.as_ref();
        self.write(dir.join(file), text);
        self.git_in(dir, ["add", "--", file]);
        self.git_in(dir, ["commit", "-q", "-m", &format!("Change {file}")]);
        self.git_in(dir, ["rev-parse", "HEAD"])
    }

    /// Changes the text of the record that the ref `name` stands at, and moves the ref to it.
    #[track_caller]
    pub(crate) fn edit_record(&self, name: &str, edit: impl Fn(&str) -> String) {
        let json = edit(&self.git(["show", &format!("{name}:task.json")]));
        let file = self.write("../task.json", json);
        let blob = self.git(["hash-object", "-w", "--no-filters", "../task.json"]);
        let others = self.git(["ls-tree", name]);
        let others = others.lines().filter(|line| !line.ends_with("\ttask.json"));
        let mut tree: String = others.map(|line| format!("{line}\n")).collect();
        tree += &format!("100644 blob {blob}\ttask.json\n");
        fs::write(&file, tree).unwrap();
        let made = self
            .command(&self.git)
            .current_dir(self.repo())
            .arg("mktree")
            .stdin(fs::File::open(&file).unwrap())
            .output()
            .unwrap();
        fs::remove_file(file).unwrap();
        let tree = String::from_utf8(made.stdout).unwrap();
        // 0.1.0 made none.
        match self.mark(name).exists() {
            true => self.own_ref(name, tree.trim_end()),
            false => drop(self.git(["update-ref", name, tree.trim_end()])),
        }
    }

    /// Returns the worktree of a task by the default settings: `<root>/myapp-<id>`.
    pub(crate) fn worktree(&self, id: &str) -> PathBuf {
        self.root().join(format!("myapp-{id}"))
    }
}
