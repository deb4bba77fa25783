//! Tests what is drawn.

use expect_test::expect;
use ratatui::Terminal;
use ratatui::backend::TestBackend;
use ratatui::crossterm::event::{KeyCode, KeyModifiers};

use super::super::test_rows::{model, rows};
use super::*;

/// Returns what the view shows on a terminal of this size.
fn screen(view: &mut View, width: u16, height: u16) -> String {
    let mut terminal = Terminal::new(TestBackend::new(width, height)).unwrap();
    terminal.draw(|frame| view.draw(frame)).unwrap();
    let buffer = terminal.backend().buffer();
    let rows = buffer.content.chunks(width.into());
    let rows = rows.map(|row| row.iter().map(|cell| cell.symbol()).collect::<String>());
    rows.map(|row| row.trim_end().to_owned() + "\n").collect()
}

fn view(tasks: &[(&str, i64)]) -> View {
    let mut view = View::new(Columns::All);
    view.model = model(tasks);
    view
}

fn press(view: &mut View, keys: &str) {
    for key in keys.chars() {
        view.handle_key(KeyEvent::new(KeyCode::Char(key), KeyModifiers::NONE));
    }
}

const TASKS: [(&str, i64); 3] = [
    ("works-on-the-parser", 50),
    ("waits-for-an-answer", 2),
    ("done-1", 0),
];

/// The view of three tasks, with the screen of the first.
fn with_screen() -> View {
    let mut view = view(&TASKS);
    let key = view.model.selected().unwrap().key.clone();
    let lines = styled_lines("The first line\n\u{1b}[31mDo you want this?\u{1b}[m\n❯ 1. Yes\n\n");
    view.model
        .set_last_lines(vec![(key.clone(), Some("❯ 1. Yes\u{1b}[2J".to_owned()))]);
    view.screen = Some(Shown { key, lines });
    view
}

