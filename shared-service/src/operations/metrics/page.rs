use std::io;
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::time::Duration;

use actix_web::http::header::CONTENT_TYPE;
use actix_web::{HttpResponse, rt, web};
use futures_util::future::{BoxFuture, join_all};

use super::lines::{Line, of_process, write_lines};
use super::{Outcomes, RECORDER, Timing, start, upkeep};
use crate::http::at;
use crate::operations::access::VERIFIED;

/// The media type of Prometheus's text.
const TEXT: &str = "text/plain; version=0.0.4; charset=utf-8";
/// A gauge that takes longer is left out.
const PATIENCE: Duration = Duration::from_secs(1);

/// The gauges of all services that run in this process.
static SHOWN: Mutex<Vec<Weak<Shown>>> = Mutex::new(Vec::new());

/// What a service shows of its own, beside its requests and its stores.
pub struct Metrics {
    version: &'static str,
    gauges: Vec<Gauge>,
    outcomes: Vec<&'static Outcomes>,
    timings: Vec<&'static Timing>,
}

/// The same, while the service `service` runs.
pub(crate) struct Shown {
    service: &'static str,
    version: &'static str,
    gauges: Vec<Gauge>,
}

struct Gauge {
    name: &'static str,
    help: &'static str,
    look: Box<dyn Fn() -> BoxFuture<'static, Option<f64>> + Send + Sync>,
}

impl Metrics {
    /// Of a program of this version, such as `env!("CARGO_PKG_VERSION")`.
    #[must_use]
    pub fn new(version: &'static str) -> Self {
        Self { version, gauges: Vec::new(), outcomes: vec![&VERIFIED], timings: Vec::new() }
    }

    /// Adds a number that is looked up whenever somebody asks, and left out where it is `None` or takes longer than a second.
    #[must_use]
    pub fn gauge<F>(
        mut self,
        name: &'static str,
        help: &'static str,
        look: impl Fn() -> F + Send + Sync + 'static,
    ) -> Self
    where
        F: Future<Output = Option<f64>> + Send + 'static,
    {
        self.gauges.push(Gauge { name, help, look: Box::new(move || Box::pin(look())) });
        self
    }

    /// Shows a counter from the start, at 0.
    #[must_use]
    pub fn counter(mut self, outcomes: &'static Outcomes) -> Self {
        self.outcomes.push(outcomes);
        self
    }

    /// Shows a timer from the start.
    #[must_use]
    pub fn timing(mut self, timing: &'static Timing) -> Self {
        self.timings.push(timing);
        self
    }

    /// Begins to count, for the service `service`. Needs a Tokio runtime.
    ///
    /// # Errors
    /// The collector refuses its own set-up.
    pub(crate) fn start(self, service: &'static str) -> io::Result<Arc<Shown>> {
        start()?;
        for outcomes in &self.outcomes {
            outcomes.counters();
        }
        for timing in &self.timings {
            timing.times();
        }
        rt::spawn(upkeep());
        Ok(self.shown(service))
    }

    /// Shows the gauges wherever somebody asks, until the answer is dropped.
    pub(crate) fn shown(self, service: &'static str) -> Arc<Shown> {
        let shown = Arc::new(Shown { service, version: self.version, gauges: self.gauges });
        let mut all = SHOWN.lock().unwrap_or_else(PoisonError::into_inner);
        all.retain(|other| other.strong_count() > 0);
        all.push(Arc::downgrade(&shown));
        shown
    }
}

/// Adds `GET /metrics`.
pub(crate) fn show(config: &mut web::ServiceConfig) {
    config.service(at("/metrics").get(page));
}

async fn page() -> HttpResponse {
    let mut text = RECORDER.get().map(metrics_exporter_prometheus::PrometheusHandle::render).unwrap_or_default();
    let shown: Vec<Arc<Shown>> =
        SHOWN.lock().unwrap_or_else(PoisonError::into_inner).iter().filter_map(Weak::upgrade).collect();
    let mut lines: Vec<Line> = join_all(shown.iter().map(|shown| shown.lines())).await.into_iter().flatten().collect();
    lines.extend(of_process());
    // The lines of one name stand together, whichever service they are of.
    lines.sort_by_key(|line| line.name);
    write_lines(&mut text, &lines);
    HttpResponse::Ok().insert_header((CONTENT_TYPE, TEXT)).body(text)
}

impl Shown {
    async fn lines(&self) -> Vec<Line> {
        let of_service = format!("{{service=\"{}\"}}", self.service);
        let looks = self.gauges.iter().map(|gauge| async {
            let value = tokio::time::timeout(PATIENCE, (gauge.look)()).await.ok()??;
            Some(Line { name: gauge.name, help: gauge.help, labels: of_service.clone(), value })
        });
        let build = Line {
            name: "build_info",
            help: "1; the labels say what runs",
            labels: format!("{{service=\"{}\",version=\"{}\"}}", self.service, self.version),
            value: 1.0,
        };
        join_all(looks).await.into_iter().flatten().chain([build]).collect()
    }
}

#[cfg(test)]
mod tests {
    use actix_web::body::to_bytes;

    use super::*;

    static CAKES: Outcomes = Outcomes::new("cakes_total", "Cakes, by what came of them", &["eaten", "lost"]);
    static BAKING: Timing = Timing::new("baking_seconds", "Time that a cake takes");

    #[actix_web::test]
    async fn what_a_service_shows_is_on_the_page_while_it_runs() {
        let metrics = Metrics::new("1.2.3").counter(&CAKES).timing(&BAKING);
        let metrics = metrics.gauge("guests", "Guests", || std::future::ready(Some(2.5)));
        let metrics = metrics.gauge("ghosts", "Nobody knows", || std::future::ready(None));
        let shown = metrics.start("bakery").unwrap();
        let other = Metrics::new("9").gauge("guests", "Guests", || std::future::ready(Some(1.0))).shown("inn");
        CAKES.count("eaten");
        CAKES.count("stolen");
        BAKING.took(Duration::from_millis(1500));
        let page = text().await;
        for (part, why) in [
            ("\ncakes_total{result=\"eaten\"} 1\n", "a result"),
            ("\ncakes_total{result=\"lost\"} 1\n", "the last takes what is unknown"),
            ("\nbaking_seconds_sum 1.5\n", "a time in seconds"),
            ("\nguests{service=\"bakery\"} 2.5\nguests{service=\"inn\"} 1\n", "one name, two services"),
            ("\nbuild_info{service=\"bakery\",version=\"1.2.3\"} 1\n", "what runs"),
        ] {
            assert_eq!(page.matches(part).count(), 1, "{why}: {page}");
        }
        assert_eq!(page.matches("# TYPE guests ").count(), 1, "a name is explained once: {page}");
        assert!(!page.contains("ghosts"), "nobody knows: {page}");
        drop((shown, other));
        assert!(!text().await.contains("guests"), "nobody runs any more");
    }

    async fn text() -> String {
        String::from_utf8(to_bytes(page().await.into_body()).await.unwrap().to_vec()).unwrap()
    }
}
