//! A splunkd: its REST interface on loopback with splunkd's own kind of
//! certificate, and the starting of inputs and alert actions as it does it.
//! JSON shapes from Splunk's REST reference and SDKs.

use super::endpoint::Served;
use super::https::{self, Answer, Asked, Authority, Server};
use super::instants;
use super::kvstore::{self, KvStore};
use super::objects::TENANT_ID;
use super::process::{self, Reading, Run, Running};
use super::results;
use super::signin::{CLIENT_ID, CLIENT_SECRET};
use super::tenant::{self, Tenant};
use hyper::Method;
use serde_json::{Map, Value, json};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::{Arc, Mutex, MutexGuard};

pub const APP: &str = "defender_bridge";
pub const SESSION_KEY: &str = "Kx7^session_key_of_splunk-system-user_9q";
/// Key of an analyst who may triage, but not list stored passwords.
pub const ANALYST_KEY: &str = "Kx7^session_key_of_an_analyst_4z";
/// Key of somebody who may only look.
pub const READER_KEY: &str = "Kx7^session_key_of_a_reader_9q";
/// Key of somebody who may triage and list stored passwords, but sends no events.
pub const KEEPER_KEY: &str = "Kx7^session_key_of_a_keeper_7c";

/// Key of somebody who may hunt, and nothing else.
pub const HUNTER_KEY: &str = "Kx7^session_key_of_a_hunter_2h";

type Stanza = BTreeMap<String, String>;

/// One request splunkd's REST interface got.
#[derive(Debug, Clone)]
pub struct Received {
    pub method: String,
    pub path: String,
    pub target: String,
    pub query: BTreeMap<String, String>,
    pub body: String,
    pub status: u16,
}

#[derive(Default)]
struct State {
    confs: BTreeMap<String, BTreeMap<String, Stanza>>,
    /// User name in realm `defender_bridge` to clear text.
    passwords: BTreeMap<String, String>,
    received: Vec<Received>,
    /// Answers receivers/simple with this instead.
    receivers_fail: Option<u16>,
    /// Takes so many more events, then answers none.
    receivers_left: Option<usize>,
    busy: usize,
    /// Answers so many requests with this status and body instead.
    instead: Option<(usize, u16, String)>,
    /// What receivers/simple says, while it takes nothing.
    receivers_say: Option<(u16, String)>,
    /// Messages beside the results of every search: type and text.
    search_says: Vec<(String, String)>,
    /// The app's REST endpoint, if it is served.
    endpoint: Option<Arc<Served>>,
    /// Refuses the endpoint's next requests with these.
    endpoint_fails: Vec<u16>,
    /// Answers this when asked whether the endpoint is there.
    ping: Option<(u16, Value)>,
    /// The ACL of the stored secrets is open to every role.
    acl_open: bool,
    /// Bytes of the largest body splunkd takes for the endpoint.
    largest: Option<usize>,
    /// Name and GUID, where they are not the usual ones.
    named: Option<[String; 2]>,
    kvstore: Option<KvStore>,
    /// Where a path or a search has this in it, this is answered; none: nothing ever.
    odd: Vec<(String, Option<(u16, String)>)>,
}

/// The stand-in, with its home directory.
pub struct Splunkd {
    state: Arc<Mutex<State>>,
    server: Server,
    /// Under which it is told where it listens, if not under its address.
    host: Option<String>,
    home: tempfile::TempDir,
    inputs: Vec<(String, Vec<(String, String)>)>,
    environment: Vec<(String, String)>,
    /// What a shell does before it becomes the executable.
    under: Option<String>,
}

impl Splunkd {
    pub fn new() -> Self {
        let state = Arc::new(Mutex::new(State::default()));
        let authority = Authority::new("SplunkServerDefaultCert", &[]);
        let shared = state.clone();
        let server = Server::start(
            Some(authority.tls.clone()),
            Arc::new(move |asked| Box::pin(answer(shared.clone(), asked)) as Answer),
        );
        let home = tempfile::tempdir().unwrap();
        for part in [
            "etc/auth",
            "etc/apps/defender_bridge/local",
            "var/log/splunk",
            "var/spool/splunk",
            "var/run/splunk/dispatch/scheduler__1",
            "var/lib/splunk/modinputs/defender_bridge",
        ] {
            std::fs::create_dir_all(home.path().join(part)).unwrap();
        }
        std::fs::write(home.path().join("etc/auth/cacert.pem"), &authority.pem).unwrap();
        Self {
            state,
            server,
            host: None,
            home,
            inputs: Vec::new(),
            environment: Vec::new(),
            under: None,
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap()
    }

    /// An account with a client secret for `tenant`.
    pub fn account(self, name: &str, tenant: &Tenant) -> Self {
        self.account_at(
            name,
            &tenant.url(),
            &tenant.ca_file().display().to_string(),
            [TENANT_ID, CLIENT_ID, CLIENT_SECRET],
        )
    }

    /// An account with tenant id, client id and client secret for what listens at `url`.
    pub fn account_at(
        self,
        name: &str,
        url: &str,
        ca_file: &str,
        [tenant_id, client_id, secret]: [&str; 3],
    ) -> Self {
        for (key, value) in [
            ("tenant_id", tenant_id),
            ("client_id", client_id),
            ("auth", "secret"),
            ("cloud", "custom"),
            ("login_url", url),
            ("graph_url", url),
            ("mde_url", url),
            ("xdr_url", url),
            ("ca_file", ca_file),
        ] {
            self.set("account", name, key, value);
        }
        self.set_password(name, secret);
        self
    }

    /// `[defender_bridge://<name>]`; what is not given has splunkd's default.
    pub fn input<'p>(
        mut self,
        name: &str,
        parameters: impl IntoIterator<Item = (&'p str, &'p str)>,
    ) -> Self {
        let parameters = parameters
            .into_iter()
            .map(|(key, value)| (key.to_owned(), value.to_owned()))
            .collect();
        self.inputs.retain(|(other, _)| other != name);
        self.inputs.push((name.to_owned(), parameters));
        self
    }

