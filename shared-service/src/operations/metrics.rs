//! Metrics of a service for Prometheus, recorded through the facade of the crate `metrics`. A process without an
//! address for metrics records nothing.

use std::future::ready;
use std::io;
use std::sync::{Arc, Mutex as StdMutex, PoisonError, Weak};
use std::time::Duration;

use actix_web::http::header::CONTENT_TYPE;
use actix_web::{HttpResponse, rt, web};
use futures_util::future::{BoxFuture, join_all};
use metrics::{counter, describe_counter, describe_gauge, describe_histogram, gauge, histogram};
use metrics_exporter_prometheus::{BuildError, Matcher, PrometheusBuilder, PrometheusHandle};
use metrics_process::Collector;
use metrics_util::MetricKindMask;
use shared_claims::BearerAuth;
use tokio::sync::Mutex;
use tokio::time::{sleep, timeout};

use crate::http::{at, describe_requests};
use crate::recorder::{RECORDER, STORE_DURATION, VERIFIED};

/// The media type of the Prometheus text format.
const TEXT: &str = "text/plain; version=0.0.4; charset=utf-8";
/// The time limit for reading a gauge; a slower gauge is left out.
const PATIENCE: Duration = Duration::from_secs(1);
/// The boundaries of OpenTelemetry's conventions for `http.server.request.duration`, in seconds.
const BOUNDARIES: [f64; 14] = [0.005, 0.01, 0.025, 0.05, 0.075, 0.1, 0.25, 0.5, 0.75, 1.0, 2.5, 5.0, 7.5, 10.0];
/// The boundaries for store calls, in seconds: a call is faster than a request, and is cancelled after a second.
const STORE_BOUNDARIES: [f64; 10] = [0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 1.0];
/// The interval for moving samples into their buckets; until then each sample takes memory.
const UPKEEP_EVERY: Duration = Duration::from_secs(5);

/// The metrics of all services in this process. Every metrics address exports all of them.
static SHOWN: StdMutex<Vec<Weak<Metrics>>> = StdMutex::new(Vec::new());

/// The service's own metrics, besides those of requests, stores and the process.
pub struct Metrics {
    service: &'static str,
    version: &'static str,
    register: fn(),
    gauges: Vec<Gauge>,
}

/// Reads a gauge and sets it.
type Gauge = Box<dyn Fn() -> BoxFuture<'static, ()> + Send + Sync>;

/// The name and the help text of a metric.
pub type Named = (&'static str, &'static str);

impl Metrics {
    /// Creates the metrics of `service` at `version`, such as `env!("CARGO_PKG_VERSION")`. `register` calls
    /// [`show_counter`] and [`show_timer`] for each counter and timer of the service when recording starts.
    #[must_use]
    pub fn new(service: &'static str, version: &'static str, register: fn()) -> Self {
        Self { service, version, register, gauges: Vec::new() }
    }

    /// Adds a gauge that is read at each scrape; it is left out if `read` gives `None` or takes longer than a second.
    #[must_use]
    pub fn gauge<F>(mut self, (name, help): Named, read: impl Fn() -> F + Send + Sync + 'static) -> Self
    where
        F: Future<Output = Option<f64>> + Send + 'static,
    {
        let service = self.service;
        self.gauges.push(Box::new(move || {
            let read = timeout(PATIENCE, read());
            Box::pin(async move {
                if let Ok(Some(value)) = read.await {
                    describe_gauge!(name, help);
                    gauge!(name, "service" => service).set(value);
                }
            })
        }));
        self
    }

    /// Adds a gauge of a number that is counted in memory.
    #[must_use]
    pub fn count(self, named: Named, read: impl Fn() -> usize + Send + Sync + 'static) -> Self {
        self.gauge(named, move || ready(Some(as_gauge(read()))))
    }

    /// Adds a gauge of an age in seconds; infinite while `read` returns `None`.
    #[must_use]
    pub fn age(self, named: Named, read: impl Fn() -> Option<Duration> + Send + Sync + 'static) -> Self {
        self.gauge(named, move || ready(Some(read().map_or(f64::INFINITY, |age| age.as_secs_f64()))))
    }

    /// Starts recording. Needs a Tokio runtime.
    pub(crate) fn start(self) -> io::Result<Arc<Self>> {
        install().map_err(io::Error::other)?;
        show_counter((VERIFIED, "Requests that need an access token by result"), &BearerAuth::OUTCOMES);
        (self.register)();
        rt::spawn(upkeep());
        Ok(self.shown())
    }

    /// Exports the gauges at each scrape until the result is dropped.
    pub(crate) fn shown(self) -> Arc<Self> {
        let shown = Arc::new(self);
        let mut all = SHOWN.lock().unwrap_or_else(PoisonError::into_inner);
        all.retain(|other| other.strong_count() > 0);
        all.push(Arc::downgrade(&shown));
        shown
    }

    /// Sets each gauge that can be read.
    async fn set(&self) {
        gauge!("build_info", "service" => self.service, "version" => self.version).set(1);
        join_all(self.gauges.iter().map(|gauge| gauge())).await;
    }
}

/// The value of a gauge for `count`, exact up to `u32::MAX` (four thousand million) and capped there.
pub fn as_gauge(count: impl TryInto<u32>) -> f64 {
    f64::from(count.try_into().unwrap_or(u32::MAX))
}

/// Exports a counter for each of `results` at 0: Prometheus cannot see the increase of a series that begins with 1.
pub fn show_counter((name, help): Named, results: &'static [&'static str]) {
    describe_counter!(name, help);
    for result in results {
        drop(counter!(name, "result" => *result));
    }
}

