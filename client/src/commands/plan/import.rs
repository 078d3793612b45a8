//! `plan import`: reads the file, says everything about it, and (without `--dry-run`) submits it as one group.

use std::io::ErrorKind;
use std::path::PathBuf;

use clap::Args;
use renaksi_documents::{Counts, Measure, PlanDocument, ReadError, RowLevel, Warning, txt};
use renaksi_domain::command::Command;
use renaksi_domain::indicator::Level;
use renaksi_domain::plan::{FinishImport, ImportIndicator, ImportObjective, PlanCommand, StartImport};
use renaksi_proto::log::Texts;
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use super::super::revision::{ask, fresh};
use crate::context::{Context, Done};
use crate::error::{ClientError, Rejected};
use crate::render::{self, Align, Paint};
use crate::text;

/// Warnings of one code that are said whole; of the rest only the lines.
const WARNINGS_SHOWN: usize = 4;

/// Which file.
#[derive(Clone, Debug, Args)]
pub struct ImportArgs {
    /// The plan's file: plain text (.txt)
    pub file: PathBuf,
    /// Only read it; needs no device and changes nothing
    #[arg(long)]
    pub dry_run: bool,
}

pub(super) async fn run(ctx: &Context, args: &ImportArgs) -> Result<Done, ClientError> {
    let bytes = read(args)?;
    let plan = txt::read_plan(&bytes).map_err(|error| ClientError::NotAdmitted(no_plan(&error)))?;
    let year = i16::try_from(plan.year).unwrap_or(i16::MAX);
    if let Some(wanted) = ctx.year.filter(|wanted| *wanted != year) {
        let cause = Rejected::new("YEAR_DIFFERS").with("found", year).with("wanted", wanted);
        return Err(ClientError::NotAdmitted(cause));
    }
    let position = match args.dry_run {
        true => None,
        false => Some(submit(ctx, &plan, year, &bytes).await?),
    };
    match ctx.json {
        true => ctx.print_json(&plan_json(&plan, position)),
        false => tell(ctx, &plan, position),
    }
    Ok(Done::Well)
}

fn read(args: &ImportArgs) -> Result<Vec<u8>, ClientError> {
    std::fs::read(&args.file).map_err(|error| {
        let about = |code| Rejected::new(code).with("path", args.file.display());
        match error.kind() {
            ErrorKind::NotFound => ClientError::NotUnderstood(about("FILE_NOT_FOUND")),
            _ => ClientError::Failed(about("IO_FAILED").with("cause", error)),
        }
    })
}

/// The reader's cause with the objects its text names.
fn no_plan(error: &ReadError) -> Rejected {
    let cause = Rejected::new(error.code());
    let cause = match error.line() {
        Some(line) => cause.with("line", line),
        None => cause,
    };
    let cause = match error {
        ReadError::FileTooLarge { bytes, limit } => cause.with("bytes", bytes).with("limit", limit),
        ReadError::NotPlainText { what } => cause.with("what", what),
        ReadError::NotUtf8 { offset, guess, .. } => cause.with("offset", offset).with("guess", guess),
        ReadError::ControlCharacter { code, .. } => cause.with("character", format!("U+{code:04X}")),
        ReadError::NotAPlan { expected, .. } | ReadError::TableMissing { expected, .. } => {
            cause.with("expected", expected)
        }
        ReadError::UnknownColumns { found, expected, .. } => {
            cause.with("found", found).with("expected", expected)
        }
        ReadError::HalfPlan { what, .. } | ReadError::RowIncomplete { what, .. } => cause.with("what", what),
        ReadError::RowMisaligned { cause: why, .. } => cause.with("cause", why),
        ReadError::TwoPlans { .. } => cause,
        ReadError::TooManyRows { limit, .. } | ReadError::CellTooLong { limit, .. } => {
            cause.with("limit", limit)
        }
    };
    // The reader's own words, in English, for whoever looks into the file.
    cause.with("reader", error)
}

