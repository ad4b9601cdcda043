//! A shard's row: who owns it, how long its history is, how much of it is confirmed.

use diesel::prelude::*;

use crate::ports::ledger::{Marks, Seq, Shard, ShardState};
use crate::store::sqlite::encode::{integer, natural, position};
use crate::store::sqlite::failure::Failure;
use crate::store::sqlite::schema::orchestrator::shards;
use crate::store::sqlite::update::update;

#[derive(Queryable, Selectable, Insertable)]
#[diesel(table_name = shards, treat_none_as_default_value = false)]
struct Row {
    shard: i64,
    epoch: i64,
    last_seq: i64,
    commands_mark: i64,
    events_mark: i64,
}

/// Makes the caller the owner of `shard`.
pub(in crate::store::sqlite) fn claim(
    connection: &mut SqliteConnection,
    shard: Shard,
) -> Result<ShardState, Failure> {
    let found = find(connection, shard)?;
    let epoch = found.as_ref().map_or(0, |row| row.epoch) + 1;
    let row = Row {
        epoch,
        ..found.unwrap_or(Row {
            shard: shard.into(),
            epoch,
            last_seq: 0,
            commands_mark: 0,
            events_mark: 0,
        })
    };
    diesel::replace_into(shards::table).values(&row).execute(connection)?;
    Ok(ShardState {
        epoch,
        last_seq: natural(row.last_seq)?,
        marks: Marks { commands: natural(row.commands_mark)?, events: natural(row.events_mark)? },
    })
}

/// The end of a shard's part of the history.
pub(super) fn end(shard: Shard) -> Result<i64, Failure> {
    Ok(position(shard, 0)? + position(1, 0)?)
}

fn find(connection: &mut SqliteConnection, shard: Shard) -> QueryResult<Option<Row>> {
    shards::table.find(i64::from(shard)).select(Row::as_select()).first(connection).optional()
}

/// A shard whose row says that the caller owns it, within a transaction that holds the write lock.
pub(super) struct OwnedShard {
    /// Which one.
    pub shard: Shard,
    stored: Row,
    last_seq: Seq,
}

impl OwnedShard {
    /// Makes sure that `epoch` owns `shard`.
    pub fn lock(
        connection: &mut SqliteConnection,
        shard: Shard,
        epoch: i64,
    ) -> Result<Self, Failure> {
        let found = find(connection, shard)?;
        match found {
            Some(stored) if stored.epoch == epoch => {
                Ok(Self { shard, last_seq: natural(stored.last_seq)?, stored })
            }
            other => Err(Failure::Deposed {
                shard,
                mine: epoch,
                found: other.map_or(0, |stored| stored.epoch),
            }),
        }
    }

    /// The position in the shard of the next history row.
    pub fn next_seq(&self) -> Seq {
        self.last_seq + 1
    }

    /// Gives out the next position.
    pub fn take_seq(&mut self) -> Seq {
        self.last_seq += 1;
        self.last_seq
    }

    /// Stores the newest position and the marks, which never go back. Writes nothing where nothing
    /// changed.
    pub fn write(self, connection: &mut SqliteConnection, marks: Marks) -> Result<(), Failure> {
        let Self { stored, last_seq, .. } = self;
        let last_seq = integer(last_seq)?;
        let commands_mark = stored.commands_mark.max(integer(marks.commands)?);
        let events_mark = stored.events_mark.max(integer(marks.events)?);
        let unchanged = (stored.last_seq, stored.commands_mark, stored.events_mark)
            == (last_seq, commands_mark, events_mark);
        if !unchanged {
            update!(
                shards::table,
                (
                    shards::last_seq.eq(last_seq),
                    shards::commands_mark.eq(commands_mark),
                    shards::events_mark.eq(events_mark),
                ),
                shards::shard.eq(stored.shard),
            )
            .execute(connection)?;
        }
        Ok(())
    }
}