    /// `inputs.conf` as the REST API shows it.
    pub fn showing_inputs(self) -> Self {
        let stanzas = self.inputs.iter().map(|(name, given)| {
            let settings = given.iter().cloned().collect();
            (format!("{APP}://{name}"), settings)
        });
        let stanzas = stanzas.collect();
        self.state().confs.insert("inputs".to_owned(), stanzas);
        self
    }

    pub fn without_inputs(mut self) -> Self {
        self.inputs.clear();
        self
    }

    /// One of several servers.
    pub fn named(self, name: &str, guid: &str) -> Self {
        self.state().named = Some([name, guid].map(str::to_owned));
        self
    }

    /// With the KV store that it shares with others.
    pub fn with_kvstore(self, kvstore: &KvStore) -> Self {
        self.state().kvstore = Some(kvstore.clone());
        self
    }

    /// The usual: account `contoso`, input `feed` on it.
    pub fn reading(tenant: &Tenant, feed: tenant::Feed) -> Self {
        Self::reading_with(tenant, feed, &[])
    }

    /// The usual, with some parameters of the input set.
    pub fn reading_with(tenant: &Tenant, feed: tenant::Feed, more: &[(&str, &str)]) -> Self {
        let parameters = feed
            .input()
            .into_iter()
            .chain([("account", "contoso")])
            .chain(more.iter().copied());
        Self::new()
            .account("contoso", tenant)
            .input("feed", parameters)
    }

    /// Sets a key of `defender_bridge_<conf>.conf`.
    pub fn set(&self, conf: &str, stanza: &str, key: &str, value: &str) {
        self.state()
            .confs
            .entry(format!("{APP}_{conf}"))
            .or_default()
            .entry(stanza.to_owned())
            .or_default()
            .insert(key.to_owned(), value.to_owned());
    }

    /// Stores a password, in pieces where it is longer than 255 bytes.
    pub fn set_password(&self, user: &str, value: &str) {
        let passwords = &mut self.state().passwords;
        passwords.retain(|name, _| name != user && !name.starts_with(&format!("{user}#")));
        if value.len() <= 255 {
            passwords.insert(user.to_owned(), value.to_owned());
            return;
        }
        for (number, piece) in value.as_bytes().chunks(255).enumerate() {
            passwords.insert(
                format!("{user}#{}", number + 1),
                String::from_utf8(piece.to_vec()).unwrap(),
            );
        }
    }

    /// An event somebody else sent to the index under a sourcetype of the app's.
    pub fn plant(&self, sourcetype: &str, source: &str, body: &str) {
        self.state().received.push(Received {
            method: "POST".to_owned(),
            path: "/services/receivers/simple".to_owned(),
            target: String::new(),
            query: [("sourcetype", sourcetype), ("source", source)]
                .map(|(name, value)| (name.to_owned(), value.to_owned()))
                .into(),
            body: body.to_owned(),
            status: 200,
        });
    }

    pub fn forget_password(&self, user: &str) {
        self.state().passwords.remove(user);
    }

    pub fn fail_receivers(&self, status: u16) {
        self.state().receivers_fail = Some(status);
    }

    /// Takes so many more events, and answers none after them.
    pub fn stall_receivers_after(&self, events: usize) {
        self.state().receivers_left = Some(events);
    }

    pub fn mend_receivers(&self) {
        let mut state = self.state();
        state.receivers_fail = None;
        state.receivers_left = None;
        state.receivers_say = None;
    }

    /// Answers 503 to so many requests, as splunkd does while it starts.
    pub fn be_busy(&self, requests: usize) {
        self.state().busy = requests;
    }

    /// Answers so many requests with this status and body.
    pub fn answer_instead(&self, requests: usize, status: u16, body: &str) {
        self.state().instead = Some((requests, status, body.to_owned()));
    }

    /// Something else answers in the place of receivers/simple, and takes nothing.
    pub fn let_receivers_say(&self, status: u16, body: &str) {
        self.state().receivers_say = Some((status, body.to_owned()));
    }

    /// Answers this to whatever has `part` in its path or search; none: hangs.
    pub fn be_odd(&self, part: &str, answer: Option<(u16, String)>) {
        self.state().odd.push((part.to_owned(), answer));
    }

    /// Says this beside the results of every search.
    pub fn let_searches_say(&self, kind: &str, text: &str) {
        let said = (kind.to_owned(), text.to_owned());
        self.state().search_says.push(said);
    }

    /// Says that it listens under this host, or below this path of it.
    pub fn known_as(mut self, host: &str) -> Self {
        self.host = Some(host.to_owned());
        self
    }

    /// Serves the app's REST endpoint, as restmap.conf has it.
    pub fn serving(self) -> Self {
        let (home, environment) = (self.home(), self.environment.clone());
        let under = self.under.clone();
        let start = move || {
            let mut command = command_in(&home, &environment, under.as_deref());
            command.arg("rest").env("DEFENDER_BRIDGE_ROLE", "rest");
            command
        };
        self.state().endpoint = Some(Arc::new(Served::by(start)));
        self
    }

