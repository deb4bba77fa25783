//! The keys of the shared configuration that are compared, and which of them name programs.

use crate::git::repo::parse_bool;

/// The effect of a part of the configuration.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum ConfigEffect {
    /// It changes what git does, but runs nothing.
    Plain,
    /// It decides which program runs as the user.
    RunsProgram,
}

/// The keys that name a program, or a file that can: each line has a section (`*` for any
/// subsection) and its variables, `*` for any.
const PROGRAM_KEYS: &str = "
browser.* cmd path
core alternateRefsCommand askPass editor fsmonitor gitProxy hooksPath pager sshCommand
credential helper
credential.* helper
diff external
diff.* command textconv
difftool.* cmd path
filter.* clean process smudge
gc recentObjectsHook
gpg program
gpg.* defaultKeyCommand program
guitool.* cmd
hook.* *
imap tunnel
include path
includeIf.* path
instaweb httpd
init templateDir
interactive diffFilter
lfs.customtransfer.* path
lfs.extension.* clean smudge
man.* cmd path
merge.* driver
mergetool.* cmd path
pager *
protocol allow
protocol.* allow
remote.* receivepack uploadpack vcs
sendemail ccCmd headerCmd sendmailCmd smtpServer toCmd
sendemail.* ccCmd headerCmd sendmailCmd smtpServer toCmd
sequence editor
svn authorsProg
svn-remote.* authorsProg
tar.* command
trailer.* cmd command
uploadpack packObjectsHook
web browser
";

/// The sections in which every other key counts, too.
const PLAIN_SECTIONS: [&str; 8] = [
    "author",
    "committer",
    "core",
    "credential",
    "filter",
    "gpg",
    "remote",
    "user",
];

/// A key of a configuration file, in the parts that git gives it.
struct KeyParts<'a> {
    section: &'a str,
    subsection: Option<&'a str>,
    variable: &'a str,
}

impl<'a> KeyParts<'a> {
    fn of(key: &'a str) -> Option<Self> {
        let (section, rest) = key.split_once('.')?;
        let (subsection, variable) = match rest.rsplit_once('.') {
            Some((subsection, variable)) => (Some(subsection), variable),
            None => (None, rest),
        };
        Some(Self {
            section,
            subsection,
            variable,
        })
    }

    /// Returns the section and the variable (`*` for any) of the entry of [`PROGRAM_KEYS`] that
    /// matches this key, in the case of git's manual; `None` if the key names no program.
    fn find_program_key(&self) -> Option<(&'static str, &'static str)> {
        PROGRAM_KEYS.lines().find_map(|line| {
            let mut words = line.split(' ');
            let pattern = words.next()?;
            let (section, has_subsection) = match pattern.strip_suffix(".*") {
                Some(section) => (section, true),
                None => (pattern, false),
            };
            let is_section = section.eq_ignore_ascii_case(self.section)
                && has_subsection == self.subsection.is_some();
            // `lfs.customtransfer.<name>.path`
            let is_nested = section.split_once('.').is_some_and(|(section, first)| {
                let below = self.subsection.and_then(|it| it.strip_prefix(first));
                section == self.section && below.is_some_and(|rest| rest.starts_with('.'))
            });
            let is_variable =
                |word: &&str| *word == "*" || word.eq_ignore_ascii_case(self.variable);
            let variable = words
                .find(is_variable)
                .filter(|_| is_section || is_nested)?;
            Some((section, variable))
        })
    }
}