async fn submit(ctx: &Context, plan: &PlanDocument, year: i16, bytes: &[u8]) -> Result<u64, ClientError> {
    let mut device = fresh(ctx).await?;
    let commands = commands(plan, year, Sha256::digest(bytes).into());
    let commands = commands.into_iter().map(|command| (Command::Plan(command), Texts::default())).collect();
    let receipts = ask(&mut device, commands).await?;
    Ok(receipts.last().map_or(0, |receipt| receipt.position))
}

/// The import as one run of commands: opened, every objective and indicator in the file's order, closed.
pub(crate) fn commands(plan: &PlanDocument, year: i16, source_sha256: [u8; 32]) -> Vec<PlanCommand> {
    let mut commands = vec![PlanCommand::StartImport(StartImport {
        year,
        title: plan.office.as_str().into(),
        source_sha256,
    })];
    let indicator = |level, name: &str, measure: &Measure, responsible: Option<&str>| {
        PlanCommand::ImportIndicator(Box::new(ImportIndicator {
            level,
            name: name.into(),
            measure: measure.indicator.as_str().into(),
            satuan: measure.unit.as_deref().map(Into::into),
            responsible: responsible.map(Into::into),
            kind: measure.proposal.kind,
            targets: measure.targets.clone(),
        }))
    };
    for objective in &plan.objectives {
        commands.push(PlanCommand::ImportObjective(ImportObjective { name: objective.name.as_str().into() }));
        for strategic in &objective.indicators {
            commands.push(indicator(Level::Strategic, "", &strategic.measure, None));
            for program in &strategic.programs {
                commands.push(indicator(Level::Program, &program.name, &program.measure, None));
                commands.extend(program.rows.iter().map(|row| {
                    let level = match row.level {
                        RowLevel::Activity => Level::Activity,
                        RowLevel::SubActivity => Level::SubActivity,
                    };
                    indicator(level, &row.name, &row.measure, row.responsible.as_deref())
                }));
            }
        }
    }
    let counts = plan.counts();
    let finish = FinishImport { year, objectives: counts.objectives, indicators: counts.indicators };
    commands.push(PlanCommand::FinishImport(finish));
    commands
}

fn plan_json(plan: &PlanDocument, position: Option<u64>) -> Value {
    let warnings = plan.warnings.iter().map(
        |warning| json!({ "code": warning.code, "line": warning.line, "message": text::warning(warning) }),
    );
    let mut answer = json!({
        "office": plan.office,
        "year": plan.year,
        "counts": counts_json(plan.counts()),
        "warnings": warnings.collect::<Vec<_>>(),
        "objectives": tree_json(plan),
    });
    if let Some(position) = position {
        answer["position"] = json!(position);
    }
    answer
}

fn counts_json(counts: Counts) -> Value {
    let mut object = json!({});
    for (key, count) in named_counts(counts) {
        object[key] = json!(count);
    }
    object
}

/// Text targets are only counted where a plan has any.
fn named_counts(counts: Counts) -> Vec<(&'static str, u32)> {
    let mut named = vec![
        ("objectives", counts.objectives),
        ("strategic_indicators", counts.strategic_indicators),
        ("programs", counts.programs),
        ("activities", counts.activities),
        ("sub_activities", counts.sub_activities),
        ("indicators", counts.indicators),
        ("target_cells", counts.target_cells),
        ("numeric", counts.numeric),
        ("not_planned", counts.not_planned),
        ("missing", counts.missing),
    ];
    if counts.text > 0 {
        named.push(("text", counts.text));
    }
    named
}

fn tree_json(plan: &PlanDocument) -> Vec<Value> {
    let measured = |mut object: Value, measure: &Measure| {
        object["indicator"] = json!(measure.indicator);
        object["unit"] = json!(measure.unit);
        object["targets"] = json!(measure.targets.each_ref().map(|target| target.label()));
        object
    };
    let programs = |programs: &[renaksi_documents::Program]| {
        let each = programs.iter().map(|program| {
            let rows = program.rows.iter().map(|row| {
                let mut object =
                    measured(json!({ "level": row.level.name(), "name": row.name }), &row.measure);
                object["responsible"] = json!(row.responsible);
                object
            });
            let mut object = measured(json!({ "name": program.name }), &program.measure);
            object["rows"] = json!(rows.collect::<Vec<_>>());
            object
        });
        each.collect::<Vec<_>>()
    };
    let objective = |objective: &renaksi_documents::Objective| {
        let indicators = objective.indicators.iter().map(|strategic| {
            let mut object = measured(json!({}), &strategic.measure);
            object["programs"] = json!(programs(&strategic.programs));
            object
        });
        json!({ "name": objective.name, "indicators": indicators.collect::<Vec<_>>() })
    };
    plan.objectives.iter().map(objective).collect()
}

