//! Compares the picture of README with a real screen. `UPDATE=1 cargo test --test integration readme_picture::` draws
//! it anew.

use std::fs;
use std::path::PathBuf;

use anstyle::RgbColor as Rgb;
use anstyle_svg::{Palette, Term};

use crate::world::documents::document;
use crate::world::output::make_readme_tasks;
use crate::world::*;

/// The eight colours in the order of their codes, the last one that of text and the first one that of the ground.
const LIGHT: [Rgb; 8] = [
    Rgb(0xF6, 0xF8, 0xFA),
    Rgb(0xCF, 0x22, 0x2E),
    Rgb(0x11, 0x63, 0x29),
    Rgb(0x7D, 0x4E, 0x00),
    Rgb(0x09, 0x69, 0xDA),
    Rgb(0x82, 0x50, 0xDF),
    Rgb(0x1B, 0x7C, 0x83),
    Rgb(0x1F, 0x23, 0x28),
];
const DARK: [Rgb; 8] = [
    Rgb(0x15, 0x1B, 0x23),
    Rgb(0xFF, 0x7B, 0x72),
    Rgb(0x3F, 0xB9, 0x50),
    Rgb(0xD2, 0x99, 0x22),
    Rgb(0x58, 0xA6, 0xFF),
    Rgb(0xBC, 0x8C, 0xFF),
    Rgb(0x39, 0xC5, 0xCF),
    Rgb(0xE6, 0xED, 0xF3),
];

/// The end of a colour.
const PLAIN: &str = "\u{1b}[39m";

/// Returns the screen as an SVG.
fn drawn(screen: &str, colours: [Rgb; 8]) -> String {
    let [.., text] = colours;
    let palette = Palette(std::array::from_fn(|at| colours[at % 8]));
    Term::new()
        .palette(palette)
        .fg_color(text.into())
        .bg_color(colours[0].into())
        .render_svg(screen)
}

/// Types a command and waits until the shell asks for the next one.
#[track_caller]
fn typed(terminal: &Terminal, line: &str) {
    let prompts = |screen: &str| screen.lines().filter(|l| l.starts_with("$ ")).count();
    let before = prompts(&terminal.screen());
    terminal.type_line(line);
    terminal.wait_for_visible("next prompt", |screen| prompts(screen) > before);
}

/// Returns the screen with other times in the row of this task. None is wider than its heading.
fn aged(screen: &str, id: &str, [time, age]: [&str; 2]) -> String {
    // The only colour of a row is that of the state; the time in it and the age come next.
    let row = |line: &str| {
        let (state, rest) = line.strip_prefix(id)?.split_once(PLAIN)?;
        let (gap, rest) = rest.split_at(rest.len() - rest.trim_start().len());
        let (old, rest) = rest.split_at("FOR  AGE".len());
        assert!(old.trim_end().ends_with(['s', 'm']), "{line:?}");
        Some(format!("{id}{state}{PLAIN}{gap}{time:<3}  {age:<3}{rest}"))
    };
    let lines = screen.lines();
    let lines = lines.map(|line| row(line).unwrap_or_else(|| line.to_owned()));
    lines.collect::<Vec<_>>().join("\n")
}

#[test]
fn readme_picture_matches_the_screen() {
    let world = World::at("alice");
    let terminal = world.terminal(100, 30);
    for task in [
        "Add OAuth authentication",
        "Fix the login redirect",
        "Speed up the parser",
    ] {
        typed(&terminal, &format!("git flux run -q \"{task}\""));
    }
    let ids = make_readme_tasks(&world);
    typed(&terminal, "git flux list");
    let mut screen = terminal.colours();
    let steady = [
        ("343524", ["3m", "3m"]),
        ("5c3c4d", ["1m", "2m"]),
        ("0d23e9", ["30s", "30s"]),
    ];
    for (id, (random, times)) in ids.iter().zip(steady) {
        let (title, _) = id.split_at(id.len() - random.len());
        screen = aged(&screen, id, times).replace(id, &format!("{title}{random}"));
    }
    let screen = screen.trim_end_matches(['$', ' ', '\n']);
    let row = format!("running{PLAIN}    3m   3m   2      +3       Add OAuth authentication\n");
    assert!(screen.contains(&row), "{screen:?}");

    let readme = document("README.md");
    for (name, colours) in [("light", LIGHT), ("dark", DARK)] {
        let path = format!("docs/list-{name}.svg");
        assert!(
            readme.contains(&format!("\"{path}\"")),
            "README shows no {path}"
        );
        let file = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join(&path);
        let picture = drawn(screen, colours);
        if std::env::var_os("UPDATE").is_some() {
            fs::create_dir_all(file.parent().unwrap()).unwrap();
            fs::write(&file, &picture).unwrap();
        }
        let known = fs::read_to_string(&file).unwrap_or_default();
        assert!(
            picture == known,
            "{path} is not what is printed (UPDATE=1 draws it anew):\n{screen}"
        );
    }
}
