//! Rows of cells to the plan's tree.
//!
//! Three column groups run side by side, and each carries its own current indicator: the quarters of a program may
//! stand beside the rows of its activities, and go on below them. A target is placed by its column group and by the
//! quarter's number written in its cell, never by the row it stands in.

use renaksi_domain::figures::stated_differs;
use renaksi_domain::proposal::{Kind, is_percent, propose_kind};
use renaksi_domain::quantity::{Quantity, Target};

use crate::error::ReadError;
use crate::plan::{Measure, Objective, Program, Row, RowLevel, StrategicIndicator};
use crate::table::{Cell, TARGET_COLUMNS, TableRow, TargetCell};
use crate::warning::{self, Warning};

/// What one quarter of an indicator has been told so far.
#[derive(Clone, Debug, Default)]
enum Slot {
    #[default]
    Unstated,
    Stated {
        target: Target,
        line: u32,
        mark: Option<char>,
    },
    /// A warning says why nothing was taken.
    Refused,
}

/// An indicator while its quarters are still being read.
#[derive(Debug)]
struct Draft {
    place: Place,
    indicator: String,
    unit: Option<String>,
    line: u32,
    slots: [Slot; 4],
    /// The stated target of the year, with its line.
    year: Option<(Quantity, u32)>,
}

#[derive(Debug)]
enum Place {
    /// Begins an objective with this name and line, or belongs to the current one.
    Strategic {
        objective: Option<(String, u32)>,
    },
    Program {
        name: String,
    },
    Row {
        name: String,
        responsible: Option<String>,
        on_program_row: bool,
    },
}

/// Drafts in the order of the tree, and the current one of each column group.
struct Builder<'w> {
    drafts: Vec<Draft>,
    current: [Option<usize>; 3],
    plan_year: i32,
    warnings: &'w mut Vec<Warning>,
}

/// Builds the tree. `last_line` is where a plan that ends too early is said to end.
pub(crate) fn assemble(
    rows: &[TableRow],
    last_line: u32,
    plan_year: i32,
    warnings: &mut Vec<Warning>,
) -> Result<Vec<Objective>, ReadError> {
    let mut builder = Builder { drafts: Vec::new(), current: [None; 3], plan_year, warnings };
    for row in rows {
        let [objective, strategic, unit, _, program, ..] = &row.cells;
        builder.strategic(objective, strategic, unit)?;
        builder.program(program, &row.cells[5], &row.cells[6])?;
        builder.row(&row.cells[8], &row.cells[9], &row.cells[10], &row.cells[12], !program.is_blank())?;
        for (group, column) in TARGET_COLUMNS.into_iter().enumerate() {
            builder.target(group, &row.cells[column]);
        }
    }
    builder.refuse_half_a_plan(last_line)?;
    Ok(builder.finish())
}