fn tell(ctx: &Context, plan: &PlanDocument, position: Option<u64>) {
    let title = format!("{} · {}", plan.office, plan.year);
    ctx.print(&render::paint(ctx.color, Paint::Bold, &title));
    let right = |label| (label, Align::Right);
    let heads = ["code", "indicator", "unit", "kind"].map(|head| text::say(&format!("column.{head}")));
    let columns = [
        (heads[0].as_str(), Align::Left),
        (heads[1].as_str(), Align::Left),
        (heads[2].as_str(), Align::Left),
        right("TW 1"),
        right("TW 2"),
        right("TW 3"),
        right("TW 4"),
        (heads[3].as_str(), Align::Left),
    ];
    ctx.print(&render::table(ctx.color, &columns, tree_rows(plan)));
    let counts = named_counts(plan.counts()).into_iter();
    let counts = counts.map(|(key, count)| (text::say(&format!("count.{key}")), count.to_string()));
    ctx.print(&format!("\n{}", render::pairs(&counts.collect::<Vec<_>>())));
    tell_warnings(ctx, &plan.warnings);
    match position {
        Some(position) => {
            ctx.print(&format!("\n{}", text::with("plan.imported", &[("position", &position)])))
        }
        None => ctx.print(&format!("\n{}", text::say("plan.only_read"))),
    }
}

fn tree_rows(plan: &PlanDocument) -> Vec<Vec<String>> {
    let mut rows = Vec::new();
    let heading = |code: String, name: &str| {
        let mut row = vec![code, name.to_uppercase()];
        row.resize(8, String::new());
        row
    };
    let measured = |code: String, measure: &Measure| {
        let doubt = if measure.proposal.uncertain { " ?" } else { "" };
        let mut row = vec![code, measure.indicator.clone(), measure.unit.clone().unwrap_or_default()];
        row.extend(measure.targets.iter().map(render::target));
        row.push(format!("{}{doubt}", text::term("kind", measure.proposal.kind.name())));
        row
    };
    for (o, objective) in (1..).zip(&plan.objectives) {
        rows.push(heading(o.to_string(), &objective.name));
        for (s, strategic) in (1..).zip(&objective.indicators) {
            rows.push(measured(format!("{o}.{s}"), &strategic.measure));
            for (p, program) in (1..).zip(&strategic.programs) {
                rows.push(measured(format!("{o}.{s}.{p}"), &program.measure));
                let below = (1..).zip(&program.rows);
                rows.extend(below.map(|(r, row)| measured(format!("{o}.{s}.{p}.{r}"), &row.measure)));
            }
        }
    }
    rows
}

/// Warnings by code, in the order in which each first occurs.
fn tell_warnings(ctx: &Context, warnings: &[Warning]) {
    let mut codes: Vec<&str> = Vec::new();
    for warning in warnings {
        if !codes.contains(&warning.code) {
            codes.push(warning.code);
        }
    }
    if !codes.is_empty() {
        let heading = text::count("plan.warnings", warnings.len() as u64, &[]);
        ctx.print(&format!("\n{}", render::paint(ctx.color, Paint::Yellow, &heading)));
    }
    for code in codes {
        let all: Vec<&Warning> = warnings.iter().filter(|warning| warning.code == code).collect();
        ctx.print(&format!("  {code} ({})", all.len()));
        for warning in all.iter().take(WARNINGS_SHOWN) {
            ctx.print(&format!("    {:>5}  {}", warning.line, text::warning(warning)));
        }
        let rest: Vec<String> =
            all.iter().skip(WARNINGS_SHOWN).map(|warning| warning.line.to_string()).collect();
        if !rest.is_empty() {
            ctx.print(&format!("    {}", text::with("plan.more_lines", &[("lines", &rest.join(", "))])));
        }
    }
}
