use std::io;
use std::pin::pin;

use actix_web::dev::ServerHandle;
use futures_util::future::try_join_all;
use tokio::signal::unix::{Signal, SignalKind, signal};

use super::Running;

/// SIGTERM and Ctrl-C, caught from the creation of this value on, so that a signal during the start is not lost. SIGHUP
/// no longer ends the process: it reloads the TLS files, if there are any.
pub struct ShutdownSignal {
    term: Signal,
    int: Signal,
}

impl ShutdownSignal {
    /// Starts listening for signals. Needs a Tokio runtime.
    ///
    /// # Errors
    /// The signal handlers cannot be installed.
    pub fn listen() -> io::Result<Self> {
        // Tokio never removes the signal handler, and drops a signal that no task waits for.
        drop(signal(SignalKind::hangup())?);
        Ok(Self { term: signal(SignalKind::terminate())?, int: signal(SignalKind::interrupt())? })
    }

    async fn called(&mut self) {
        tokio::select! { _ = self.term.recv() => {}, _ = self.int.recv() => {} }
    }
}

/// Runs the servers that `start` returns until a signal arrives, then finishes the requests in flight. A signal during
/// `start` ends it at once.
///
/// # Errors
/// Those of `start`, or of a server.
pub async fn serve<E: From<io::Error>>(
    mut stop: ShutdownSignal,
    start: impl Future<Output = Result<Vec<Running>, E>>,
) -> Result<(), E> {
    let servers = tokio::select! {
        started = start => started?,
        () = stop.called() => return Ok(()),
    };
    let handles: Vec<ServerHandle> = servers.iter().map(Running::handle).collect();
    let mut serving = pin!(try_join_all(servers.into_iter().map(Running::wait)));
    tokio::select! {
        served = &mut serving => return Ok(served.map(drop)?),
        () = stop.called() => {}
    }
    log::info!("stopping: finishing the requests in flight");
    for handle in handles {
        // `serving`, awaited below, completes when the servers have stopped.
        drop(handle.stop(true));
    }
    Ok(serving.await.map(drop)?)
}
