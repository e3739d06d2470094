use futures_util::stream::{BoxStream, StreamExt, TryStreamExt};
use sqlx::any::{Any, AnyArguments, AnyQueryResult, AnyRow};
use sqlx::postgres::{PgArguments, PgQueryResult, Postgres};
use sqlx::sqlite::{Sqlite, SqliteArguments, SqliteQueryResult};
use sqlx::{Either, Error, Execute, Executor, SqlStr};

/// A query without the type of its result.
pub(super) struct Statement {
    sql: SqlStr,
    arguments: Option<AnyArguments>,
}

pub(super) type Step = Either<AnyQueryResult, AnyRow>;

impl Statement {
    pub(super) fn of<'q>(mut query: impl Execute<'q, Any>) -> Result<Self, Error> {
        let arguments = query.take_arguments().map_err(Error::Encode)?;
        Ok(Self { sql: query.sql(), arguments })
    }

    /// True if the statement only reads, so that it need not wait for writers.
    pub(super) fn is_read(&self) -> bool {
        self.sql.as_str().trim_start().starts_with("SELECT")
    }

    /// Runs the statement as a prepared one, which its connection caches.
    pub(super) async fn on_sqlite<'c>(self, on: impl Executor<'c, Database = Sqlite>) -> Result<Vec<Step>, Error> {
        let arguments = self.arguments.map(AnyArguments::convert_into::<SqliteArguments>).transpose();
        any::<Sqlite>(on.fetch_many((self.sql, arguments.map_err(Error::Encode)?)), SqliteQueryResult::rows_affected)
            .await
    }

    /// Runs the statement unnamed. Without arguments it is a simple query, which takes one message instead of two.
    pub(super) async fn on_postgres<'c>(self, on: impl Executor<'c, Database = Postgres>) -> Result<Vec<Step>, Error> {
        let given = self.arguments.filter(|arguments| sqlx::Arguments::len(arguments) > 0);
        let arguments = given.map(AnyArguments::convert_into::<PgArguments>).transpose().map_err(Error::Encode)?;
        let steps = match arguments {
            Some(arguments) => on.fetch_many(sqlx::query_with(self.sql, arguments).persistent(false)),
            None => on.fetch_many(self.sql),
        };
        any::<Postgres>(steps, PgQueryResult::rows_affected).await
    }
}

/// The results and rows of a driver, one by one.
type Steps<'e, D> =
    BoxStream<'e, Result<Either<<D as sqlx::Database>::QueryResult, <D as sqlx::Database>::Row>, Error>>;

async fn any<D: sqlx::Database>(
    steps: Steps<'_, D>,
    affected: impl Fn(&D::QueryResult) -> u64,
) -> Result<Vec<Step>, Error>
where
    for<'r> AnyRow: TryFrom<&'r D::Row, Error = Error>,
{
    let any = steps.map(|step| match step? {
        Either::Left(done) => {
            Ok(Either::Left(AnyQueryResult { rows_affected: affected(&done), ..AnyQueryResult::default() }))
        }
        Either::Right(row) => AnyRow::try_from(&row).map(Either::Right),
    });
    any.try_collect().await
}
