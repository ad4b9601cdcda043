//! Updates that are prepared once.
//!
//! Diesel keeps the prepared statement of a select, an insert or a delete whose SQL follows from
//! its type. It never keeps that of its own update, because its SQL may depend on its values; it
//! prepares it anew each time, which costs more than running it. This one says the same in the same
//! typed parts, and always has the same SQL.

use std::marker::PhantomData;

use diesel::expression::AppearsOnTable;
use diesel::prelude::*;
use diesel::query_builder::{AsChangeset, AstPass, QueryFragment, QueryId};
use diesel::sql_types::Bool;
use diesel::sqlite::Sqlite;

/// `UPDATE table SET changes WHERE condition`; its prepared form is kept under the name `Place`.
pub(super) struct Update<Place, Table, Changes, Condition> {
    table: Table,
    changes: Changes,
    condition: Condition,
    place: PhantomData<Place>,
}

/// The columns, and that they belong to the table, are checked by the compiler.
pub(super) fn prepared_once<Place, T, C, Condition>(
    table: T,
    changes: C,
    condition: Condition,
) -> Update<Place, T::FromClause, C::Changeset, Condition>
where
    T: Table,
    C: AsChangeset<Target = T>,
    Condition: Expression<SqlType = Bool> + AppearsOnTable<T>,
{
    Update {
        table: table.from_clause(),
        changes: changes.as_changeset(),
        condition,
        place: PhantomData,
    }
}

impl<Place, Table, Changes, Condition> QueryFragment<Sqlite>
    for Update<Place, Table, Changes, Condition>
where
    Table: QueryFragment<Sqlite>,
    Changes: QueryFragment<Sqlite>,
    Condition: QueryFragment<Sqlite>,
{
    fn walk_ast<'b>(&'b self, mut pass: AstPass<'_, 'b, Sqlite>) -> QueryResult<()> {
        pass.push_sql("UPDATE ");
        self.table.walk_ast(pass.reborrow())?;
        pass.push_sql(" SET ");
        self.changes.walk_ast(pass.reborrow())?;
        pass.push_sql(" WHERE ");
        self.condition.walk_ast(pass)
    }
}

impl<Place: 'static, Table, Changes, Condition> QueryId
    for Update<Place, Table, Changes, Condition>
{
    type QueryId = Update<Place, (), (), ()>;
    const HAS_STATIC_QUERY_ID: bool = true;
}

impl<Place, Table, Changes, Condition> RunQueryDsl<SqliteConnection>
    for Update<Place, Table, Changes, Condition>
{
}

/// `update!(table, changes, condition)`: an update that has the same SQL whatever its values are.
/// The place in the source names it, so neither optional assignments nor generic functions.
macro_rules! update {
    ($table:expr, $changes:expr, $condition:expr $(,)?) => {{
        enum Here {}
        $crate::store::sqlite::update::prepared_once::<Here, _, _, _>($table, $changes, $condition)
    }};
}
pub(super) use update;

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::sync::atomic::{AtomicUsize, Ordering};

    use diesel::connection::{InstrumentationEvent, SimpleConnection};

    use super::*;
    use crate::store::sqlite::schema::inventory::products;

    #[test]
    fn an_update_is_prepared_once() {
        let mut connection = SqliteConnection::establish(":memory:").unwrap();
        connection
            .batch_execute(
                "CREATE TABLE products (id TEXT PRIMARY KEY, on_hand INTEGER, reserved INTEGER);
                 INSERT INTO products VALUES ('a', 1, 1), ('b', 1, 1)",
            )
            .unwrap();
        let prepared = Arc::new(AtomicUsize::new(0));
        let counter = Arc::clone(&prepared);
        connection.set_instrumentation(move |event: InstrumentationEvent<'_>| {
            if let InstrumentationEvent::CacheQuery { .. } = event {
                counter.fetch_add(1, Ordering::SeqCst);
            }
        });
        for (id, reserved) in [("a", 5), ("b", 7)] {
            let changed =
                update!(products::table, products::reserved.eq(reserved), products::id.eq(id),)
                    .execute(&mut connection);
            assert_eq!(changed, Ok(1));
        }
        assert_eq!(prepared.load(Ordering::SeqCst), 1);
        let stored: Vec<i64> = products::table
            .select(products::reserved)
            .order(products::id)
            .load(&mut connection)
            .unwrap();
        assert_eq!(stored, [5, 7]);
    }
}
