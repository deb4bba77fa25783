//! The words on git's command line: global options and names of commands.
//!
//! Also a part of `helper/git.rs`, so it uses nothing of the standard library.

/// Global options of git whose value is the next argument.
const WITH_VALUE: [&[u8]; 9] = [
    b"--attr-source",
    b"--config-env",
    b"--git-dir",
    b"--namespace",
    b"--shallow-file",
    b"--super-prefix",
    b"--work-tree",
    b"-C",
    b"-c",
];

/// git's own commands, sorted, without `stash`. An alias cannot replace them.
const COMMANDS: &[&[u8]] = &[
    b"add",
    b"am",
    b"annotate",
    b"apply",
    b"archimport",
    b"archive",
    b"backfill",
    b"bisect",
    b"blame",
    b"branch",
    b"bugreport",
    b"bundle",
    b"cat-file",
    b"check-attr",
    b"check-ignore",
    b"check-mailmap",
    b"check-ref-format",
    b"checkout",
    b"checkout--worker",
    b"checkout-index",
    b"cherry",
    b"cherry-pick",
    b"clean",
    b"clone",
    b"column",
    b"commit",
    b"commit-graph",
    b"commit-tree",
    b"config",
    b"count-objects",
    b"credential",
    b"credential-cache",
    b"credential-cache--daemon",
    b"credential-store",
    b"cvsexportcommit",
    b"cvsimport",
    b"cvsserver",
    b"daemon",
    b"describe",
    b"diagnose",
    b"diff",
    b"diff-files",
    b"diff-index",
    b"diff-pairs",
    b"diff-tree",
    b"difftool",
    b"difftool--helper",
    b"fast-export",
    b"fast-import",
    b"fetch",
    b"fetch-pack",
    b"filter-branch",
    b"flux",
    b"fmt-merge-msg",
    b"for-each-ref",
    b"for-each-repo",
    b"format-patch",
    b"fsck",
    b"fsck-objects",
    b"fsmonitor--daemon",
    b"gc",
    b"get-tar-commit-id",
    b"grep",
    b"gui",
    b"hash-object",
    b"help",
    b"history",
    b"hook",
    b"http-backend",
    b"http-fetch",
    b"http-push",
    b"imap-send",
    b"index-pack",
    b"init",
    b"init-db",
    b"instaweb",
    b"interpret-trailers",
    b"last-modified",
    b"log",
    b"ls-files",
    b"ls-remote",
    b"ls-tree",
    b"mailinfo",
    b"mailsplit",
    b"maintenance",
    b"merge",
    b"merge-base",
    b"merge-file",
    b"merge-index",
    b"merge-octopus",
    b"merge-one-file",
    b"merge-ours",
    b"merge-recursive",
    b"merge-recursive-ours",
    b"merge-recursive-theirs",
    b"merge-resolve",
    b"merge-subtree",
    b"merge-tree",
    b"mergetool",
    b"mktag",
    b"mktree",
    b"multi-pack-index",
    b"mv",
    b"name-rev",
    b"notes",
    b"p4",
    b"pack-objects",
    b"pack-redundant",
    b"pack-refs",
    b"patch-id",
    b"pickaxe",
    b"prune",
    b"prune-packed",
    b"pull",
    b"push",
    b"quiltimport",
    b"range-diff",
    b"read-tree",
    b"rebase",
    b"receive-pack",
    b"reflog",
    b"refs",
    b"remote",
    b"remote-ext",
    b"remote-fd",
    b"remote-ftp",
    b"remote-ftps",
    b"remote-http",
    b"remote-https",
    b"repack",
    b"replace",
    b"replay",
    b"repo",
    b"request-pull",
    b"rerere",
    b"reset",
    b"restore",
    b"rev-list",
    b"rev-parse",
    b"revert",
    b"rm",
    b"send-email",
    b"send-pack",
    b"sh-i18n--envsubst",
    b"shell",
    b"shortlog",
    b"show",
    b"show-branch",
    b"show-index",
    b"show-ref",
    b"sparse-checkout",
    b"stage",
    b"status",
    b"stripspace",
    b"submodule",
    b"submodule--helper",
    b"svn",
    b"switch",
    b"symbolic-ref",
    b"tag",
    b"unpack-file",
    b"unpack-objects",
    b"update-index",
    b"update-ref",
    b"update-server-info",
    b"upload-archive",
    b"upload-archive--writer",
    b"upload-pack",
    b"var",
    b"verify-commit",
    b"verify-pack",
    b"verify-tag",
    b"version",
    b"whatchanged",
    b"worktree",
    b"write-tree",
];

/// Returns the number of arguments that a global option of git takes, itself included: 1 or 2.
/// `None` if `word` is no option, but the name of a command.
pub(crate) fn option_length(word: &[u8]) -> Option<usize> {
    match word.first() {
        Some(b'-') if WITH_VALUE.contains(&word) => Some(2),
        Some(b'-') => Some(1),
        _ => None,
    }
}

/// Returns whether `word` may lead to `git stash`: `stash` itself, or a name that is none of git's
/// own commands, and so may be an alias.
pub(crate) fn may_be_stash(word: &[u8]) -> bool {
    COMMANDS.binary_search(&word).is_err()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn commands_are_sorted() {
        assert!(COMMANDS.is_sorted());
    }

    #[test]
    fn may_be_stash_accepts_what_git_does_not_know() {
        for word in ["stash", "st", "lfs", "", "statusx"] {
            assert!(may_be_stash(word.as_bytes()), "{word}");
        }
        for word in ["status", "add", "write-tree", "rebase", "flux"] {
            assert!(!may_be_stash(word.as_bytes()), "{word}");
        }
    }

    #[test]
    fn option_length_counts_a_value() {
        let cases = [
            ("-C", 2),
            ("-c", 2),
            ("--git-dir", 2),
            ("--git-dir=x", 1),
            ("-p", 1),
        ];
        for (word, length) in cases {
            assert_eq!(option_length(word.as_bytes()), Some(length), "{word}");
        }
        assert_eq!(option_length(b"stash"), None);
        assert_eq!(option_length(b""), None);
    }
}
