//! Tests what keys do.

use std::path::PathBuf;

use super::super::help::HELP;
use super::super::test_rows::{model, rows};
use super::*;

/// Presses keys, `^c` for Ctrl+C, and returns what the last one does.
fn press(input: &mut Input, model: &mut Model, keys: &str) -> Action {
    let mut action = Action::Nothing;
    for key in keys.split(' ') {
        let mut modifiers = KeyModifiers::NONE;
        let code = match key {
            "Enter" => KeyCode::Enter,
            "Esc" => KeyCode::Esc,
            "Space" => KeyCode::Char(' '),
            "Backspace" => KeyCode::Backspace,
            key => {
                if key.starts_with('^') {
                    modifiers = KeyModifiers::CONTROL;
                }
                KeyCode::Char(key.chars().last().unwrap())
            }
        };
        action = input.handle(KeyEvent::new(code, modifiers), model, 10);
    }
    action
}

/// Returns the command line that the last of some keys runs.
fn command(keys: &str) -> Option<String> {
    let mut model = model(&[("waits-1", 1), ("works-1", 1)]);
    match press(&mut Input::default(), &mut model, keys) {
        Action::Run(command) => {
            assert_eq!(command.home, PathBuf::from("/home/alice/myapp"));
            let words = command.args.iter().map(|word| word.to_str().unwrap());
            Some(words.collect::<Vec<_>>().join(" "))
        }
        _ => None,
    }
}

#[test]
fn keys_run_commands_on_the_selected_task() {
    for (keys, expected) in [
        ("Enter", "attach waits-1"),
        ("d", "diff waits-1"),
        ("v", "review waits-1"),
        ("l", "land waits-1"),
        ("c", "cleanup waits-1"),
        ("r", "resume waits-1"),
        ("x", "stop waits-1"),
        ("n Enter", "run --edit"),
        ("n - F i x Space i t Enter", "run -- -Fix it"),
        ("j d", "diff works-1"),
        ("j j k d", "diff waits-1"),
        ("G d", "diff works-1"),
        ("j s Enter", "send works-1 --edit"),
        ("j s - a l l Enter", "send works-1 -- -all"),
        ("j s a Space q Backspace b Enter", "send works-1 -- a b"),
        ("/ w o r k Enter d", "diff works-1"),
        ("/ w o r k Enter Esc d", "diff works-1"),
        ("? q d", "diff waits-1"),
    ] {
        assert_eq!(command(keys).as_deref(), Some(expected), "{keys}");
    }
    for keys in [
        "z",
        "j s d",
        "n",
        "n d",
        "n d Esc",
        "/ d",
        "?",
        "? d",
        "j s a Esc",
        "/ z z Enter d",
        "Space",
    ] {
        assert_eq!(command(keys), None, "{keys}");
    }
}

#[test]
fn keys_of_the_terminal_work_while_text_is_typed() {
    for before in ["j", "s", "n", "/", "?"] {
        for (key, expected) in [
            ("^c", Action::Interrupt),
            ("^z", Action::Suspend),
            ("^l", Action::Redraw),
        ] {
            let mut model = model(&[("a", 1)]);
            let keys = format!("{before} {key}");
            assert_eq!(press(&mut Input::default(), &mut model, &keys), expected);
        }
    }
}

#[test]
fn pasted_text_is_never_taken_for_keys() {
    let mut model = model(&[("a", 1)]);
    let mut input = Input::default();
    assert_eq!(input.paste("q\nx", &mut model), Action::Nothing);
    assert_eq!(input, Input::Tasks);
    press(&mut input, &mut model, "s");
    assert_eq!(input.paste("one\ntwo", &mut model), Action::Nothing);
    assert_eq!(typed_message(&input), Some(("a", "one two")));
}

/// Returns the receiver and the text of the message that is being typed.
fn typed_message(input: &Input) -> Option<(&str, &str)> {
    match input {
        Input::Message(key, text) => Some((key.id.as_str(), text)),
        _ => None,
    }
}

/// Returns the directory and the arguments of the command that is run.
#[track_caller]
fn run(action: Action) -> (String, String) {
    let Action::Run(command) = action else {
        panic!("{action:?}")
    };
    let words = command.args.iter().map(|word| word.to_str().unwrap());
    let words = words.collect::<Vec<_>>().join(" ");
    (command.home.to_str().unwrap().to_owned(), words)
}

#[test]
fn message_goes_to_no_other_task_if_its_task_is_gone() {
    let set = |model: &mut Model, tasks| model.set_rows(vec![rows("/home/alice/myapp", tasks)]);
    let mut model = model(&[("a", 2), ("b", 1)]);
    let mut input = Input::default();
    press(&mut input, &mut model, "s h i");
    set(&mut model, &[("b", 1)]);
    let gone = Action::Refuse("'a' is gone: Esc discards the message".to_owned());
    assert_eq!(press(&mut input, &mut model, "! Enter"), gone);
    assert_eq!(typed_message(&input), Some(("a", "hi!")));
    // It was restored.
    set(&mut model, &[("a", 2), ("b", 1)]);
    let (_, words) = run(press(&mut input, &mut model, "Enter"));
    assert_eq!(words, "send a -- hi!");
    assert_eq!(input, Input::Tasks);
}

