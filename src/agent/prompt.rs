//! The prompt: the task, its place, and the rules.

use bstr::ByteSlice as _;

/// The template, unless `flux.template` names another.
pub(crate) const TEMPLATE: &str = include_str!("prompt.md");

/// Replaces each `{{name}}` of a known name in a template by its value, in one pass, so that values
/// are not expanded. Keeps unknown names as they are.
pub(crate) fn fill_template(template: &[u8], values: &[(&str, &[u8])]) -> Vec<u8> {
    let mut out = Vec::with_capacity(template.len());
    let mut rest = template;
    while let Some(at) = rest.find("{{") {
        let (before, from) = rest.split_at(at);
        out.extend_from_slice(before);
        let known = values.iter().find_map(|(name, value)| {
            let placeholder = format!("{{{{{name}}}}}");
            Some((*value, from.strip_prefix(placeholder.as_bytes())?))
        });
        let (text, after) = known.unwrap_or(from.split_at(1));
        out.extend_from_slice(text);
        rest = after;
    }
    out.extend_from_slice(rest);
    out
}

/// Returns the first line with text of a task's description, trimmed and cut after 200 characters,
/// with NUL replaced; empty if there is none.
pub(crate) fn title_of(prompt: &[u8]) -> String {
    let text = String::from_utf8_lossy(prompt).replace('\0', "\u{fffd}");
    let mut lines = text.lines().map(str::trim);
    let line = lines.find(|line| !line.is_empty()).unwrap_or_default();
    line.chars().take(200).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn case(template: &str, expected: &str) {
        let values: [(&str, &[u8]); 2] = [
            ("task", b"do {{branch}} {{task}}"),
            ("branch", b"feature/x"),
        ];
        assert_eq!(
            String::from_utf8(fill_template(template.as_bytes(), &values)).unwrap(),
            expected
        );
    }

    #[test]
    fn fill_template_expands_once() {
        case(
            "{{task}} on {{branch}}",
            "do {{branch}} {{task}} on feature/x",
        );
        case("{{{branch}}}", "{feature/x}");
        case("{{unknown}} {{ {{branch", "{{unknown}} {{ {{branch");
        case("", "");
    }

    #[test]
    fn template_says_what_worktrees_share() {
        let text = TEMPLATE.replace('\n', " ");
        assert!(!text.contains("Do not use `git stash`"));
        let sentences: Vec<&str> = text.split(". ").collect();
        let about = sentences.iter().filter(|one| one.contains("git stash"));
        assert_eq!(about.count(), 1);
        assert!(text.contains("share its branches, tags, remotes, configuration and hooks"));
    }

    #[test]
    fn template_uses_every_placeholder() {
        for name in ["task", "worktree", "branch", "base", "project"] {
            assert!(TEMPLATE.contains(&format!("{{{{{name}}}}}")), "{name}");
        }
    }
}
