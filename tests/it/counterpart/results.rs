//! The results file of an alert: gzip over CSV with `__mv_` columns, as Splunk writes it.

use std::io::Write;
use std::path::Path;

/// Writes rows under their header; a value with line ends is a multi-value field.
pub fn write(path: &Path, header: &[&str], rows: &[Vec<String>]) {
    let mut table = csv::WriterBuilder::new()
        .terminator(csv::Terminator::CRLF)
        .from_writer(Vec::new());
    let columns = header
        .iter()
        .flat_map(|name| [(*name).to_owned(), format!("__mv_{name}")]);
    table.write_record(columns).unwrap();
    for row in rows {
        let cells = row.iter().flat_map(|value| [value.clone(), multi(value)]);
        table.write_record(cells).unwrap();
    }
    let table = table.into_inner().unwrap();
    // Splunk appends gzip members; a reader must not stop after the first.
    let middle = table.len() / 2;
    // Whoever reads it meanwhile reads the one before.
    let mut file = tempfile::NamedTempFile::new_in(path.parent().unwrap()).unwrap();
    for part in [&table[..middle], &table[middle..]] {
        let mut gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
        gzip.write_all(part).unwrap();
        file.write_all(&gzip.finish().unwrap()).unwrap();
    }
    file.persist(path).unwrap();
}

fn multi(value: &str) -> String {
    if !value.contains('\n') {
        return String::new();
    }
    let parts: Vec<String> = value
        .split('\n')
        .map(|part| format!("${}$", part.replace('$', "$$")))
        .collect();
    parts.join(";")
}
