use std::collections::HashMap;
use std::time::{Duration, Instant};

use shared_claims::{Poller, Revocations};
use time::OffsetDateTime;
use time::format_description::well_known::Rfc2822;
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};
use tokio::net::TcpListener;
use tokio::task::JoinSet;
use tokio::time::sleep;

use crate::server::now;
use crate::teller::{Manner, Teller, answer, list_of, until};
use crate::wire::session;

const UNTIL: u64 = 4_000_000_000;

/// A cache in front of a `Teller` that repeats its first response to each URL for ever.
struct Front {
    url: String,
    _task: JoinSet<()>,
}

impl Front {
    async fn of(teller: &Teller) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let (url, behind) = (format!("http://{}", listener.local_addr().unwrap()), teller.url.clone());
        let mut task = JoinSet::new();
        task.spawn(async move {
            let mut kept = HashMap::new();
            while let Ok((stream, _)) = listener.accept().await {
                let mut stream = BufReader::new(stream);
                let mut head = String::new();
                while stream.read_line(&mut head).await.is_ok_and(|length| length > 2) {}
                let Some(target) = head.split(' ').nth(1) else { continue };
                if !kept.contains_key(target) {
                    let ask =
                        reqwest::Client::new().get(format!("{behind}{target}")).header("Cache-Control", "no-cache");
                    let body = ask.send().await.unwrap().text().await.unwrap();
                    kept.insert(target.to_owned(), (body, Instant::now(), http_date(0)));
                }
                let (body, since, date) = &kept[target];
                let headers = format!("Age: {}\r\nDate: {date}\r\nConnection: close\r\n", since.elapsed().as_secs());
                drop(stream.write_all(&answer("200 OK", &headers, body)).await);
            }
        });
        Self { url, _task: task }
    }
}

/// The HTTP date of `ago` seconds before now.
fn http_date(ago: i64) -> String {
    let date = OffsetDateTime::from_unix_timestamp(i64::try_from(now()).unwrap() - ago).unwrap();
    date.format(&Rfc2822).unwrap().replace("+0000", "GMT")
}

fn has(list: &Revocations, sid: &str) -> bool {
    list.is_revoked(sid, "nobody", 0)
}

fn quick(url: &str) -> Poller {
    Poller { poll: Duration::from_millis(20), ..Poller::new(url) }
}

#[tokio::test]
async fn old_answers_of_a_cache_let_the_list_grow_old() {
    let teller = Teller::start(&[session("s-1", UNTIL)]).await;
    let front = Front::of(&teller).await;
    let list = Poller { max_age: Some(Duration::from_secs(2)), ..quick(&front.url) }.start().await.unwrap();
    assert!(has(&list, "s-1"));
    until("the front keeps what comes behind the first list, too", || teller.asked().len() == 2).await;
    teller.revoke(session("s-2", UNTIL));
    until("the list is stale", || list.is_stale()).await;
    assert!(has(&list, "s-1") && !has(&list, "s-2"), "the revocations received so far still apply");
}

#[tokio::test]
async fn answer_confirms_what_was_revoked_before_it_was_made() {
    for (headers, dated, confirms, why) in [
        ("", None, true, "no word of its age"),
        ("", Some(0), true, "made now"),
        ("", Some(4), true, "a clock that is 4 s behind"),
        ("", Some(-3600), true, "a clock that is ahead"),
        ("", Some(7), false, "older than the question by more than the leeway"),
        ("Age: 0\r\n", None, true, "not kept"),
        ("Age: 30\r\n", None, false, "kept since before the list was begun"),
        ("Age: 30\r\n", Some(30), false, "kept, and dated"),
        ("Age: 0, 30\r\n", None, false, "kept by one of two"),
        ("Age: 0\r\nAge: 30\r\n", None, false, "kept by one of two, a line each"),
        ("Age: soon\r\n", None, false, "no number"),
        ("Age: 99999999999999999999\r\n", None, false, "a number that is too large"),
    ] {
        let date = dated.map(|ago| format!("Date: {}\r\n", http_date(ago))).unwrap_or_default();
        let headers = format!("{headers}{date}");
        let teller = Teller::start(&[]).await;
        teller.behave(Manner::Odd(answer("200 OK", &headers, &list_of("odd"))));
        let list = quick(&teller.url).start().await.unwrap();
        teller.is_asked_again(3).await;
        assert!(has(&list, "odd"), "{why}: what it lists is revoked, old or new");
        assert_eq!(list.age().is_some(), confirms, "{why}");
    }
}

#[tokio::test]
async fn age_is_subtracted_from_the_time_of_the_question() {
    let teller = Teller::start(&[]).await;
    teller.behave(Manner::Odd(answer("200 OK", "Age: 1\r\n", &list_of("odd"))));
    let list = quick(&teller.url).start().await.unwrap();
    until("it is confirmed", || list.age().is_some()).await;
    assert!(list.age() >= Some(Duration::from_secs(1)), "{:?}", list.age());
}

#[tokio::test]
async fn redirect_to_another_origin_is_not_followed() {
    let (teller, other) = (Teller::start(&[]).await, Teller::start(&[session("s-1", UNTIL)]).await);
    let list = quick(&teller.url).start().await.unwrap();
    let headers = format!("Location: {}/revocations\r\n", other.url);
    teller.behave(Manner::Odd(answer("307 Temporary Redirect", &headers, "")));
    teller.is_asked_again(3).await;
    assert!(other.asked().is_empty() && !has(&list, "s-1"));
}

#[tokio::test]
async fn answer_that_drips_is_given_up_after_10_seconds() {
    let teller = Teller::start(&[]).await;
    let list = quick(&teller.url).start().await.unwrap();
    teller.revoke(session("s-1", UNTIL));
    teller.behave(Manner::Dripping);
    teller.is_asked_again(1).await;
    teller.behave(Manner::Honest);
    let began = Instant::now();
    until("another question", || has(&list, "s-1")).await;
    let (took, limit) = (began.elapsed(), Duration::from_secs(10));
    assert!(took > limit / 2 && took < limit + Duration::from_secs(3), "{took:?}");
}

/// The list is too long by its `Content-Length`, or is endless without one.
#[tokio::test]
async fn list_longer_than_128_mib_is_not_read_and_the_one_before_it_counts() {
    let teller = Teller::start(&[session("s-1", UNTIL)]).await;
    let list = quick(&teller.url).start().await.unwrap();
    let said = format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n", (128 << 20) + 1).into_bytes();
    let mut endless = b"HTTP/1.1 200 OK\r\n\r\n".to_vec();
    endless.resize((128 << 20) + 1000, b' ');
    for bytes in [said, endless] {
        teller.behave(Manner::Odd(bytes));
        teller.is_asked_again(2).await;
        assert!(has(&list, "s-1"));
        sleep(Duration::from_millis(10)).await;
    }
    teller.revoke(session("s-2", UNTIL));
    teller.behave(Manner::Honest);
    until("it is read again", || has(&list, "s-2")).await;
}
