//! Versions of programs.

/// Returns the first `<major>.<minor>` in a text such as the output of `tmux -V`; `None` if there
/// is none.
pub(crate) fn find_version(text: &str) -> Option<(u32, u32)> {
    text.split(|c: char| !c.is_ascii_digit() && c != '.')
        .find_map(|word| {
            let mut parts = word.split('.');
            Some((parts.next()?.parse().ok()?, parts.next()?.parse().ok()?))
        })
}

#[cfg(test)]
mod tests {
    use super::find_version;

    #[test]
    fn version_is_found_in_every_output() {
        assert_eq!(find_version("git version 2.47.3"), Some((2, 47)));
        assert_eq!(
            find_version("git version 2.39.5 (Apple Git-154)"),
            Some((2, 39))
        );
        assert_eq!(find_version("tmux 3.3a"), Some((3, 3)));
        assert_eq!(find_version("tmux next-3.8"), Some((3, 8)));
        assert_eq!(find_version("tmux openbsd-7.5"), Some((7, 5)));
        assert_eq!(find_version("3.5a"), Some((3, 5)));
        assert_eq!(find_version("tmux master"), None);
    }
}
