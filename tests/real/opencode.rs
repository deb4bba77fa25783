//! Tests the real OpenCode.

use std::fs;

use serde_json::json;

use super::{OPENCODE, Real, installed};

/// Makes an OpenCode with a local model, which asks before it runs a command.
pub(super) fn opencode() -> Real {
    let program = installed(&[OPENCODE]).join(".bin/opencode");
    let mut real = Real::new(
        "opencode",
        &program,
        &[
            ("OPENCODE_DISABLE_AUTOUPDATE", "1"),
            ("OPENCODE_DISABLE_LSP_DOWNLOAD", "1"),
            ("OPENCODE_DISABLE_MODELS_FETCH", "1"),
        ],
    );
    let known = json!({
        "autoupdate": false,
        "share": "disabled",
        "model": "here/stand-in",
        "small_model": "here/stand-in",
        "enabled_providers": ["here"],
        "permission": {"bash": "ask"},
        "provider": {"here": {
            "npm": "@ai-sdk/openai-compatible",
            "name": "here",
            "options": {"baseURL": format!("{}/v1", real.api.url()), "apiKey": "none"},
            "models": {"stand-in": {"name": "stand-in", "tool_call": true}},
        }},
    });
    let config = real.world.tools().join("opencode.json");
    fs::write(&config, known.to_string()).unwrap();
    real.env.push(("OPENCODE_CONFIG", config.into()));
    real
}

#[test]
fn agent_opencode_receives_messages_exactly_or_not_at_all() {
    let real = opencode();
    let id = real.start_idle();
    real.assert_keeps_draft(&id);
    real.assert_refuses(&id, &["/exit"]);
    real.assert_receives_exactly(
        &id,
        &[
            "hi",
            "!touch x",
            "# head",
            "C:\\tmp\\",
            "see @f now",
            "one\ntwo",
        ],
    );
    assert!(!real.world.worktree(&id).join("x").exists());
}
