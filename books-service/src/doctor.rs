use std::io::{self, Write};

use shared_http::clock::now_ms;
use shared_http::doctor::{self, Report, look};
use shared_http::{Settings, start_logging};

use crate::Config;
use crate::app::MIGRATIONS;

/// Looks at all that the service needs, a line each into `out`, and changes nothing; how many lines say FAIL. What is broken
/// hides nothing else.
///
/// # Errors
/// Nobody reads what is said.
pub async fn doctor(mut settings: Settings, out: impl Write) -> io::Result<usize> {
    start_logging(&mut settings);
    let config = Config::read(&mut settings);
    let access = &config.access;
    let mut report = Report::new(out);
    report.tell(doctor::settings(settings))?;
    report.tell([doctor::secret("ACCESS_TOKEN_SECRET", access.secret.as_ref(), access.previous.as_ref())])?;
    report.tell([doctor::certificate(config.server.tls.as_ref(), now_ms())])?;
    report.tell(look("address", async { [doctor::address(&config.server).await] }).await)?;
    report.tell(look("database", doctor::database(&config.database_url, &MIGRATIONS)).await)?;
    Ok(report.failed())
}
