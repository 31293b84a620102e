//! Lists: filter, order and page over the objects of one kind.

use crate::sandbox::Family;
use crate::sandbox::api::filter::{Field, Filter, Value};
use crate::sandbox::tenant::instant::Ticks;
use crate::sandbox::tenant::record::{Alert, Incident, State};
use crate::sandbox::tenant::store::{Row, Shelf};
use crate::sandbox::tenant::vocabulary::detection_source;
use std::ops::Bound;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::sandbox) struct Order {
    pub(in crate::sandbox) by: Field,
    pub(in crate::sandbox) ascending: bool,
}

pub(in crate::sandbox) const NEWEST_FIRST: Order = Order {
    by: Field::Updated,
    ascending: false,
};

impl Order {
    /// `lastUpdateDateTime asc`, `createdDateTime desc`, ….
    pub(in crate::sandbox) fn parse(text: &str) -> Option<Self> {
        let mut words = text.split_ascii_whitespace();
        let by = match words.next()? {
            "lastUpdateDateTime" => Field::Updated,
            "createdDateTime" => Field::Created,
            _ => return None,
        };
        let ascending = match words.next() {
            None | Some("asc") => true,
            Some("desc") => false,
            Some(_) => return None,
        };
        words.next().is_none().then_some(Self { by, ascending })
    }
}

pub(in crate::sandbox) struct Page<'s, T> {
    pub(in crate::sandbox) rows: Vec<&'s T>,
    /// Whether something lies behind the page.
    pub(in crate::sandbox) more: bool,
}

pub(in crate::sandbox) trait Subject: Row {
    fn value(&self, field: Field) -> Value<'_>;
}

impl<T: Subject> Shelf<T> {
    pub(in crate::sandbox) fn page<'s>(
        &'s self,
        family: Family,
        filter: Option<&'s Filter>,
        order: Order,
        skip: usize,
        top: usize,
    ) -> Page<'s, T> {
        if order.by == Field::Updated {
            let mut found = self.found(family, filter, order.ascending).skip(skip);
            let rows = found.by_ref().take(top).collect();
            let more = found.next().is_some();
            return Page { rows, more };
        }
        let mut rows: Vec<&T> = self.found(family, filter, true).collect();
        rows.sort_by_key(|row| row.state().created);
        if !order.ascending {
            rows.reverse();
        }
        let more = rows.len() > skip.saturating_add(top);
        let rows = rows.into_iter().skip(skip).take(top).collect();
        Page { rows, more }
    }

    pub(in crate::sandbox) fn count(&self, family: Family, filter: Option<&Filter>) -> usize {
        self.found(family, filter, true).count()
    }

    fn found<'s>(
        &'s self,
        family: Family,
        filter: Option<&'s Filter>,
        ascending: bool,
    ) -> impl Iterator<Item = &'s T> {
        let range: (Bound<Ticks>, Bound<Ticks>) =
            filter.map_or((Bound::Unbounded, Bound::Unbounded), Filter::updated);
        self.listed(range, ascending).filter_map(move |(_, row)| {
            let shown = row.only().is_none_or(|only| only == family)
                && filter.is_none_or(|filter| filter.holds(&|field| row.value(field)));
            shown.then_some(row)
        })
    }
}

fn state_value(state: &State, field: Field) -> Value<'_> {
    match field {
        Field::Created => Value::Instant(state.created),
        Field::Updated => Value::Instant(state.updated),
        Field::Status => Value::Text(&state.status),
        Field::Severity => Value::Text(&state.severity),
        Field::Classification => Value::Text(&state.classification),
        Field::Determination => Value::Text(&state.determination),
        Field::AssignedTo => text(state.assigned_to.as_deref()),
        _ => Value::Null,
    }
}

fn text(value: Option<&str>) -> Value<'_> {
    value.map_or(Value::Null, Value::Text)
}

fn number(value: Option<i64>) -> Value<'static> {
    value.map_or(Value::Null, Value::Number)
}

impl Subject for Alert {
    fn value(&self, field: Field) -> Value<'_> {
        match field {
            Field::Id => Value::Text(&self.id),
            Field::Incident => number(self.incident.as_deref().and_then(|id| id.parse().ok())),
            Field::Investigation => number(self.investigation),
            Field::LastEvent => self.last_event.map_or(Value::Null, Value::Instant),
            Field::ServiceSource => Value::Text(&self.service_source),
            Field::DetectionSource => Value::Text(detection_source(&self.detection_source)),
            Field::Category => Value::Text(&self.category),
            _ => state_value(&self.state, field),
        }
    }
}

impl Subject for Incident {
    fn value(&self, field: Field) -> Value<'_> {
        match field {
            Field::Id => Value::Text(&self.id),
            _ => state_value(&self.state, field),
        }
    }
}
