//! What the window of a task is called.

use crate::task::TaskId;

/// How long the name of a window is, about.
const LENGTH: usize = 16;

/// The name of a task's window: the first words of its id, which is too long for a status line.
pub(super) fn window_name(id: &TaskId) -> String {
    let is_random = |word: &&str| word.len() == 6 && word.bytes().all(|b| b.is_ascii_hexdigit());
    let mut words = id.as_str().split('-').filter(|word| !is_random(word));
    let mut name = words.next().unwrap_or(id.as_str()).to_owned();
    for word in words {
        // The number of one of several tasks tells them apart.
        let is_number = word.bytes().all(|b| b.is_ascii_digit());
        if is_number || name.len() + word.len() < LENGTH {
            name = [&name, word].join("-");
        }
    }
    name
}

#[cfg(test)]
mod tests {
    use super::window_name;

    #[test]
    fn windows_are_named_after_the_first_words_of_their_tasks() {
        #[track_caller]
        fn case(id: &str, expected: &str) {
            assert_eq!(window_name(&id.parse().unwrap()), expected, "{id}");
        }
        case("fix-the-login-redirect-5c3c4d", "fix-the-login");
        case("add-oauth-authentication-a1b2c3-2", "add-oauth-2");
        case("internationalization-5c3c4d", "internationalization");
        case("5c3c4d", "5c3c4d");
        case("fix", "fix");
    }
}
