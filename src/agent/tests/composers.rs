//! The composers of the known agents.

use crate::agent::profile;
use crate::tmux::composer::{Composer, Content, Trap};
use crate::tmux::screen::{Screen, parse_rows};

fn composer_of(agent: &str) -> &'static Composer {
    profile(agent).composer.as_ref().unwrap()
}

/// Reads the composer on a screen with the cursor in this row.
#[track_caller]
fn read(agent: &str, shown: &str, cursor: usize) -> Option<Content> {
    let screen = Screen::showing(parse_rows(&shown.replace('E', "\u{1b}")), cursor);
    composer_of(agent).read(&screen)
}

fn text(text: &str) -> Option<Content> {
    Some(Content::Text(text.to_owned()))
}

const RULE: &str = "────────────────────";

/// Reads the composer of Claude Code, whose last row has the cursor.
#[track_caller]
fn claude(inner: &str) -> Option<Content> {
    let rows = inner.lines().count();
    let shown =
        format!("❯ before\n\n● All right.\n{RULE}\n{inner}\n{RULE}\n  E[38;5;211m⏵⏵ bypass");
    read("claude", &shown, 3 + rows)
}

/// Reads the composer of Codex with the cursor in a row.
#[track_caller]
fn codex(inner: &str, cursor: usize) -> Option<Content> {
    let shown = format!(
        "• All right.\n\n  Worked for <1s\n\n{inner}\n\n  gpt-5 default\n  ? for shortcuts"
    );
    read("codex", &shown, cursor)
}

#[test]
fn read_accepts_the_composers_of_all_agents() {
    assert_eq!(
        claude("E[39m❯\u{a0}E[7m E[0mE[39mE[49m"),
        Some(Content::Empty)
    );
    assert_eq!(
        claude("❯\u{a0}E[7mrE[0;2mun the tests"),
        Some(Content::Empty)
    );
    assert_eq!(
        claude("❯\u{a0}E[7mTE[0;2mry \"edit f\""),
        Some(Content::Empty)
    );
    assert_eq!(claude("❯ my draftE[7m E[0m"), text("my draft"));
    assert_eq!(claude("❯ E[7mmE[0my draft"), text("my draft"));
    assert_eq!(claude("❯ one\n\n  threeE[7m E[0m"), text("one\n\n  three"));
    assert_eq!(
        claude("! dateE[7m E[0m"),
        Some(Content::Command("! date".into()))
    );
    // The list of all sessions, whose input starts a new one.
    let hint = "describe a task for a new session";
    assert_eq!(claude(&format!("❯\u{a0}E[38;5;246m{hint}")), text(hint));
    // A dialog, and a screen that is being painted.
    assert_eq!(
        read(
            "claude",
            &format!("{RULE}\n Do it?\n ❯ 1. Yes\n   2. No"),
            2
        ),
        None
    );
    assert_eq!(read("claude", "", 0), None);

    assert_eq!(
        codex("E[1m›E[0m E[2mAsk Codex to do anything", 4),
        Some(Content::Empty)
    );
    assert_eq!(codex("E[1m›E[0m hi", 4), text("hi"));
    assert_eq!(codex("E[1m›E[0m one\n\n  three", 6), text("one\n\n  three"));
    assert_eq!(
        codex("E[38;5;9m!E[0m date", 4),
        Some(Content::Command("! date".into()))
    );

    let gemini = |inner: &str| {
        let shown =
            format!("▄▄▄▄\n > before\n▀▀▀▀\n✦ All right.\n▄▄▄▄▄▄\n{inner}\n▀▀▀▀▀▀\n workspace");
        read("gemini", &shown, 4 + inner.lines().count())
    };
    let hint = "E[7m E[0mE[38;5;248mE[48;5;240m Type your message or @path/to/file";
    assert_eq!(gemini(&format!(" > {hint}")), Some(Content::Empty));
    assert_eq!(gemini(&format!(" * {hint}")), Some(Content::Empty));
    assert_eq!(gemini(" > one\n   twoE[7m E[0m"), text("one\n   two"));
    assert!(matches!(
        gemini(" ! E[7m E[0m Type your shell command"),
        Some(Content::Command(_))
    ));

    let plain = "✦ Done.\n\n────\n Shift+Tab\n\n > my draft\n\n workspace";
    assert_eq!(read("gemini", plain, 5), text("my draft"));

    // A wide window has a column beside the composer.
    let opencode = |inner: &str, mode: &str| {
        let row = |text: &str| format!("  ┃E[48;5;234m{text:30}E[48;5;232m  E[48;5;233m column\n");
        let inner: String = inner.lines().map(row).collect();
        let shown = format!(
            "  ┃ before\n\n     All right.\n\n{}{inner}{}{}  ╹▀▀▀▀\n",
            row(""),
            row(""),
            row(mode),
        );
        read("opencode", &shown, 5)
    };
    assert_eq!(opencode(" ", "  Build · s"), Some(Content::Empty));
    assert_eq!(
        opencode("  Ask anything… \"Fix\"", "  Build · s"),
        Some(Content::Empty)
    );
    assert_eq!(opencode("  hey you", "  Build · s"), text("hey you"));
    assert!(matches!(
        opencode(" ", "  Shell"),
        Some(Content::Command(_))
    ));
}

