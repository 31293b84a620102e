//! The rows of a search, as Splunk keeps them in a results file: CSV, most
//! often gzipped, where a field with several values has a second column
//! `__mv_<field>` holding them as `$one$;$two$` (a `$` inside doubled).

use csv::ByteRecord;
use flate2::bufread::MultiGzDecoder;
use std::collections::HashMap;
use std::fs::File;
use std::io::{self, BufRead, BufReader, Read};
use std::path::{Path, PathBuf};

pub(in crate::splunk) const SEVERAL: &str = "__mv_";

/// Why a results file could not be read (to its end).
#[derive(Debug, thiserror::Error)]
#[error(
    "results file {}, after {rows} rows: {cause}; rows beyond were not looked at, run the search again",
    .at.display()
)]
pub struct ResultsError {
    pub at: PathBuf,
    pub rows: u64,
    pub cause: io::Error,
}

/// One row: fields in the order of their columns, without the empty ones.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Row(Vec<(String, Vec<String>)>);

impl Row {
    /// The first value of a field.
    pub fn get(&self, field: &str) -> Option<&str> {
        self.values(field).first().map(String::as_str)
    }

    /// All values of a field; none if it is empty or absent.
    pub fn values(&self, field: &str) -> &[String] {
        self.0
            .iter()
            .find(|(name, _)| name == field)
            .map(|(_, values)| values.as_slice())
            .unwrap_or_default()
    }

    pub fn iter(&self) -> impl Iterator<Item = (&str, &[String])> {
        self.0
            .iter()
            .map(|(name, values)| (name.as_str(), values.as_slice()))
    }

    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl FromIterator<(String, Vec<String>)> for Row {
    fn from_iter<T: IntoIterator<Item = (String, Vec<String>)>>(fields: T) -> Self {
        let filled = |(_, values): &(String, Vec<String>)| values.iter().any(|v| !v.is_empty());
        Self(fields.into_iter().filter(filled).collect())
    }
}

/// Bytes of a results file, unpacked: 10 000 rows of 25 kB.
const MOST_BYTES: u64 = 256 << 20;

/// The rows of one results file, read as they are asked for.
pub struct Results {
    at: PathBuf,
    rows: u64,
    columns: Vec<Column>,
    reader: csv::Reader<Box<dyn Read + Send>>,
    record: ByteRecord,
    ended: bool,
}

#[derive(Debug)]
pub(in crate::splunk) struct Column {
    name: String,
    /// Where its several values stand.
    several: Option<usize>,
    at: usize,
}

impl Results {
    pub fn open(at: &Path) -> Result<Self, ResultsError> {
        let failing = |cause| ResultsError {
            at: at.to_owned(),
            rows: 0,
            cause,
        };
        let mut file = BufReader::new(File::open(at).map_err(failing)?);
        let gzipped = file.fill_buf().map_err(failing)?.starts_with(&[0x1F, 0x8B]);
        let plain: Box<dyn Read + Send> = if gzipped {
            Box::new(WithoutNul(Bounded::new(MultiGzDecoder::new(file))))
        } else {
            Box::new(WithoutNul(Bounded::new(file)))
        };
        let mut reader = csv::ReaderBuilder::new()
            .has_headers(false)
            .flexible(true)
            .from_reader(plain);
        let mut record = ByteRecord::new();
        let ended = !reader
            .read_byte_record(&mut record)
            .map_err(|error| failing(error.into()))?;
        Ok(Self {
            at: at.to_owned(),
            rows: 0,
            columns: columns(&record),
            reader,
            record,
            ended,
        })
    }
}

impl Iterator for Results {
    type Item = Result<Row, ResultsError>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.ended {
            return None;
        }
        match self.reader.read_byte_record(&mut self.record) {
            Ok(true) => {
                self.rows += 1;
                Some(Ok(row(&self.columns, &self.record)))
            }
            Ok(false) => {
                self.ended = true;
                None
            }
            Err(error) => {
                self.ended = true;
                Some(Err(ResultsError {
                    at: self.at.clone(),
                    rows: self.rows,
                    cause: error.into(),
                }))
            }
        }
    }
}

