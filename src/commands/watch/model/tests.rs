//! Tests the order, the filter and the selection.

use super::super::test_rows::{model, rows};
use super::*;

fn ids(model: &Model) -> Vec<&str> {
    model
        .shown()
        .iter()
        .map(|one| one.key.id.as_str())
        .collect()
}

fn selected(model: &Model) -> &str {
    model.selected().unwrap().key.id.as_str()
}

#[test]
fn set_rows_puts_first_what_needs_attention_longest() {
    let model = model(&[
        ("works-1", 50),
        ("done-1", 1),
        ("exited-1", 7),
        ("waits-1", 2),
        ("lost-1", 3),
        ("died-1", 9),
        ("waits-2", 5),
        ("works-2", 1),
        ("idle-1", 80),
        ("seen-1", 3),
        ("seen-2", 4),
        ("empty-1", 6),
    ]);
    let expected = [
        "waits-2", "waits-1", "died-1", "lost-1", "exited-1", "done-1", "empty-1", "seen-2",
        "seen-1", "works-1", "works-2", "idle-1",
    ];
    assert_eq!(ids(&model), expected);
}

#[test]
fn first_task_is_selected_until_a_key_is_pressed() {
    let mut model = model(&[("works-1", 1)]);
    let set = |model: &mut Model, tasks| model.set_rows(vec![rows("/home/alice/myapp", tasks)]);
    set(&mut model, &[("works-1", 1), ("waits-1", 1)]);
    assert_eq!((selected(&model), model.selected_index()), ("waits-1", 0));
    assert!(model.is_just_replaced());
    model.note_key();
    set(
        &mut model,
        &[("works-1", 1), ("waits-1", 1), ("waits-2", 2)],
    );
    assert_eq!((selected(&model), model.selected_index()), ("waits-1", 1));
}

#[test]
fn selection_stays_on_its_task_when_rows_move() {
    let mut model = model(&[("a", 1), ("b", 1), ("c", 1)]);
    assert_eq!(selected(&model), "a");
    model.note_key();
    model.select(Move::Down(1));
    assert_eq!(selected(&model), "b");
    model.set_rows(vec![rows(
        "/home/alice/myapp",
        &[("waits-1", 1), ("a", 1), ("b", 1), ("c", 1)],
    )]);
    assert_eq!((selected(&model), model.selected_index()), ("b", 2));
    // The one in its place, when it is gone; the last one, if there is none.
    model.set_rows(vec![rows(
        "/home/alice/myapp",
        &[("waits-1", 1), ("a", 1), ("c", 1)],
    )]);
    assert_eq!(selected(&model), "c");
    model.set_rows(vec![rows("/home/alice/myapp", &[("a", 1)])]);
    assert_eq!(selected(&model), "a");
    model.set_rows(vec![rows("/home/alice/myapp", &[])]);
    assert!(model.selected().is_none() && model.is_empty());
    model.select(Move::Down(1));
    assert!(model.selected().is_none());
}

#[test]
fn place_is_that_of_the_selected_task_when_last_lines_change_what_the_filter_shows() {
    let mut model = model(&[("a", 3), ("b", 2), ("c", 1)]);
    let keys: Vec<TaskKey> = model.shown().iter().map(|one| one.key.clone()).collect();
    let set = |model: &mut Model, at: usize, line: &str| {
        model.set_last_lines(vec![(keys[at].clone(), Some(line.to_owned()))]);
    };
    for at in 0..3 {
        set(&mut model, at, "tests run");
    }
    model.note_key();
    model.set_filter("tests");
    model.select(Move::Down(1));
    set(&mut model, 0, "done");
    assert_eq!((selected(&model), model.selected_index()), ("b", 0));
    assert!(!model.is_just_replaced());
    // The screen of the selected one is read more often.
    model.set_screen(&keys[1], "done\n");
    assert_eq!((selected(&model), model.selected_index()), ("c", 0));
    assert!(model.is_just_replaced());
    assert_eq!(model.noticed(), Some(&keys[1]));
    // The first one that was replaced is what the user knows.
    set(&mut model, 0, "tests run");
    set(&mut model, 2, "done");
    assert_eq!(selected(&model), "a");
    assert_eq!(model.noticed(), Some(&keys[1]));
    model.select(Move::Up(1));
    assert_eq!(model.noticed(), Some(&keys[0]));
}

#[test]
fn select_stops_at_both_ends() {
    let mut model = model(&[("a", 1), ("b", 1), ("c", 1)]);
    for (to, expected) in [
        (Move::Up(1), "a"),
        (Move::Down(7), "c"),
        (Move::Down(1), "c"),
        (Move::Up(1), "b"),
        (Move::Last, "c"),
        (Move::First, "a"),
    ] {
        model.select(to);
        assert_eq!(selected(&model), expected, "{to:?}");
    }
}

#[test]
fn filter_finds_ids_states_titles_and_last_lines() {
    let mut model = model(&[("waits-1", 1), ("works-1", 1), ("works-2", 1)]);
    let key = model.shown()[1].key.clone();
    model.set_last_lines(vec![(key, Some("Running the Tests".to_owned()))]);
    for (filter, expected) in [
        ("works", &["works-1", "works-2"][..]),
        ("WAITING", &["waits-1"]),
        ("title of works-2", &["works-2"]),
        ("the tests", &["works-1"]),
        ("myapp", &["waits-1", "works-1", "works-2"]),
        ("nothing", &[]),
        ("", &["waits-1", "works-1", "works-2"]),
    ] {
        model.set_filter(filter);
        assert_eq!(ids(&model), expected, "{filter}");
    }
}

#[test]
fn last_lines_stay_with_tasks_of_the_same_name_in_their_repositories() {
    let mut model = Model::default();
    let repositories = || {
        vec![
            rows("/home/alice/a", &[("fix", 1)]),
            rows("/home/alice/b", &[("fix", 1)]),
        ]
    };
    model.set_rows(repositories());
    let key = model
        .shown()
        .into_iter()
        .find(|one| one.key.home.ends_with("b"));
    let key = key.unwrap().key.clone();
    model.set_last_lines(vec![(key, Some("of b".to_owned()))]);
    model.set_rows(repositories());
    let lines = model.shown().into_iter();
    let lines: Vec<_> = lines
        .map(|one| (one.key.home.ends_with("b"), one.last_line.clone()))
        .collect();
    assert!(lines.contains(&(false, None)) && lines.contains(&(true, Some("of b".into()))));
}

#[test]
fn last_line_follows_the_screen_while_the_agent_is_alive() {
    let mut model = model(&[("done-1", 1), ("exited-1", 1)]);
    let keys: Vec<TaskKey> = model.shown().iter().map(|one| one.key.clone()).collect();
    for key in &keys {
        model.set_screen(key, "one\ntwo\n\n");
    }
    let line = |id: &str| {
        let shown = model.shown().into_iter();
        let mut rows = shown.filter(|one| one.key.id.as_str() == id);
        rows.next().unwrap().last_line.clone()
    };
    assert_eq!(line("done-1").as_deref(), Some("two"));
    assert_eq!(line("exited-1"), None);
}
