//! The table of the tasks in the view.

use jiff::Timestamp;

use super::model::ViewRow;
use crate::commands::table::{Narrow, Table};
use crate::sanitize;
use crate::ui::words::age;

const HEAD: &str =
    "TASK STATE FOR REPO OWNER AGENT FILES COMMITS UNSEEN CONFLICTS GATE LAND SCREEN";

/// The columns that a narrow terminal omits, in this order, before it shortens an id.
const OPTIONAL: [&str; 9] = [
    "AGENT",
    "FILES",
    "COMMITS",
    "CONFLICTS",
    "GATE",
    "LAND",
    "UNSEEN",
    "OWNER",
    "REPO",
];

/// The widths in a terminal without room for a SCREEN of 20 columns beside the others: the id is
/// shortened first, and the state stays whole.
const NARROW: Narrow<'_> = Narrow {
    text_width: 20,
    last: &[("SCREEN", 20), ("FOR", 12)],
};

const COMPACT_HEAD: &str = "TASK STATE FOR";

/// The columns of the view.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Columns {
    All,
    Compact,
}

/// Returns the lines of a table of the tasks, at most `width` columns wide, with the head first.
pub(super) fn table_lines(rows: &[&ViewRow], columns: Columns, width: usize) -> Vec<String> {
    let now = Timestamp::now();
    let is_compact = columns == Columns::Compact;
    let head = if is_compact { COMPACT_HEAD } else { HEAD };
    let several = |value: fn(&ViewRow) -> &str| {
        rows.first()
            .is_some_and(|first| rows.iter().any(|one| value(one) != value(first)))
    };
    let has_repositories = rows.iter().any(|one| one.key.home != rows[0].key.home);
    let has_agents = several(|one| &one.row.cells[3]);
    let cells = rows.iter().map(|one| {
        let mut cells = cells(one, now);
        if is_compact {
            cells.truncate(3);
            return cells;
        }
        if !has_repositories {
            cells[3].clear();
        }
        if !has_agents {
            cells[5].clear();
        }
        cells
    });
    let table = Table {
        head: &head.split(' ').collect::<Vec<_>>(),
        rows: cells.collect(),
        optional: if is_compact { &[] } else { &OPTIONAL },
    };
    table.narrow_lines(width, NARROW)
}

fn cells(one: &ViewRow, now: Timestamp) -> Vec<String> {
    let [
        id,
        state,
        _,
        agent,
        owner,
        _,
        files,
        commits,
        unseen,
        conflicts,
        gate,
        land,
        title,
    ] = one.row.cells.clone();
    let since = one.since().map(|since| coarse_age(since, now));
    let repository = sanitize::line(&one.key.repository());
    let line = one.last_line.as_deref().map(sanitize::line);
    vec![
        id,
        state,
        since.unwrap_or_else(|| "-".to_owned()),
        repository,
        owner,
        agent,
        files,
        commits,
        unseen,
        conflicts,
        gate,
        land,
        line.unwrap_or(title),
    ]
}

/// Formats the time in a state as [`age`] does, but without seconds: an idle view changes once a
/// minute at most.
fn coarse_age(since: Timestamp, now: Timestamp) -> String {
    match now.duration_since(since).as_secs() {
        ..60 => "<1m".to_owned(),
        _ => age(since, now),
    }
}

/// Returns the seconds until [`coarse_age`] changes.
pub(super) fn seconds_to_change(since: Timestamp, now: Timestamp) -> i64 {
    let seconds = now.duration_since(since).as_secs().max(0);
    let unit = match seconds {
        ..3600 => 60,
        3600..86_400 => 3600,
        _ => 86_400,
    };
    unit - seconds % unit
}

#[cfg(test)]
mod tests {
    use expect_test::{Expect, expect};
    use jiff::SignedDuration;

    use super::super::test_rows::model;
    use super::*;

