use std::time::Duration;

use futures_util::future::{join, join_all};
use tokio::time::sleep;

use super::below;
use super::journal::Member;
use super::library::Librarian;
use super::mortal::{Mortal, secrets};
use crate::targets::is_outside;

/// The longest time until a kill, in milliseconds.
const LIFE_MS: usize = 200;

#[tokio::test]
async fn auth_service_on_sqlite_loses_nothing_that_was_acknowledged() {
    auth_service_dies(20).await;
}

#[tokio::test]
#[ignore = "long: ./test --long runs it"]
async fn auth_service_on_sqlite_loses_nothing_in_hundreds_of_deaths() {
    auth_service_dies(300).await;
}

#[tokio::test]
async fn local_stack_loses_nothing_that_was_acknowledged() {
    local_stack_dies(20).await;
}

#[tokio::test]
#[ignore = "long: ./test --long runs it"]
async fn local_stack_loses_nothing_in_hundreds_of_deaths() {
    local_stack_dies(300).await;
}

async fn auth_service_dies(times: usize) {
    if is_outside("kills of auth-service") {
        return;
    }
    let [access, refresh] = &secrets();
    let settings =
        [("AUTH_DATABASE_URL", "sqlite://auth.db?mode=rwc"), (access.0, &*access.1), (refresh.0, &refresh.1)];
    die(&Mortal::auth_service(&settings).await, times, &mut []).await;
}

async fn local_stack_dies(times: usize) {
    die(&Mortal::local_stack(&[]).await, times, &mut [Librarian::default(), Librarian::default()]).await;
}

/// Lets members and librarians work until `service` is killed at a random moment, then checks everything that was
/// acknowledged; repeated `times` times.
async fn die(service: &Mortal, times: usize, librarians: &mut [Librarian]) {
    let stack = service.stack().await;
    let mut members = join_all((0..4).map(|_| Member::new(&stack))).await;
    let mut lives = 0;
    // Continues on a machine that is so slow that the service acknowledges little before a kill.
    while lives < times || (lives < 10 * times && members.iter().any(|member| member.count() < 2)) {
        lives += 1;
        let stack = service.stack().await;
        let work = join(
            join_all(members.iter_mut().map(|member| member.work(&stack))),
            join_all(librarians.iter_mut().map(|librarian| librarian.work(&stack))),
        );
        let death = async {
            sleep(Duration::from_millis(below(LIFE_MS) as u64)).await;
            service.kill().await;
        };
        join(work, death).await;

        service.revive().await;
        let stack = service.stack().await;
        join_all(members.iter_mut().map(|member| member.find_news(&stack))).await;
        join_all(librarians.iter_mut().map(|librarian| librarian.find_news(&stack))).await;
    }
    let stack = service.stack().await;
    let found = join_all(members.iter().map(|member| member.find_all(&stack))).await;
    assert!(found.iter().all(|found| *found > 1), "no load: {found:?}");
    join_all(librarians.iter().map(|librarian| librarian.find_all(&stack))).await;
}
