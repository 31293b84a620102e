//! How Azure Storage says no: a status, a code, and a sentence.

use axum::http::StatusCode;

/// A refusal, before it is put in XML.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Refusal {
    pub(super) status: StatusCode,
    pub(super) code: String,
    pub(super) message: String,
    /// More about it, in an element of its own.
    pub(super) detail: Option<String>,
    /// Size of the blob of which nothing lies in the range asked for.
    pub(super) size: Option<usize>,
}

/// As in "Status and error codes" and "Blob Storage error codes".
const CODES: &[(u16, &str, &str)] = &[
    (
        304,
        "ConditionNotMet",
        "The condition specified using HTTP conditional header(s) is not met.",
    ),
    (
        400,
        "InvalidBlobOrBlock",
        "The specified blob or block content is invalid.",
    ),
    (
        400,
        "InvalidHeaderValue",
        "The value for one of the HTTP headers is not in the correct format.",
    ),
    (
        400,
        "InvalidQueryParameterValue",
        "Value for one of the query parameters specified in the request URI is invalid.",
    ),
    (
        400,
        "InvalidResourceName",
        "The specified resource name contains invalid characters.",
    ),
    (
        400,
        "MissingRequiredHeader",
        "An HTTP header that's mandatory for this request is not specified.",
    ),
    (
        400,
        "OutOfRangeQueryParameterValue",
        "One of the query parameters specified in the request URI is outside the permissible range.",
    ),
    (
        400,
        "UnsupportedQueryParameter",
        "One of the query parameters specified in the request URI is not supported.",
    ),
    (
        401,
        "InvalidAuthenticationInfo",
        "Server failed to authenticate the request. Please refer to the information in the www-authenticate header.",
    ),
    (
        401,
        "NoAuthenticationInformation",
        "Server failed to authenticate the request. Please refer to the information in the www-authenticate header.",
    ),
    (
        403,
        "AuthenticationFailed",
        "Server failed to authenticate the request. Make sure the value of Authorization header is formed correctly including the signature.",
    ),
    (
        403,
        "AuthorizationFailure",
        "This request is not authorized to perform this operation.",
    ),
    (
        403,
        "AuthorizationPermissionMismatch",
        "This request is not authorized to perform this operation using this permission.",
    ),
    (
        403,
        "AuthorizationResourceTypeMismatch",
        "This request is not authorized to perform this operation using this resource type.",
    ),
    (
        403,
        "AuthorizationServiceMismatch",
        "This request is not authorized to perform this operation using this service.",
    ),
    (
        403,
        "KeyBasedAuthenticationNotPermitted",
        "Key based authentication is not permitted on this storage account.",
    ),
    (404, "BlobNotFound", "The specified blob does not exist."),
    (
        404,
        "ContainerNotFound",
        "The specified container does not exist.",
    ),
    (
        404,
        "ResourceNotFound",
        "The specified resource does not exist.",
    ),
    (
        405,
        "UnsupportedHttpVerb",
        "The resource doesn't support specified Http Verb.",
    ),
    (
        409,
        "BlobAlreadyExists",
        "The specified blob already exists.",
    ),
    (
        409,
        "ContainerAlreadyExists",
        "The specified container already exists.",
    ),
    (
        409,
        "ContainerBeingDeleted",
        "The specified container is being deleted. Try operation later.",
    ),
    (
        409,
        "InvalidBlobType",
        "The blob type is invalid for this operation.",
    ),
    (
        412,
        "ConditionNotMet",
        "The condition specified using HTTP conditional header(s) is not met.",
    ),
    (
        413,
        "RequestBodyTooLarge",
        "The request body is too large and exceeds the maximum permissible limit.",
    ),
    (
        416,
        "InvalidRange",
        "The range specified is invalid for the current size of the resource.",
    ),
    (
        500,
        "InternalError",
        "The server encountered an internal error. Please retry the request.",
    ),
    (
        500,
        "OperationTimedOut",
        "The operation could not be completed within the permitted time.",
    ),
    (503, "ServerBusy", "Ingress is over the account limit."),
];

impl Refusal {
    /// The refusal of that code; of two, the one with the higher status.
    pub(super) fn of(code: &str) -> Self {
        let known = CODES.iter().rfind(|(_, known, _)| *known == code);
        let (status, _, message) = known.copied().unwrap_or((500, "", "This was ordered."));
        Self {
            status: StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR),
            code: code.to_owned(),
            message: message.to_owned(),
            detail: None,
            size: None,
        }
    }

    pub(super) fn because(code: &str, detail: impl Into<String>) -> Self {
        Self {
            detail: Some(detail.into()),
            ..Self::of(code)
        }
    }

    /// A read whose condition says that there is nothing new.
    pub(super) fn unchanged() -> Self {
        Self {
            status: StatusCode::NOT_MODIFIED,
            ..Self::of("ConditionNotMet")
        }
    }

    pub(super) fn beyond(size: usize) -> Self {
        Self {
            size: Some(size),
            ..Self::of("InvalidRange")
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_condition_that_is_not_met_is_told_from_nothing_new() {
        assert_eq!(Refusal::of("ConditionNotMet").status, 412);
        assert_eq!(Refusal::unchanged().status, 304);
        assert_eq!(Refusal::of("ServerBusy").status, 503);
        assert_eq!(Refusal::of("Whatever").status, 500);
        for (status, code, message) in CODES {
            assert!(StatusCode::from_u16(*status).is_ok(), "{code}");
            assert!(message.ends_with('.'), "{code}");
        }
    }
}
