use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::{Mutex as AsyncMutex, OnceCell};
use tokio::task::yield_now;

/// Work done once for all callers that wait for it.
///
/// The guarantee that other single-flight caches lack: the result of [`SingleFlight::run`] comes from a run that began
/// after the call. A caller that arrives during a run waits for the next run, which it shares with all others that
/// arrive meanwhile. Runs never overlap. If the caller that does the work is cancelled, another caller of the run
/// starts it again.
pub struct SingleFlight<T> {
    /// Held during a run.
    running: AsyncMutex<()>,
    /// The next run, not started yet.
    next: Mutex<Arc<OnceCell<T>>>,
}

impl<T> Default for SingleFlight<T> {
    fn default() -> Self {
        Self { running: AsyncMutex::default(), next: Mutex::default() }
    }
}

impl<T: Clone> SingleFlight<T> {
    /// Returns the result of `work`, done by this caller or by another caller of the same run. All callers must pass
    /// equivalent work.
    pub async fn run(&self, work: impl AsyncFnOnce() -> T) -> T {
        let run = Arc::clone(&*self.next());
        // Boxed, so that callers that only wait do not carry the state of the work.
        let outcome = run.get_or_init(|| {
            Box::pin(async {
                let _running = self.running.lock().await;
                // Requests that have arrived already can join the run: its cost does not depend on their number. Twice,
                // because actix-http polls a handler twice in one turn of its connection, so that the first yield does
                // not reach the other connections.
                yield_now().await;
                yield_now().await;
                self.begin(&run);
                work().await
            })
        });
        outcome.await.clone()
    }

    /// Closes `run` to later callers. A cancelled caller may have closed it already.
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

#[cfg(test)]
mod tests {
    use std::pin::{Pin, pin};
    use std::sync::Barrier;
    use std::sync::atomic::AtomicU32;
    use std::sync::atomic::Ordering::SeqCst;
    use std::task::{Context, Poll, Waker};

    use actix_web::{App, HttpServer, web};
    use futures_util::future::join_all;
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::net::TcpStream;
    use tokio::sync::Semaphore;

    use super::*;

    /// Polls `future` until it is ready, five times at most.
    fn go<T>(mut future: Pin<&mut impl Future<Output = T>>) -> Poll<T> {
        let polls = (0..5).map(|_| future.as_mut().poll(&mut Context::from_waker(Waker::noop())));
        polls.into_iter().find(Poll::is_ready).unwrap_or(Poll::Pending)
    }

    /// Returns the number of this run as soon as `gate` has a permit for it.
    async fn numbered(runs: &AtomicU32, gate: &Semaphore) -> u32 {
        let number = runs.fetch_add(1, SeqCst) + 1;
        gate.acquire().await.unwrap().forget();
        number
    }

    #[test]
    fn caller_during_a_run_gets_the_next_one() {
        let (flight, runs, gate) = (SingleFlight::<u32>::default(), AtomicU32::new(0), Semaphore::new(0));
        let mut first = pin!(flight.run(async || numbered(&runs, &gate).await));
        assert!(go(first.as_mut()).is_pending());
        let mut second = pin!(flight.run(async || numbered(&runs, &gate).await));
        let mut third = pin!(flight.run(async || numbered(&runs, &gate).await));
        assert!(go(second.as_mut()).is_pending());
        assert!(go(third.as_mut()).is_pending());

        gate.add_permits(2);
        assert_eq!(go(first.as_mut()), Poll::Ready(1));
        assert_eq!(go(second.as_mut()), Poll::Ready(2));
        assert_eq!(go(third.as_mut()), Poll::Ready(2), "shared with the second");
    }

    #[test]
    fn dropped_caller_leaves_the_run_to_another() {
        let (flight, runs, gate) = (SingleFlight::<u32>::default(), AtomicU32::new(0), Semaphore::new(0));
        let mut leader = Box::pin(flight.run(async || numbered(&runs, &gate).await));
        assert!(go(leader.as_mut()).is_pending());
        let mut second = Box::pin(flight.run(async || numbered(&runs, &gate).await));
        let mut third = pin!(flight.run(async || numbered(&runs, &gate).await));
        assert!(go(second.as_mut()).is_pending());
        assert!(go(third.as_mut()).is_pending());

        drop(leader);
        assert!(go(second.as_mut()).is_pending(), "it runs now");
        drop(second);
        gate.add_permits(1);
        assert_eq!(go(third.as_mut()), Poll::Ready(3), "the third run, after two that were dropped");
    }

    #[tokio::test(flavor = "multi_thread", worker_threads = 4)]
    async fn run_begins_after_its_callers() {
        let flight = Arc::new(SingleFlight::<u32>::default());
        let clock = Arc::new(AtomicU32::new(0));
        let callers = (0..8).map(|_| {
            let (flight, clock) = (Arc::clone(&flight), Arc::clone(&clock));
            tokio::spawn(async move {
                for _ in 0..2000 {
                    let asked = clock.fetch_add(1, SeqCst);
                    let seen = flight.run(async || {
                        let seen = clock.fetch_add(1, SeqCst);
                        yield_now().await;
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

    #[actix_web::test]
    async fn requests_that_arrived_already_share_a_run() {
        const CLIENTS: usize = 20;
        let flight = Arc::new((SingleFlight::<u32>::default(), AtomicU32::new(0)));
        let gates = Arc::new([Barrier::new(2), Barrier::new(2)]);
        let stopped = Arc::clone(&gates);
        let app = move || {
            let flight = Arc::clone(&flight);
            let count = move || {
                let flight = Arc::clone(&flight);
                async move { flight.0.run(async || flight.1.fetch_add(1, SeqCst)).await.to_string() }
            };
            let gates = Arc::clone(&stopped);
            let busy = move || {
                let gates = Arc::clone(&gates);
                async move {
                    gates[0].wait();
                    gates[1].wait();
                    "done"
                }
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
        // The only worker is blocked between the two barriers and serves no other request.
        gates[0].wait();
        for client in &mut clients[..CLIENTS] {
            ask(client, "/").await;
        }
        gates[1].wait();
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
