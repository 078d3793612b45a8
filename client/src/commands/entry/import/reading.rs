//! What a row says, understood as `entry add` understands its options: typed, or every cell that is not.

use std::collections::HashMap;

use renaksi_domain::State;
use renaksi_domain::entry::{AddEntry, Reading};
use renaksi_domain::ids::IndicatorId;
use renaksi_domain::quantity::Quantity;
use renaksi_domain::time::{Date, Timestamp};
use renaksi_proto::log::Texts;

use super::super::year_of;
use super::Problem;
use super::sheet::{Column, Row, Sheet};
use crate::context::Context;
use crate::error::{ClientError, Rejected};
use crate::find;

/// A row that is understood.
#[derive(Clone, Debug)]
pub(super) struct Fact {
    pub(super) line: u64,
    pub(super) add: AddEntry,
    pub(super) texts: Texts,
}

/// Understands every row of a sheet, or tells everything that is wrong with any of them.
pub(super) fn facts(
    ctx: &Context,
    state: &State,
    now: Timestamp,
    sheet: &Sheet,
) -> Result<Vec<Fact>, Vec<Problem>> {
    let mut reader = Reader { ctx, state, now, sheet, indicators: HashMap::new(), problems: Vec::new() };
    let facts: Vec<Fact> = sheet.rows.iter().filter_map(|row| reader.fact(row)).collect();
    if reader.problems.is_empty() { Ok(facts) } else { Err(reader.problems) }
}

struct Reader<'a> {
    ctx: &'a Context,
    state: &'a State,
    now: Timestamp,
    sheet: &'a Sheet,
    /// Sheets name few indicators many times.
    indicators: HashMap<(Date, &'a str), Result<IndicatorId, Rejected>>,
    problems: Vec<Problem>,
}

impl<'a> Reader<'a> {
    fn fact(&mut self, row: &'a Row) -> Option<Fact> {
        let on = self.on(row);
        // A date that is not understood says nothing about the year; the indicator is looked at all the same.
        let indicator = self.indicator(row, on.unwrap_or_else(|| self.state.day(self.now)));
        let reading = self.reading(row);
        let place = self.said(row, Column::Place);
        let note = self.said(row, Column::Note);
        Some(Fact {
            line: row.line,
            add: AddEntry { indicator: indicator?, on: on?, reading: reading? },
            texts: Texts { place: place?, note: note?, reason: String::new() },
        })
    }

    fn cell(&self, row: &'a Row, column: Column) -> Option<&'a str> {
        self.sheet.cell(row, column)
    }

    fn wrong(&mut self, row: &Row, column: Column, cause: Rejected) {
        self.problems.push(Problem { line: row.line, column: Some(self.sheet.name(column)), cause });
    }

    /// The value, or the problem on the list.
    fn kept<T>(&mut self, row: &Row, column: Column, read: Result<T, ClientError>) -> Option<T> {
        read.map_err(|error| self.wrong(row, column, error.cause().clone())).ok()
    }

    fn on(&mut self, row: &'a Row) -> Option<Date> {
        match self.cell(row, Column::On) {
            None => Some(self.state.day(self.now)),
            Some(text) => self.kept(row, Column::On, find::date(text)),
        }
    }

    fn indicator(&mut self, row: &'a Row, on: Date) -> Option<IndicatorId> {
        let wanted = self.cell(row, Column::Indicator).unwrap_or_default();
        let (ctx, state, now) = (self.ctx, self.state, self.now);
        let found = self.indicators.entry((on, wanted)).or_insert_with(|| {
            let found = year_of(ctx, state, on, now).and_then(|year| find::indicator(state, year, wanted));
            found.map_err(|error| error.cause().clone())
        });
        match found.clone() {
            Ok(id) => Some(id),
            Err(cause) => {
                self.wrong(row, Column::Indicator, cause);
                None
            }
        }
    }

    fn reading(&mut self, row: &'a Row) -> Option<Reading> {
        let columns = [Column::Quantity, Column::Numerator, Column::Denominator, Column::Text];
        match columns.map(|column| self.cell(row, column)) {
            [Some(quantity), None, None, None] => {
                self.number(row, Column::Quantity, quantity).map(Reading::Quantity)
            }
            [None, Some(numerator), Some(denominator), None] => {
                let numerator = self.number(row, Column::Numerator, numerator);
                let denominator = self.number(row, Column::Denominator, denominator);
                Some(Reading::Ratio { numerator: numerator?, denominator: denominator? })
            }
            [None, None, None, Some(_)] => Some(Reading::Text(self.said(row, Column::Text)?.into())),
            cells => {
                let filled: Vec<Column> = columns
                    .into_iter()
                    .zip(cells)
                    .filter(|(_, cell)| cell.is_some())
                    .map(|(c, _)| c)
                    .collect();
                self.unclear(row, &filled);
                None
            }
        }
    }

    /// One number, both parts of a ratio, or a text: neither nothing nor several of them.
    fn unclear(&mut self, row: &Row, filled: &[Column]) {
        let name = |column: Column| self.sheet.name(column);
        let (column, cause) = match filled {
            [] => (None, Rejected::new("READING_MISSING")),
            [Column::Numerator] => (
                Some(Column::Denominator),
                Rejected::new("READING_HALF").with("column", name(Column::Denominator)),
            ),
            [Column::Denominator] => (
                Some(Column::Numerator),
                Rejected::new("READING_HALF").with("column", name(Column::Numerator)),
            ),
            several => {
                let names: Vec<String> = several.iter().map(|column| name(*column)).collect();
                (several.last().copied(), Rejected::new("READING_SEVERAL").with("columns", names.join(", ")))
            }
        };
        let column = column.map(name);
        self.problems.push(Problem { line: row.line, column, cause });
    }

    fn number(&mut self, row: &Row, column: Column, text: &str) -> Option<Quantity> {
        self.kept(row, column, find::quantity(text))
    }

    fn said(&mut self, row: &'a Row, column: Column) -> Option<String> {
        let text = self.cell(row, column).unwrap_or_default();
        let name = self.sheet.name(column);
        self.kept(row, column, find::said(&name, text))
    }
}
