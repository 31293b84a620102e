//! The query options of a list call, before the family's rules are applied.

use crate::sandbox::api::answer::Refusal;

#[derive(Debug, Default, PartialEq, Eq)]
pub(in crate::sandbox) struct Options {
    pub(in crate::sandbox) filter: Option<String>,
    pub(in crate::sandbox) order: Option<String>,
    pub(in crate::sandbox) top: Option<usize>,
    pub(in crate::sandbox) skip: Option<usize>,
    pub(in crate::sandbox) after: Option<usize>,
    pub(in crate::sandbox) count: bool,
    pub(in crate::sandbox) expand: Option<String>,
    pub(in crate::sandbox) select: bool,
}

impl Options {
    /// Reads the part of the URL behind `?`. A name may come without its `$`.
    pub(in crate::sandbox) fn of(query: Option<&str>) -> Result<Self, Refusal> {
        let mut options = Self::default();
        for (name, value) in url::form_urlencoded::parse(query.unwrap_or_default().as_bytes()) {
            let number = || {
                value
                    .parse::<usize>()
                    .map_err(|_| Refusal::bad("BadRequest", format!("Invalid value '{value}' for {name} query option found. It must be a non-negative integer.")))
            };
            match name.strip_prefix('$').unwrap_or(&name) {
                "filter" => options.filter = Some(value.into_owned()),
                "orderby" => options.order = Some(value.into_owned()),
                "top" => options.top = Some(number()?),
                "skip" => options.skip = Some(number()?),
                "skiptoken" => options.after = Some(number()?),
                "count" => options.count = value == "true",
                "expand" => options.expand = Some(value.into_owned()),
                "select" => options.select = true,
                other if name.starts_with('$') => {
                    let message = format!("The query parameter '${other}' is not supported.");
                    return Err(Refusal::bad("BadRequest", message));
                }
                _ => {}
            }
        }
        Ok(options)
    }

    /// The same query, going on after that many objects.
    pub(in crate::sandbox) fn next(query: Option<&str>, after: usize) -> String {
        let mut next = url::form_urlencoded::Serializer::new(String::new());
        for (name, value) in url::form_urlencoded::parse(query.unwrap_or_default().as_bytes()) {
            if !matches!(
                name.strip_prefix('$').unwrap_or(&name),
                "skip" | "skiptoken"
            ) {
                next.append_pair(&name, &value);
            }
        }
        next.append_pair("$skiptoken", &after.to_string()).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn the_next_link_keeps_the_question_and_moves_on() {
        let query = "$filter=a%20eq%20'b+c'&$top=2&$skip=1";
        let next = Options::next(Some(query), 3);
        let options = Options::of(Some(&next)).unwrap();
        assert_eq!(options.filter.as_deref(), Some("a eq 'b c'"));
        assert_eq!(
            (options.top, options.skip, options.after),
            (Some(2), None, Some(3))
        );
    }

    proptest! {
        #[test]
        fn no_query_makes_it_panic(query in "\\PC{0,60}") {
            let _options = Options::of(Some(&query));
        }
    }
}
