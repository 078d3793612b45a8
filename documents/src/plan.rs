//! A plan as it was read: the tree in the file's own order, nothing added.

use renaksi_domain::proposal::KindProposal;
use renaksi_domain::quantity::{Quantity, Target};

use crate::warning::Warning;

/// One office's plan of one year.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PlanDocument {
    pub office: String,
    pub year: i32,
    pub objectives: Vec<Objective>,
    /// By line, then code.
    pub warnings: Vec<Warning>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Objective {
    pub name: String,
    /// Of its cell.
    pub line: u32,
    pub indicators: Vec<StrategicIndicator>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StrategicIndicator {
    pub measure: Measure,
    pub programs: Vec<Program>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Program {
    pub name: String,
    pub measure: Measure,
    pub rows: Vec<Row>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Row {
    pub level: RowLevel,
    pub name: String,
    pub measure: Measure,
    /// The post as written in the file, blanks collapsed.
    pub responsible: Option<String>,
}

/// A row on its program's own first row, or with the unit `%`, is an activity; any other is a sub-activity.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum RowLevel {
    Activity,
    SubActivity,
}

impl RowLevel {
    /// As JSON spells it.
    pub fn name(self) -> &'static str {
        match self {
            RowLevel::Activity => "activity",
            RowLevel::SubActivity => "sub_activity",
        }
    }
}

/// What is measured, with the target of each quarter.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Measure {
    pub indicator: String,
    pub unit: Option<String>,
    pub targets: [Target; 4],
    /// The target of the year, where one is stated beside those of the quarters.
    pub year_target: Option<Quantity>,
    /// Of the cell that begins it: a strategic indicator's own, otherwise the name of the program or row.
    pub line: u32,
    pub proposal: KindProposal,
}

/// How much a plan holds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    pub objectives: u32,
    pub strategic_indicators: u32,
    pub programs: u32,
    pub activities: u32,
    pub sub_activities: u32,
    pub indicators: u32,
    pub target_cells: u32,
    pub numeric: u32,
    pub text: u32,
    pub not_planned: u32,
    pub missing: u32,
}

impl PlanDocument {
    /// Every indicator of the plan, in the file's order.
    pub fn measures(&self) -> impl Iterator<Item = &Measure> {
        self.objectives.iter().flat_map(|objective| &objective.indicators).flat_map(|strategic| {
            let programs = strategic.programs.iter();
            std::iter::once(&strategic.measure).chain(programs.flat_map(|program| {
                std::iter::once(&program.measure).chain(program.rows.iter().map(|row| &row.measure))
            }))
        })
    }

    pub fn counts(&self) -> Counts {
        let mut counts = Counts { objectives: self.objectives.len() as u32, ..Counts::default() };
        for strategic in self.objectives.iter().flat_map(|objective| &objective.indicators) {
            counts.strategic_indicators += 1;
            counts.programs += strategic.programs.len() as u32;
            for row in strategic.programs.iter().flat_map(|program| &program.rows) {
                match row.level {
                    RowLevel::Activity => counts.activities += 1,
                    RowLevel::SubActivity => counts.sub_activities += 1,
                }
            }
        }
        for measure in self.measures() {
            counts.indicators += 1;
            counts.target_cells += measure.targets.len() as u32;
            for target in &measure.targets {
                match target {
                    Target::Value(_) => counts.numeric += 1,
                    Target::Text(_) => counts.text += 1,
                    Target::NotPlanned => counts.not_planned += 1,
                    Target::Missing => counts.missing += 1,
                }
            }
        }
        counts
    }
}
