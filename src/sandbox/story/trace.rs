//! Evidence as hunting's table `AlertEvidence` knows it: one flat row an item.

use crate::sandbox::story::evidence::{Device, File, Item, User};

/// What an item is known by in hunting's table of evidence.
#[derive(Debug, Default)]
pub(in crate::sandbox) struct Trace<'a> {
    pub(in crate::sandbox) entity: &'static str,
    pub(in crate::sandbox) file: Option<&'a File>,
    pub(in crate::sandbox) command: Option<&'a str>,
    pub(in crate::sandbox) ip: Option<&'a str>,
    pub(in crate::sandbox) url: Option<&'a str>,
    pub(in crate::sandbox) user: Option<&'a User>,
    pub(in crate::sandbox) device: Option<&'a Device>,
    pub(in crate::sandbox) subject: Option<&'a str>,
}

impl Item {
    pub(in crate::sandbox) fn trace(&self) -> Trace<'_> {
        let of = |entity| Trace {
            entity,
            ..Trace::default()
        };
        match self {
            Self::Device(device) => Trace {
                device: Some(device),
                ..of("Machine")
            },
            Self::User(user) => Trace {
                user: Some(user),
                ..of("User")
            },
            Self::File(file, device) => Trace {
                file: Some(file),
                device: device.as_deref(),
                ..of("File")
            },
            Self::Process(process, device) => Trace {
                file: Some(&process.image),
                command: Some(&process.command),
                user: Some(&process.user),
                device: Some(device),
                ..of("Process")
            },
            Self::Ip(address, _) => Trace {
                ip: Some(address),
                ..of("Ip")
            },
            Self::Url(url) => Trace {
                url: Some(url),
                ..of("Url")
            },
            Self::Mailbox(user) => Trace {
                user: Some(user),
                ..of("Mailbox")
            },
            Self::MailboxRule(user) => Trace {
                user: Some(user),
                ..of("MailboxConfiguration")
            },
            Self::Message(message) => Trace {
                url: Some(&message.url),
                user: Some(&message.to),
                subject: Some(&message.subject),
                ..of("MailMessage")
            },
            Self::MailCluster(message, _) => Trace {
                subject: Some(&message.subject),
                ..of("MailCluster")
            },
            Self::CloudApp(..) => of("CloudApplication"),
            Self::OauthApp(..) => of("OAuthApplication"),
            Self::Session(user, _) => Trace {
                user: Some(user),
                ..of("CloudLogonSession")
            },
            Self::Registry(_, _, _, device) => Trace {
                device: Some(device),
                ..of("RegistryValue")
            },
            Self::Group(..) => of("SecurityGroup"),
        }
    }
}
