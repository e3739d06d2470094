/// Containers that are killed, one of each kind.
mod containers;
/// Several instances on one Redis and one Postgres.
mod instances;
/// A record of acknowledged calls, compared with the service afterwards.
mod journal;
/// Kills at random moments, and checks of the data afterwards.
mod kills;
/// A record of acknowledged books, compared with the service afterwards.
mod library;
/// Kills between the store's commit and the response.
mod lost_answers;
/// A program that is killed and started again.
mod mortal;
/// A proxy between auth-service and Redis.
mod proxy;
/// Clients that refresh continuously.
mod visitors;

use uuid::Uuid;

/// A random number below `end`.
fn below(end: usize) -> usize {
    usize::try_from(Uuid::new_v4().as_u128() % end as u128).unwrap()
}
