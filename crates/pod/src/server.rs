//! Port 8080: what the controller fetches when all is done.

mod page;

use std::net::{IpAddr, Ipv6Addr, SocketAddr, TcpListener};
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;
use hyper::body::Bytes;
use hyper::header::ACCEPT;
use hyper::{Request, StatusCode};
use serde::Serialize;

use crate::http::{self, Answer};

/// Where the controller looks: port 8080 of all addresses.
pub const RESULTS_ADDRESS: SocketAddr = SocketAddr::new(IpAddr::V6(Ipv6Addr::UNSPECIFIED), 8080);

/// How often `stop` is asked.
const TICK: Duration = Duration::from_millis(100);

/// What the controller and people can fetch.
#[derive(Debug, Clone, Default)]
pub struct Answers {
    /// The machine as KubeVirt YAML; a conversion in place may have none.
    pub vm: Option<Vec<u8>>,
    /// Whether it was a conversion in place.
    pub in_place: bool,
    /// `inspection.xml`, which a controller asks for only if the guest came from vSphere.
    pub inspection: Option<Vec<u8>>,
    /// What becomes a condition of the VM in the migration plan.
    pub warnings: Vec<Warning>,
    /// All that was done, for people.
    pub report: serde_json::Value,
}

/// One thing that went wrong without being the end.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Warning {
    /// A code: `CustomizationFailed`.
    pub reason: String,
    /// For people.
    pub message: String,
}

/// Answers on `address` until somebody asks for `/shutdown` (with any method, as with all paths), or `stop` says so.
///
/// Forklift takes any answer, even an error, as final, and only a refused connection as "not yet": so call this when
/// everything is done, and not before.
///
/// # Errors
/// If the address is taken, or the report cannot be written as JSON.
pub fn serve(
    answers: &Answers,
    address: SocketAddr,
    stop: &dyn Fn() -> bool,
) -> anyhow::Result<()> {
    let listener = http::bind(address, "the results")?;
    serve_on(listener, answers, stop)
}

fn serve_on(
    listener: TcpListener,
    answers: &Answers,
    stop: &dyn Fn() -> bool,
) -> anyhow::Result<()> {
    let handler = Routes::new(answers)?.handler();
    let stopped = async {
        while !stop() {
            tokio::time::sleep(TICK).await;
        }
    };
    http::runtime()?
        .block_on(http::serve(listener, handler, stopped))
        .context("serving the results")
}

/// The answers, made once.
struct Routes {
    vm: Answer,
    inspection: Answer,
    warnings: Answer,
    report: Bytes,
    page: Bytes,
}

impl Routes {
    fn new(answers: &Answers) -> anyhow::Result<Self> {
        let failure = |text| Answer::error(StatusCode::INTERNAL_SERVER_ERROR, text);
        let vm = match &answers.vm {
            Some(yaml) => Answer::ok("text/yaml", yaml.clone()),
            None if answers.in_place => Answer::no_content(),
            None => failure("YAML file path is empty"),
        };
        let inspection = match &answers.inspection {
            Some(xml) => Answer::ok("application/xml", xml.clone()),
            None => failure("there is no inspection of this guest"),
        };
        let warnings = if answers.warnings.is_empty() {
            Answer::no_content()
        } else {
            let list = serde_json::to_vec(&answers.warnings).context("writing the warnings")?;
            Answer::ok("application/json", list)
        };
        let report = serde_json::to_vec_pretty(&answers.report).context("writing the report")?;
        Ok(Self {
            vm,
            inspection,
            warnings,
            report: report.into(),
            page: page::render(&answers.report).into(),
        })
    }

    fn handler(self) -> http::Handler {
        Arc::new(move |request| match request.uri().path() {
            "/vm" => self.vm.clone(),
            "/inspection" => self.inspection.clone(),
            "/warnings" => self.warnings.clone(),
            "/shutdown" => {
                tracing::info!("the results were fetched: the end");
                Answer::no_content().last()
            }
            "/report" if !wants_html(request) => {
                Answer::ok("application/json", self.report.clone())
            }
            "/report.json" => Answer::ok("application/json", self.report.clone()),
            "/report" | "/report.html" => {
                Answer::ok("text/html; charset=utf-8", self.page.clone())
                    // Guests had a say in what is shown, so nothing in it may run, whatever became of escaping.
                    .header("content-security-policy", page::POLICY)
                    .header("x-content-type-options", "nosniff")
            }
            _ => Answer::error(StatusCode::NOT_FOUND, "404 page not found"),
        })
    }
}

fn wants_html(request: &Request<()>) -> bool {
    request
        .headers()
        .get_all(ACCEPT)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(','))
        .any(|media| {
            let media = media.split(';').next().unwrap_or_default();
            media.trim().eq_ignore_ascii_case("text/html")
        })
}

#[cfg(test)]
mod tests;