#[test]
fn message_goes_to_its_task_if_the_filter_hides_that() {
    let mut model = model(&[("a", 2), ("b", 1)]);
    let key = model.selected().unwrap().key.clone();
    model.set_last_lines(vec![(key.clone(), Some("tests run".to_owned()))]);
    let mut input = Input::default();
    press(&mut input, &mut model, "/ t e s t s Enter s h i");
    model.set_last_lines(vec![(key, Some("done".to_owned()))]);
    let (_, words) = run(press(&mut input, &mut model, "Enter"));
    assert_eq!(words, "send a -- hi");
}

#[test]
fn task_starts_in_the_repository_that_was_selected_when_its_description_began() {
    let mut model = Model::default();
    let repositories = |tasks| vec![rows("/a", tasks), rows("/b", &[("b", 1)])];
    model.set_rows(repositories(&[("a", 2)]));
    let mut input = Input::default();
    press(&mut input, &mut model, "n F i x");
    model.set_rows(repositories(&[]));
    let new = run(press(&mut input, &mut model, "Enter"));
    assert_eq!(new, ("/a".to_owned(), "run -- Fix".to_owned()));
}

#[test]
fn text_is_for_the_task_that_the_user_has_noticed() {
    for (keys, expected) in [
        ("s h i Enter", ("/a", "send works-1 -- hi")),
        ("n h i Enter", ("/a", "run -- hi")),
    ] {
        let mut model = Model::default();
        let first = rows("/a", &[("works-1", 1)]);
        model.set_rows(vec![first]);
        let repositories = [rows("/a", &[("works-1", 1)]), rows("/b", &[("waits-1", 1)])];
        model.set_rows(repositories.into());
        assert_eq!(model.selected().unwrap().key.id.as_str(), "waits-1");
        let (home, words) = run(press(&mut Input::default(), &mut model, keys));
        assert_eq!((home.as_str(), words.as_str()), expected);
    }
}

#[test]
fn control_keys_select_no_other_task_behind_text_and_help() {
    for before in ["s", "n", "?"] {
        let mut model = model(&[("a", 3), ("b", 2), ("c", 1)]);
        model.select(Move::Down(1));
        let mut input = Input::default();
        press(&mut input, &mut model, before);
        for key in ["^f", "^b", "^n", "^p", "^d", "^u"] {
            assert_eq!(press(&mut input, &mut model, key), Action::Nothing);
            assert_eq!(model.selected_index(), 1, "{before} {key}");
        }
    }
    let mut model = model(&[("a", 3), ("b", 2), ("c", 1)]);
    for (keys, expected) in [("^n", 1), ("^f", 2), ("/ ^p", 1), ("/ ^b", 0)] {
        press(&mut Input::default(), &mut model, keys);
        assert_eq!(model.selected_index(), expected, "{keys}");
    }
}

#[test]
fn no_key_acts_on_a_task_if_there_is_none() {
    let mut model = model(&[]);
    for key in ["Enter", "d", "x", "c", "s"] {
        let action = press(&mut Input::default(), &mut model, key);
        assert_eq!(action, Action::Nothing, "{key}");
    }
    let new = press(&mut Input::default(), &mut model, "n F i x Enter");
    assert!(matches!(new, Action::Run(_)));
}

#[test]
fn message_is_refused_before_it_is_typed() {
    for (id, expected) in [
        (
            "waits-1",
            Some("'waits-1' waits for an answer: press Enter to go there"),
        ),
        (
            "died-1",
            Some("the agent of 'died-1' is not running: press r to start it again"),
        ),
        ("asks-1", None),
        (
            "mute-1",
            Some("'mute-1' waits for an answer: press Enter to go there"),
        ),
        ("works-1", None),
        ("done-1", None),
        ("failed-1", None),
    ] {
        let mut input = Input::default();
        let action = press(&mut input, &mut model(&[(id, 1)]), "s");
        match expected {
            Some(why) => assert_eq!(action, Action::Refuse(why.to_owned())),
            None => assert_eq!(typed_message(&input), Some((id, "")), "{id}"),
        }
    }
}

#[test]
fn every_key_is_in_the_line_of_help() {
    let keys = COMMANDS
        .iter()
        .map(|(key, name, ..)| format!("{key} {name}"));
    for words in keys.chain(
        [
            "Enter attach",
            "s send",
            "n new",
            "/ filter",
            "? help",
            "q quit",
        ]
        .map(Into::into),
    ) {
        assert!(HELP.contains(&words), "{words}");
    }
}