impl Builder<'_> {
    fn strategic(&mut self, objective: &Cell, indicator: &Cell, unit: &Cell) -> Result<(), ReadError> {
        if indicator.is_blank() {
            if !objective.is_blank() {
                return Err(incomplete(objective, "the objective", "has no indicator beside it"));
            }
            self.ignore(0, unit, "unit");
            return Ok(());
        }
        if objective.is_blank() && self.current[0].is_none() {
            return Err(incomplete(indicator, "the strategic indicator", "stands below no objective"));
        }
        let named = (!objective.is_blank()).then(|| (objective.text.clone(), objective.line));
        self.begin(0, Place::Strategic { objective: named }, indicator, unit, indicator.line);
        Ok(())
    }

    fn program(&mut self, name: &Cell, indicator: &Cell, unit: &Cell) -> Result<(), ReadError> {
        if !both_or_neither(name, indicator, "program")? {
            self.ignore(1, unit, "unit");
            return Ok(());
        }
        if self.current[0].is_none() {
            return Err(incomplete(name, "the program", "stands below no strategic indicator"));
        }
        self.begin(1, Place::Program { name: name.text.clone() }, indicator, unit, name.line);
        Ok(())
    }

    fn row(
        &mut self,
        name: &Cell,
        indicator: &Cell,
        unit: &Cell,
        responsible: &Cell,
        on_program_row: bool,
    ) -> Result<(), ReadError> {
        if !both_or_neither(name, indicator, "activity")? {
            self.ignore(2, unit, "unit");
            self.ignore(2, responsible, "responsible");
            return Ok(());
        }
        // A program of the strategic indicator before does not carry on below the next one.
        if self.current[1] < self.current[0] || self.current[1].is_none() {
            return Err(incomplete(
                name,
                "the activity",
                "stands below no program of its strategic indicator",
            ));
        }
        let responsible = (!responsible.is_blank()).then(|| responsible.text.clone());
        let place = Place::Row { name: name.text.clone(), responsible, on_program_row };
        self.begin(2, place, indicator, unit, name.line);
        Ok(())
    }

    fn begin(&mut self, group: usize, place: Place, indicator: &Cell, unit: &Cell, line: u32) {
        self.current[group] = Some(self.drafts.len());
        let unit = (!unit.is_blank()).then(|| unit.text.clone());
        self.drafts.push(Draft {
            place,
            indicator: indicator.text.clone(),
            unit,
            line,
            slots: Default::default(),
            year: None,
        });
    }

    /// A unit or post that stands beside no new indicator: repeating what holds already is harmless.
    fn ignore(&mut self, group: usize, cell: &Cell, what: &'static str) {
        let holding = self.current[group].and_then(|at| match (&self.drafts[at].place, what) {
            (Place::Row { responsible, .. }, "responsible") => responsible.as_ref(),
            _ => self.drafts[at].unit.as_ref(),
        });
        if cell.is_blank() || holding == Some(&cell.text) {
            return;
        }
        let message = format!("\"{}\" stands beside no new indicator and was left out", cell.text);
        self.warnings.push(Warning::new(warning::CELL_IGNORED, cell.line, message).with(what, &cell.text));
    }

    fn target(&mut self, group: usize, cell: &Cell) {
        let warn = |code, message: String| Warning::new(code, cell.line, message).with("cell", &cell.text);
        let (quarter, written) = match TargetCell::read(&cell.text) {
            TargetCell::Blank => return,
            TargetCell::Quarter(quarter, written) => (quarter, written),
            TargetCell::Year(named, written) => return self.year(group, cell, named, written),
            TargetCell::NoSuchQuarter => {
                let message = format!("\"{}\" names no quarter from 1 to 4 and was left out", cell.text);
                return self.warnings.push(warn(warning::QUARTER_UNKNOWN, message));
            }
            TargetCell::Unreadable => {
                let message = format!("\"{}\" was left out; expected a target such as TW 1 = 95", cell.text);
                return self.warnings.push(warn(warning::TARGET_UNREADABLE, message));
            }
        };
        let Some(current) = self.current[group] else {
            let message = format!("\"{}\" stands below no indicator and was left out", cell.text);
            return self.warnings.push(warn(warning::TARGET_WITHOUT_INDICATOR, message));
        };
        let draft = &mut self.drafts[current];
        let about =
            |warning: Warning| warning.with("quarter", quarter + 1).with("indicator", &draft.indicator);
        // A second `TW n =` in one cell would otherwise pass as a text.
        let read = match written.contains('=') {
            true => {
                Err((warning::TARGET_UNREADABLE, format!("\"{}\" states more than one target", cell.text)))
            }
            false => Target::parse_cell(written).map_err(|error| (error.code(), error.to_string())),
        };
        let slot = &mut draft.slots[quarter];
        let quarter_name = format!("TW {} of \"{}\"", quarter + 1, draft.indicator);
        *slot = match (std::mem::take(slot), read) {
            (_, Err((code, cause))) => {
                self.warnings.push(about(warn(code, format!("{quarter_name} is left missing: {cause}"))));
                Slot::Refused
            }
            (Slot::Unstated, Ok(target)) => {
                let mark = target.value().and_then(|value| decimal_mark(written, value.parts().1));
                Slot::Stated { target, line: cell.line, mark }
            }
            (Slot::Stated { target: before, line, mark }, Ok(target)) if before == target => {
                let message = format!("{quarter_name} is stated again as in line {line}");
                self.warnings.push(about(warn(warning::QUARTER_REPEATED, message)).with("first_line", line));
                Slot::Stated { target: before, line, mark }
            }
            (Slot::Stated { target: before, line, .. }, Ok(target)) => {
                let (before, after) = (before.label(), target.label());
                let message = format!(
                    "{quarter_name} is {before} in line {line} and {after} here; neither was taken, it is left missing"
                );
                self.warnings.push(about(warn(warning::QUARTER_CONFLICT, message)).with("first_line", line));
                Slot::Refused
            }
            (Slot::Refused, Ok(_)) => {
                let message = format!("{quarter_name} is stated once more; it stays missing");
                self.warnings.push(about(warn(warning::QUARTER_CONFLICT, message)));
                Slot::Refused
            }
        };
    }

    /// What the year shall come to. It is compared with the quarters and never takes their place.
    fn year(&mut self, group: usize, cell: &Cell, named: Option<i32>, written: &str) {
        let warn = |code, message: String| Warning::new(code, cell.line, message).with("cell", &cell.text);
        let Some(current) = self.current[group] else {
            let message = format!("\"{}\" stands below no indicator and was left out", cell.text);
            return self.warnings.push(warn(warning::TARGET_WITHOUT_INDICATOR, message));
        };
        let draft = &mut self.drafts[current];
        if let Some(other) = named.filter(|named| *named != self.plan_year) {
            let message = format!(
                "\"{}\" of \"{}\" is about {other}, the plan about {}; it was left out",
                cell.text, draft.indicator, self.plan_year
            );
            let warning = warn(warning::YEAR_UNREADABLE, message);
            return self.warnings.push(warning.with("indicator", &draft.indicator));
        }
        match Quantity::parse(written) {
            Ok(stated) if draft.year.is_none_or(|(before, _)| before == stated) => {
                draft.year.get_or_insert((stated, cell.line));
            }
            Ok(_) => {
                let message =
                    format!("the year of \"{}\" is stated twice; the first stands", draft.indicator);
                let warning = warn(warning::YEAR_REPEATED, message);
                self.warnings.push(warning.with("indicator", &draft.indicator));
            }
            Err(error) => {
                let message = format!("the year of \"{}\" was left out: {error}", draft.indicator);
                let warning = warn(warning::YEAR_UNREADABLE, message);
                self.warnings.push(warning.with("indicator", &draft.indicator));
            }
        }
    }

    /// Where the file ends, each group's indicator must have its last quarters, and the tree its lower levels: a file
    /// that was cut off would otherwise pass as a plan with gaps.
    fn refuse_half_a_plan(&self, line: u32) -> Result<(), ReadError> {
        let half = |what: String| Err(ReadError::HalfPlan { line, what });
        let [Some(strategic), program, row] = self.current else {
            return half("its table has no objective with an indicator".to_owned());
        };
        let Some(program) = program.filter(|at| *at > strategic) else {
            return half(format!("\"{}\" has no program", self.drafts[strategic].indicator));
        };
        let Some(row) = row.filter(|at| *at > program) else {
            return half(format!("the program with \"{}\" has no activity", self.drafts[program].indicator));
        };
        for at in [strategic, program, row] {
            let draft = &self.drafts[at];
            if matches!(draft.slots[3], Slot::Unstated) {
                let next = draft
                    .slots
                    .iter()
                    .rposition(|slot| !matches!(slot, Slot::Unstated))
                    .map_or(1, |at| at + 2);
                return half(format!("\"{}\" has no target cell for TW {next}", draft.indicator));
            }
        }
        Ok(())
    }

    fn finish(self) -> Vec<Objective> {
        const IN_ORDER: &str = "BUG: a draft precedes what it belongs to";
        let mut objectives: Vec<Objective> = Vec::new();
        for draft in self.drafts {
            let measure = finish_measure(&draft, self.warnings);
            match draft.place {
                Place::Strategic { objective } => {
                    if let Some((name, line)) = objective {
                        objectives.push(Objective { name, line, indicators: Vec::new() });
                    }
                    let indicators = &mut objectives.last_mut().expect(IN_ORDER).indicators;
                    indicators.push(StrategicIndicator { measure, programs: Vec::new() });
                }
                Place::Program { name } => {
                    let strategic =
                        objectives.last_mut().and_then(|objective| objective.indicators.last_mut());
                    strategic.expect(IN_ORDER).programs.push(Program { name, measure, rows: Vec::new() });
                }
                Place::Row { name, responsible, on_program_row } => {
                    let is_activity = on_program_row || measure.unit.as_deref().is_some_and(is_percent);
                    let level = if is_activity { RowLevel::Activity } else { RowLevel::SubActivity };
                    let strategic =
                        objectives.last_mut().and_then(|objective| objective.indicators.last_mut());
                    let program = strategic.and_then(|strategic| strategic.programs.last_mut());
                    program.expect(IN_ORDER).rows.push(Row { level, name, measure, responsible });
                }
            }
        }
        objectives
    }
}