#[test]
fn view_shows_tasks_the_screen_and_help() {
    expect![[r#"
        TASK                 STATE                FOR  FILES  COMMITS  SCREEN
        waits-for-an-answer  waiting(permission)  2m   3      +2       ❯ 1. Yes\u{1b}[2J
        done-1               done                 <1m  3      +2       The title of done-1
        works-on-the-parser  working              50m  3      +2       The title of works-on-the-parser
        ── waits-for-an-answer ─────────────────────────────────────────────────────────────────────────────
        The first line
        Do you want this?
        ❯ 1. Yes





        ? help  q quit  Enter attach  d diff  v review  s send  l land  c cleanup  r resume  x stop  n new
    "#]].assert_eq(&screen(&mut with_screen(), 100, 14));
}

#[test]
fn view_has_the_screen_beside_the_tasks_on_a_wide_terminal() {
    expect![[r#"
        TASK                 STATE                FOR  FILES  COMMITS  SCREEN                ── waits-for-an-answer ──────────────────────────────────────────────────────────────
        waits-for-an-answer  waiting(permission)  2m   3      +2       ❯ 1. Yes\u{1b}[2J     The first line
        done-1               done                 <1m  3      +2       The title of done-1   Do you want this?
        works-on-the-parser  working              50m  3      +2       The title of works-…  ❯ 1. Yes







        ? help  q quit  Enter attach  d diff  v review  s send  l land  c cleanup  r resume  x stop  n new  / filter
    "#]].assert_eq(&screen(&mut with_screen(), 170, 12));
}

#[test]
fn view_fits_40_columns() {
    expect![[r#"
        TASK            STATE                FOR
        waits-for-an-…  waiting(permission)  2m
        done-1          done                 <1m
        works-on-the-…  working              50m
        ── waits-for-an-answer ─────────────────
        The first line
        Do you want this?
        ❯ 1. Yes



        ? help  q quit  Enter attach  d diff
    "#]]
    .assert_eq(&screen(&mut with_screen(), 40, 12));
    let mut compact = with_screen();
    compact.columns = Columns::Compact;
    expect![[r#"
        TASK            STATE                FOR
        waits-for-an-…  waiting(permission)  2m
        done-1          done                 <1m
        works-on-the-…  working              50m







        ? help  q quit  Enter attach  d diff
    "#]]
    .assert_eq(&screen(&mut compact, 40, 12));
}

#[test]
fn view_in_80_columns_leaves_room_for_the_screen() {
    expect![[r#"
        TASK                 STATE                FOR  COMMITS  SCREEN
        waits-for-an-answer  waiting(permission)  2m   +2       ❯ 1. Yes\u{1b}[2J
        done-1               done                 <1m  +2       The title of done-1
        works-on-the-parser  working              50m  +2       The title of works-on-t…
        ── waits-for-an-answer ─────────────────────────────────────────────────────────
        The first line
        Do you want this?
        ❯ 1. Yes



        ? help  q quit  Enter attach  d diff  v review  s send  l land  c cleanup
    "#]]
    .assert_eq(&screen(&mut with_screen(), 80, 12));
}

#[test]
fn help_has_pages_on_a_small_terminal() {
    let mut view = view(&TASKS);
    press(&mut view, "?");
    expect![[r#"
        With the selected task:
          Enter         attach to it; Ctrl+b d
                        comes back (inside tmux:
                        Ctrl+b L)
          d             show its changes: git
                        flux diff
          v             review what is unseen:
                        git flux review
          l             test and land it: git
                        flux land
          c             merge and remove it: git
                        flux cleanup
          r             start its agent again:
                        git flux resume
          x             stop its agent: git flux
                        stop
          s             send a message; an empty
                        one: write it in the
                        editor

          n             start a task; an empty
                        description: write it in
                        the editor
        Any key shows more, Esc goes back.
    "#]]
    .assert_eq(&screen(&mut view, 40, 24));
    press(&mut view, "j");
    expect![[r#"
          /             filter the tasks; Esc:
                        all of them
          j, k, arrows  select another task
          g, G          select the first, the
                        last task
          Ctrl+Z        stop this view until
                        'fg'
          Ctrl+L        draw it again
          ?             this help
          q             quit

        The first tasks need you: they wait,
        have failed, or have something unseen.
        Any key goes back.










    "#]]
    .assert_eq(&screen(&mut view, 40, 24));
    press(&mut view, "j");
    assert!(screen(&mut view, 40, 24).starts_with("TASK"));
    // `q` and Esc go back at once, and the help begins anew.
    for key in [KeyCode::Esc, KeyCode::Char('q')] {
        press(&mut view, "?");
        assert!(screen(&mut view, 40, 24).starts_with("With the selected task:"));
        view.handle_key(KeyEvent::new(key, KeyModifiers::NONE));
        assert!(screen(&mut view, 40, 24).starts_with("TASK"));
    }
}

#[test]
fn view_of_any_size_does_not_panic() {
    let mut view = with_screen();
    for (width, height) in [(1, 1), (3, 2), (20, 3), (40, 4), (7, 12), (200, 13)] {
        for key in ["", "?", "x", "/", "x"] {
            press(&mut view, key);
            screen(&mut view, width, height);
        }
    }
}

#[test]
fn view_scrolls_to_the_selected_task() {
    let names: Vec<String> = (100..300).map(|number| format!("task-{number}")).collect();
    let tasks: Vec<(&str, i64)> = names.iter().map(|name| (name.as_str(), 1)).collect();
    let mut view = view(&tasks);
    let shows = |view: &mut View| {
        let screen = screen(view, 80, 30);
        let id = view.model.selected().unwrap().key.id.to_string();
        let shown = screen
            .lines()
            .skip(1)
            .take_while(|line| line.starts_with("task-"));
        (
            id.clone(),
            shown.clone().count(),
            shown.into_iter().any(|line| line.starts_with(&id)),
        )
    };
    assert_eq!(shows(&mut view), ("task-100".into(), 13, true));
    press(&mut view, "G");
    assert_eq!(shows(&mut view), ("task-299".into(), 13, true));
    press(&mut view, "k");
    assert_eq!(shows(&mut view), ("task-298".into(), 13, true));
    for key in [KeyCode::PageUp, KeyCode::PageUp, KeyCode::PageDown] {
        view.handle_key(KeyEvent::new(key, KeyModifiers::NONE));
        assert!(shows(&mut view).2);
    }
    press(&mut view, "gjj");
    assert_eq!(shows(&mut view), ("task-102".into(), 13, true));
}

#[test]
fn keys_run_nothing_on_a_task_that_has_just_taken_the_place_of_another() {
    let mut view = view(&[("a", 1), ("b", 1)]);
    let key =
        |view: &mut View, c| view.handle_key(KeyEvent::new(KeyCode::Char(c), KeyModifiers::NONE));
    assert!(matches!(key(&mut view, 'x'), Action::Run(_)));
    view.model
        .set_rows(vec![rows("/home/alice/myapp", &[("b", 1)])]);
    assert_eq!(key(&mut view, 'x'), Action::Nothing);
    assert!(screen(&mut view, 80, 12).contains("press the key again"));
    // A user who moves the selection sees its place.
    key(&mut view, 'k');
    assert!(matches!(key(&mut view, 'x'), Action::Run(_)));
}

#[test]
fn text_whose_beginning_is_refused_is_not_taken_for_keys() {
    let mut view = view(&[("idle", 1)]);
    let key =
        |view: &mut View, c| view.handle_key(KeyEvent::new(KeyCode::Char(c), KeyModifiers::NONE));
    for c in ['s', 'x', 'c'] {
        assert_eq!(key(&mut view, c), Action::Nothing);
        assert!(screen(&mut view, 80, 12).contains("no agent was started in 'idle'"));
    }
    view.ignored = Instant::now().checked_sub(REACTION);
    assert!(matches!(key(&mut view, 'x'), Action::Run(_)));
}

#[test]
fn typed_text_stays_when_its_task_is_gone() {
    let mut view = view(&[("a", 2), ("b", 1)]);
    let last = |view: &mut View| screen(view, 60, 12).lines().last().unwrap().to_owned();
    let key = |view: &mut View, code| view.handle_key(KeyEvent::new(code, KeyModifiers::NONE));
    press(&mut view, "shi");
    view.model
        .set_rows(vec![rows("/home/alice/myapp", &[("b", 1)])]);
    assert_eq!(key(&mut view, KeyCode::Enter), Action::Nothing);
    assert_eq!(last(&mut view), "'a' is gone: Esc discards the message");
    press(&mut view, "!");
    assert_eq!(last(&mut view), "to a: hi!");
    // The guard against an unnoticed selection is not for text, which has its receiver.
    view.model
        .set_rows(vec![rows("/home/alice/myapp", &[("a", 2)])]);
    assert!(view.model.is_just_replaced());
    assert!(matches!(key(&mut view, KeyCode::Enter), Action::Run(_)));
}

#[test]
fn view_shows_repositories_if_there_are_several() {
    let mut view = view(&[]);
    let repositories = vec![
        rows("/home/alice/a", &[("fix", 1)]),
        rows("/home/alice/b", &[("fix", 1)]),
    ];
    view.model.set_rows(repositories);
    expect![[r#"
        TASK      STATE    FOR  REPO  FILES  COMMITS  SCREEN
        fix       working  1m   a     3      +2       The title of fix
        fix       working  1m   b     3      +2       The title of fix

        ? help  q quit  Enter attach  d diff  v review  s send  l land  c cleanup
    "#]]
    .assert_eq(&screen(&mut view, 80, 5));
}

#[test]
fn view_shows_help_messages_and_what_is_typed() {
    let mut view = view(&TASKS);
    press(&mut view, "?");
    expect![[r#"
        With the selected task:
          Enter         attach to it; Ctrl+b d comes back (inside tmux: Ctrl+b L)
          d             show its changes: git flux diff
          v             review what is unseen: git flux review
          l             test and land it: git flux land
          c             merge and remove it: git flux cleanup
          r             start its agent again: git flux resume
          x             stop its agent: git flux stop
          s             send a message; an empty one: write it in the editor

          n             start a task; an empty description: write it in the editor
          /             filter the tasks; Esc: all of them
          j, k, arrows  select another task
          g, G          select the first, the last task
          Ctrl+Z        stop this view until 'fg'
          Ctrl+L        draw it again
          ?             this help
          q             quit

        The first tasks need you: they wait, have failed, or have something unseen.
        Any key goes back.



    "#]]
    .assert_eq(&screen(&mut view, 80, 24));
    press(&mut view, "xs");
    assert_eq!(
        screen(&mut view, 80, 12).lines().last().unwrap(),
        "'waits-for-an-answer' waits for an answer: press Enter to go there"
    );
    view.ignored = None;
    press(&mut view, "Gs");
    press(&mut view, "run the tests");
    view.messages.push("warning: unknown".to_owned());
    let last_of = |view: &mut View, width| {
        let screen = screen(view, width, 12);
        screen.lines().last().unwrap().to_owned()
    };
    let last = |view: &mut View| last_of(view, 40);
    assert_eq!(last_of(&mut view, 30), "-on-the-parser: run the tests");
    view.handle_key(KeyEvent::new(KeyCode::Esc, KeyModifiers::NONE));
    view.messages.push("warning: unknown".to_owned());
    assert_eq!(last(&mut view), "warning: unknown");
    press(&mut view, "nFix");
    assert_eq!(last(&mut view), "new task in myapp: Fix");
    view.handle_key(KeyEvent::new(KeyCode::Esc, KeyModifiers::NONE));
    press(&mut view, "/par");
    assert_eq!(last(&mut view), "/par");
    view.handle_key(KeyEvent::new(KeyCode::Enter, KeyModifiers::NONE));
    assert_eq!(last(&mut view), "1 task with 'par'; Esc shows all");
}