pub(in crate::splunk) fn columns(header: &ByteRecord) -> Vec<Column> {
    let names: Vec<String> = header
        .iter()
        .map(|name| {
            String::from_utf8_lossy(name)
                .trim_start_matches('\u{FEFF}')
                .to_owned()
        })
        .collect();
    let mut several = HashMap::new();
    for (at, name) in names.iter().enumerate() {
        if let Some(field) = name.strip_prefix(SEVERAL) {
            several.entry(field).or_insert(at);
        }
    }
    names
        .iter()
        .enumerate()
        .filter(|(_, name)| !name.starts_with(SEVERAL) && !name.is_empty())
        .map(|(at, name)| Column {
            name: name.clone(),
            several: several.get(name.as_str()).copied(),
            at,
        })
        .collect()
}

pub(in crate::splunk) fn row(columns: &[Column], record: &ByteRecord) -> Row {
    let cell = |at: usize| String::from_utf8_lossy(record.get(at).unwrap_or_default());
    columns
        .iter()
        .map(|column| {
            let values = column
                .several
                .and_then(|at| several(&cell(at)))
                .unwrap_or_else(|| vec![cell(column.at).into_owned()]);
            (column.name.clone(), values)
        })
        .collect()
}

/// The values in `$one$;$two$`; none if it is written differently.
fn several(text: &str) -> Option<Vec<String>> {
    let mut values = Vec::new();
    let mut rest = text;
    loop {
        rest = rest.strip_prefix('$')?;
        let mut value = String::new();
        loop {
            let (piece, after) = rest.split_once('$')?;
            value.push_str(piece);
            rest = after;
            match rest.strip_prefix('$') {
                Some(doubled) => {
                    value.push('$');
                    rest = doubled;
                }
                None => break,
            }
        }
        values.push(value);
        if rest.is_empty() {
            return Some(values);
        }
        rest = rest.strip_prefix(';')?;
    }
}

/// Fails beyond so many bytes: a small file may unpack to any size.
struct Bounded<R> {
    from: R,
    left: u64,
}

impl<R> Bounded<R> {
    const fn new(from: R) -> Self {
        Self {
            from,
            left: MOST_BYTES,
        }
    }
}

impl<R: Read> Read for Bounded<R> {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        let read = self.from.read(into)?;
        match self.left.checked_sub(read as u64) {
            Some(left) => self.left = left,
            None => {
                let why = format!(
                    "it holds more than {} MB: keep fewer fields (| fields ...)",
                    MOST_BYTES >> 20
                );
                return Err(io::Error::new(io::ErrorKind::FileTooLarge, why));
            }
        }
        Ok(read)
    }
}

/// Leaves out NUL bytes, which stand in some results files and in no value.
struct WithoutNul<R>(R);

