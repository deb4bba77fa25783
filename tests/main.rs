//! The integration tests: one binary, a `World` of its own for every test.

#[allow(
    dead_code,
    unused_imports,
    reason = "the world offers more than any one state of the tests needs"
)]
mod world;

mod abroad;
mod attach;
mod busy;
mod cases;
mod cases_reading;
mod cases_refusal;
mod cases_removal;
mod cases_text;
mod cleanup;
mod cleanup_agent;
mod cleanup_bulk;
mod cleanup_checks;
mod cleanup_conflicts;
mod cleanup_hooks;
mod cleanup_loop;
mod cleanup_obstacles;
mod cleanup_places;
mod cleanup_questions;
mod cleanup_uncommitted;
mod completion;
mod completion_shells;
mod completion_silence;
mod config;
mod corners;
mod crash;
mod diff;
mod documents;
mod errors;
mod errors_disk;
mod expire;
mod fresh_machine;
mod help;
mod install;
mod install_checks;
mod kept;
mod launcher;
mod launcher_end;
mod layers;
mod list;
mod list_broken;
mod manual;
mod meanwhile;
mod merge_hooks;
mod merge_kinds;
mod merge_shapes;
mod merge_styles;
mod merged_already;
mod merges;
mod parallel;
mod pickers;
mod picture;
mod processes;
mod readme;
mod repositories;
mod repositories_callers;
mod repositories_filters;
mod repositories_layouts;
mod repositories_names;
mod restore;
mod restore_edits;
mod restore_life;
mod restore_options;
mod restore_property;
mod restore_refusals;
mod run;
mod run_base;
mod run_changes;
mod run_layout;
mod run_options;
mod run_prompt;
mod run_report;
mod screens;
mod settings;
mod shapes;
mod status;
mod strangers;
mod strangers_branches;
mod submodules;
mod unreaped;
