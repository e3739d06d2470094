use futures_util::future::BoxFuture;
use futures_util::stream::{self, BoxStream, StreamExt, TryStreamExt};
use sqlx::any::{Any, AnyRow, AnyStatement, AnyTypeInfo};
use sqlx::{Either, Error, Execute, Executor, SqlStr};

use super::pool::Database;
use super::statement::{Statement, Step};
use super::transaction::Connection;

/// Implements sqlx's `Executor` for `$on`. A query completes only when its transaction has committed.
macro_rules! executor {
    ($on:ty) => {
        impl<'c> Executor<'c> for $on {
            type Database = Any;

            fn fetch_many<'e, 'q: 'e, E>(self, query: E) -> BoxStream<'e, Result<Step, Error>>
            where
                'c: 'e,
                E: 'q + Execute<'q, Any>,
            {
                let statement = Statement::of(query);
                let steps = stream::once(async move { self.run(statement?).await });
                steps.map_ok(|steps| stream::iter(steps).map(Ok)).try_flatten().boxed()
            }

            fn fetch_optional<'e, 'q: 'e, E>(self, query: E) -> BoxFuture<'e, Result<Option<AnyRow>, Error>>
            where
                'c: 'e,
                E: 'q + Execute<'q, Any>,
            {
                let statement = Statement::of(query);
                Box::pin(async move { Ok(self.run(statement?).await?.into_iter().find_map(Either::right)) })
            }

            fn prepare_with<'e>(self, _: SqlStr, _: &'e [AnyTypeInfo]) -> BoxFuture<'e, Result<AnyStatement, Error>>
            where
                'c: 'e,
            {
                Box::pin(async { Err(Error::Protocol("no statement is prepared by itself".to_owned())) })
            }
        }
    };
}

executor!(&'c Database);
executor!(&'c mut Connection);
