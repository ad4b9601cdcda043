//! The pages for users keep up with the program: every setting and every route is told.

// A test that can't go on says so by panicking.
#![allow(clippy::panic, clippy::unwrap_used)]

use std::{fs, path::Path};

use skald::config::catalogue;

fn read(path: &str) -> String {
    fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join(path)).unwrap()
}

/// The sources of a folder, those below it left out.
fn sources(folder: &str) -> Vec<String> {
    let entries = fs::read_dir(Path::new(env!("CARGO_MANIFEST_DIR")).join(folder)).unwrap();
    let paths = entries.map(|entry| entry.unwrap().path()).filter(|path| path.is_file());
    paths.map(|path| fs::read_to_string(path).unwrap()).collect()
}

#[test]
fn every_setting_is_in_the_operations_page_with_its_variable_its_default_and_its_flag() {
    let page = read("docs/operations.md");
    let row = |key: &str| page.lines().find(|line| line.starts_with(&format!("| `{key}` |")));
    for setting in catalogue() {
        let told = row(setting.key).unwrap_or_else(|| panic!("{} is missing", setting.key));
        let (variable, default) = (setting.variable(), setting.default_shown());
        assert!(told.contains(&format!("| `{variable}` |")), "{variable} is missing");
        assert!(told.contains(&format!(" | {default} | ")), "{}: the default differs", setting.key);
    }
    let rows = page.lines().filter(|line| line.contains("` | `SKALD_")).count();
    assert_eq!(rows, catalogue().count(), "each is there once, and no other");
    for code in sources("src/cli") {
        for call in code.split(".flag(\"").skip(1) {
            let words: Vec<&str> = call.split('"').collect();
            let told = row(words[2]).is_some_and(|row| row.contains(&format!("`{}`", words[0])));
            assert!(told, "{}: {} is missing", words[2], words[0]);
        }
    }
}

#[test]
fn every_route_is_in_the_api_page() {
    let (page, mut found) = (read("docs/api.md"), 0);
    for source in [read("src/http/mod.rs"), read("src/http/dashboard/mod.rs")] {
        let pieces: Vec<&str> = source.split('"').collect();
        for part in pieces.windows(3).filter(|part| part[1].starts_with('/')) {
            let is_read = part[0].ends_with("read(") || part[2].contains(".get(");
            let has = |call| part[2].contains(call);
            let [post, put, delete] = [".post(", ".put(", ".delete("].map(has);
            let methods = [("GET", is_read), ("POST", post), ("PUT", put), ("DELETE", delete)];
            for (method, _) in methods.into_iter().filter(|(_, has_it)| *has_it) {
                found += 1;
                assert!(page.contains(&format!("`{method} {}`", part[1])), "{method} {}", part[1]);
            }
        }
    }
    assert!(found >= 25, "only {found} routes found");
}

/// A JSON text without the white space that means nothing.
fn compact(json: &str) -> String {
    let (mut in_text, mut escaped) = (false, false);
    let keep = |c: &char| {
        let means_something = in_text || !c.is_ascii_whitespace();
        in_text ^= *c == '"' && !escaped;
        escaped = *c == '\\' && !escaped;
        means_something
    };
    json.chars().filter(keep).collect()
}

#[test]
fn every_message_in_the_contracts_page_is_a_golden_one() {
    let kinds = ["commands", "events", "replies"];
    let files = kinds.map(|kind| sources(&format!("tests/contract/golden/{kind}"))).concat();
    let golden: Vec<&str> = files
        .iter()
        .map(|file| file.split_once("\"body\":\n").unwrap().1.lines().next().unwrap())
        .collect();
    let page = read("docs/contracts.md");
    let examples = page.split("```json\n").skip(1).map(|rest| rest.split("\n```").next().unwrap());
    let examples: Vec<String> = examples.map(compact).collect();
    assert!(examples.len() >= 3, "not all found: {examples:?}");
    for example in examples {
        assert!(golden.contains(&example.as_str()), "no such message is sent: {example}");
    }
}

#[test]
fn every_snippet_of_a_worker_in_the_contracts_page_is_part_of_one_that_is_tested() {
    let folders = ["nestjs/src", "golevelup/src", "faststream"];
    let files = folders.map(|folder| sources(&format!("examples/workers/{folder}"))).concat();
    let page = read("docs/contracts.md");
    let snippets = ["```ts\n", "```python\n"].map(|start| {
        let blocks = page.split(start).skip(1).map(|rest| rest.split_once("```").unwrap().0);
        blocks.collect::<Vec<_>>()
    });
    let snippets = snippets.concat();
    assert!(snippets.len() >= 5, "not all found: {snippets:?}");
    for snippet in snippets {
        assert!(files.iter().any(|file| file.contains(snippet)), "in no example: {snippet}");
    }
}
