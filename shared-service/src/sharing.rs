use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::{Mutex as AsyncMutex, OnceCell};
use tokio::task::yield_now;

/// Work that is worth doing once for all who wait for it, on a state `S` that outlives the runs.
///
/// The promise: what [`Shared::run`] gives comes from a run that began after it was called. So who asks while a run is
/// under way is not given that one, but waits for the next together with everybody else who does; under load, one run
/// serves many. Runs never overlap. A caller that goes away takes nobody with it: another one of those who share the run
/// does it again.
pub struct Shared<S, T> {
    /// Whoever holds it is running.
    state: AsyncMutex<S>,
    /// The run that has not begun. Whoever asks now takes part in it.
    next: Mutex<Arc<OnceCell<T>>>,
}

impl<S: Default, T> Default for Shared<S, T> {
    fn default() -> Self {
        Self { state: AsyncMutex::default(), next: Mutex::default() }
    }
}

impl<S, T: Clone> Shared<S, T> {
    /// What `work` gives, done by this caller or by another who shares the run; callers pass work of the same meaning.
    pub async fn run(&self, work: impl AsyncFnOnce(&mut S) -> T) -> T {
        let run = Arc::clone(&*self.next());
        let outcome = run.get_or_init(async || {
            let mut state = self.state.lock().await;
            // Those who are at the door already may come in: the run costs the same for many.
            let_others_in().await;
            self.begin(&run);
            work(&mut state).await
        });
        outcome.await.clone()
    }

    /// Closes `run` to those who come from now on. It may be closed already, by a caller that then went away.
    fn begin(&self, run: &Arc<OnceCell<T>>) {
        let mut next = self.next();
        if Arc::ptr_eq(&next, run) {
            *next = Arc::default();
        }
    }

    fn next(&self) -> MutexGuard<'_, Arc<OnceCell<T>>> {
        self.next.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Waits until whatever is ready has run. Twice, because actix-http polls a handler twice in one turn of its connection: the
/// first time would be over before anybody else has had theirs.
async fn let_others_in() {
    yield_now().await;
    yield_now().await;
}

#[cfg(test)]
mod tests {
    use std::pin::{Pin, pin};
    use std::task::{Context, Poll, Waker};

    use std::time::Duration;

    use actix_web::{App, HttpServer, web};
    use futures_util::future::join_all;
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::net::TcpStream;
    use tokio::sync::Semaphore;

    use super::*;

    /// As far as `future` comes by itself.
    fn go<T>(mut future: Pin<&mut impl Future<Output = T>>) -> Poll<T> {
        let polls = (0..5).map(|_| future.as_mut().poll(&mut Context::from_waker(Waker::noop())));
        polls.into_iter().find(Poll::is_ready).unwrap_or(Poll::Pending)
    }

    /// The number of this run, once `gate` lets it end.
    async fn numbered(runs: &mut u32, gate: &Semaphore) -> u32 {
        *runs += 1;
        let number = *runs;
        gate.acquire().await.unwrap().forget();
        number
    }

    #[test]
    fn who_asks_during_a_run_gets_the_next_one() {
        let (shared, gate) = (Shared::<u32, u32>::default(), Semaphore::new(0));
        let mut first = pin!(shared.run(async |runs| numbered(runs, &gate).await));
        assert!(go(first.as_mut()).is_pending());
        let mut second = pin!(shared.run(async |runs| numbered(runs, &gate).await));
        let mut third = pin!(shared.run(async |runs| numbered(runs, &gate).await));
        assert!(go(second.as_mut()).is_pending());
        assert!(go(third.as_mut()).is_pending());

        gate.add_permits(2);
        assert_eq!(go(first.as_mut()), Poll::Ready(1));
        assert_eq!(go(second.as_mut()), Poll::Ready(2));
        assert_eq!(go(third.as_mut()), Poll::Ready(2), "shared with the second");
    }

