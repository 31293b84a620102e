//! A chunk's rows: CSV with a header line of its own, lines end in CRLF, quotes
//! only where needed. A field with several values has a second column
//! `__mv_<field>`, which holds them as `$one$;$two$`.

use crate::splunk::alert_action::results;
use crate::splunk::alert_action::results::{Column, Row, SEVERAL};
use csv::{ByteRecord, Terminator, Writer, WriterBuilder};
use std::collections::HashSet;
use std::io;

/// The values of one cell: none, one or several.
pub type Values = Vec<String>;

/// splunkd sends 50 000, unless limits.conf says otherwise.
const MOST: usize = 500_000;

/// Why a chunk's rows were not understood.
#[derive(Debug, thiserror::Error)]
pub enum TableError {
    #[error("the rows of a chunk cannot be read: {0}")]
    Unreadable(#[from] csv::Error),
    #[error("a chunk has more than {most} rows: narrow the search")]
    TooMany { most: usize },
}

/// The rows of one chunk, kept byte for byte, so that they can be handed on as
/// they came.
#[derive(Debug)]
pub struct Table {
    header: ByteRecord,
    columns: Vec<Column>,
    records: Vec<ByteRecord>,
}

impl Table {
    /// Reads a chunk's body; an empty one is a table without rows.
    pub fn read(body: &[u8]) -> Result<Self, TableError> {
        let mut reader = csv::ReaderBuilder::new()
            .has_headers(false)
            .flexible(true)
            .from_reader(body);
        let mut header = ByteRecord::new();
        reader.read_byte_record(&mut header)?;
        let mut records = Vec::new();
        for record in reader.into_byte_records() {
            if records.len() >= MOST {
                return Err(TableError::TooMany { most: MOST });
            }
            records.push(record?);
        }
        Ok(Self {
            columns: results::columns(&header),
            header,
            records,
        })
    }

    /// How many rows a body has, known before any is built.
    ///
    /// # Errors
    /// If it is no table.
    pub fn count(body: &[u8]) -> Result<usize, TableError> {
        let mut reader = csv::ReaderBuilder::new()
            .has_headers(true)
            .flexible(true)
            .from_reader(body);
        let mut record = ByteRecord::new();
        let mut count = 0;
        while reader.read_byte_record(&mut record)? {
            count += 1;
        }
        Ok(count)
    }

    pub fn len(&self) -> usize {
        self.records.len()
    }

    /// The rows, field by field.
    pub fn rows(&self) -> impl Iterator<Item = Row> {
        self.records
            .iter()
            .map(|record| results::row(&self.columns, record))
    }