    #[track_caller]
    fn case(tasks: &[(&str, i64)], columns: Columns, width: usize, expected: &Expect) {
        let model = model(tasks);
        let lines = table_lines(&model.shown(), columns, width);
        expected.assert_eq(&(lines.join("\n") + "\n"));
    }

    #[test]
    fn narrow_table_shortens_the_id_then_omits_screen_and_for() {
        use Columns::{All, Compact};
        let waiting = [("waits-for-a-long-description-29ff69", 12), ("failed-1", 0)];
        case(
            &waiting,
            All,
            80,
            &expect![[r#"
            TASK                                 STATE                FOR  SCREEN
            waits-for-a-long-description-29ff69  waiting(permission)  12m  The title of wai…
            failed-1                             failed               <1m  The title of fai…
        "#]],
        );
        case(
            &waiting,
            All,
            70,
            &expect![[r#"
            TASK                            STATE                FOR  SCREEN
            waits-for-a-long-description-…  waiting(permission)  12m  The title o…
            failed-1                        failed               <1m  The title o…
        "#]],
        );
        case(
            &waiting,
            All,
            60,
            &expect![[r#"
            TASK                  STATE                FOR  SCREEN
            waits-for-a-long-de…  waiting(permission)  12m  The title o…
            failed-1              failed               <1m  The title o…
        "#]],
        );
        case(
            &waiting,
            All,
            50,
            &expect![[r#"
            TASK                      STATE                FOR
            waits-for-a-long-descri…  waiting(permission)  12m
            failed-1                  failed               <1m
        "#]],
        );
        case(
            &waiting,
            All,
            40,
            &expect![[r#"
            TASK            STATE                FOR
            waits-for-a-l…  waiting(permission)  12m
            failed-1        failed               <1m
        "#]],
        );
        case(
            &waiting,
            All,
            36,
            &expect![[r#"
            TASK             STATE
            waits-for-a-lo…  waiting(permission)
            failed-1         failed
        "#]],
        );
        case(
            &waiting,
            All,
            24,
            &expect![[r#"
            TASK      STATE
            waits-f…  waiting(permi…
            failed-1  failed
        "#]],
        );
        case(
            &waiting,
            Compact,
            70,
            &expect![[r#"
            TASK                                 STATE                FOR
            waits-for-a-long-description-29ff69  waiting(permission)  12m
            failed-1                             failed               <1m
        "#]],
        );
        case(
            &waiting,
            Compact,
            40,
            &expect![[r#"
            TASK            STATE                FOR
            waits-for-a-l…  waiting(permission)  12m
            failed-1        failed               <1m
        "#]],
        );
        case(
            &waiting,
            Compact,
            30,
            &expect![[r#"
            TASK       STATE
            waits-fo…  waiting(permission)
            failed-1   failed
        "#]],
        );
        // A short state leaves room for the id.
        let working = [("works-on-a-long-description-29ff69", 0)];
        case(
            &working,
            All,
            50,
            &expect![[r#"
                TASK                    STATE    FOR  SCREEN
                works-on-a-long-descr…  working  <1m  The title o…
            "#]],
        );
        case(
            &working,
            All,
            40,
            &expect![[r#"
                TASK                        STATE    FOR
                works-on-a-long-descripti…  working  <1m
            "#]],
        );
    }

    #[test]
    fn coarse_age_changes_when_seconds_to_change_have_passed() {
        let since = Timestamp::UNIX_EPOCH;
        let at = |seconds| since + SignedDuration::from_secs(seconds);
        for (seconds, expected, left) in [
            (0, "<1m", 60),
            (59, "<1m", 1),
            (60, "1m", 60),
            (150, "2m", 30),
            (3599, "59m", 1),
            (3600, "1h", 3600),
            (90_000, "1d", 82_800),
        ] {
            assert_eq!(coarse_age(since, at(seconds)), expected);
            assert_eq!(seconds_to_change(since, at(seconds)), left, "{seconds}");
            let next = at(seconds + left);
            assert_ne!(coarse_age(since, next), expected);
        }
    }
}