/// Exports a timer before its first sample.
pub fn show_timer((name, help): Named) {
    describe_histogram!(name, help);
    drop(histogram!(name));
}

/// Installs the recorder. A second call changes nothing.
fn install() -> Result<(), BuildError> {
    let builder = PrometheusBuilder::new()
        .set_buckets(&BOUNDARIES)?
        .set_buckets_for_metric(Matcher::Full(STORE_DURATION.to_owned()), &STORE_BOUNDARIES)?
        // A gauge not set since the last scrape is left out.
        .idle_timeout(MetricKindMask::GAUGE, Some(Duration::ZERO));
    RECORDER.get_or_init(|| {
        let recorder = builder.build_recorder();
        let handle = recorder.handle();
        if metrics::set_global_recorder(recorder).is_err() {
            log::warn!("something else in this process collects metrics already; none of ours are shown");
        }
        describe();
        handle
    });
    Ok(())
}

fn describe() {
    describe_requests();
    crate::database::describe_calls();
    describe_gauge!("build_info", "1; the labels say what runs");
    Collector::default().describe();
    describe_gauge!("process_start_time_seconds", "When the process started, in seconds since 1970");
    describe_gauge!("process_resident_memory_bytes", "The memory that the process holds, in bytes");
}

/// Runs the recorder's upkeep at intervals, until the runtime ends.
async fn upkeep() {
    loop {
        sleep(UPKEEP_EVERY).await;
        RECORDER.get().inspect(|recorder| recorder.run_upkeep());
    }
}

/// Adds `GET /metrics`.
pub(crate) fn show(config: &mut web::ServiceConfig) {
    config.service(at("/metrics").get(page));
}

async fn page() -> HttpResponse {
    static SCRAPE: Mutex<()> = Mutex::const_new(());
    // Scrapes run one at a time: a gauge exported by one scrape would be missing from a concurrent one.
    let _turn = SCRAPE.lock().await;
    let shown: Vec<Arc<Metrics>> =
        SHOWN.lock().unwrap_or_else(PoisonError::into_inner).iter().filter_map(Weak::upgrade).collect();
    join_all(shown.iter().map(|shown| shown.set())).await;
    Collector::default().collect();
    let text = RECORDER.get().map(PrometheusHandle::render).unwrap_or_default();
    HttpResponse::Ok().insert_header((CONTENT_TYPE, TEXT)).body(text)
}

#[cfg(test)]
mod tests {
    use actix_web::body::to_bytes;

    use super::*;

    const GUESTS: Named = ("guests", "Guests");

    #[actix_web::test]
    async fn metrics_are_on_the_page_while_the_service_runs() {
        let metrics = Metrics::new("bakery", "1.2.3", || {
            show_counter(("cakes_total", "Cakes by result"), &["eaten", "lost"]);
            show_timer(("baking_seconds", "Time that a cake takes"));
        });
        let metrics = metrics.gauge(GUESTS, || ready(Some(2.5))).gauge(("ghosts", "Not known"), || ready(None));
        let shown = metrics.start().unwrap();
        let other = Metrics::new("inn", "9", || ()).gauge(GUESTS, || ready(Some(1.0))).shown();
        counter!("cakes_total", "result" => "eaten").increment(1);
        histogram!("baking_seconds").record(Duration::from_millis(1500));
        let page = text().await;
        for (part, why) in [
            ("\ncakes_total{result=\"eaten\"} 1\n", "a result"),
            ("\ncakes_total{result=\"lost\"} 0\n", "shown from the start"),
            ("\njwt_verify_total{result=\"stale\"} 0\n", "every service verifies tokens"),
            ("\nbaking_seconds_sum 1.5\n", "a time in seconds"),
            ("\nguests{service=\"bakery\"} 2.5\n", "a gauge"),
            ("\nguests{service=\"inn\"} 1\n", "a gauge of another service"),
            ("\nbuild_info{service=\"bakery\",version=\"1.2.3\"} 1\n", "what runs"),
            ("# HELP process_resident_memory_bytes The memory that", "the last text counts"),
        ] {
            assert_eq!(page.matches(part).count(), 1, "{why}: {page}");
        }
        assert_eq!(page.matches("# TYPE guests ").count(), 1, "a name is explained once: {page}");
        assert!(!page.contains("ghosts{"), "not known: {page}");
        for _ in 0..3 {
            assert!(text().await.contains("guests{service=\"inn\"} 1\n"), "each scrape shows it");
        }
        drop((shown, other));
        assert!(!text().await.contains("guests{"), "no service runs any more");
    }

    #[tokio::test]
    async fn store_call_is_timed_and_its_failure_counted() {
        use crate::database::{StoreError, within};

        install().unwrap();
        within("a store", async { Ok::<_, StoreError>(()) }).await.unwrap();
        within("a store", async { Err::<(), _>(StoreError::unavailable("a store", "down")) }).await.unwrap_err();
        let page = text().await;
        for line in
            [r#"store_call_duration_seconds_count{store="a store"} 2"#, r#"store_errors_total{store="a store"} 1"#]
        {
            assert!(page.lines().any(|shown| shown == line), "{line} in {page}");
        }
    }

    async fn text() -> String {
        String::from_utf8(to_bytes(page().await.into_body()).await.unwrap().to_vec()).unwrap()
    }
}