    /// The same rows as they came, with columns of ours behind theirs: one list
    /// of cells per row. A column that already has such a name gives way.
    pub fn widened(&self, names: &[&str], cells: &[Vec<Values>]) -> io::Result<Vec<u8>> {
        if self.records.is_empty() {
            return Ok(Vec::new());
        }
        let ours: HashSet<&[u8]> = names.iter().map(|name| name.as_bytes()).collect();
        let theirs: Vec<usize> = self
            .header
            .iter()
            .enumerate()
            .filter(|(_, name)| {
                let field = name.strip_prefix(SEVERAL.as_bytes()).unwrap_or(name);
                !ours.contains(field)
            })
            .map(|(place, _)| place)
            .collect();
        let mut out = writer(Vec::new());
        for place in &theirs {
            out.write_field(self.header.get(*place).unwrap_or_default())?;
        }
        write_names(&mut out, names)?;
        for (place, record) in self.records.iter().enumerate() {
            for place in &theirs {
                out.write_field(record.get(*place).unwrap_or_default())?;
            }
            let own = cells.get(place).map(Vec::as_slice).unwrap_or_default();
            write_cells(&mut out, names.len(), own)?;
        }
        out.into_inner().map_err(csv::IntoInnerError::into_error)
    }
}

/// Appends a row to a chunk's body, and before the first one the header.
pub fn write_row(body: &mut Vec<u8>, names: &[&str], cells: &[Values]) -> io::Result<()> {
    let empty = body.is_empty();
    let mut out = writer(body);
    if empty {
        write_names(&mut out, names)?;
    }
    write_cells(&mut out, names.len(), cells)?;
    out.flush()
}

fn writer<W: io::Write>(out: W) -> Writer<W> {
    WriterBuilder::new()
        .terminator(Terminator::CRLF)
        .has_headers(false)
        .flexible(true)
        .from_writer(out)
}

const NOTHING: [&[u8]; 0] = [];

fn write_names<W: io::Write>(out: &mut Writer<W>, names: &[&str]) -> io::Result<()> {
    for name in names {
        out.write_field(name)?;
        out.write_field(format!("{SEVERAL}{name}"))?;
    }
    Ok(out.write_record(NOTHING)?)
}

fn write_cells<W: io::Write>(
    out: &mut Writer<W>,
    columns: usize,
    cells: &[Values],
) -> io::Result<()> {
    for place in 0..columns {
        let values = cells.get(place).map(Vec::as_slice).unwrap_or_default();
        match values {
            [] | [_] => {
                out.write_field(values.first().map(String::as_str).unwrap_or_default())?;
                out.write_field("")?;
            }
            several => {
                out.write_field(several.join("\n"))?;
                out.write_field(joined(several))?;
            }
        }
    }
    Ok(out.write_record(NOTHING)?)
}

fn joined(values: &[String]) -> String {
    let quoted: Vec<String> = values
        .iter()
        .map(|value| format!("${}$", value.replace('$', "$$")))
        .collect();
    quoted.join(";")
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn one(values: &[&str]) -> Values {
        values.iter().map(|value| (*value).to_owned()).collect()
    }

    #[test]
    fn rows_are_handed_on_byte_for_byte_with_our_columns_behind_them() {
        let body = b"id,__mv_id,note,defender_outcome,__mv_defender_outcome\r\n1,,\"a \"\"b\"\", c\",old,\r\n\"x\ny\",$x$;$y$,\xff,,\r\nshort\r\n";
        let table = Table::read(body).unwrap();
        let cells = [
            vec![one(&["updated"]), one(&[])],
            vec![one(&["a$", "b;c"]), one(&["said \"no\""])],
        ];
        let out = table
            .widened(&["defender_outcome", "defender_message"], &cells)
            .unwrap();
        insta::assert_snapshot!(String::from_utf8_lossy(&out).replace('\r', "⏎"), @r#"
        id,__mv_id,note,defender_outcome,__mv_defender_outcome,defender_message,__mv_defender_message⏎
        1,,"a ""b"", c",updated,,,⏎
        "x
        y",$x$;$y$,�,"a$
        b;c",$a$$$;$b;c$,"said ""no""",⏎
        short,,,,,,⏎
        "#);
    }

    #[test]
    fn rows_are_read_with_all_their_values() {
        let table = Table::read(b"id,__mv_id,n\r\n\"x\ny\",$x$;$y$,1\r\n").unwrap();
        assert_eq!(table.len(), 1);
        let row = table.rows().next().unwrap();
        assert_eq!(row.values("id"), ["x", "y"]);
        assert_eq!(row.get("n"), Some("1"));
    }

    #[test]
    fn no_rows_stay_no_rows() {
        for body in [b"".as_slice(), b"id\r\n"] {
            let table = Table::read(body).unwrap();
            assert_eq!(table.len(), 0);
            assert_eq!(table.widened(&["a"], &[]).unwrap(), b"");
        }
    }

    fn cell() -> impl Strategy<Value = Values> {
        prop::collection::vec("[a-z$;,\"\r\n é]{1,6}", 0..4)
    }

    proptest! {
        #[test]
        fn what_is_written_is_read_again(rows in prop::collection::vec((cell(), cell()), 1..6)) {
            let mut body = Vec::new();
            for (a, b) in &rows {
                write_row(&mut body, &["a", "b"], &[a.clone(), b.clone()]).unwrap();
            }
            let table = Table::read(&body).unwrap();
            prop_assert_eq!(table.len(), rows.len());
            for (row, (a, b)) in table.rows().zip(&rows) {
                prop_assert_eq!(row.values("a"), a.as_slice());
                prop_assert_eq!(row.values("b"), b.as_slice());
            }
        }

        #[test]
        fn widening_keeps_every_cell_of_theirs(rows in prop::collection::vec((cell(), cell()), 1..6)) {
            let mut body = Vec::new();
            for (a, b) in &rows {
                write_row(&mut body, &["a", "b"], &[a.clone(), b.clone()]).unwrap();
            }
            let table = Table::read(&body).unwrap();
            let added: Vec<_> = rows.iter().map(|(a, _)| vec![a.clone()]).collect();
            let wide = Table::read(&table.widened(&["c"], &added).unwrap()).unwrap();
            for (row, (a, b)) in wide.rows().zip(&rows) {
                prop_assert_eq!(row.values("a"), a.as_slice());
                prop_assert_eq!(row.values("b"), b.as_slice());
                prop_assert_eq!(row.values("c"), a.as_slice());
            }
        }

        #[test]
        fn any_bytes_are_rows_or_refused(body: Vec<u8>) {
            if let Ok(table) = Table::read(&body) {
                for row in table.rows() {
                    drop(row);
                }
                table.widened(&["a"], &[]).unwrap();
            }
        }
    }
}
