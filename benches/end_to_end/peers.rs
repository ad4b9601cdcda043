//! The same order saga on other systems, measured by a harness that is not part of Skald.
//!
//! A harness is a folder with a program `measure`. `measure peers` prints tables for people, and
//! leaves one JSON object for each run in the file `results/part2.jsonl` below the folder that the
//! variable `BASELINE_DIR` names.

use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};

use anyhow::{Context as _, ensure};
use serde_json::Value;

use crate::report::Peers;

/// Runs the harness in `folder`, and takes over what it found. What it builds stays in `work` for the
/// next time.
///
/// # Errors
/// When it fails, or leaves no figures.
pub fn measure(folder: &Path, work: &Path) -> anyhow::Result<Peers> {
    eprintln!("peers");
    let results = work.join("results/part2.jsonl");
    fs::create_dir_all(work)?;
    if results.exists() {
        fs::remove_file(&results)?;
    }
    let program = folder.join("measure");
    let output = Command::new(&program)
        .arg("peers")
        .env("BASELINE_DIR", work)
        .stdin(Stdio::null())
        .stderr(Stdio::inherit())
        .output()
        .with_context(|| format!("{} can't be run", program.display()))?;
    ensure!(output.status.success(), "{} failed: {}", program.display(), output.status);
    let runs = fs::read_to_string(&results)
        .with_context(|| format!("{} has left no figures", program.display()))?;
    let runs = runs.lines().map(serde_json::from_str).collect::<Result<Vec<Value>, _>>()?;
    Ok(Peers { runs, tables: String::from_utf8_lossy(&output.stdout).trim_end().to_owned() })
}