fn finish_measure(draft: &Draft, warnings: &mut Vec<Warning>) -> Measure {
    let targets = std::array::from_fn(|quarter| match &draft.slots[quarter] {
        Slot::Stated { target, .. } => target.clone(),
        Slot::Unstated | Slot::Refused => Target::Missing,
    });
    for (slot, quarter) in draft.slots.iter().zip(1..) {
        let (line, how) = match slot {
            Slot::Stated { target: Target::Missing, line, .. } => (*line, "is blank"),
            Slot::Unstated => (draft.line, "has no cell"),
            Slot::Stated { .. } | Slot::Refused => continue,
        };
        let message = format!("TW {quarter} of \"{}\" {how}: its target is missing", draft.indicator);
        let warning = Warning::new(warning::TARGET_MISSING, line, message);
        warnings.push(warning.with("quarter", quarter).with("indicator", &draft.indicator));
    }
    mixed_marks(draft, warnings);
    let proposal = propose_kind(draft.unit.as_deref(), &targets);
    year_differs(draft, proposal.kind, targets.each_ref(), warnings);
    Measure {
        indicator: draft.indicator.clone(),
        unit: draft.unit.clone(),
        targets,
        year_target: draft.year.map(|(stated, _)| stated),
        line: draft.line,
        proposal,
    }
}

