use std::io;
use std::pin::pin;

use actix_web::dev::ServerHandle;
use futures_util::future::try_join_all;
use tokio::signal::unix::{Signal, SignalKind, signal};

use super::Running;

/// SIGTERM and Ctrl-C, listened for from the moment that this exists: before anything is started, so that a stop during the
/// start is one too. From then on SIGHUP ends nothing: it asks for the TLS files to be read again, where there are any.
pub struct ShutdownSignal {
    term: Signal,
    int: Signal,
}

impl ShutdownSignal {
    /// Begins to listen. Needs a Tokio runtime.
    ///
    /// # Errors
    /// The signals cannot be had.
    pub fn listen() -> io::Result<Self> {
        // Tokio takes the signal for good, and drops one that no task waits for.
        drop(signal(SignalKind::hangup())?);
        Ok(Self { term: signal(SignalKind::terminate())?, int: signal(SignalKind::interrupt())? })
    }

    async fn called(&mut self) {
        tokio::select! { _ = self.term.recv() => {}, _ = self.int.recv() => {} }
    }
}

/// Serves what `start` starts until `stop` is called, then finishes what is in flight. A stop that comes before the start
/// is over ends it there.
///
/// # Errors
/// The start's, or that of a server that fails.
pub async fn serve<E: From<io::Error>>(
    mut stop: ShutdownSignal,
    start: impl Future<Output = Result<Vec<Running>, E>>,
) -> Result<(), E> {
    let servers = tokio::select! {
        started = start => started?,
        () = stop.called() => return Ok(()),
    };
    Ok(until_stopped(stop, servers).await?)
}

async fn until_stopped(mut stop: ShutdownSignal, servers: Vec<Running>) -> io::Result<()> {
    let handles: Vec<ServerHandle> = servers.iter().map(Running::handle).collect();
    let mut serving = pin!(try_join_all(servers.into_iter().map(Running::wait)));
    tokio::select! {
        served = &mut serving => return served.map(drop),
        () = stop.called() => {}
    }
    log::info!("stopping: finishing what is in flight");
    for handle in handles {
        // The order is given here; `serving` carries it out.
        drop(handle.stop(true));
    }
    serving.await.map(drop)
}
