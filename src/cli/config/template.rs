//! A `skald.toml` with every setting in it.

use std::fmt::Write as _;

use crate::config::{Setting, Unset, catalogue};

/// How wide a comment is, in characters.
const WIDTH: usize = 100;

/// A file that sets nothing: what would set something is commented out.
pub fn template() -> String {
    let mut page = String::new();
    paragraph(
        &mut page,
        &format!(
            "Every setting of Skald {}. What is commented out is not set; a value shown is the default, \
             or an example where the default is none. An environment variable beats this file, and a \
             flag beats both.",
            env!("CARGO_PKG_VERSION")
        ),
    );
    let mut table_before = None;
    for setting in catalogue() {
        let (table, name) = match setting.key.split_once('.') {
            Some((table, name)) => (Some(table), name),
            None => (None, setting.key),
        };
        page.push('\n');
        if let Some(table) = table.filter(|_| table != table_before) {
            line(&mut page, &format!("[{table}]"));
        }
        table_before = table;
        describe(&mut page, setting);
        line(&mut page, &format!("#{name} = {}", setting.example));
    }
    page
}

fn describe(page: &mut String, setting: &Setting) {
    let variable = setting.variable();
    let told = match setting.unset {
        Unset::Value => format!("{}. {variable}", setting.what),
        Unset::Words(words) => format!("{}. Default: {words}. {variable}", setting.what),
    };
    paragraph(page, &told);
}

/// Writes `text` as a comment, with breaks between words.
fn paragraph(page: &mut String, text: &str) {
    let mut comment = String::new();
    for word in text.split_whitespace() {
        if !comment.is_empty() && comment.chars().count() + 1 + word.chars().count() > WIDTH - 2 {
            line(page, &format!("# {comment}"));
            comment.clear();
        }
        if !comment.is_empty() {
            comment.push(' ');
        }
        comment.push_str(word);
    }
    line(page, &format!("# {comment}"));
}

fn line(page: &mut String, text: &str) {
    // Writing to a string can't fail.
    let _ = writeln!(page, "{text}");
}
