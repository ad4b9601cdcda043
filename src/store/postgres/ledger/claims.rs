//! Idempotency keys. They are the installation's, not a shard's: two nodes may take one at once.

use std::collections::{BTreeMap, HashMap, HashSet};

use diesel::prelude::*;
use diesel::sql_types::{Array, Binary, Text, Timestamptz, Uuid as SqlUuid};
use uuid::Uuid;

use super::super::encode::Moment;
use super::super::failure::Failure;
use super::super::schema::orchestrator::idempotency_keys;
use super::super::statement::Statement;
use super::fate::{self, Fate};
use crate::orders::OrderId;
use crate::ports::ledger::{Claim, Entry, EntryOutcome, StoredAnswer};
use crate::saga::id::Timestamp;

/// Takes the keys of the births that are to be written. Those whose key is taken already, by an
/// earlier entry or by somebody else, are replayed instead.
pub(super) fn take(
    connection: &mut PgConnection,
    entries: &[Entry],
    fates: &mut [Fate],
) -> Result<(), Failure> {
    let mut wanted: BTreeMap<&str, (&StoredAnswer, Timestamp)> = BTreeMap::new();
    let mut firsts: Vec<(usize, &str)> = Vec::new();
    for (n, entry) in entries.iter().enumerate() {
        if let (Fate::Write, Some((Claim { key, answer }, at))) = (&fates[n], fate::claim(entry))
            && !wanted.contains_key(key.as_str())
        {
            wanted.insert(key, (answer, at));
            firsts.push((n, key));
        }
    }
    if wanted.is_empty() {
        return Ok(());
    }
    let taken = insert(connection, &wanted)?;
    let mut answers: HashMap<String, StoredAnswer> =
        wanted.iter().map(|(key, (answer, _))| ((*key).to_owned(), (*answer).clone())).collect();
    let lost: Vec<&str> = wanted.keys().filter(|key| !taken.contains(**key)).copied().collect();
    if !lost.is_empty() {
        let stored = stored_answers(connection, &lost)?;
        // A key that was there and is gone was forgotten in between; the next try will take it.
        if stored.len() < lost.len() {
            return Err(Failure::Database(vanished()));
        }
        answers.extend(stored);
    }
    let won: HashSet<usize> =
        firsts.into_iter().filter(|(_, key)| taken.contains(*key)).map(|(n, _)| n).collect();
    for (n, entry) in entries.iter().enumerate() {
        if let (Fate::Write, Some((claim, _)), false) =
            (&fates[n], fate::claim(entry), won.contains(&n))
            && let Some(answer) = answers.get(&claim.key)
        {
            fates[n] = Fate::Known(EntryOutcome::Replayed(answer.clone()));
        }
    }
    Ok(())
}

/// Tells that the transaction is to be tried again.
fn vanished() -> diesel::result::Error {
    let message = "an idempotency key was forgotten while it was looked at".to_owned();
    let kind = diesel::result::DatabaseErrorKind::SerializationFailure;
    diesel::result::Error::DatabaseError(kind, Box::new(message))
}

#[derive(QueryableByName)]
struct Key {
    #[diesel(sql_type = Text)]
    key: String,
}

/// Inserts the keys in their order, so that nobody waits in a circle; tells which were new.
fn insert(
    connection: &mut PgConnection,
    wanted: &BTreeMap<&str, (&StoredAnswer, Timestamp)>,
) -> QueryResult<HashSet<String>> {
    let columns = || wanted.values();
    let keys: Vec<Key> = Statement::new(
        "INSERT INTO skald_orchestrator.idempotency_keys
             (key, fingerprint, order_id, taken_at, answer)
         SELECT * FROM unnest(?, ?, ?, ?, ?)
         ON CONFLICT (key) DO NOTHING RETURNING key",
    )
    .bind::<Array<Text>, _>(wanted.keys().copied().collect::<Vec<&str>>())
    .bind::<Array<Binary>, _>(
        columns().map(|(answer, _)| answer.fingerprint.as_slice()).collect::<Vec<&[u8]>>(),
    )
    .bind::<Array<SqlUuid>, _>(columns().map(|(answer, _)| answer.order.0).collect::<Vec<Uuid>>())
    .bind::<Array<Timestamptz>, _>(columns().map(|(_, at)| Moment(*at)).collect::<Vec<Moment>>())
    .bind::<Array<Text>, _>(
        columns().map(|(answer, _)| answer.body.as_str()).collect::<Vec<&str>>(),
    )
    .load(connection)?;
    Ok(keys.into_iter().map(|row| row.key).collect())
}

/// A key's row.
type KeyRow = (String, Vec<u8>, Uuid, String);

fn stored_answers(
    connection: &mut PgConnection,
    keys: &[&str],
) -> QueryResult<HashMap<String, StoredAnswer>> {
    let rows: Vec<KeyRow> = idempotency_keys::table
        .filter(idempotency_keys::key.eq_any(keys))
        .select((
            idempotency_keys::key,
            idempotency_keys::fingerprint,
            idempotency_keys::order_id,
            idempotency_keys::answer,
        ))
        .load(connection)?;
    Ok(rows
        .into_iter()
        .map(|(key, fingerprint, order, body)| {
            (key, StoredAnswer { fingerprint, order: OrderId(order), body })
        })
        .collect())
}

/// The answer that was given under an idempotency key.
pub(in crate::store::postgres) fn stored_answer(
    connection: &mut PgConnection,
    key: &str,
) -> QueryResult<Option<StoredAnswer>> {
    Ok(stored_answers(connection, &[key])?.remove(key))
}
