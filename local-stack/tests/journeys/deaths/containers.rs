use std::fs;
use std::path::Path;
use std::time::Duration;

use futures_util::future::{join, join_all};
use tokio::time::{sleep, timeout};

use super::journal::Member;
use super::library::{Librarian, librarian};
use crate::process::PATIENCE;
use crate::stack::Stack;
use crate::targets::{outside, variable};

/// The least time between two actions of a member, so that the script that kills containers gets its turn.
const PACE: Duration = Duration::from_millis(50);

/// The caller of this test kills containers of the outside stack once the file `JOURNEY_WHILE` has content. Clients
/// work while the file exists, and wait for the stack after a call without a response. No acknowledged change is lost.
#[tokio::test]
#[ignore = "./test --compose runs it, and kills containers meanwhile"]
async fn containers_die_and_nothing_is_lost() {
    let (Some(stack), Some(file)) = (outside(), variable("JOURNEY_WHILE")) else {
        return;
    };
    let goes_on = || Path::new(&file).exists();
    let mut members = join_all((0..4).map(|_| Member::new(&stack))).await;
    let mut librarians = [Librarian::default(), Librarian::default()];
    fs::write(&file, "all are there").unwrap();
    let members_work = members.iter_mut().map(async |member| {
        while goes_on() {
            if !member.act(&stack).await {
                wait_for(&stack).await;
                member.find_news(&stack).await;
            }
            sleep(PACE).await;
        }
        wait_for(&stack).await;
        member.find_news(&stack).await;
        member.find_all(&stack).await
    });
    let librarians_work = librarians.iter_mut().map(async |one| {
        let mut books = librarian(&stack).await;
        while goes_on() {
            if one.add_or_edit(&books).await.is_none() {
                wait_for(&stack).await;
                one.find_news(&stack).await;
                books = librarian(&stack).await;
            }
            sleep(PACE).await;
        }
        wait_for(&stack).await;
        one.find_news(&stack).await;
        one.find_all(&stack).await;
    });
    let (found, _) = join(join_all(members_work), join_all(librarians_work)).await;
    assert!(found.iter().sum::<usize>() > 4, "no load: {found:?}");
}

/// Waits until both services and their stores are ready.
async fn wait_for(stack: &Stack) {
    let ready = async {
        while !is_ready(stack).await {
            sleep(PACE).await;
        }
    };
    timeout(PATIENCE, ready).await.unwrap_or_else(|_| panic!("the stack does not become ready again"));
}

async fn is_ready(stack: &Stack) -> bool {
    let doors = [stack.auth(), stack.books()];
    let answers = doors.map(async |door| door.try_call(reqwest::Method::GET, "/readyz", None).await);
    join_all(answers).await.into_iter().all(|answer| answer.is_ok_and(|answer| answer.is_ok()))
}