    /// How many processes the endpoint has had.
    pub fn endpoint_processes(&self) -> usize {
        let endpoint = self.state().endpoint.clone();
        endpoint.map_or(0, |endpoint| endpoint.started())
    }

    /// Refuses the endpoint's next errands with these, one each.
    pub fn fail_endpoint(&self, statuses: &[u16]) {
        self.state().endpoint_fails = statuses.iter().rev().copied().collect();
    }

    /// Answers this when asked whether the endpoint is there.
    pub fn answer_ping(&self, status: u16, body: Value) {
        self.state().ping = Some((status, body));
    }

    /// As with `[passwords] access = read : [ * ]` in metadata/local.meta.
    pub fn open_acl(&self) {
        self.state().acl_open = true;
    }

    /// Takes no larger body for the endpoint.
    pub fn take_at_most(&self, bytes: usize) {
        self.state().largest = Some(bytes);
    }

    /// Requests to one place below the endpoint.
    pub fn asked_of_endpoint(&self, place: &str) -> Vec<Received> {
        let path = format!("/services/{APP}/{place}");
        let received = self.received().into_iter();
        received.filter(|got| got.path == path).collect()
    }

    pub fn with_environment(mut self, name: &str, value: &str) -> Self {
        self.environment.push((name.to_owned(), value.to_owned()));
        self
    }

    /// Starts everything as a shell does that was told this, such as `umask 000`. Before [`Self::serving`].
    pub fn under(mut self, setting: &str) -> Self {
        self.under = Some(setting.to_owned());
        self
    }

    pub fn url(&self) -> String {
        match &self.host {
            Some(host) => format!("https://{host}:{}", self.server.address.port()),
            None => format!("https://{}", self.server.address),
        }
    }

    pub fn home(&self) -> PathBuf {
        self.home.path().to_owned()
    }

    pub fn checkpoint_dir(&self) -> PathBuf {
        self.home
            .path()
            .join("var/lib/splunk/modinputs/defender_bridge")
    }

    /// Every checkpoint with its content. The call budget beside them is none: it
    /// tells what was called, not what was read.
    pub fn checkpoints(&self) -> BTreeMap<PathBuf, Vec<u8>> {
        let mut files = files_under(&self.checkpoint_dir());
        files.retain(|path, _| !is_budget(path));
        files
    }

    /// As if the minute or hour of every limit were over.
    pub fn forget_budget(&self) {
        for path in files_under(&self.home())
            .into_keys()
            .filter(|path| is_budget(path))
        {
            std::fs::remove_file(path).unwrap();
        }
    }

    /// From now on nothing counts calls that were made: a test of a thousand rows
    /// cannot wait for the minutes Microsoft would make it wait. Takes effect on the
    /// budgets that have been used before.
    #[cfg(unix)]
    pub fn lift_budget(&self) {
        let mut budgets = files_under(&self.home());
        budgets.retain(|path, _| is_budget(path));
        assert!(!budgets.is_empty(), "no budget has been used yet");
        for path in budgets.into_keys() {
            std::fs::remove_file(&path).unwrap();
            std::os::unix::fs::symlink("/dev/null", path).unwrap();
        }
    }

    /// Whatever a checkpoint puts off to a later time is due now.
    pub fn let_every_wait_be_over(&self) {
        for (path, content) in self.checkpoints() {
            if let Ok(mut value) = serde_json::from_slice(&content) {
                bring_forward(&mut value);
                std::fs::write(path, value.to_string()).unwrap();
            }
        }
    }

    /// What waits for splunkd to take it, line by line.
    pub fn spooled(&self) -> Vec<String> {
        let files = files_under(&self.home().join("var/run/splunk/defender_bridge/spool"));
        let texts = files.into_values();
        let texts = texts.map(|text| String::from_utf8(text).unwrap());
        let lines = texts.flat_map(|text| text.lines().map(str::to_owned).collect::<Vec<_>>());
        lines.collect()
    }

    pub fn log_file(&self, name: &str) -> String {
        let path = self.home.path().join("var/log/splunk").join(name);
        std::fs::read_to_string(path).unwrap_or_default()
    }

    pub fn received(&self) -> Vec<Received> {
        self.state().received.clone()
    }

    /// As if nothing had been asked so far.
    pub fn forget(&self) {
        self.state().received.clear();
    }

    /// Bodies posted to receivers/simple.
    pub fn indexed(&self) -> Vec<Received> {
        self.received()
            .into_iter()
            .filter(|got| got.path == "/services/receivers/simple" && got.status < 300)
            .collect()
    }

    /// The executable installed below the home, as splunkd starts it there.
    #[cfg(unix)]
    pub fn installed(&self) -> (PathBuf, Command) {
        let app = self.home().join("etc/apps/defender_bridge");
        let path = app.join("bin/defender_bridge");
        if !path.exists() {
            std::fs::create_dir_all(app.join("bin")).unwrap();
            std::fs::create_dir_all(app.join("default")).unwrap();
            std::fs::write(app.join("default/app.conf"), "").unwrap();
            let built = Path::new(env!("CARGO_BIN_EXE_defender_bridge"));
            assert!(written_over(&path, built), "{}", path.display());
        }
        let theirs = self.command();
        let mut command = Command::new(&path);
        command.env_clear().current_dir(self.home.path());
        for (name, value) in theirs.get_envs() {
            if let (Some(value), true) = (value, name != "DEFENDER_BRIDGE_IN_PLACE") {
                command.env(name, value);
            }
        }
        (path, command)
    }

