//! Tests the real Gemini CLI.

use std::env;
use std::fs;

use serde_json::json;

use super::{GEMINI, Real, installed};
use crate::world::install_at;

/// Makes a Gemini CLI that its user has used before.
fn gemini() -> Real {
    let program = installed(&[GEMINI]).join(".bin/gemini");
    let mut real = Real::new(
        "gemini",
        &program,
        &[
            ("GEMINI_API_KEY", "none"),
            ("GEMINI_CLI_TRUST_WORKSPACE", "true"),
        ],
    );
    // It needs the node of our own PATH.
    let script = format!(
        "#!/bin/sh\nPATH='{}' exec node '{}' \"$@\"\n",
        env::var("PATH").unwrap(),
        program.display()
    );
    real.world.uninstall("gemini");
    install_at(&real.world.tools().join("bin/gemini"), &script);
    real.env
        .push(("GOOGLE_GEMINI_BASE_URL", real.api.url().into()));
    let command = "gemini --model gemini-2.5-flash";
    real.world.git(["config", "flux.gemini.command", command]);
    let known = json!({
        "security": {"auth": {"selectedType": "gemini-api-key"}, "folderTrust": {"enabled": false}},
        "general": {"enableAutoUpdate": false, "disableAutoUpdate": true},
        "privacy": {"usageStatisticsEnabled": false},
        "ide": {"enabled": false},
    });
    fs::create_dir(real.home().join(".gemini")).unwrap();
    fs::write(real.home().join(".gemini/settings.json"), known.to_string()).unwrap();
    real
}

#[test]
fn agent_gemini_receives_messages_exactly_or_not_at_all() {
    let real = gemini();
    let id = real.start_idle();
    real.assert_keeps_draft(&id);
    real.assert_refuses(&id, &["/help", "see @f.txt"]);
    real.assert_receives_exactly(
        &id,
        &[
            "hi",
            "!touch x",
            "# head",
            "C:\\tmp\\",
            "one\n\nthree\nfour",
        ],
    );
    assert!(!real.world.worktree(&id).join("x").exists());
}
