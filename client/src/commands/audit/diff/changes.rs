//! What two states of one year's plan say differently. Pure: two states in, differences out.

use renaksi_domain::State;
use renaksi_domain::config::{Band, Config};
use renaksi_domain::figures::{Line, Period};
use renaksi_domain::ids::IndicatorId;
use renaksi_domain::indicator::Indicator;
use renaksi_domain::plan::Plan;
use renaksi_domain::proposal::Kind;
use renaksi_domain::quarter::PlanQuarter;
use renaksi_domain::time::{Date, Quarter};

use crate::commands::audit::unit_name;
use crate::view::{self, Figures};

/// One value that is not what it was. Nothing stands for what was not there, or is not there any more.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Change {
    /// As JSON names it.
    pub(super) what: &'static str,
    pub(super) old: Option<String>,
    pub(super) new: Option<String>,
}

impl Change {
    fn between(what: &'static str, old: Option<String>, new: Option<String>) -> Option<Change> {
        (old != new).then_some(Change { what, old, new })
    }
}

/// All that changed of a year's plan.
#[derive(Debug, Default)]
pub(super) struct Changes {
    /// The office's own settings: bands, holidays, due days.
    pub(super) config: Vec<Change>,
    pub(super) plan: Vec<Change>,
    pub(super) quarters: Vec<(Quarter, Change)>,
    pub(super) indicators: Vec<IndicatorChanges>,
}

impl Changes {
    pub(super) fn is_empty(&self) -> bool {
        self.config.is_empty()
            && self.plan.is_empty()
            && self.quarters.is_empty()
            && self.indicators.is_empty()
    }
}

/// All that changed of one indicator. A draft that is imported anew gives new ids; the code tells what it is.
#[derive(Debug)]
pub(super) struct IndicatorChanges {
    pub(super) code: String,
    /// The name it has, or had.
    pub(super) measure: String,
    /// `added`, `removed` or `changed`.
    pub(super) kind: &'static str,
    pub(super) ids: Vec<IndicatorId>,
    pub(super) settings: Vec<SettingChange>,
    pub(super) figures: Vec<FigureChanges>,
    /// The quarters in which it is, or was, a running total.
    pub(super) cumulative: [bool; 4],
}

/// A changed name or setting, with the quarters in which it changed alike; without any where it has none.
#[derive(Debug)]
pub(super) struct SettingChange {
    pub(super) quarters: Vec<Quarter>,
    pub(super) change: Change,
}

/// The changed values of one period.
#[derive(Debug)]
pub(super) struct FigureChanges {
    pub(super) period: Period,
    pub(super) changes: Vec<Change>,
}

/// What changed of a year's plan; its years to date end with `quarter`.
pub(super) fn between(old: &State, new: &State, year: i16, quarter: Quarter) -> Changes {
    // Quarters of a plan that was not there yet are open.
    let quarter_state =
        |state: &State, quarter| Some(state.quarter_state(PlanQuarter { year, quarter }).name().to_owned());
    let quarters = Quarter::ALL.into_iter().filter_map(|quarter| {
        let change = Change::between("state", quarter_state(old, quarter), quarter_state(new, quarter));
        Some((quarter, change?))
    });
    Changes {
        config: config_changes(&old.config, &new.config),
        plan: plan_changes(old.plan(year), new.plan(year)),
        quarters: quarters.collect(),
        indicators: indicators(old, new, year, quarter),
    }
}

fn config_changes(old: &Config, new: &Config) -> Vec<Change> {
    let bands = |config: &Config| {
        let band = |band: &Band| match band.above {
            Some(above) => format!("{} > {}", band.name, above.plain()),
            None => band.name.to_string(),
        };
        config.bands().iter().map(band).collect::<Vec<_>>().join("; ")
    };
    let days = |config: &Config| {
        let day = |(date, holiday): (&Date, &bool)| format!("{date}{}", if *holiday { "" } else { " (-)" });
        config.days.iter().map(day).collect::<Vec<_>>().join("; ")
    };
    let due = |config: &Config| config.due_working_days.to_string();
    let values = [
        ("bands", bands(old), bands(new)),
        ("holidays", days(old), days(new)),
        ("due_days", due(old), due(new)),
    ];
    values.into_iter().filter_map(|(what, old, new)| Change::between(what, Some(old), Some(new))).collect()
}