/// Returns the effect of a configuration key with this value: it decides which program runs, or
/// only changes what git does. `None` for a key whose changes are not reported. `key` is as git
/// prints it, with section and variable in lower case.
pub(crate) fn effect_of(key: &str, value: &str) -> Option<ConfigEffect> {
    let parts = KeyParts::of(key)?;
    if parts.find_program_key().is_some() {
        // A pager or a file system monitor can be turned on and off.
        let is_switch = parse_bool(value).is_some() && ["core", "pager"].contains(&parts.section);
        return Some(if is_switch {
            ConfigEffect::Plain
        } else {
            ConfigEffect::RunsProgram
        });
    }
    match parts.section {
        // An alias of options can define another alias.
        "alias" => value
            .starts_with(['!', '-'])
            .then_some(ConfigEffect::RunsProgram),
        "submodule" => {
            let is_command = parts.variable == "update" && value.starts_with('!');
            is_command.then_some(ConfigEffect::RunsProgram)
        }
        // git itself writes this one.
        "core" if parts.variable == "repositoryformatversion" => None,
        "url" => Some(ConfigEffect::Plain),
        section if PLAIN_SECTIONS.contains(&section) => Some(ConfigEffect::Plain),
        _ => None,
    }
}

/// Returns a key as the manual of git writes it, if it names a program; otherwise unchanged.
pub(crate) fn documented(key: &str) -> String {
    let Some(parts) = KeyParts::of(key) else {
        return key.to_owned();
    };
    let Some((section, variable)) = parts.find_program_key() else {
        return key.to_owned();
    };
    let section = section.split('.').next().unwrap_or(section);
    let variable = if variable == "*" {
        parts.variable
    } else {
        variable
    };
    match parts.subsection {
        Some(subsection) => format!("{section}.{subsection}.{variable}"),
        None => format!("{section}.{variable}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn effect_of_tells_programs_from_other_values() {
        #[track_caller]
        fn case(key: &str, value: &str, expected: Option<ConfigEffect>) {
            assert_eq!(effect_of(key, value), expected, "{key}={value}");
        }
        for (key, value) in [
            ("core.hookspath", ".husky/_"),
            ("core.fsmonitor", "/x/y"),
            ("pager.log", "less"),
            ("filter.Q.x.clean", "x"),
            ("includeif.gitdir:/a.b/.path", "x"),
            ("alias.x", "!sh"),
            ("alias.x", "-c alias.y=!sh y"),
            ("submodule.a.b.update", "!sh"),
            ("lfs.customtransfer.a.path", "x"),
            ("credential.https://a.b/.helper", "store"),
            ("hook.x.event", "pre-commit"),
            ("remote.o.vcs", "x"),
            ("protocol.ext.allow", "always"),
            ("gc.recentobjectshook", "x"),
            ("lfs.extension.a.clean", "x"),
            ("sendemail.work.smtpserver", "/x"),
        ] {
            case(key, value, Some(ConfigEffect::RunsProgram));
        }
        for (key, value) in [
            ("core.fsmonitor", "true"),
            ("pager.log", "false"),
            ("core.autocrlf", "true"),
            ("user.name", "x"),
            ("remote.origin.url", "x"),
            ("url.a:.insteadof", "b:"),
            ("filter.x.required", "true"),
        ] {
            case(key, value, Some(ConfigEffect::Plain));
        }
        for (key, value) in [
            ("core.repositoryformatversion", "1"),
            ("branch.feature/x.fluxtask", "x"),
            ("alias.co", "checkout"),
            ("submodule.a.url", "x"),
            ("submodule.a.update", "rebase"),
            ("extensions.worktreeconfig", "true"),
            ("lfs.customtransfer", "x"),
            ("diff.x.binary", "true"),
        ] {
            case(key, value, None);
        }
    }

    #[test]
    fn documented_writes_a_key_as_the_manual_does() {
        let cases = [
            ("core.hookspath", "core.hooksPath"),
            ("includeif.gitdir:/A.path", "includeIf.gitdir:/A.path"),
            ("lfs.customtransfer.a.path", "lfs.customtransfer.a.path"),
            ("hook.x.event", "hook.x.event"),
            ("user.name", "user.name"),
        ];
        for (key, expected) in cases {
            assert_eq!(documented(key), expected);
        }
    }
}