impl<R: Read> Read for WithoutNul<R> {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        loop {
            let read = self.0.read(into)?;
            let Some(bytes) = into.get_mut(..read) else {
                return Ok(0);
            };
            if memchr::memchr(0, bytes).is_none() {
                return Ok(read);
            }
            let kept: Vec<u8> = bytes.iter().copied().filter(|&byte| byte != 0).collect();
            // All of it was NUL: nothing yet, but not the end.
            if !kept.is_empty() {
                for (to, from) in bytes.iter_mut().zip(&kept) {
                    *to = *from;
                }
                return Ok(kept.len());
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use flate2::Compression;
    use flate2::write::GzEncoder;
    use proptest::prelude::*;
    use std::io::Write;

    fn gzip(bytes: &[u8]) -> Vec<u8> {
        let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
        encoder.write_all(bytes).unwrap();
        encoder.finish().unwrap()
    }

    fn read(bytes: &[u8]) -> Result<Vec<Row>, ResultsError> {
        let mut file = tempfile::NamedTempFile::new().unwrap();
        file.write_all(bytes).unwrap();
        Results::open(file.path())?.collect()
    }

    fn fields(row: &Row) -> Vec<(&str, Vec<&str>)> {
        row.iter()
            .map(|(name, values)| (name, values.iter().map(String::as_str).collect()))
            .collect()
    }

    const CSV: &str = "\u{FEFF}_time,alertId,\"__mv_alertId\",title,__mv_title\n\
        1717171717,da1,,\"a \"\"b\"\",\nc\",\n\
        1717171718,\"da2\nda3\",\"$da2$;$d$$a;3$\",,\n";

    #[test]
    fn reads_rows_and_several_values_plain_or_gzipped_in_pieces() {
        let (first, second) = CSV.as_bytes().split_at(60);
        for bytes in [
            CSV.as_bytes().to_vec(),
            gzip(CSV.as_bytes()),
            [gzip(first), gzip(second)].concat(),
        ] {
            let rows = read(&bytes).unwrap();
            let [one, two] = rows.as_slice() else {
                panic!("{rows:?}")
            };
            assert_eq!(
                fields(one),
                [
                    ("_time", vec!["1717171717"]),
                    ("alertId", vec!["da1"]),
                    ("title", vec!["a \"b\",\nc"])
                ]
            );
            assert_eq!(
                fields(two),
                [
                    ("_time", vec!["1717171718"]),
                    ("alertId", vec!["da2", "d$a;3"])
                ]
            );
            assert_eq!(two.get("title"), None);
        }
    }

    #[test]
    fn tolerates_ragged_rows_nul_bytes_and_broken_text() {
        let rows = read(b"a,b,__mv_b\r\n1\r\n1,2,$x,4,5\n\0\0\x003\0,\xFF,\n").unwrap();
        let rows: Vec<_> = rows.iter().map(fields).collect();
        assert_eq!(
            rows,
            [
                vec![("a", vec!["1"])],
                vec![("a", vec!["1"]), ("b", vec!["2"])],
                vec![("a", vec!["3"]), ("b", vec!["\u{FFFD}"])],
            ]
        );
    }

    #[test]
    fn a_field_may_have_any_size() {
        let large = "x".repeat(5 << 20);
        let rows = read(&gzip(format!("a\n{large}\n").as_bytes())).unwrap();
        assert_eq!(rows[0].get("a").map(str::len), Some(5 << 20));
    }

    #[test]
    fn a_file_that_unpacks_to_too_much_ends_with_an_error() {
        let piece = gzip(&vec![b'x'; 16 << 20]);
        let bytes = [gzip(b"a\n1\n"), piece.repeat(17)].concat();
        assert!(bytes.len() < 4 << 20);
        let error = read(&bytes).unwrap_err();
        assert!(error.to_string().contains("more than 256 MB"), "{error}");
        assert_eq!(error.rows, 1);
    }

    #[test]
    fn an_empty_file_has_no_rows() {
        for bytes in [b"".as_slice(), b"a,b\n", b"\0\0\0"] {
            assert_eq!(read(bytes).unwrap(), []);
        }
    }

    #[test]
    fn a_file_cut_off_gives_its_rows_and_then_says_so() {
        let csv = (0..50_000).fold("a,b\n".to_owned(), |csv, n| {
            format!("{csv}{n},{}\n", n * 7919)
        });
        let whole = gzip(csv.as_bytes());
        let mut file = tempfile::NamedTempFile::new().unwrap();
        file.write_all(&whole[..whole.len() / 2]).unwrap();
        let mut results = Results::open(file.path()).unwrap();
        let good = results.by_ref().take_while(Result::is_ok).count();
        assert!(good > 100, "{good}");
        assert!(results.next().is_none(), "the error comes once");
        let error = Results::open(file.path())
            .unwrap()
            .find_map(Result::err)
            .unwrap();
        assert_eq!(error.rows, good as u64);
    }

    proptest! {
        #[test]
        fn several_values_read_back(values in prop::collection::vec("[$;a\\PC]{0,5}", 1..6)) {
            let text = values
                .iter()
                .map(|value| format!("${}$", value.replace('$', "$$")))
                .collect::<Vec<_>>()
                .join(";");
            prop_assert_eq!(several(&text), Some(values));
        }

        #[test]
        fn any_bytes_are_read_or_refused(bytes: Vec<u8>, packed: bool) {
            let bytes = if packed { gzip(&bytes) } else { bytes };
            drop(read(&bytes));
        }

        #[test]
        fn rows_read_back_as_they_were_written(
            rows in prop::collection::vec(prop::collection::vec("[^\u{0}\u{FEFF}]{1,8}", 3), 0..8)
        ) {
            let mut writer = csv::Writer::from_writer(Vec::new());
            writer.write_record(["a", "b", "c"]).unwrap();
            for row in &rows {
                writer.write_record(row).unwrap();
            }
            let read = read(&writer.into_inner().unwrap()).unwrap();
            let read: Vec<Vec<String>> = read
                .iter()
                .map(|row| row.iter().map(|(_, values)| values[0].clone()).collect())
                .collect();
            prop_assert_eq!(read, rows);
        }
    }
}
