//! The pages for users keep up with the program: every setting and every route is told.

use std::fs;
use std::path::Path;

fn read(path: &str) -> String {
    fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join(path)).unwrap()
}

/// The sources of a folder without their comments.
fn code(folder: &str) -> Vec<String> {
    let entries = fs::read_dir(Path::new(env!("CARGO_MANIFEST_DIR")).join(folder)).unwrap();
    let paths = entries.map(|entry| entry.unwrap().path()).filter(|path| path.is_file());
    let is_code = |line: &&str| !line.trim_start().starts_with("//");
    let strip = |text: String| text.lines().filter(is_code).collect::<Vec<_>>().join("\n");
    paths.map(|path| strip(fs::read_to_string(path).unwrap())).collect()
}

/// The keys that `settings` is asked for in `code`: `settings.text("log.filter", …)`.
fn keys(code: &str) -> impl Iterator<Item = &str> {
    code.split("settings.").skip(1).filter_map(|call| {
        let (method, arguments) = call.split_once('(')?;
        let key = arguments.trim_start().strip_prefix('"')?.split('"').next();
        key.filter(|_| method.chars().all(|c| c.is_alphanumeric() || c == '_'))
    })
}

#[test]
fn every_setting_is_in_the_operations_page_with_its_variable_and_its_flag() {
    let page = read("docs/operations.md");
    let row = |key: &str| page.lines().find(|line| line.starts_with(&format!("| `{key}` |")));
    let sources = code("src/config");
    let keys: Vec<&str> = sources.iter().flat_map(|code| keys(code)).collect();
    assert!(keys.contains(&"server.listen") && keys.len() >= 12, "not all found: {keys:?}");
    for key in keys {
        let variable = format!("`SKALD_{}`", key.replace('.', "_").to_ascii_uppercase());
        let told = row(key).unwrap_or_else(|| panic!("{key} is missing"));
        assert!(told.contains(&variable), "{key}: {variable} is missing");
    }
    for code in code("src/cli") {
        let flags = code.split(".flag(\"").skip(1).map(|call| call.split('"').collect::<Vec<_>>());
        for (flag, key) in flags.map(|words| (words[0].to_owned(), words[2].to_owned())) {
            let told = row(&key).is_some_and(|row| row.contains(&format!("`{flag}`")));
            assert!(told, "{key}: {flag} is missing");
        }
    }
}

#[test]
fn every_default_in_the_operations_page_is_that_of_the_source() {
    let page = read("docs/operations.md");
    for file in ["mod", "actors", "log", "mail", "server", "workers"] {
        let source = read(&format!("src/config/{file}.rs"));
        for row in source.lines().filter_map(|line| line.strip_prefix("/// | `")) {
            let cells: Vec<&str> = row.split(" | ").collect();
            let (key, default) = (cells[0], format!(" | {} | ", cells[1]));
            let told = page.lines().find(|line| line.starts_with(&format!("| `{key} |")));
            assert!(told.is_some_and(|row| row.contains(&default)), "{key}: the default differs");
        }
    }
}

#[test]
fn every_route_is_in_the_api_page() {
    let page = read("docs/api.md");
    let mut found = 0;
    for file in ["src/http/mod.rs", "src/http/dashboard/mod.rs"] {
        let source = read(file);
        let pieces: Vec<&str> = source.split('"').collect();
        for part in pieces.windows(3).filter(|part| part[1].starts_with('/')) {
            let is_read = part[0].ends_with("read(") || part[2].contains(".get(");
            let methods = [("GET", is_read), ("POST", part[2].contains(".post("))];
            let methods = methods.into_iter().chain([("PUT", part[2].contains(".put("))]);
            for (method, _) in methods.filter(|(_, has_it)| *has_it) {
                found += 1;
                let route = format!("`{method} {}`", part[1]);
                assert!(page.contains(&route), "{file}: {route} is missing");
            }
        }
    }
    assert!(found >= 21, "only {found} routes found");
}
