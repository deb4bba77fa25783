//! Builds `helper/git.rs`, the `git` on an agent's PATH, which `src/run/own_git.rs` embeds.

use std::env;
use std::path::{Path, PathBuf};
use std::process::Command;

/// Names a helper that was built already, for a target without a linker here.
const PREBUILT: &str = "GIT_FLUX_AGENT_GIT";

const SOURCES: [&str; 2] = ["helper/git.rs", "src/launcher/git_words.rs"];

fn main() {
    println!("cargo::rerun-if-env-changed={PREBUILT}");
    for source in SOURCES {
        println!("cargo::rerun-if-changed={source}");
    }
    let helper = match env::var_os(PREBUILT) {
        Some(file) => PathBuf::from(file),
        None => build(),
    };
    println!("cargo::rerun-if-changed={}", helper.display());
    println!("cargo::rustc-env={PREBUILT}={}", helper.display());
}

fn build() -> PathBuf {
    let helper = Path::new(&variable("OUT_DIR")).join("agent-git");
    let mut rustc = Command::new(variable("RUSTC"));
    rustc.args([
        "--edition",
        "2024",
        "--crate-type",
        "bin",
        "--crate-name",
        "git",
    ]);
    let options = "opt-level=s codegen-units=1 panic=abort strip=symbols debuginfo=0";
    for option in options.split(' ') {
        rustc.args(["-C", option]);
    }
    rustc.args(["--target", &variable("TARGET")]);
    // Set if cargo is configured with one.
    if let Some(linker) = env::var_os("RUSTC_LINKER") {
        let mut option = std::ffi::OsString::from("linker=");
        option.push(linker);
        rustc.arg("-C").arg(option);
    }
    rustc.arg("-o").arg(&helper).arg(SOURCES[0]);
    let status = rustc.status().expect("rustc starts");
    assert!(
        status.success(),
        "could not build {} for {}; {PREBUILT} may name one that was built elsewhere",
        SOURCES[0],
        variable("TARGET")
    );
    helper
}

fn variable(name: &str) -> String {
    env::var(name).unwrap_or_else(|_| panic!("cargo sets {name}"))
}
