//! A tenant that streams, kept up until it is dropped, and a splunkd whose account opens it.

use crate::counterpart::Splunkd;
use defender_bridge::sandbox::{self, Tenant};
use std::ops::Deref;
use std::sync::{Arc, mpsc};
use std::thread::JoinHandle;
use tokio::sync::oneshot;

pub const ACCOUNT: &str = "contoso";

/// Serves until it is dropped.
pub struct StreamingTenant {
    tenant: Arc<Tenant>,
    ca_file: tempfile::NamedTempFile,
    stop: Option<oneshot::Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl Drop for StreamingTenant {
    fn drop(&mut self) {
        drop(self.stop.take());
        if let Some(thread) = self.thread.take() {
            thread.join().ok();
        }
    }
}

impl Deref for StreamingTenant {
    type Target = Tenant;

    fn deref(&self) -> &Tenant {
        &self.tenant
    }
}

impl StreamingTenant {
    pub fn start(settings: sandbox::Settings) -> Self {
        let (tell, told) = mpsc::channel();
        let (stop, stopped) = oneshot::channel::<()>();
        let thread = std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread()
                .enable_all()
                .build()
                .unwrap();
            runtime.block_on(async {
                let tenant = sandbox::start(sandbox::Settings {
                    alerts: 40,
                    ..settings
                });
                let tenant = Arc::new(tenant.await.unwrap());
                tell.send(tenant).unwrap();
                stopped.await.ok();
            });
        });
        let tenant: Arc<Tenant> = told.recv().unwrap();
        let ca_file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(ca_file.path(), tenant.ca_pem()).unwrap();
        Self {
            tenant,
            ca_file,
            stop: Some(stop),
            thread: Some(thread),
        }
    }

    pub fn ca_file(&self) -> String {
        self.ca_file.path().display().to_string()
    }

    /// A splunkd with an account that signs in.
    pub fn splunkd(&self) -> Splunkd {
        let ids = [self.tenant_id(), self.client_id(), self.client_secret()];
        Splunkd::new().account_at(ACCOUNT, self.url(), &self.ca_file(), ids)
    }

    /// A splunkd whose account is a connection string.
    pub fn splunkd_with_string(&self, string: &str) -> Splunkd {
        let splunkd = Splunkd::new();
        for (key, value) in [
            ("auth", "connection_string"),
            ("cloud", "custom"),
            ("ca_file", &self.ca_file()),
        ] {
            splunkd.set("account", ACCOUNT, key, value);
        }
        splunkd.set_password(ACCOUNT, string);
        splunkd
    }
}

/// With an input of these parameters, but where others are given.
pub fn with_input(splunkd: Splunkd, usual: &[(&str, &str)], more: &[(&str, &str)]) -> Splunkd {
    let usual = usual
        .iter()
        .filter(|(key, _)| more.iter().all(|(given, _)| given != key));
    let parameters: Vec<(&str, &str)> = usual.chain(more).copied().collect();
    splunkd.input("feed", parameters)
}
