//! `check`: what stands between this machine and a working feed, point by
//! point, each with what to do about it.

use super::by_hand::AccountArguments;
use super::{account, exit, home};
use crate::defender::{Account, Client, Error, Family, Feed, FeedSource, What};
use crate::ingest::{Ask, Instant, Source};
use clap::Args;
use comfy_table::{Attribute, Cell, Color, ContentArrangement, Table, presets};
use secrecy::SecretString;
use serde::Serialize;
use std::io::{self, IsTerminal, Write};
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

const PATIENCE: Duration = Duration::from_secs(20);

/// Tokens are valid from and to an exact second: more than this breaks sign-in
/// by certificate.
const SKEW: i64 = 60;

#[derive(Debug, Args)]
pub struct Arguments {
    #[command(flatten)]
    account: AccountArguments,
    /// splunkd's management address, to test it too
    #[arg(long, value_name = "URL", requires = "session_key_file")]
    splunkd: Option<String>,
    /// File with a session key of splunkd
    #[arg(long, value_name = "FILE")]
    session_key_file: Option<PathBuf>,
    /// Print the result as JSON
    #[arg(long)]
    json: bool,
}

/// How a point turned out.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
enum Verdict {
    Ok,
    /// Works, but not everything one may want does.
    Warning,
    Failed,
}

#[derive(Debug, Serialize)]
struct Point {
    point: String,
    verdict: Verdict,
    said: String,
}

impl Point {
    fn new(point: impl Into<String>, verdict: Verdict, said: impl Into<String>) -> Self {
        Self {
            point: point.into(),
            verdict,
            said: said.into(),
        }
    }
}

pub fn run(arguments: Arguments) -> ExitCode {
    let json = arguments.json;
    let runtime = match tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
    {
        Ok(runtime) => runtime,
        Err(error) => {
            tracing::error!("this process cannot be set up: {error}");
            return exit::own_fault();
        }
    };
    let points = runtime.block_on(examine(arguments));
    let shown = show(&points, json);
    match (
        shown,
        points.iter().all(|point| point.verdict != Verdict::Failed),
    ) {
        (Ok(()), true) => exit::WELL,
        (Ok(()), false) => exit::refused(),
        (Err(_), _) => exit::own_fault(),
    }
}

fn show(points: &[Point], json: bool) -> io::Result<()> {
    let mut out = io::stdout().lock();
    if json {
        serde_json::to_writer_pretty(&mut out, points)?;
        return writeln!(out);
    }
    let mut table = Table::new();
    table.load_style(presets::UTF8_HORIZONTAL_ONLY.to_owned());
    table.set_content_arrangement(ContentArrangement::Dynamic);
    if !out.is_terminal() {
        table.set_width(100);
    }
    for point in points {
        let (mark, colour) = match point.verdict {
            Verdict::Ok => ("ok", Color::Green),
            Verdict::Warning => ("note", Color::Yellow),
            Verdict::Failed => ("FAILED", Color::Red),
        };
        table.add_row([
            Cell::new(mark).fg(colour).add_attribute(Attribute::Bold),
            Cell::new(&point.point),
            Cell::new(&point.said),
        ]);
    }
    writeln!(out, "{table}")
}

async fn examine(arguments: Arguments) -> Vec<Point> {
    let mut points = Vec::new();
    if let (Some(uri), Some(file)) = (&arguments.splunkd, &arguments.session_key_file) {
        points.push(splunkd(uri, file).await);
    }
    match arguments.account.account() {
        Err(error) => points.push(Point::new("account", Verdict::Failed, format!("{error:#}"))),
        Ok(account) => points.extend(defender(&account).await),
    }
    points
}

async fn splunkd(uri: &str, file: &PathBuf) -> Point {
    let asked = async {
        let key = SecretString::from(std::fs::read_to_string(file)?.trim().to_owned());
        let splunkd = account::splunkd(uri, key, PATIENCE)?;
        let info = splunkd.server_info().await?;
        let context = splunkd.current_context().await?;
        anyhow::Ok((info, context))
    };
    match asked.await {
        Err(error) => Point::new("splunkd", Verdict::Failed, format!("{error:#}")),
        Ok((info, context)) => {
            let who = format!("Splunk {} as {}", info.version, context.username);
            if context.can("list_storage_passwords") {
                Point::new("splunkd", Verdict::Ok, who)
            } else {
                let said = format!(
                    "{who}: a role of this user needs the capability list_storage_passwords to \
                     read the account's secret"
                );
                Point::new("splunkd", Verdict::Failed, said)
            }
        }
    }
}

