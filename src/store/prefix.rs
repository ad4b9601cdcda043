//! Searching for what begins with a text, as ranges that an index can answer.

use uuid::Uuid;

/// The ids whose text form (`xxxxxxxx-xxxx-xxxx-xxxx-xxxxxxxxxxxx`, lower case) begins with `text`,
/// from the first to the last; none where no id can.
pub(super) fn id_range(text: &str) -> Option<(Uuid, Uuid)> {
    const HYPHENS: [usize; 4] = [8, 13, 18, 23];
    const LENGTH: usize = 36;
    let possible = text.len() <= LENGTH
        && text.bytes().enumerate().all(|(n, byte)| match HYPHENS.contains(&n) {
            true => byte == b'-',
            false => matches!(byte, b'0'..=b'9' | b'a'..=b'f'),
        });
    if !possible {
        return None;
    }
    let padded = |pattern: &str| {
        let rest = pattern.get(text.len()..)?;
        Uuid::parse_str(&format!("{text}{rest}")).ok()
    };
    Some((
        padded("00000000-0000-0000-0000-000000000000")?,
        padded("ffffffff-ffff-ffff-ffff-ffffffffffff")?,
    ))
}

/// Where the sagas are that were born when ids were made that begin with `text`, as a range of their own
/// ids: a minute more on either side than these ids say. They are UUIDs of version 7, which begin with
/// their milliseconds.
pub(super) fn born_range(text: &str) -> Option<(Uuid, Uuid)> {
    const MINUTE: u128 = 60_000 << 80;
    let (first, last) = id_range(text)?;
    let (first, last) = (first.as_u128(), last.as_u128());
    Some((
        Uuid::from_u128(first.saturating_sub(MINUTE)),
        Uuid::from_u128(last.saturating_add(MINUTE)),
    ))
}

/// The smallest text that is greater than every text that begins with `text`, by code points; none
/// where there is no such text.
pub(super) fn successor(text: &str) -> Option<String> {
    let mut kept = text.to_owned();
    while let Some(last) = kept.pop() {
        // Counting up steps over the code points that are no characters.
        if let Some(next) = (u32::from(last) + 1..=u32::from(char::MAX)).find_map(char::from_u32) {
            kept.push(next);
            return Some(kept);
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_prefix_of_an_ids_text_finds_the_id_and_no_id_without_it() {
        let id = Uuid::parse_str("0192f0c1-9abc-7def-8123-456789abcdef").unwrap();
        let text = id.to_string();
        for end in 0..=text.len() {
            let (first, last) = id_range(&text[..end]).unwrap();
            assert!(first <= id && id <= last);
            for border in [first, last] {
                assert!(border.to_string().starts_with(&text[..end]));
            }
            let outside = [first.as_u128().checked_sub(1), last.as_u128().checked_add(1)];
            for next in outside.into_iter().flatten() {
                assert!(!Uuid::from_u128(next).to_string().starts_with(&text[..end]));
            }
        }
    }

    #[test]
    fn what_no_id_begins_with_has_no_range() {
        let long = format!("{}0", Uuid::nil());
        for text in
            ["x", "0192F", "0192f0c19", "-", "0192f0c1-9abc-7def-8123-456789abcdeg", "é", &long]
        {
            assert_eq!(id_range(text), None, "{text}");
        }
    }

    #[test]
    fn whoever_was_born_within_a_minute_of_an_id_is_in_its_range() {
        let at = |millis: u64| {
            Uuid::new_v7(uuid::Timestamp::from_unix(uuid::NoContext, millis / 1_000, 0))
        };
        let id = at(1_780_000_000_000);
        let (first, last) = born_range(&id.to_string()[..13]).unwrap();
        assert!(first < at(1_780_000_000_000 - 59_000) && at(1_780_000_000_000 + 59_000) < last);
        assert!(at(1_780_000_000_000 - 130_000) < first && last < at(1_780_000_000_000 + 130_000));
        assert_eq!(born_range("").unwrap(), (Uuid::nil(), Uuid::max()));
        assert_eq!(born_range("order-1"), None);
    }

    #[test]
    fn the_successor_is_just_beyond_the_texts_with_the_prefix() {
        assert_eq!(successor("ab"), Some("ac".into()));
        assert_eq!(successor("a%"), Some("a&".into()));
        assert_eq!(successor("a\u{10ffff}"), Some("b".into()));
        assert_eq!(successor("a\u{d7ff}"), Some("a\u{e000}".into()));
        assert_eq!(successor(""), None);
        assert_eq!(successor("\u{10ffff}"), None);
    }
}
