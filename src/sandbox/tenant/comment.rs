//! Comments as each family writes them.

use crate::sandbox::Family;
use crate::sandbox::tenant::json::Json;
use crate::sandbox::tenant::record::Comment;

/// The `comments` list.
pub(in crate::sandbox) fn comments(family: Family, all: &[Comment]) -> String {
    let mut json = Json::default();
    json.list(|json| {
        for one in all {
            json.raw(&comment(family, one));
        }
    });
    json.finish()
}

pub(in crate::sandbox) fn comment(family: Family, comment: &Comment) -> String {
    let mut json = Json::default();
    json.object(|json| match family {
        Family::Graph => {
            json.key("@odata.type")
                .text("#microsoft.graph.security.alertComment");
            json.key("comment").text(&comment.text);
            json.key("createdByDisplayName").text(&comment.by);
            json.key("createdDateTime").plain(comment.at);
        }
        Family::Mde | Family::Xdr => {
            json.key("comment").text(&comment.text);
            json.key("createdBy").text(&comment.by);
            json.key("createdTime").plain(comment.at);
        }
    });
    json.finish()
}
