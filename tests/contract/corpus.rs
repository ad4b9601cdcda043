//! What fuzzing started from and what it found, once more: the targets in `fuzz/` with every file of
//! their corpora. `make fuzz` looks for more.

use std::fs;
use std::panic::catch_unwind;
use std::path::{Path, PathBuf};

#[path = "../../fuzz/src/lib.rs"]
mod targets;

use targets::TARGETS;

fn files(folder: &str, target: &str) -> Vec<PathBuf> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz").join(folder).join(target);
    let entries = fs::read_dir(folder).into_iter().flatten();
    entries.map(|entry| entry.unwrap().path()).collect()
}

#[test]
fn every_input_that_was_kept_passes_its_target() {
    let mut broken = Vec::new();
    for (name, check) in TARGETS {
        let corpus = files("corpus", name);
        assert!(corpus.len() >= 10, "{name} has only {} files", corpus.len());
        for file in corpus.into_iter().chain(files("crashes", name)) {
            let input = fs::read(&file).unwrap();
            if catch_unwind(|| check(&input)).is_err() {
                broken.push(file);
            }
        }
    }
    assert!(broken.is_empty(), "{broken:#?}");
}

#[test]
fn every_target_is_one_of_the_fuzzer_and_has_a_corpus() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz");
    for (name, _) in TARGETS {
        let target = fs::read_to_string(folder.join(format!("fuzz_targets/{name}.rs"))).unwrap();
        assert!(target.contains(&format!("skald_fuzz::{name}::check")), "{target}");
    }
    for kind in ["corpus", "fuzz_targets"] {
        assert_eq!(fs::read_dir(folder.join(kind)).unwrap().count(), TARGETS.len(), "{kind}");
    }
}

/// Deeper and longer than a fuzzer goes by itself: no target may need more stack or time for it.
#[test]
fn depth_and_length_cost_no_more_than_their_bytes() {
    const DEEP: usize = 100_000;
    let repeated = |head: &str, open: &str, close: &str| {
        format!("{head}{}{}", open.repeat(DEEP), close.repeat(DEEP)).into_bytes()
    };
    for (name, check) in TARGETS {
        let heads: &[&str] = match name {
            "envelope" => &["inventory.reserve\n", "skald.bundle\n", "a\n{\"data\":{\"data\":"],
            "replies" => &["019b7c9f-0e2e-7000-b000-000000000001:2\n"],
            "bodies" => &["orders\n", "cancel\n", "retry\n{\"reason\":", "stock\n{\"onHand\":"],
            "headers" => &["http GET /\nprefer: ", "amqp skald.dead\n"],
            "cursors" => &["cursor=", ""],
            _ => &["data_dir = ", "", "server.listen = \""],
        };
        for head in heads {
            for (open, close) in
                [("[", "]"), ("{\"a\":", "}"), ("a=&", ""), ("a.", "a = 1"), ("{a=", "}")]
            {
                check(&repeated(head, open, close));
            }
        }
    }
}
