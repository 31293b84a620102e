//! What a command found, on stdout: a table for people, JSON for programs.

use comfy_table::{ContentArrangement, Table, presets};
use serde::Serialize;
use std::io::{self, IsTerminal, Write};

pub fn json<V: Serialize + ?Sized>(out: &mut impl Write, value: &V) -> io::Result<()> {
    serde_json::to_writer_pretty(&mut *out, value)?;
    writeln!(out)
}

pub fn table() -> Table {
    let mut table = Table::new();
    table.load_style(presets::UTF8_HORIZONTAL_ONLY.to_owned());
    table
}

/// As wide as the terminal; of so many columns where there is none.
pub fn fitting_table(out: &impl IsTerminal, columns: u16) -> Table {
    let mut table = table();
    table.set_content_arrangement(ContentArrangement::Dynamic);
    if !out.is_terminal() {
        table.set_width(columns);
    }
    table
}
