//! Lists of sagas.
//!
//! Every condition is a range of some index. The index by definition, status and id answers for a
//! definition, for a status and for both by merging the newest of a few ranges; a text is a range
//! of ids, or one of business keys.

use std::cmp::Reverse;
use std::collections::BTreeMap;

use diesel::prelude::*;
use diesel::sqlite::Sqlite;

use crate::ports::queries::{SagaFilter, SagaSummary};
use crate::saga::id::SagaId;
use crate::store::prefix;
use crate::store::saga_page::{FEW, Page};
use crate::store::sqlite::encode::Id;
use crate::store::sqlite::failure::Failure;
use crate::store::sqlite::ledger::read::SummaryRow;
use crate::store::sqlite::schema::orchestrator::{saga_counts, sagas};

/// Reads sagas, newest first, from the one before `before`.
pub(super) fn page(
    connection: &mut SqliteConnection,
    filter: &SagaFilter,
    before: Option<SagaId>,
    limit: u32,
) -> Result<Vec<SagaSummary>, Failure> {
    let page = Page::before(before, limit);
    let kinds = kinds(connection, filter)?;
    let rows = match filter.text.as_deref().filter(|text| !text.is_empty()) {
        None => newest(connection, &kinds, page, None)?,
        Some(text) => {
            let mut rows = with_key(connection, &kinds, page, text)?;
            if let Some(page) = page.with_ids(text) {
                rows.extend(newest(connection, &kinds, page, None)?);
            }
            rows
        }
    };
    let by_id: BTreeMap<SagaId, SummaryRow> = rows.into_iter().map(|row| (row.id(), row)).collect();
    by_id.into_values().rev().take(limit as usize).map(SummaryRow::summary).collect()
}

/// The (definition, status) pairs that pass the filter; none where everything passes.
fn kinds(
    connection: &mut SqliteConnection,
    filter: &SagaFilter,
) -> QueryResult<Option<Vec<(String, String)>>> {
    if filter.definition.is_none() && filter.status.is_none() {
        return Ok(None);
    }
    let mut kinds = saga_counts::table
        .select((saga_counts::definition, saga_counts::status))
        .into_boxed::<Sqlite>();
    if let Some(definition) = &filter.definition {
        kinds = kinds.filter(saga_counts::definition.eq(definition.as_str()));
    }
    if let Some(status) = filter.status {
        kinds = kinds.filter(saga_counts::status.eq(status.as_str()));
    }
    kinds.load(connection).map(Some)
}

/// The newest sagas of these kinds, `page.limit` of each at most, whose business key begins with
/// `key` if there is one.
fn newest(
    connection: &mut SqliteConnection,
    kinds: &Option<Vec<(String, String)>>,
    page: Page,
    key: Option<&str>,
) -> QueryResult<Vec<SummaryRow>> {
    let query = || {
        let query = sagas::table
            .select(SummaryRow::as_select())
            .filter(sagas::id.ge(Id(page.first)))
            .filter(sagas::id.lt(Id(page.end)))
            .order(sagas::id.desc())
            .limit(i64::from(page.limit))
            .into_boxed::<Sqlite>();
        let Some(key) = key else { return query };
        // Appending nothing keeps SQLite from gathering and sorting all keys of the range.
        let query = query.filter(sagas::business_key.concat("").ge(key));
        match prefix::successor(key) {
            Some(end) => query.filter(sagas::business_key.concat("").lt(end)),
            None => query,
        }
    };
    let Some(kinds) = kinds else { return query().load(connection) };
    let mut rows = Vec::new();
    for (definition, status) in kinds {
        rows.extend(
            query()
                .filter(sagas::definition.eq(definition))
                .filter(sagas::status.eq(status))
                .load::<SummaryRow>(connection)?,
        );
    }
    Ok(rows)
}

/// The newest sagas of these kinds whose business key begins with `text`.
fn with_key(
    connection: &mut SqliteConnection,
    kinds: &Option<Vec<(String, String)>>,
    page: Page,
    text: &str,
) -> Result<Vec<SummaryRow>, Failure> {
    let mut matches = sagas::table
        .select(sagas::id)
        .filter(sagas::business_key.ge(text))
        .limit(FEW + 1)
        .into_boxed::<Sqlite>();
    if let Some(end) = prefix::successor(text) {
        matches = matches.filter(sagas::business_key.lt(end));
    }
    let ids: Vec<Id> = matches.load(connection)?;
    if ids.len() as i64 > FEW {
        return Ok(newest(connection, kinds, page.born_with(text), Some(text))?);
    }
    let mut ids: Vec<Id> = ids.into_iter().filter(|id| id.0 < page.end).collect();
    ids.sort_unstable_by_key(|id| Reverse(*id));
    let mut rows = Vec::new();
    for id in ids {
        if rows.len() >= page.limit as usize {
            break;
        }
        let row: SummaryRow = sagas::table
            .filter(sagas::id.eq(id))
            .select(SummaryRow::as_select())
            .first(connection)?;
        if row.is_one_of(kinds.as_deref()) {
            rows.push(row);
        }
    }
    Ok(rows)
}
