//! What goes wrong with a storage account, and what to do about it.

use crate::ingest::stream::{LogError, LogErrorClass};
use crate::microsoft::http::error::{Error, Retry};
use std::fmt;

/// Why a storage account did not do what was asked. Its text ends with advice.
#[derive(Debug, Clone)]
pub enum StorageError {
    /// No answer, or one that refuses.
    Call(Error),
    /// An answer that makes no sense.
    Answer { host: String, what: String },
    /// A position that is none of a container.
    Position { container: String },
}

impl StorageError {
    /// Azure's word for it, such as `BlobNotFound`; empty where there is none.
    pub fn code(&self) -> &str {
        match self {
            Self::Call(Error::Service { code, .. }) => code,
            _ => "",
        }
    }

    pub fn status(&self) -> Option<u16> {
        match self {
            Self::Call(error) => error.status(),
            Self::Answer { .. } | Self::Position { .. } => None,
        }
    }

    /// Whether a container or blob is not there.
    pub fn is_missing(&self) -> bool {
        self.status() == Some(404) && self.code() != "ResourceNotFound"
    }

    /// Whether a later try may succeed.
    pub fn passes(&self) -> bool {
        match self {
            // What is being deleted, or was locked a moment ago, is free again soon.
            Self::Call(Error::Service {
                status: 409, code, ..
            }) => code != "PublicAccessNotPermitted",
            Self::Call(error) => error.retry() != Retry::Never,
            Self::Answer { .. } => true,
            Self::Position { .. } => false,
        }
    }

    /// What went wrong, without advice.
    pub fn what(&self) -> String {
        match self {
            Self::Call(error) => error.to_string(),
            Self::Answer { host, what } => format!("{host}: {what}"),
            Self::Position { container } => format!(
                "the position of container {container} cannot be read, and is not taken for empty"
            ),
        }
    }

    /// What to do about it, for the person who runs this.
    pub fn advice(&self) -> Option<&'static str> {
        match self {
            Self::Answer { .. } => Some("check the address, and what answers under it"),
            Self::Position { .. } => Some(
                "install the version again that wrote it, or delete the checkpoint to read again from `start`",
            ),
            Self::Call(Error::Service { status, code, .. }) => service(*status, code),
            Self::Call(Error::Throttled { .. }) => service(503, "ServerBusy"),
            Self::Call(error) => error.advice(),
        }
    }
}

/// Codes as in "Status and error codes" of Azure Storage.
fn service(status: u16, code: &str) -> Option<&'static str> {
    Some(match (status, code) {
        (_, "AuthorizationPermissionMismatch" | "InsufficientAccountPermissions") => {
            "the role is missing: give the app or managed identity Storage Blob Data Reader on the storage \
             account (Storage Blob Data Contributor where checkpoints are kept); it takes some minutes to hold. \
             A shared access signature needs the permissions read and list"
        }
        (_, "AuthorizationServiceMismatch" | "AuthorizationResourceTypeMismatch") => {
            "the shared access signature is for other services or resource types: make one for blobs (ss=b), \
             with service, container and object (srt=sco)"
        }
        (_, "AuthorizationSourceIPMismatch") => {
            "the shared access signature is for other addresses: make one for the address this host leaves by"
        }
        (_, "AuthorizationFailure") => {
            "the account's firewall or network rules keep this host out, or the shared access signature lacks a \
             permission: allow this host's outgoing address under Networking, then check the permissions"
        }
        (_, "AuthenticationFailed") => {
            "the shared access signature is wrong, not valid yet or expired, or was made with a key that has been \
             replaced: make a new one, and store it in the account"
        }
        (_, "InvalidAuthenticationInfo") | (401, _) => {
            "the token is refused: check tenant_id and cloud, that the storage account belongs to this tenant, and \
             the clock of this host"
        }
        (_, "NoAuthenticationInformation" | "PublicAccessNotPermitted") => {
            "nobody is signed in: choose an account that signs in, or that holds a connection string with a shared \
             access signature"
        }
        (_, "KeyBasedAuthenticationNotPermitted") => {
            "the storage account allows no shared access signatures: choose an account that signs in"
        }
        (_, "AccountIsDisabled") => {
            "the storage account is disabled: look at its subscription in Azure"
        }
        (_, "ContainerNotFound") => {
            "check the container's name; Defender makes one for each table, when its first record comes"
        }
        (_, "ContainerBeingDeleted" | "ContainerDisabled") => {
            "the container is being deleted: wait until it is made again"
        }
        (_, "RequestDateTooOld" | "InvalidDate") => {
            "the clock of this host is wrong: set it by NTP"
        }
        (_, "InvalidBlobType") => {
            "it is no append blob: Defender writes append blobs, so something else writes into this container"
        }
        (_, "InvalidHeaderValue" | "UnsupportedHeader" | "InvalidQueryParameterValue") => {
            "the service does not know this version of the API: an emulator needs --skipApiVersionCheck"
        }
        (403, _) => {
            "permission is missing: check the role of the app or managed identity on the storage account, or the \
             shared access signature"
        }
        (404, _) => "check the storage account's name and address",
        (429 | 503, _) | (_, "ServerBusy") => {
            "the storage account is at its limit: spread what is written there, or read less often"
        }
        (500..=599, _) => "a fault at Microsoft: it is tried again",
        _ => return None,
    })
}

impl fmt::Display for StorageError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.what())?;
        match self.advice() {
            Some(advice) => write!(f, "; {advice}"),
            None => Ok(()),
        }
    }
}

impl std::error::Error for StorageError {}

impl From<Error> for StorageError {
    fn from(error: Error) -> Self {
        Self::Call(error)
    }
}

impl LogError for StorageError {
    fn class(&self) -> LogErrorClass {
        match self.passes() {
            true => LogErrorClass::Passing,
            false => LogErrorClass::Stop,
        }
    }
}