fn plan_changes(old: Option<&Plan>, new: Option<&Plan>) -> Vec<Change> {
    let objectives = |plan: &Plan| plan.objectives.iter().map(|name| &**name).collect::<Vec<_>>().join("; ");
    [
        ("state", old.map(|p| p.state.name().to_owned()), new.map(|p| p.state.name().to_owned())),
        ("title", old.map(|p| p.title.to_string()), new.map(|p| p.title.to_string())),
        (
            "basis",
            old.and_then(|p| p.basis.as_deref()).map(str::to_owned),
            new.and_then(|p| p.basis.as_deref()).map(str::to_owned),
        ),
        ("objectives", old.map(objectives), new.map(objectives)),
    ]
    .into_iter()
    .filter_map(|(what, old, new)| Change::between(what, old, new))
    .collect()
}

/// In the plan's order; what is gone stands last.
fn indicators(old: &State, new: &State, year: i16, quarter: Quarter) -> Vec<IndicatorChanges> {
    let (before, after) = (of_plan(old, year), of_plan(new, year));
    let find = |all: &[Known<'_>], code: &str| all.iter().position(|known| *known.indicator.code == *code);
    // Plans seldom change their order, so the same place is looked at first.
    let twin = |at: usize, code: &str| match before.get(at) {
        Some(known) if *known.indicator.code == *code => Some(*known),
        _ => find(&before, code).map(|at| before[at]),
    };
    let here = after
        .iter()
        .enumerate()
        .filter_map(|(at, known)| indicator_changes(twin(at, &known.indicator.code), Some(*known), quarter));
    let gone = before.iter().filter(|known| find(&after, &known.indicator.code).is_none());
    let gone = gone.filter_map(|known| indicator_changes(Some(*known), None, quarter));
    here.chain(gone).collect()
}

fn of_plan(state: &State, year: i16) -> Vec<Known<'_>> {
    let ids = state.plan(year).into_iter().flat_map(|plan| &plan.indicators);
    ids.filter_map(|id| Some(Known { state, id: *id, indicator: state.indicator(*id)? })).collect()
}

/// An indicator in one of the two states.
#[derive(Clone, Copy)]
struct Known<'a> {
    state: &'a State,
    id: IndicatorId,
    indicator: &'a Indicator,
}

type Standing<'a> = Option<Known<'a>>;

fn indicator_changes(was: Standing<'_>, is: Standing<'_>, quarter: Quarter) -> Option<IndicatorChanges> {
    let named = is.or(was)?.indicator;
    let figures =
        |known: Standing<'_>| known.map(|known| view::figures(known.state, known.indicator, quarter));
    let figures = figure_changes(figures(was).as_ref(), figures(is).as_ref(), quarter);
    let settings = setting_changes(was, is);
    if figures.is_empty() && settings.is_empty() {
        return None;
    }
    let both = || [was, is].into_iter().flatten();
    let is_cumulative = |quarter| both().any(|k| k.indicator.settings_in(quarter).kind == Kind::Cumulative);
    let mut ids: Vec<IndicatorId> = both().map(|known| known.id).collect();
    ids.dedup();
    Some(IndicatorChanges {
        code: named.code.to_string(),
        measure: named.facet_in(quarter).measure.to_string(),
        kind: match (was, is) {
            (None, _) => "added",
            (_, None) => "removed",
            (Some(_), Some(_)) => "changed",
        },
        ids,
        settings,
        figures,
        cumulative: Quarter::ALL.map(is_cumulative),
    })
}

