//! Which indicator a record of an import became. The log gives ids when an import ends, and only to the rows of one that
//! does; an indicator's first target versions name the record that ended its import, and say what its row said.

use std::collections::{BTreeMap, HashMap};

use renaksi_domain::State;
use renaksi_domain::command::{Command, Outcome, Record};
use renaksi_domain::ids::{IndicatorId, Origin, Position};
use renaksi_domain::indicator::TargetCell;
use renaksi_domain::plan::PlanCommand;

/// Rows of imports that have not ended yet, and the indicators of each that did.
#[derive(Debug)]
pub(super) struct Imports {
    /// The indicators of each ended import, by the position of its end, in the order of their rows.
    ended: BTreeMap<Position, Vec<IndicatorId>>,
    /// How many rows each device has handed in since its import began.
    rows: HashMap<Origin, usize>,
}

impl Imports {
    pub(super) fn new(state: &State) -> Self {
        let mut ended: BTreeMap<Position, Vec<IndicatorId>> = BTreeMap::new();
        for (index, indicator) in state.indicators.iter().enumerate() {
            if let Some(version) = indicator.targets[0].versions.first() {
                ended.entry(version.position).or_default().push(IndicatorId::after(index));
            }
        }
        Self { ended, rows: HashMap::new() }
    }

    /// The indicator that a record's row became, where its import ended.
    pub(super) fn indicator(&mut self, state: &State, record: &Record) -> Option<IndicatorId> {
        let origin = record.envelope.origin;
        let (Command::Plan(command), Outcome::Recorded(_)) = (&record.envelope.command, &record.outcome)
        else {
            return None;
        };
        match command {
            PlanCommand::StartImport(_) => {
                self.rows.insert(origin, 0);
                None
            }
            PlanCommand::ImportIndicator(said) => {
                let row = self.rows.entry(origin).or_default();
                *row += 1;
                let (_, ids) = self.ended.range(record.position..).next()?;
                let id = ids.get(*row - 1).copied()?;
                // An import that never ended may stand before one that did.
                let first = |cell: &TargetCell| cell.versions.first().map(|version| version.target.clone());
                let known = state.indicator(id)?.targets.each_ref().map(first);
                (known == said.targets.clone().map(Some)).then_some(id)
            }
            PlanCommand::ImportObjective(_)
            | PlanCommand::FinishImport(_)
            | PlanCommand::EstablishPlan(_)
            | PlanCommand::ApprovePlan(_)
            | PlanCommand::SendBackPlan(_)
            | PlanCommand::RecallPlan(_) => None,
        }
    }
}