async fn defender(account: &Account) -> Vec<Point> {
    let state = home::state();
    let client = match Client::new(account, Family::Graph, state.as_deref()) {
        Ok(client) => client.patience(PATIENCE),
        Err(error) => return vec![Point::new("account", Verdict::Failed, told(&error))],
    };
    let mut points = Vec::new();
    let granted = match client.permissions().await {
        Err(error) => {
            points.push(Point::new("sign-in", Verdict::Failed, told(&error)));
            return points;
        }
        Ok(granted) => granted,
    };
    points.push(Point::new(
        "sign-in",
        Verdict::Ok,
        format!("tenant {}, {}", account.tenant_id, client.base()),
    ));
    for (permission, what, needed) in [
        ("SecurityAlert.Read.All", "read alerts", true),
        ("SecurityIncident.Read.All", "read incidents", true),
        ("SecurityAlert.ReadWrite.All", "write alerts", false),
        ("SecurityIncident.ReadWrite.All", "write incidents", false),
    ] {
        points.push(permission_point(&granted, permission, what, needed));
    }
    for what in [What::Alerts, What::Incidents] {
        points.push(list(&client, what).await);
    }
    points.push(clock(client.skew()));
    points
}

fn permission_point(granted: &[String], permission: &str, what: &str, needed: bool) -> Point {
    let broader = permission.replace(".Read.", ".ReadWrite.");
    let has = |wanted: &str| granted.iter().any(|granted| granted == wanted);
    let point = format!("permission to {what}");
    if has(permission) || has(&broader) {
        return Point::new(point, Verdict::Ok, permission);
    }
    let advice = format!(
        "the token lacks {permission}: add it to the app registration as an application \
         permission of Microsoft Graph and grant admin consent"
    );
    if needed {
        Point::new(point, Verdict::Failed, advice)
    } else {
        let why = "(only for sending verdicts back)";
        Point::new(point, Verdict::Warning, format!("{advice} {why}"))
    }
}

async fn list(client: &Client, what: What) -> Point {
    let now = Instant::from(jiff::Timestamp::now());
    let ask = Ask {
        from: now.minus(Duration::from_secs(86_400)),
        to: now,
        order: None,
        top: 1,
        skip: 0,
        facets: Vec::new(),
        patient: false,
    };
    let feed = match Feed::new(Family::Graph, what, None, &[]) {
        Ok(feed) => feed,
        Err(error) => return Point::new("feed", Verdict::Failed, error.to_string()),
    };
    let point = format!("one call to {feed}");
    match FeedSource::new(client.clone(), feed).page(&ask).await {
        Ok(page) if page.objects.is_empty() => Point::new(
            point,
            Verdict::Ok,
            "answered; nothing was updated in the last day",
        ),
        Ok(_) => Point::new(point, Verdict::Ok, "answered"),
        Err(error) => Point::new(point, Verdict::Failed, error.to_string()),
    }
}

fn clock(skew: Option<i64>) -> Point {
    match skew {
        None => Point::new("clock", Verdict::Warning, "no answer told the time"),
        Some(skew) if skew.abs() <= SKEW => {
            Point::new("clock", Verdict::Ok, format!("{} s off", skew.abs()))
        }
        Some(skew) => Point::new(
            "clock",
            Verdict::Failed,
            format!(
                "this machine is {} s {} Microsoft's: correct it (NTP), or sign-in will be refused \
                 and the newest objects read late",
                skew.abs(),
                if skew > 0 { "ahead of" } else { "behind" }
            ),
        ),
    }
}

fn told(error: &Error) -> String {
    match error.advice() {
        Some(advice) => format!("{error}; {advice}"),
        None => error.to_string(),
    }
}
