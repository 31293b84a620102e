//! An account given on the command line, without its secret: every process of the
//! machine can read arguments.

use crate::microsoft::Account;
use crate::microsoft::account::AccountStanza;
use anyhow::{Context, anyhow};
use clap::Args;
use secrecy::SecretString;
use std::io::Read;
use std::path::PathBuf;

const SECRET: &str = "DEFENDER_BRIDGE_SECRET";
const PROXY_PASSWORD: &str = "DEFENDER_BRIDGE_PROXY_PASSWORD";

/// Who signs in, to which cloud, through which proxy.
///
/// The client secret, or the certificate with its key, is read from the file
/// named by --secret-file, or from the environment variable
/// DEFENDER_BRIDGE_SECRET.
#[derive(Debug, Args)]
#[command(next_help_heading = "Account")]
pub struct AccountArguments {
    /// Directory (tenant) id or verified domain
    #[arg(long, value_name = "ID", default_value = "", hide_default_value = true)]
    tenant_id: String,
    /// Application (client) id
    #[arg(long, value_name = "ID", default_value = "", hide_default_value = true)]
    client_id: String,
    /// How it proves who it is: secret, certificate, managed_identity, workload_identity or
    /// connection_string (streams alone)
    #[arg(long, value_name = "KIND", default_value = "secret")]
    auth: String,
    /// File with the client secret, with private key and certificate (PEM), or with the
    /// connection string; - for stdin.
    /// Without it the environment variable DEFENDER_BRIDGE_SECRET is read
    #[arg(long, value_name = "FILE")]
    secret_file: Option<PathBuf>,
    /// Microsoft's cloud: commercial, gcc, gcc_high, dod or custom
    #[arg(long, value_name = "CLOUD", default_value = "commercial")]
    cloud: String,
    /// Sign-in host of a custom cloud
    #[arg(
        long,
        value_name = "URL",
        default_value = "",
        hide_default_value = true
    )]
    login_url: String,
    /// Microsoft Graph of a custom cloud
    #[arg(
        long,
        value_name = "URL",
        default_value = "",
        hide_default_value = true
    )]
    graph_url: String,
    /// Defender for Endpoint API of a custom cloud
    #[arg(
        long,
        value_name = "URL",
        default_value = "",
        hide_default_value = true
    )]
    mde_url: String,
    /// Defender XDR API of a custom cloud
    #[arg(
        long,
        value_name = "URL",
        default_value = "",
        hide_default_value = true
    )]
    xdr_url: String,
    /// Certificate authorities (PEM) trusted beside the system's
    #[arg(
        long,
        value_name = "FILE",
        default_value = "",
        hide_default_value = true
    )]
    ca_file: String,
    /// Proxy on the way to Microsoft, such as proxy.example.com:8080
    #[arg(
        long,
        value_name = "URL",
        default_value = "",
        hide_default_value = true
    )]
    proxy: String,
    /// Who signs in at the proxy; the environment variable DEFENDER_BRIDGE_PROXY_PASSWORD
    /// holds the password
    #[arg(
        long,
        value_name = "NAME",
        default_value = "",
        hide_default_value = true
    )]
    proxy_username: String,
    /// Hosts, domains (.example.com) and networks (10.0.0.0/8) reached without the proxy,
    /// comma separated
    #[arg(
        long,
        value_name = "HOSTS",
        default_value = "",
        hide_default_value = true
    )]
    no_proxy: String,
}

impl AccountArguments {
    pub fn account(self) -> anyhow::Result<Account> {
        let written = AccountStanza {
            tenant_id: self.tenant_id,
            client_id: self.client_id,
            auth: self.auth,
            cloud: self.cloud,
            login_url: self.login_url,
            graph_url: self.graph_url,
            mde_url: self.mde_url,
            xdr_url: self.xdr_url,
            ca_file: self.ca_file,
            read_only: String::new(),
            secret: secret(self.secret_file)?,
            proxy_url: self.proxy,
            proxy_username: self.proxy_username,
            proxy_password: std::env::var(PROXY_PASSWORD).ok().map(SecretString::from),
            no_proxy: self.no_proxy,
        };
        Account::parse("command line", &written, |variable| {
            std::env::var(variable).ok()
        })
        .map_err(|refusal| anyhow!("{}: {}", option(refusal.key), refusal.why))
    }
}

/// The option of an account's setting.
fn option(key: &str) -> String {
    match key {
        "secret" => "--secret-file".to_owned(),
        "proxy url" => "--proxy".to_owned(),
        key => format!("--{}", key.replace('_', "-")),
    }
}

fn secret(file: Option<PathBuf>) -> anyhow::Result<Option<SecretString>> {
    let Some(file) = file else {
        return Ok(std::env::var(SECRET).ok().map(SecretString::from));
    };
    let text = if file.as_os_str() == "-" {
        let mut text = String::new();
        std::io::stdin()
            .read_to_string(&mut text)
            .context("the secret cannot be read from stdin")?;
        text
    } else {
        std::fs::read_to_string(&file)
            .with_context(|| format!("the secret cannot be read from {}", file.display()))?
    };
    Ok(Some(text.into()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::{CommandFactory, Parser};

    #[derive(Parser)]
    struct Call {
        #[command(flatten)]
        account: AccountArguments,
    }

    #[test]
    fn a_refusal_names_an_option_that_there_is() {
        for (words, named) in [
            (&[][..], "--tenant-id: "),
            (&["--tenant-id=t.example"], "--client-id: "),
            (&["--auth=password"], "--auth: "),
            (
                &["--tenant-id=t.example", "--client-id=c", "--proxy=ftp://p"],
                "--proxy: ",
            ),
            (
                &[
                    "--tenant-id=t.example",
                    "--client-id=c",
                    "--graph-url=https://x",
                ],
                "--graph-url: ",
            ),
        ] {
            let call = ["check", "--secret-file=Cargo.toml"].iter().chain(words);
            let refusal = Call::parse_from(call).account.account().unwrap_err();
            assert!(refusal.to_string().starts_with(named), "{refusal}");
            let known = Call::command();
            let name = named.trim_start_matches("--").trim_end_matches(": ");
            assert!(
                known
                    .get_arguments()
                    .any(|one| one.get_long() == Some(name))
            );
        }
        assert_eq!(option("secret"), "--secret-file");
    }
}
