//! Ids of tasks: readable, short, and valid as ref, directory and session name.

use std::fmt;
use std::str::FromStr;

use rand::{Rng, RngExt};

use crate::failure::{Failure, USAGE};

const MAX_ID_BYTES: usize = 50;
/// The longest part taken from a description.
const MAX_SLUG_BYTES: usize = 30;

/// The id of a task: `^[a-z0-9][a-z0-9-]{0,49}$`.
///
/// It is a ref component, a config subsection, a directory name and a tmux
/// session name without any escaping.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct TaskId(String);

impl TaskId {
    /// Creates a task id from a description: the words of its first line with letters or digits, in
    /// ASCII and at most 30 bytes, or `task` without such a line; then `-` and six random hex
    /// digits. Does not check that the id is unused.
    pub(crate) fn from_description(text: &str, rng: &mut impl Rng) -> Self {
        let slug = text.lines().map(slug).find(|slug| !slug.is_empty());
        let slug = slug.as_deref().unwrap_or("task");
        let suffix: u32 = rng.random_range(0..0x100_0000);
        Self(format!("{slug}-{suffix:06x}"))
    }

    pub(crate) fn as_str(&self) -> &str {
        &self.0
    }
}

/// Returns the words of a line in lower-case ASCII, transliterated if necessary, joined by `-`: as
/// many as fit in 30 bytes, the first one cut if it is longer. Empty if there are no letters or
/// digits.
fn slug(line: &str) -> String {
    let ascii = deunicode::deunicode(line).to_ascii_lowercase();
    let words = ascii.split(|c: char| !c.is_ascii_alphanumeric());
    let mut slug = String::new();
    for word in words.filter(|word| !word.is_empty()) {
        let glue = if slug.is_empty() { "" } else { "-" };
        if slug.len() + glue.len() + word.len() > MAX_SLUG_BYTES {
            if slug.is_empty() {
                slug.push_str(&word[..MAX_SLUG_BYTES]);
            }
            break;
        }
        slug.extend([glue, word]);
    }
    slug
}

impl FromStr for TaskId {
    type Err = Failure;

    fn from_str(text: &str) -> Result<Self, Failure> {
        let is_plain = |b: u8| matches!(b, b'a'..=b'z' | b'0'..=b'9' | b'-');
        let begins = !text.is_empty() && !text.starts_with('-');
        if begins && text.len() <= MAX_ID_BYTES && text.bytes().all(is_plain) {
            return Ok(Self(text.to_owned()));
        }
        Err(Failure::new(format!("'{text}' is not a task id"))
            .hint("use at most 50 of a-z, 0-9 and '-', not '-' first")
            .code(USAGE))
    }
}

impl fmt::Display for TaskId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rand::SeedableRng as _;

    #[track_caller]
    fn case(text: &str, expected: &str) {
        let mut rng = rand::rngs::StdRng::seed_from_u64(7);
        let id = TaskId::from_description(text, &mut rng);
        let (slug, suffix) = id.as_str().rsplit_once('-').unwrap();
        assert_eq!(slug, expected);
        assert!(
            suffix.len() == 6 && suffix.bytes().all(|b| b.is_ascii_hexdigit()),
            "{id}"
        );
        assert_eq!(id.as_str().parse::<TaskId>().unwrap(), id);
    }

    #[test]
    fn from_description_uses_the_first_line() {
        case("Add OAuth authentication", "add-oauth-authentication");
        case("\n\n  Fix login\nand more", "fix-login");
        case(
            "Fix the login redirect for users with two accounts",
            "fix-the-login-redirect-for",
        );
        case("$(touch x); \"quoted\" `tick`", "touch-x-quoted-tick");
        case("Größe prüfen", "grosse-prufen");
        case("修复登录", "xiu-fu-deng-lu");
        case("?!", "task");
        case("", "task");
        case("---", "task");
        case(
            "donaudampfschifffahrtsgesellschaftskapitän",
            "donaudampfschifffahrtsgesellsc",
        );
    }

    #[test]
    fn from_str_accepts_only_valid_ids() {
        for good in ["a", "fix-1", "0", &"a".repeat(50)] {
            assert!(good.parse::<TaskId>().is_ok(), "{good}");
        }
        for bad in [
            "",
            "-a",
            "A",
            "a b",
            "a/b",
            "a.b",
            "a_b",
            "ä",
            "a\n",
            &"a".repeat(51),
        ] {
            assert!(bad.parse::<TaskId>().is_err(), "{bad}");
        }
    }
}