    /// The executable in the environment splunkd gives it.
    pub fn command(&self) -> Command {
        command_in(self.home.path(), &self.environment, self.under.as_deref())
    }

    fn head(&self) -> String {
        format!(
            "<server_host>sh1</server_host>\n  <server_uri>{}</server_uri>\n  \
             <session_key>{}</session_key>\n  <checkpoint_dir>{}</checkpoint_dir>",
            self.url(),
            escape(SESSION_KEY),
            self.checkpoint_dir().display()
        )
    }

    /// The document of a run, as splunkd writes it.
    pub fn input_document(&self) -> String {
        let mut stanzas = String::new();
        for (name, given) in &self.inputs {
            let mut parameters: Stanza = [
                ("disabled", "0"),
                ("host", "$decideOnStartup"),
                ("index", "main"),
                ("interval", "60"),
                ("start_by_shell", "false"),
            ]
            .map(|(key, value)| (key.to_owned(), value.to_owned()))
            .into();
            parameters.extend(given.iter().cloned());
            stanzas += &format!(
                "    <stanza name=\"{APP}://{}\" app=\"{APP}\">\n{}    </stanza>\n",
                escape(name),
                parameter_elements(&parameters)
            );
        }
        format!(
            "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<input>\n  {}\n  <configuration>\n\
             {stanzas}  </configuration>\n</input>\n",
            self.head()
        )
    }

    /// The document of a validation of one stanza.
    pub fn validation_document(&self) -> String {
        let (name, given) = &self.inputs[0];
        format!(
            "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<items>\n  {}\n  <item name=\"{}\">\n{}  \
             </item>\n</items>\n",
            self.head(),
            escape(name),
            parameter_elements(&given.iter().cloned().collect())
        )
    }

    /// Runs the input once, to its end.
    pub fn run(&self) -> Run {
        self.start(Reading::Steady).finish()
    }

    pub fn start(&self, reading: Reading) -> Running {
        process::start(self.command(), self.input_document().as_bytes(), reading)
    }

    /// Runs the input with a document of any bytes.
    pub fn run_document(&self, document: &[u8]) -> Run {
        process::start(self.command(), document, Reading::Steady).finish()
    }

    /// The same, with the end of stdin after it.
    pub fn run_closed(&self, document: &[u8]) -> Run {
        let mut running = process::start(self.command(), document, Reading::Steady);
        running.close_stdin();
        running.finish()
    }

    pub fn validate(&self) -> Run {
        self.validate_document(self.validation_document().as_bytes())
    }

    pub fn validate_document(&self, document: &[u8]) -> Run {
        let mut command = self.command();
        command.arg("--validate-arguments");
        process::start(command, document, Reading::Steady).finish()
    }

    /// A way to run with arguments of any kind.
    pub fn run_arguments(&self, arguments: &[&str]) -> Run {
        let mut command = self.command();
        command.args(arguments);
        let mut running = process::start(command, b"", Reading::Steady);
        running.close_stdin();
        running.finish()
    }

    /// Runs the alert action over rows, as the scheduler does.
    pub fn alert(&self, alert: &Alert<'_>) -> Run {
        self.start_alert(alert).finish()
    }

    pub fn start_alert(&self, alert: &Alert<'_>) -> Running {
        let directory = self
            .home
            .path()
            .join("var/run/splunk/dispatch")
            .join(alert.sid);
        std::fs::create_dir_all(&directory).unwrap();
        let file = directory.join("results.csv.gz");
        results::write(&file, alert.header, alert.rows);
        let mut configuration = Map::new();
        for (key, value) in alert.form {
            configuration.insert((*key).to_owned(), Value::from(*value));
        }
        let first: Map<String, Value> = alert
            .header
            .iter()
            .zip(alert.rows.first().map(Vec::as_slice).unwrap_or_default())
            .map(|(name, value)| ((*name).to_owned(), Value::from(value.as_str())))
            .collect();
        let mut payload = json!({
            "app": "search",
            "owner": "admin",
            "results_file": file.display().to_string(),
            "results_link": format!("http://sh1:8000/app/search/@go?sid={}", alert.sid),
            "search_uri": "/servicesNS/nobody/search/saved/searches/My+alert",
            "server_host": "sh1",
            "server_uri": self.url(),
            "session_key": alert.session_key,
            "sid": alert.sid,
            "search_name": "My alert",
            "configuration": configuration,
            "result": first,
        });
        for (name, value) in alert.instead {
            payload[*name] = value.clone();
        }
        let mut command = self.command();
        command.args(alert.arguments);
        let mut running = process::start(command, payload.to_string().as_bytes(), Reading::Steady);
        running.close_stdin();
        running
    }
}

/// One firing of `defender_bridge_update_alert`.
pub struct Alert<'a> {
    pub arguments: &'a [&'a str],
    pub form: &'a [(&'a str, &'a str)],
    pub header: &'a [&'a str],
    pub rows: &'a [Vec<String>],
    pub session_key: &'a str,
    /// Of the search whose rows they are: the same one, the same batch.
    pub sid: &'a str,
    /// Members of the payload that are otherwise.
    pub instead: &'a [(&'a str, Value)],
}

impl Default for Alert<'_> {
    fn default() -> Self {
        Self {
            arguments: &["alert-action", "defender_bridge_update_alert"],
            form: &[],
            header: &[],
            rows: &[],
            session_key: SESSION_KEY,
            sid: "scheduler__1",
            instead: &[],
        }
    }
}

