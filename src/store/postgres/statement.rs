//! Statements that are prepared once.
//!
//! Diesel prepares whatever goes through its `sql_query` anew each time. A [`Statement`] has constant
//! SQL and is kept prepared under its text; its values, above all arrays of them, are bound. So a
//! batch of any size is the same statement, planned once for each connection.

use std::fmt;
use std::marker::PhantomData;

use diesel::pg::Pg;
use diesel::prelude::*;
use diesel::query_builder::{AstPass, Query, QueryFragment, QueryId};
use diesel::serialize::ToSql;
use diesel::sql_types::{HasSqlType, Untyped};

/// SQL in which each `?` stands for a value.
pub(super) struct Statement<'a> {
    sql: &'static str,
    binds: Vec<Box<dyn QueryFragment<Pg> + 'a>>,
}

impl<'a> Statement<'a> {
    /// A statement without values so far.
    pub fn new(sql: &'static str) -> Self {
        Self { sql, binds: Vec::new() }
    }

    /// Binds the value of the next `?`.
    #[must_use]
    pub fn bind<Type, Value>(mut self, value: Value) -> Self
    where
        Pg: HasSqlType<Type>,
        Type: 'a,
        Value: ToSql<Type, Pg> + 'a,
    {
        self.binds.push(Box::new(Bind { value, kind: PhantomData::<Type> }));
        self
    }
}

impl fmt::Debug for Statement<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.sql)
    }
}

struct Bind<Type, Value> {
    value: Value,
    kind: PhantomData<Type>,
}

impl<Type, Value> QueryFragment<Pg> for Bind<Type, Value>
where
    Pg: HasSqlType<Type>,
    Value: ToSql<Type, Pg>,
{
    fn walk_ast<'b>(&'b self, mut pass: AstPass<'_, 'b, Pg>) -> QueryResult<()> {
        pass.push_bind_param(&self.value)
    }
}

impl QueryFragment<Pg> for Statement<'_> {
    fn walk_ast<'b>(&'b self, mut pass: AstPass<'_, 'b, Pg>) -> QueryResult<()> {
        let mut binds = self.binds.iter();
        for (n, piece) in self.sql.split('?').enumerate() {
            if n > 0 {
                let missing = || diesel::result::Error::QueryBuilderError("too few values".into());
                binds.next().ok_or_else(missing)?.walk_ast(pass.reborrow())?;
            }
            pass.push_sql(piece);
        }
        Ok(())
    }
}

impl QueryId for Statement<'_> {
    type QueryId = ();
    const HAS_STATIC_QUERY_ID: bool = false;
}

impl Query for Statement<'_> {
    type SqlType = Untyped;
}

impl RunQueryDsl<PgConnection> for Statement<'_> {}
