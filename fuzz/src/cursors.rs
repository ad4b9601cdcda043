//! Places in lists: `limit` and `cursor` of a query.

use std::fmt::Display;
use std::str::FromStr;

use skald::http::reading::{MAX_LIMIT, Params, Problem, url_with};
use skald::orders::{OrderId, ProductId};
use skald::saga::id::{SagaId, Sequence};

/// Cursors of up to so many bytes are tampered with, at each place.
const SHORT: usize = 64;

pub fn check(data: &[u8]) {
    let Ok(query) = std::str::from_utf8(data) else { return };
    pages::<SagaId>(query);
    pages::<OrderId>(query);
    pages::<Sequence>(query);
    pages::<ProductId>(query);
}

/// A page's limit and cursor, as text.
fn read<C: FromStr + Display>(query: &str) -> Result<(u32, Option<String>), Problem> {
    let mut params = Params::of(query);
    let page = params.page::<C>();
    assert!((1..=MAX_LIMIT).contains(&page.limit));
    let read = (page.limit, page.after.map(|after| after.to_string()));
    params.text("q");
    params.finish().map(|()| read)
}

/// A cursor that is taken leads to the same place in the link to a page, and no other text does.
fn pages<C: FromStr + Display>(query: &str) {
    let (limit, cursor) = match read::<C>(query) {
        Ok((limit, Some(cursor))) => (limit, cursor),
        Ok((_, None)) => return,
        Err(problem) => return super::is_told(&problem),
    };
    let link = url_with("/v1/things", query, &[("cursor", &cursor)]);
    assert!(link.is_ascii() && !link.contains(['<', '>', '"', ' ']), "{link}");
    let again = read::<C>(link.split_once('?').unwrap().1);
    assert_eq!(again.unwrap(), (limit, Some(cursor.clone())), "{link}");
    if cursor.len() > SHORT {
        return;
    }
    for tampered in tampered(&cursor) {
        let link = url_with("/v1/things", "", &[("cursor", &tampered)]);
        match read::<C>(link.split_once('?').unwrap().1) {
            Ok((_, after)) => assert_eq!(after, Some(tampered), "taken for another cursor"),
            Err(problem) => super::is_told(&problem),
        }
    }
}

/// The text with one character doubled, another, in the other case, or something around it.
fn tampered(cursor: &str) -> Vec<String> {
    let mut texts = vec![
        format!("{{{cursor}}}"),
        format!("+{cursor}"),
        format!("0{cursor}"),
        format!(" {cursor}"),
        format!("{cursor}\n"),
        format!("urn:uuid:{cursor}"),
        cursor.replace('-', ""),
        cursor.to_uppercase(),
    ];
    for (at, character) in cursor.char_indices() {
        let (before, after) = (&cursor[..at], &cursor[at + character.len_utf8()..]);
        texts.extend(["", "g", "7", "-"].map(|other| format!("{before}{other}{after}")));
    }
    texts.retain(|text| text != cursor && !text.is_empty());
    texts
}
