//! Compares the hooks that git called with those that git flux called.

use std::collections::BTreeSet;

use super::allowed::{self, Difference};
use super::case::Case;
use super::recorder::Call;

/// Returns the differences that are not allowed, some lines for each.
pub(super) fn differences(case: Case, git: &[Call], flux: &[Call]) -> Vec<String> {
    let expected = allowed::expected_calls(case, git);
    let line = |call: &Call| {
        format!(
            "{} {}",
            call.name,
            call.fact("arguments").replace('\n', " ")
        )
    };
    let lines = |calls: &[Call]| calls.iter().map(line).collect::<Vec<_>>().join("\n      ");
    let names = |calls: &[Call]| {
        calls
            .iter()
            .map(|call| call.name.clone())
            .collect::<Vec<_>>()
    };
    if names(&expected) != names(flux) {
        let (expected, flux) = (lines(&expected), lines(flux));
        return vec![format!(
            "other hooks:\n    expected\n      {expected}\n    git flux\n      {flux}"
        )];
    }
    let calls = expected.iter().zip(flux);
    calls
        .flat_map(|(git, flux)| between(case, git, flux))
        .collect()
}

fn between(case: Case, git: &Call, flux: &Call) -> Vec<String> {
    let facts: BTreeSet<&String> = git.facts.keys().chain(flux.facts.keys()).collect();
    let differs = |fact: &&&String| git.facts.get(**fact) != flux.facts.get(**fact);
    let mut found = Vec::new();
    for fact in facts.iter().filter(differs) {
        let difference = Difference {
            case,
            hook: &git.name,
            in_scratch: flux.in_scratch,
            fact,
            git: git.fact(fact),
            flux: flux.fact(fact),
        };
        if !allowed::covers(&difference) {
            let (git_saw, flux_saw) = (git.facts.get(*fact), flux.facts.get(*fact));
            found.push(format!(
                "{}: {fact}\n    git      {git_saw:?}\n    git flux {flux_saw:?}",
                git.name
            ));
        }
    }
    found
}