fn command_in(
    home: &std::path::Path,
    environment: &[(String, String)],
    under: Option<&str>,
) -> Command {
    let executable = env!("CARGO_BIN_EXE_defender_bridge");
    let mut command = match under {
        None => Command::new(executable),
        Some(setting) => {
            let mut shell = Command::new("sh");
            let script = format!("{setting}; exec \"$0\" \"$@\"");
            shell.args(["-c", &script, executable]);
            shell
        }
    };
    command
        .env_clear()
        .env("PATH", std::env::var_os("PATH").unwrap_or_default())
        .env("SPLUNK_HOME", home)
        .env("SPLUNK_ETC", home.join("etc"))
        .env("SPLUNK_DB", home.join("var/lib/splunk"))
        .env("SPLUNK_SERVER_NAME", "sh1")
        // Tests of the copy take this away: it would be made for each of them.
        .env("DEFENDER_BRIDGE_IN_PLACE", "1")
        .env("HOME", home)
        .current_dir(home);
    for (name, value) in environment {
        command.env(name, value);
    }
    command
}

fn is_budget(path: &std::path::Path) -> bool {
    path.to_string_lossy().contains("budget")
}

/// Sets every instant that lies in the future to one just past.
fn bring_forward(value: &mut Value) {
    match value {
        Value::String(text) if instants::parse(text).is_some_and(|at| at > instants::now()) => {
            *text = instants::print(instants::now() - instants::SECOND, 7);
        }
        Value::Array(values) => values.iter_mut().for_each(bring_forward),
        Value::Object(members) => members.values_mut().for_each(bring_forward),
        _ => {}
    }
}

/// Every file below a directory, with its content.
pub fn files_under(directory: &std::path::Path) -> BTreeMap<PathBuf, Vec<u8>> {
    let mut files = BTreeMap::new();
    let mut open = vec![directory.to_owned()];
    while let Some(directory) = open.pop() {
        for entry in std::fs::read_dir(&directory)
            .into_iter()
            .flatten()
            .flatten()
        {
            let path = entry.path();
            if path.is_dir() {
                open.push(path);
            } else if let Ok(content) = std::fs::read(&path) {
                files.insert(path, content);
            }
        }
    }
    files
}

fn escape(text: &str) -> String {
    quick_xml::escape::escape(text).into_owned()
}

fn parameter_elements(parameters: &Stanza) -> String {
    parameters
        .iter()
        .map(|(key, value)| {
            format!(
                "      <param name=\"{}\">{}</param>\n",
                escape(key),
                escape(value)
            )
        })
        .collect()
}

async fn answer(state: Arc<Mutex<State>>, asked: Asked) -> hyper::Response<axum::body::Body> {
    if let Some(below) = kvstore::below(&asked.path)
        && key(&asked) == Some(SESSION_KEY)
    {
        let (kvstore, name) = {
            let state = state.lock().unwrap();
            (state.kvstore.clone(), name_and_guid(&state)[0].clone())
        };
        if let Some(kvstore) = kvstore {
            return kvstore.answer(&name, &asked, below).await;
        }
    }
    let odd = {
        let state = state.lock().unwrap();
        let asked_for = |part: &String| {
            let form = asked.form();
            let search = form.iter().find(|(key, _)| key == "search");
            asked.path.contains(part.as_str())
                || search.is_some_and(|(_, text)| text.contains(part.as_str()))
        };
        let mut odd = state.odd.iter();
        odd.find(|(part, _)| asked_for(part))
            .map(|(_, answer)| answer.clone())
    };
    match odd {
        None => {}
        Some(None) => return std::future::pending().await,
        Some(Some((status, body))) => {
            noted(&mut state.lock().unwrap(), &asked, 599, &Value::Null);
            return https::text(status, body);
        }
    }
    let served = served(&mut state.lock().unwrap(), &asked);
    let Some(served) = served else {
        if stalls(&mut state.lock().unwrap(), &asked) {
            return std::future::pending().await;
        }
        let mut state = state.lock().unwrap();
        if let Some((status, body)) = in_place_of_splunkd(&mut state, &asked) {
            // Nothing was taken: for whoever counts, it is no success.
            noted(&mut state, &asked, 599, &Value::Null);
            return https::text(status, body);
        }
        let (status, value) = if state.busy > 0 {
            state.busy -= 1;
            said(503, "ERROR", "This splunkd is not ready")
        } else {
            route(&mut state, &asked)
        };
        return noted(&mut state, &asked, status, &value);
    };
    // The process asks this splunkd meanwhile.
    let answered = tokio::task::spawn_blocking(move || {
        let key = key(&asked).unwrap();
        let uri = format!("https://{}", asked.header("host").unwrap());
        let (status, value) = served.answer(&uri, &asked, [who(key).0, key], SESSION_KEY);
        (asked, status, value)
    });
    let (asked, status, value) = answered.await.unwrap();
    noted(&mut state.lock().unwrap(), &asked, status, &value)
}

fn name_and_guid(state: &State) -> [String; 2] {
    let usual = || ["sh1", "G-1"].map(str::to_owned);
    state.named.clone().unwrap_or_else(usual)
}

/// What anything but splunkd says.
fn in_place_of_splunkd(state: &mut State, asked: &Asked) -> Option<(u16, String)> {
    if asked.path == "/services/receivers/simple" && state.receivers_say.is_some() {
        return state.receivers_say.clone();
    }
    let (left, status, body) = state.instead.as_mut()?;
    *left = left.checked_sub(1)?;
    Some((*status, body.clone()))
}

fn stalls(state: &mut State, asked: &Asked) -> bool {
    let Some(left) = &mut state.receivers_left else {
        return false;
    };
    if asked.path != "/services/receivers/simple" {
        return false;
    }
    let stalls = *left == 0;
    *left = left.saturating_sub(1);
    stalls
}

