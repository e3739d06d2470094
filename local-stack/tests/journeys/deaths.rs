/// Containers that are killed, one of each kind.
mod containers;
/// Several instances on one Redis and one Postgres.
mod instances;
/// A record of acknowledged calls, compared with the service afterwards.
mod journal;
/// Kills at random moments, and what is there afterwards.
mod kills;
/// Books that were acknowledged.
mod library;
/// Kills between the store's commit and the answer.
mod lost_answers;
/// A program that is killed and started again.
mod mortal;
/// Between auth-service and Redis.
mod proxy;
/// Clients that refresh all the while.
mod visitors;

use uuid::Uuid;

/// A number below `end`, by chance.
fn below(end: usize) -> usize {
    usize::try_from(Uuid::new_v4().as_u128() % end as u128).unwrap()
}