fn figure_changes(old: Option<&Figures>, new: Option<&Figures>, quarter: Quarter) -> Vec<FigureChanges> {
    let quarters = Quarter::ALL.map(|quarter| {
        let line = move |figures: Option<&Figures>| {
            figures.map(|figures| values(&figures.quarters[quarter.index()]))
        };
        (Period::Quarter(quarter), line(old), line(new))
    });
    let to_date = |figures: Option<&Figures>| figures.map(|figures| values(&figures.to_date));
    let year = |figures: Option<&Figures>| figures.map(|figures| values(&figures.year));
    let sums = [(Period::ToDate(quarter), to_date(old), to_date(new)), (Period::Year, year(old), year(new))];
    let each = quarters.into_iter().chain(sums).map(|(period, old, new)| {
        let (old, new) = (old.unwrap_or_default(), new.unwrap_or_default());
        let values = VALUES.into_iter().zip(old.into_iter().zip(new));
        let changes = values.filter_map(|(what, (old, new))| Change::between(what, old, new)).collect();
        FigureChanges { period, changes }
    });
    each.filter(|figure| !figure.changes.is_empty()).collect()
}

/// What is compared of a period, as `plan show` names it.
pub(super) const VALUES: [&str; 6] =
    ["target", "realised", "realised_verified", "achievement", "achievement_reported", "rating"];

fn values(line: &Line) -> [Option<String>; 6] {
    [
        Some(line.target.label()),
        view::plain(&line.realised),
        view::plain(&line.realised_verified),
        view::achievement(line),
        view::achievement_reported(line),
        line.rating.as_deref().map(str::to_owned),
    ]
}

fn setting_changes(old: Standing<'_>, new: Standing<'_>) -> Vec<SettingChange> {
    let about =
        |of: fn(&Indicator) -> Option<String>| [old, new].map(|known| known.and_then(|k| of(k.indicator)));
    let whole = [
        ("name", about(|i| (!i.name.is_empty()).then(|| i.name.to_string()))),
        ("unit_of_measure", about(|i| i.satuan.as_deref().map(str::to_owned))),
        ("confirmed", about(|i| Some(i.confirmed.to_string()))),
        ("year_target", about(|i| i.year_target.map(|target| target.plain()))),
        ("retired_from", about(|i| i.retired.map(|(_, from)| from.number().to_string()))),
    ];
    let whole = whole.into_iter().filter_map(|(what, [old, new])| {
        Some(SettingChange { quarters: Vec::new(), change: Change::between(what, old, new)? })
    });
    let mut changes: Vec<SettingChange> = whole.collect();
    for quarter in Quarter::ALL {
        let [old, new] =
            [old, new].map(|known| known.map(|known| in_quarter(known, quarter)).unwrap_or_default());
        let values = IN_QUARTERS.into_iter().zip(old.into_iter().zip(new));
        for change in values.filter_map(|(what, (old, new))| Change::between(what, old, new)) {
            let goes_on = |known: &&mut SettingChange| {
                let before = known.quarters.last().is_some_and(|last| last.index() + 1 == quarter.index());
                before && known.change == change
            };
            match changes.iter_mut().find(goes_on) {
                Some(known) => known.quarters.push(quarter),
                None => changes.push(SettingChange { quarters: vec![quarter], change }),
            }
        }
    }
    changes
}

/// What each quarter has of its own.
const IN_QUARTERS: [&str; 10] = [
    "measure",
    "responsible",
    "unit",
    "kind",
    "polarity",
    "formula",
    "cap",
    "driver",
    "obstacle",
    "follow_up",
];

fn in_quarter(known: Known<'_>, quarter: Quarter) -> [Option<String>; 10] {
    let (facet, settings) = (known.indicator.facet_in(quarter), known.indicator.settings_in(quarter));
    let narrative = known.state.narrative(known.id, quarter).map(|narrative| &narrative.texts);
    let said = |text: Option<&Box<str>>| text.filter(|text| !text.is_empty()).map(|text| text.to_string());
    [
        Some(facet.measure.to_string()),
        facet.responsible.as_deref().map(str::to_owned),
        facet.unit.map(|unit| unit_name(known.state, unit)),
        Some(settings.kind.name().to_owned()),
        Some(settings.polarity.name().to_owned()),
        Some(settings.formula.name().to_owned()),
        settings.cap.map(|cap| cap.plain()),
        said(narrative.map(|texts| &texts.driver)),
        said(narrative.map(|texts| &texts.obstacle)),
        said(narrative.map(|texts| &texts.follow_up)),
    ]
}