/// The endpoint, for a request splunkd hands on to it.
fn served(state: &mut State, asked: &Asked) -> Option<Arc<Served>> {
    let below = asked.path.strip_prefix(&format!("/services/{APP}"))?;
    let endpoint = state.endpoint.clone()?;
    let (_, capabilities) = who(key(asked)?);
    // restmap.conf: capability.post
    let either = ["defender_triage", "defender_hunt", "admin_all_objects"];
    let allowed =
        asked.method != Method::POST || either.iter().any(|one| capabilities.contains(one));
    let fits = state.largest.is_none_or(|most| asked.body.len() <= most);
    let fails = match asked.method {
        Method::GET => below == "/ping" && state.ping.is_some(),
        _ => !state.endpoint_fails.is_empty(),
    };
    let goes_on = below.starts_with('/') && allowed && fits && !fails;
    goes_on.then_some(endpoint)
}

/// What splunkd itself says in the endpoint's place.
fn endpoint_refusal(state: &mut State, asked: &Asked) -> (u16, Value) {
    if let (&Method::GET, Some(answer)) = (&asked.method, &state.ping) {
        return answer.clone();
    }
    if asked.method != Method::GET
        && let Some(status) = state.endpoint_fails.pop()
    {
        return said(status, "ERROR", "not now");
    }
    if state.largest.is_some_and(|most| asked.body.len() > most) {
        return said(413, "ERROR", "Content-Length too large");
    }
    match state.endpoint {
        Some(_) => said(
            403,
            "ERROR",
            "requires capability: defender_triage or defender_hunt",
        ),
        None => said(404, "ERROR", "Not Found"),
    }
}

fn key(asked: &Asked) -> Option<&str> {
    let key = asked.header("authorization")?.strip_prefix("Splunk ")?;
    [SESSION_KEY, ANALYST_KEY, READER_KEY, KEEPER_KEY, HUNTER_KEY]
        .contains(&key)
        .then_some(key)
}