#[test]
fn read_distinguishes_the_end_of_a_message_in_a_scrolled_composer() {
    let end = |text: &str| Some(Content::End(text.to_owned()));
    assert_eq!(claude("  > two\n\n  wellE[7m E[0m"), end("> two\n\n  well"));
    assert_eq!(
        claude("\n  f:2\n  ❯ wellE[7m E[0m"),
        end("\n  f:2\n  ❯ well")
    );
    assert_eq!(claude("\n  Try \"wellE[7m E[0m"), end("\n  Try \"well"));
    assert_eq!(claude("  Try \"wellE[7m E[0m"), end("Try \"well"));
    for shell in [
        "! \n  f:2E[7m E[0m",
        "! f:1\n  f:2E[7m E[0m",
        "\n  E[7m E[0m",
    ] {
        assert!(
            matches!(claude(shell), Some(Content::Command(_))),
            "{shell}"
        );
    }
    // This one shows its mark before the first visible row.
    assert_eq!(
        codex("E[1m›E[0m        E[2m↑E[0m\n  f:2\n  well", 6),
        text("\n  f:2\n  well")
    );
}

#[test]
fn holds_accepts_a_message_its_end_or_a_paste() {
    let claude = composer_of("claude");
    let holds = |shown: &str, text: &str| {
        let content = Content::Text(shown.to_owned());
        let typed = claude.escape(text).unwrap();
        (
            claude.holds(&content, &typed),
            claude.shows(&content, &typed),
        )
    };
    assert_eq!(
        holds("and test\n  it, \u{1f600} é", "and test it, 👨\u{200d}👩 é"),
        (true, true)
    );
    assert_eq!(holds("my draft and test it", "and test it"), (false, false));
    assert_eq!(holds("it", "and test it"), (false, false));
    let long = "one\ntwo\nthree\nfour\nfive\nsix\nseven";
    assert_eq!(holds("[Pasted text #1 +6 lines]", long), (true, false));
    assert_eq!(
        holds("draft [Pasted text #1 +6 lines]", long),
        (false, false)
    );
    assert_eq!(holds("[Pasted text #1 +6 lines]", "hi"), (false, false));
    assert_eq!(
        holds("three\n  four\n  five\n  six\n  seven", long),
        (true, true)
    );
    assert_eq!(holds("six\n  seven", long), (false, false));
    // A blank first row is one of five.
    assert_eq!(
        holds("\n  f\n  > two\n\n  well", "one\n\nf\n> two\n\nwell"),
        (true, true)
    );
    let other = Content::Command("!hi".to_owned());
    assert!(!claude.holds(&other, &claude.escape("!hi").unwrap()));
}

#[test]
fn holds_accepts_the_end_of_a_message_in_a_scrolled_composer() {
    let claude = composer_of("claude");
    let long = "one\ntwo\nthree\nfour\nfive\nsix\nseven";
    let holds = |shown: &str| {
        let content = Content::End(shown.to_owned());
        let typed = claude.escape(long).unwrap();
        (
            claude.holds(&content, &typed),
            claude.shows(&content, &typed),
        )
    };
    assert_eq!(holds("six\n  seven"), (true, false));
    assert_eq!(holds("three\n  four\n  five\n  six\n  seven"), (true, true));
    for shown in ["six", "my draft\n  seven", "→", "[Pasted text #1 +6 lines]"] {
        assert_eq!(holds(shown), (false, false), "{shown}");
    }
}

#[test]
fn typed_escapes_or_rejects_commands() {
    #[track_caller]
    fn case(agent: &str, text: &str, expected: Result<&str, Trap>) {
        let typed = composer_of(agent).escape(text);
        let typed = typed.map(|typed| {
            let erased = if typed.is_erased_space_first {
                "<erased>"
            } else {
                ""
            };
            format!("{erased}{}{}", typed.text, typed.keys.concat())
        });
        assert_eq!(typed, expected.map(ToOwned::to_owned), "{agent}: {text}");
    }
    case("claude", "!date", Ok("<erased>!date"));
    case("claude", " !date", Ok(" !date"));
    case("claude", "see @f", Ok("see @f "));
    case("claude", "see @f now", Ok("see @f now"));
    case("claude", "@\\", Ok("@\\ "));
    for command in ["/help", " /exit", "/compact all of it", "/plugin:name x"] {
        for agent in ["claude", "gemini", "opencode"] {
            case(agent, command, Err(Trap::Command));
        }
    }
    for path in ["/tmp/x is full", "/ is full", "//", "a /help"] {
        for agent in ["claude", "gemini", "opencode"] {
            case(agent, path, Ok(path));
        }
    }
    case("codex", "!date", Ok(" !date"));
    case("codex", "/exit", Ok(" /exit"));
    case("codex", "cost $x", Ok("cost $x "));
    case("gemini", "!date", Ok("!date"));
    case("gemini", "C:\\tmp\\", Ok("C:\\tmp\\ "));
    case("gemini", "mail me@f.org", Ok("mail me@f.org"));
    case("gemini", "(@f)", Err(Trap::Mention('@')));
    case("opencode", "see @f", Ok("see @f\u{1b}[27u"));
}
