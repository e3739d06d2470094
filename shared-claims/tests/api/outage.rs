use std::cell::RefCell;
use std::sync::Once;
use std::time::Duration;

use log::{Level, LevelFilter, Log, Metadata, Record};
use shared_claims::Poller;

use crate::teller::{Manner, Teller, answer, list_of, until};

/// A logger that keeps its lines per thread: a test and its poller share a thread.
struct Lines;

thread_local! {
    static LINES: RefCell<Vec<(Level, String)>> = const { RefCell::new(Vec::new()) };
}

impl Log for Lines {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        metadata.target().starts_with("shared_claims::poll")
    }

    fn log(&self, record: &Record<'_>) {
        if self.enabled(record.metadata()) {
            LINES.with_borrow_mut(|lines| lines.push((record.level(), record.args().to_string())));
        }
    }

    fn flush(&self) {}
}

fn lines() -> Vec<(Level, String)> {
    LINES.with_borrow(Clone::clone)
}

fn listen() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        log::set_logger(&Lines).unwrap();
        log::set_max_level(LevelFilter::Info);
    });
}

/// A complete response that is not a list.
fn refusal(status: &str) -> Manner {
    Manner::Odd(format!("HTTP/1.1 {status}\r\nContent-Length: 0\r\n\r\n").into_bytes())
}

#[tokio::test]
async fn an_outage_is_told_once_and_so_is_its_end() {
    listen();
    let teller = Teller::start(&[]).await;
    let poller = Poller { poll: Duration::from_millis(10), ..Poller::new(&*teller.url) };
    let _list = poller.start().await.unwrap();
    assert_eq!(lines(), [], "a successful start logs nothing");
    for outage in 1..3 {
        teller.behave(refusal("503 Service Unavailable"));
        teller.is_asked_again(4).await;
        let all = lines();
        assert_eq!(all.len(), outage * 2 - 1, "{all:?}");
        let (level, line) = &all[outage * 2 - 2];
        assert!(*level == Level::Warn && line.contains("503 Service Unavailable"), "the line gives the reason: {line}");
        teller.behave(Manner::Honest);
        until("it says that it is over", || lines().len() == outage * 2).await;
        teller.is_asked_again(4).await;
        assert_eq!(lines().last().map(|(level, _)| *level), Some(Level::Info));
        assert_eq!(lines().len(), outage * 2);
    }
}

#[tokio::test]
async fn without_a_first_list_each_other_cause_is_told() {
    listen();
    let teller = Teller::start(&[]).await;
    teller.behave(refusal("404 Not Found"));
    let poll = Duration::from_millis(10);
    let _list = Poller { poll, start_timeout: poll, ..Poller::new(&*teller.url) }.start().await.unwrap();
    for (number, status) in ["404 Not Found", "503 Service Unavailable", "404 Not Found"].into_iter().enumerate() {
        teller.behave(refusal(status));
        teller.is_asked_again(3).await;
        let all = lines();
        assert_eq!(all.len(), number + 1, "{all:?}");
        let (level, line) = all.last().unwrap();
        assert!(*level == Level::Warn && line.contains(status) && line.contains("so far there is none"), "{line}");
    }
    teller.behave(Manner::Honest);
    until("it says that there is one", || lines().last().is_some_and(|(level, _)| *level == Level::Info)).await;
}

/// An entry of the list cannot be read since before this poller started; auth-service sends the others.
#[tokio::test]
async fn incomplete_list_is_used_and_told_once() {
    listen();
    let teller = Teller::start(&[]).await;
    let behave = |header: &str| teller.behave(Manner::Odd(answer("200 OK", header, &list_of("s-1"))));
    behave("Date: Thu, 01 Jan 2026 00:00:00 GMT\r\n");
    let list = Poller { poll: Duration::from_millis(10), ..Poller::new(&*teller.url) }.start().await.unwrap();
    assert!(!list.is_read(), "a response from a cache may lack entries");
    behave("Age: 2147483648\r\n");
    until("it is read", || list.is_read()).await;
    teller.is_asked_again(4).await;
    assert!(list.age().is_none() && list.is_revoked("s-1", "u-1", 0));
    let all = lines();
    assert!(all.len() == 1 && all[0].1.contains("it cannot read an entry"), "{all:?}");
    behave("");
    until("it says that it is over", || lines().len() == 2).await;
    assert!(list.age().is_some());
}