    #[test]
    fn a_caller_who_goes_away_takes_nobody_with_it() {
        let (shared, gate) = (Shared::<u32, u32>::default(), Semaphore::new(0));
        let mut leader = Box::pin(shared.run(async |runs| numbered(runs, &gate).await));
        assert!(go(leader.as_mut()).is_pending());
        let mut second = Box::pin(shared.run(async |runs| numbered(runs, &gate).await));
        let mut third = pin!(shared.run(async |runs| numbered(runs, &gate).await));
        assert!(go(second.as_mut()).is_pending());
        assert!(go(third.as_mut()).is_pending());

        drop(leader);
        assert!(go(second.as_mut()).is_pending(), "it runs now");
        drop(second);
        gate.add_permits(1);
        assert_eq!(go(third.as_mut()), Poll::Ready(3), "the third run, after two that nobody saw the end of");
    }

    #[tokio::test(flavor = "multi_thread", worker_threads = 4)]
    async fn no_run_is_older_than_its_caller() {
        let shared = Arc::new(Shared::<(), u64>::default());
        let clock = Arc::new(std::sync::atomic::AtomicU64::new(0));
        let callers = (0..8).map(|_| {
            let (shared, clock) = (Arc::clone(&shared), Arc::clone(&clock));
            tokio::spawn(async move {
                for _ in 0..2000 {
                    let asked = clock.fetch_add(1, std::sync::atomic::Ordering::SeqCst);
                    let seen = shared.run(async |()| {
                        let seen = clock.fetch_add(1, std::sync::atomic::Ordering::SeqCst);
                        tokio::task::yield_now().await;
                        seen
                    });
                    assert!(seen.await > asked);
                }
            })
        });
        for caller in join_all(callers).await {
            caller.unwrap();
        }
    }

    /// What came while the worker did something else is answered by one run.
    #[actix_web::test]
    async fn who_is_at_the_door_comes_in() {
        const CLIENTS: usize = 20;
        let shared = Arc::new(Shared::<usize, usize>::default());
        let app = move || {
            let shared = Arc::clone(&shared);
            let count = move || {
                let shared = Arc::clone(&shared);
                async move {
                    shared
                        .run(async |runs| {
                            *runs += 1;
                            *runs
                        })
                        .await
                        .to_string()
                }
            };
            #[expect(clippy::disallowed_methods, reason = "it is to stop the worker")]
            let busy = async || {
                std::thread::sleep(Duration::from_millis(200));
                "done"
            };
            App::new().route("/", web::get().to(count)).route("/busy", web::get().to(busy))
        };
        let server = HttpServer::new(app).workers(1).bind(("127.0.0.1", 0)).unwrap();
        let addr = server.addrs()[0];
        actix_web::rt::spawn(server.run());
        let mut clients = Vec::new();
        for _ in 0..=CLIENTS {
            let mut client = TcpStream::connect(addr).await.unwrap();
            ask(&mut client, "/").await;
            hear(&mut client).await;
            clients.push(client);
        }
        let before = counted(&mut clients[0]).await;
        ask(&mut clients[CLIENTS], "/busy").await;
        tokio::time::sleep(Duration::from_millis(50)).await;
        for client in &mut clients[..CLIENTS] {
            ask(client, "/").await;
        }
        for client in &mut clients {
            hear(client).await;
        }
        let runs = counted(&mut clients[0]).await - before - 1;
        assert!(runs <= CLIENTS / 4, "{runs} runs for {CLIENTS} callers at once");
    }

    async fn ask(client: &mut TcpStream, path: &str) {
        client.write_all(format!("GET {path} HTTP/1.1\r\nHost: x\r\n\r\n").as_bytes()).await.unwrap();
    }

    async fn hear(client: &mut TcpStream) -> String {
        let mut answer = vec![0; 1024];
        let read = client.read(&mut answer).await.unwrap();
        String::from_utf8_lossy(&answer[..read]).into_owned()
    }

    async fn counted(client: &mut TcpStream) -> usize {
        ask(client, "/").await;
        let answer = hear(client).await;
        answer.rsplit("\r\n").next().unwrap().parse().unwrap()
    }
}
