use sqlx::migrate::{Migration, MigrationType, Migrator};
use sqlx::{AnyConnection, AssertSqlSafe, Connection as _, SqlStr, query};

use crate::Failure;
use crate::data::{Random, book_id, user_name};
use crate::place::Place;
use crate::table::{Row, Table};

/// The number of rows that the goal is for.
const ROWS: u32 = 100_000;
/// The goal, in seconds.
const LIMIT: f64 = 30.0;
const FIRST_BOOKS: &str = include_str!("../../../../books-service/migrations/0001_books.sql");
const FIRST_USERS: &str = include_str!("../../../../auth-service/migrations/0001_users.sql");

/// Measures the first start on a database of the first version with books. The migration rewrites keys of each book.
pub async fn books(place: &Place<'_>, size: u32, table: &mut Table) -> Result<(), Failure> {
    let mut random = Random::new();
    let row = |number| {
        let (author, title) = (random.words(2), random.words(6));
        format!(
            "('{}', 'Père {author}', 'père {author}', 'Perú', 'perú', 'Español', 'español', 7, '{title}', '{title}', \
             1900, {number}, 1)",
            book_id(number)
        )
    };
    let what = "migration of the books of the first version: start";
    migrate(place, ("books", FIRST_BOOKS), "books", size.min(ROWS), row, table, what).await
}

/// Measures the first start on a database of the first version with users.
pub async fn users(place: &Place<'_>, size: u32, table: &mut Table) -> Result<(), Failure> {
    let hash = bcrypt::hash("password of the bench", 4)?;
    let row = |number| {
        let name = user_name(number);
        format!("('{number}', '{name}', '{name}@mail{}.example', '{hash}', 'member', 0, 1)", number % 7)
    };
    let what = "migration of the users of the first version: start";
    migrate(place, ("auth", FIRST_USERS), "users", size.min(ROWS), row, table, what).await
}

async fn migrate(
    place: &Place<'_>,
    (name, first): (&str, &'static str),
    into: &str,
    count: u32,
    mut row: impl FnMut(u32) -> String,
    table: &mut Table,
    what: &'static str,
) -> Result<(), Failure> {
    place.create(name).await?;
    let mut connection = AnyConnection::connect(&place.database(name)).await?;
    let migration = Migration::new(1, into.to_owned().into(), MigrationType::Simple, SqlStr::from_static(first), false);
    Migrator::with_migrations(vec![migration]).run(&mut connection).await?;
    let mut transaction = connection.begin().await?;
    for from in (0..count).step_by(500) {
        let rows: Vec<String> = (from..count.min(from + 500)).map(&mut row).collect();
        let insert = format!("INSERT INTO {into} VALUES {}", rows.join(", "));
        query(AssertSqlSafe(insert)).execute(&mut *transaction).await?;
    }
    transaction.commit().await?;
    connection.close().await?;
    let (server, time) = place.start(&format!("{name}-service"))?;
    drop(server);
    let seconds = time.as_secs_f64();
    table.extend([Row::promise(what, "≤ 30 s for 100,000", format!("{seconds:.1} s for {count}"), seconds <= LIMIT)]);
    place.drop(name).await
}