/// User and capabilities.
fn who(key: &str) -> (&'static str, &'static [&'static str]) {
    match key {
        ANALYST_KEY => ("analyst", &["search", "defender_triage"]),
        READER_KEY => ("reader", &["search"]),
        KEEPER_KEY => (
            "keeper",
            &["search", "defender_triage", "list_storage_passwords"],
        ),
        HUNTER_KEY => ("hunter", &["search", "defender_hunt"]),
        _ => (
            "splunk-system-user",
            &[
                "search",
                "list_storage_passwords",
                "edit_tcp",
                "defender_triage",
                "defender_hunt",
                "admin_all_objects",
            ],
        ),
    }
}

fn noted(
    state: &mut State,
    asked: &Asked,
    status: u16,
    value: &Value,
) -> hyper::Response<axum::body::Body> {
    state.received.push(Received {
        method: asked.method.to_string(),
        path: asked.path.clone(),
        target: asked.target.clone(),
        query: asked.query.iter().cloned().collect(),
        body: String::from_utf8_lossy(&asked.body).into_owned(),
        status,
    });
    https::json(status, value)
}

fn said(status: u16, kind: &str, text: &str) -> (u16, Value) {
    (status, json!({"messages": [{"type": kind, "text": text}]}))
}

fn listed(entries: &[Value]) -> (u16, Value) {
    let count = entries.len();
    (
        200,
        json!({
            "links": {}, "origin": "https://127.0.0.1:8089/services/x",
            "updated": "2026-11-21T08:00:00+00:00", "generator": {"build": "1", "version": "10.6.0.5"},
            "entry": entries, "paging": {"total": count, "perPage": 30, "offset": 0},
            "messages": [],
        }),
    )
}

fn entry(name: &str, content: &Value) -> Value {
    json!({
        "name": name, "id": format!("https://127.0.0.1:8089/x/{name}"),
        "updated": "1970-01-01T00:00:00+00:00", "links": {}, "author": "nobody",
        "acl": {"app": APP, "owner": "nobody", "sharing": "app", "can_write": true},
        "content": content,
    })
}

fn route(state: &mut State, asked: &Asked) -> (u16, Value) {
    let Some(key) = key(asked) else {
        return said(401, "WARN", "call not properly authenticated");
    };
    let (user, capabilities) = who(key);
    let may = |capability: &str| capabilities.contains(&capability);
    if asked.path != "/services/receivers/simple"
        && asked.parameter("output_mode") != Some("json")
        && !asked
            .form()
            .iter()
            .any(|(key, value)| key == "output_mode" && value == "json")
    {
        // splunkd would answer in Atom, which nobody here reads.
        return said(406, "ERROR", "ask for output_mode=json");
    }
    let own = format!("/servicesNS/nobody/{APP}/");
    let read = asked.method == Method::GET;
    if let Some(rest) = asked.path.strip_prefix(&own) {
        if let Some(rest) = rest.strip_prefix("storage/passwords") {
            if !may("list_storage_passwords") {
                let text = "You (user=analyst) do not have permission to perform this operation \
                            (requires capability: list_storage_passwords OR admin_all_objects).";
                return said(403, "ERROR", text);
            }
            // metadata/default.meta shows them to administrators alone.
            if !may("admin_all_objects") && !state.acl_open {
                return said(404, "ERROR", "Could not find object");
            }
            return passwords(state, rest.trim_start_matches('/'), asked);
        }
        if let Some(rest) = rest.strip_prefix("configs/conf-").filter(|_| read) {
            let (conf, stanza) = rest.split_once('/').unwrap_or((rest, ""));
            return conf_entries(state, conf, stanza);
        }
    }
    match asked.path.as_str() {
        "/services/server/info" if read => listed(&[entry(
            "server-info",
            &json!({"version": "10.6.0.5", "serverName": name_and_guid(state)[0], "guid": name_and_guid(state)[1],
                    "server_roles": ["search_head"], "isFree": false, "fips_mode": false,
                    "host": "sh1"}),
        )]),
        "/services/authentication/current-context" if read => {
            let role = match key {
                SESSION_KEY => "splunk-system-role",
                READER_KEY => "user",
                _ => "soc",
            };
            let content = json!({"username": user, "roles": [role], "capabilities": capabilities});
            listed(&[entry("context", &content)])
        }
        "/services/receivers/simple" if asked.method == Method::POST => {
            match state.receivers_fail {
                None if !may("edit_tcp") && !may("edit_log_alert_event") => {
                    said(403, "ERROR", "insufficient permission")
                }
                Some(status) => said(status, "ERROR", "insufficient permission"),
                None if asked.body.is_empty() => said(400, "ERROR", "no data"),
                None => (
                    200,
                    json!({"index": asked.parameter("index").unwrap_or("default"),
                        "bytes": asked.body.len().to_string(), "host": "127.0.0.1",
                        "source": asked.parameter("source"),
                        "sourcetype": asked.parameter("sourcetype")}),
                ),
            }
        }
        path if is_search(path) && asked.method == Method::POST => search(state, asked),
        path if path.starts_with(&format!("/services/{APP}/")) => endpoint_refusal(state, asked),
        "/services/messages" if asked.method == Method::POST => listed(&[]),
        path if read => seen(path).unwrap_or_else(|| said(404, "ERROR", "Not Found")),
        _ => said(404, "ERROR", "Not Found"),
    }
}

/// What splunkd shows of this app once it has read it as it is meant.
fn seen(path: &str) -> Option<(u16, Value)> {
    let last = path.rsplit('/').next()?.replace("%3A", ":");
    let content = match path.rsplit_once('/')?.0 {
        "/servicesNS/-/-/admin/alert_actions" => {
            json!({"alert.execute.cmd": APP, "payload_format": "json"})
        }
        "/services/data/modular-inputs" => json!({"streaming_mode": "xml"}),
        "/services/shcluster" => json!({"disabled": true}),
        "/services/configs/conf-server" => json!({"disabled": true, "provider": ""}),
        "/servicesNS/nobody/search/configs/conf-props" => {
            let src = match last.as_str() {
                "ms365:defender:incident:alerts" => "mvdedup(defender_source)",
                "ms:defender:atp:alerts" => "mvdedup(defender_device)",
                _ => {
                    return Some(listed(&[entry(
                        &last,
                        &json!({"EVAL-dest": "mvdedup(defender_device)"}),
                    )]));
                }
            };
            json!({"EVAL-dest": "mvdedup(defender_device)", "EVAL-src": src})
        }
        "/services" if last == "messages" => return Some(listed(&[])),
        _ => return None,
    };
    Some(listed(&[entry(&last, &content)]))
}

/// The rows of the self-test's searches: as if every event were where it belongs.
fn found_by_selftest(state: &State, text: &str) -> Option<Vec<Value>> {
    if text.contains("max(off)") {
        return Some(vec![
            json!({"events": "100", "compared": "100", "off": "0.000999"}),
        ]);
    }
    if text.contains("dc(server)") {
        return Some(vec![
            json!({"stanza": "defender_bridge://secret_name", "servers": "1", "server": "sh1", "outcome": "ok"}),
        ]);
    }
    text.contains("defender_bridge:selftest").then_some(())?;
    let id = text.split('"').nth(5)?;
    let mut sent = state.received.iter();
    let canary = sent.find(|got| {
        got.path.ends_with("receivers/simple") && got.status < 300 && got.body.contains(id)
    });
    let Some(canary) = canary else {
        return Some(Vec::new());
    };
    let event: Value = serde_json::from_str(&canary.body).ok()?;
    let ticks = instants::parse(event["time"].as_str()?)?;
    let (whole, rest) = (ticks / instants::SECOND, ticks % instants::SECOND);
    let index = canary.query.get("index").map_or("main", String::as_str);
    Some(vec![json!({
        "index": index, "host": canary.query.get("host"), "sourcetype": canary.query.get("sourcetype"),
        "at": format!("{whole}.{rest:07}"), "dest": event["evidence"][0]["deviceDnsName"],
        "user": event["evidence"][1]["userAccount"]["userPrincipalName"],
        "defender_bridge_marker": event["evidence"][2]["comment"].as_str()?.split("[splunk:").nth(1)?.trim_end_matches(']'),
    })])
}

fn is_search(path: &str) -> bool {
    let user = path.strip_prefix("/servicesNS/");
    user.and_then(|rest| rest.split_once('/'))
        .is_some_and(|(_, rest)| rest == format!("{APP}/search/jobs"))
}

/// One kind of search: the events of a sourcetype in which one JSON field is so,
/// the newest first, run to its end in this call.
fn search(state: &State, asked: &Asked) -> (u16, Value) {
    let form = asked.form();
    let given = |name: &str| {
        form.iter()
            .find(|(key, _)| key == name)
            .map(|(_, value)| value.as_str())
    };
    if let Some(results) = given("search").and_then(|text| found_by_selftest(state, text)) {
        return (
            200,
            json!({"preview": false, "init_offset": 0, "messages": [], "results": results}),
        );
    }
    if given("exec_mode") != Some("oneshot") || given("count") != Some("0") {
        return said(400, "FATAL", "only whole oneshot searches are known here");
    }
    let fits = |text: &str| -> Option<(String, String, String, String)> {
        let rest = text.strip_prefix("search ")?;
        let (place, rest) = rest.split_once(' ')?;
        // The app's macro, as it is shipped.
        let macro_ = (place == "`defender_bridge_index`").then_some("*");
        let index = macro_.or_else(|| place.strip_prefix("index="))?;
        let (sourcetype, rest) = rest.strip_prefix("sourcetype=\"")?.split_once("\" ")?;
        let rest = rest.strip_prefix("source=\"defender_bridge:*\" ")?;
        let (field, rest) = rest.split_once("=\"")?;
        let (value, rest) = rest.split_once('"')?;
        let owned = [index, sourcetype, field, value].map(str::to_owned);
        let [index, sourcetype, field, value] = owned;
        (rest == " | fields _raw").then_some((index, sourcetype, field, value))
    };
    let Some((index, sourcetype, field, value)) = given("search").and_then(fits) else {
        return said(
            400,
            "FATAL",
            "Error in 'search' command: unable to parse the search",
        );
    };
    let mut results: Vec<Value> = state
        .received
        .iter()
        .filter(|got| got.path == "/services/receivers/simple" && got.status < 300)
        .filter(|got| got.query.get("sourcetype") == Some(&sourcetype))
        .filter(|got| {
            let source = got.query.get("source").map_or("", String::as_str);
            source.starts_with("defender_bridge:")
        })
        .filter(|got| {
            let into = got.query.get("index").map_or("main", String::as_str);
            index == "*" || index == into
        })
        .flat_map(|got| got.body.lines())
        .filter(|line| {
            let event: Value = serde_json::from_str(line).unwrap_or_default();
            event[&field]
                .as_str()
                .is_some_and(|found| found.eq_ignore_ascii_case(&value))
        })
        .map(|line| json!({"_raw": line, "_time": "2026-11-21T08:00:00.000+00:00"}))
        .collect();
    results.reverse();
    let said = state.search_says.iter();
    let messages: Vec<Value> = said
        .map(|(kind, text)| json!({"type": kind, "text": text}))
        .collect();
    let answer =
        json!({"preview": false, "init_offset": 0, "messages": messages, "results": results});
    (200, answer)
}

fn passwords(state: &mut State, rest: &str, asked: &Asked) -> (u16, Value) {
    let shown = |user: &String, value: &String| {
        entry(
            &name_of(user),
            &json!({"clear_password": value, "encr_password": "$8$x", "password": "********",
                    "realm": APP, "username": user}),
        )
    };
    if asked.method == Method::POST && rest.is_empty() {
        let form: BTreeMap<String, String> = asked.form().into_iter().collect();
        let (name, password) = (form["name"].clone(), form["password"].clone());
        assert_eq!(form["realm"], APP);
        if state.passwords.contains_key(&name) {
            return said(409, "ERROR", "An object with that name already exists");
        }
        let told = shown(&name, &password);
        state.passwords.insert(name, password);
        return (201, listed(&[told]).1);
    }
    if asked.method != Method::GET {
        return said(405, "ERROR", "Method not allowed");
    }
    if rest.is_empty() {
        let entries: Vec<Value> = state
            .passwords
            .iter()
            .map(|(user, value)| shown(user, value))
            .collect();
        return listed(&entries);
    }
    // Found with and without the colon at its end.
    let mut passwords = state.passwords.iter();
    match passwords
        .find(|(user, _)| name_of(user).trim_end_matches(':') == rest.trim_end_matches(':'))
    {
        Some((user, value)) => listed(&[shown(user, value)]),
        None => said(404, "ERROR", &format!("Could not find object id={rest}")),
    }
}

/// An entry's name in storage/passwords, as Splunk's SDKs know it.
fn name_of(user: &str) -> String {
    let user = user.replace('\\', "\\\\").replace(':', "\\:");
    format!("{APP}:{user}:")
}

fn conf_entries(state: &State, conf: &str, stanza: &str) -> (u16, Value) {
    let shown = |name: &String, keys: &Stanza| {
        let mut content: Map<String, Value> = keys
            .iter()
            .map(|(key, value)| (key.clone(), Value::from(value.as_str())))
            .collect();
        content.entry("disabled").or_insert(Value::from(false));
        content.insert("eai:acl".into(), Value::Null);
        content.insert("eai:appName".into(), Value::from(APP));
        content.insert("eai:userName".into(), Value::from("nobody"));
        entry(name, &Value::Object(content))
    };
    let Some(stanzas) = state.confs.get(conf) else {
        return said(404, "ERROR", &format!("Not Found: conf-{conf}"));
    };
    if stanza.is_empty() {
        let entries: Vec<Value> = stanzas
            .iter()
            .map(|(name, keys)| shown(name, keys))
            .collect();
        return listed(&entries);
    }
    match stanzas.get_key_value(stanza) {
        Some((name, keys)) => listed(&[shown(name, keys)]),
        None => said(404, "ERROR", &format!("Could not find object id={stanza}")),
    }
}

/// Writes one file over another in place, as splunkd does; not while it is executed. A program of its own does it: of a
/// file that this process writes, a child that another test starts meanwhile has a copy of the handle, and nobody can
/// execute it then.
#[cfg(unix)]
pub fn written_over(path: &Path, with: &Path) -> bool {
    let done = Command::new("cp").arg(with).arg(path).output().unwrap();
    done.status.success()
}