/// A stated year that the quarters do not come to, by the proposed kind, is a warning and no more.
fn year_differs(draft: &Draft, kind: Kind, targets: [&Target; 4], warnings: &mut Vec<Warning>) {
    let Some((stated, line)) = draft.year else { return };
    if let Some((stated, derived)) = stated_differs(stated, kind, targets) {
        let message = format!(
            "the year of \"{}\" is stated as {}, its quarters come to {derived} ({})",
            draft.indicator,
            stated.indonesian(),
            kind.name()
        );
        let warning = Warning::new(warning::YEAR_TARGET_DIFFERS, line, message);
        let warning = warning.with("indicator", &draft.indicator).with("kind", kind.name());
        warnings.push(warning.with("stated", stated.plain()).with("derived", derived));
    }
}

/// Both marks are read alike, but one of the two was perhaps not meant: name the first cell of each.
fn mixed_marks(draft: &Draft, warnings: &mut Vec<Warning>) {
    let first = |wanted: char| {
        draft.slots.iter().find_map(|slot| match slot {
            Slot::Stated { target, line, mark } if *mark == Some(wanted) => Some((*line, target.label())),
            _ => None,
        })
    };
    let (Some((comma, with_comma)), Some((dot, with_dot))) = (first(','), first('.')) else { return };
    let with_comma = with_comma.replace('.', ",");
    for (line, written, other_line, other) in
        [(comma, &with_comma, dot, &with_dot), (dot, &with_dot, comma, &with_comma)]
    {
        let message = format!(
            "{written} here and {other} in line {other_line} of one indicator mark decimals differently"
        );
        let warning = Warning::new(warning::MIXED_DECIMAL_MARKS, line, message).with("written", written);
        warnings.push(warning.with("other_line", other_line).with("indicator", &draft.indicator));
    }
}

/// The mark before the decimals, if it has any.
fn decimal_mark(written: &str, scale: u8) -> Option<char> {
    let mark = if written.contains(',') { ',' } else { '.' };
    (scale > 0).then_some(mark)
}

fn both_or_neither(name: &Cell, indicator: &Cell, what: &str) -> Result<bool, ReadError> {
    match (name.is_blank(), indicator.is_blank()) {
        (true, true) => Ok(false),
        (false, false) => Ok(true),
        (false, true) => Err(incomplete(name, &format!("the {what}"), "has no indicator beside it")),
        (true, false) => Err(incomplete(indicator, "the indicator", &format!("has no {what} beside it"))),
    }
}

fn incomplete(cell: &Cell, what: &str, problem: &str) -> ReadError {
    ReadError::RowIncomplete { line: cell.line, what: format!("{what} \"{}\" {problem}", cell.text) }
}
