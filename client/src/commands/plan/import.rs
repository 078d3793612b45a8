//! `plan import`: reads the file, says everything about it, and (without `--dry-run`) submits it as one group.

use std::path::PathBuf;

use clap::Args;
use renaksi_documents::{Counts, Measure, PlanDocument, ReadError, RowLevel, Warning, txt};
use renaksi_domain::command::Command;
use renaksi_domain::indicator::Level;
use renaksi_domain::people::folded;
use renaksi_domain::plan::{FinishImport, ImportIndicator, ImportObjective, PlanCommand, StartImport};
use renaksi_domain::time::Quarter;
use renaksi_proto::log::Texts;
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use super::super::file;
use super::super::revision::{ask, fresh};
use crate::context::{Context, Done};
use crate::device::Device;
use crate::error::{ClientError, Rejected};
use crate::render::{self, Align, Column, Paint};
use crate::text;

/// The plan's title names another office than the one whose device imports it.
const OFFICE_DIFFERS: &str = "OFFICE_DIFFERS";

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
    let bytes = file::read(&args.file, txt::FILE_BYTES_MAX as u64)?;
    let mut plan = txt::read_plan(&bytes).map_err(|error| {
        let whole = std::fs::metadata(&args.file).ok().filter(|file| file.is_file()).map(|file| file.len());
        ClientError::NotAdmitted(no_plan(&error, whole))
    })?;
    let year = i16::try_from(plan.year).unwrap_or(i16::MAX);
    if let Some(wanted) = ctx.year.filter(|wanted| *wanted != year) {
        let cause = Rejected::new("YEAR_DIFFERS").with("found", year).with("wanted", wanted);
        return Err(ClientError::NotAdmitted(cause));
    }
    let position = match args.dry_run {
        true => {
            // A device is not needed; where there is one, it knows whose plan this should be.
            if let Ok(device) = ctx.device() {
                warn_of_other_office(&mut plan, &bytes, &device.identity().office_name);
            }
            None
        }
        false => {
            let mut device = fresh(ctx).await?;
            warn_of_other_office(&mut plan, &bytes, &device.identity().office_name);
            Some(submit(&mut device, &plan, year, &bytes).await?)
        }
    };
    match ctx.json {
        true => ctx.print_json(&plan_json(&plan, position)),
        false => tell(ctx, &plan, position),
    }
    Ok(Done::Well)
}

/// A plan of another office is imported all the same: offices are renamed. It is not imported without a word.
fn warn_of_other_office(plan: &mut PlanDocument, bytes: &[u8], office: &str) {
    if folded(&plan.office) == folded(office) {
        return;
    }
    let title = |line: &&[u8]| {
        let line = folded(&String::from_utf8_lossy(line));
        !line.is_empty() && folded(&plan.office).starts_with(&line)
    };
    let line = bytes.split(|byte| *byte == b'\n').position(|line| title(&line)).map_or(1, |at| at + 1);
    plan.warnings.push(Warning {
        line: u32::try_from(line).unwrap_or(u32::MAX),
        code: OFFICE_DIFFERS,
        message: format!("the file is the plan of \"{}\", this office is \"{office}\"", plan.office),
        details: vec![("found", plan.office.clone()), ("office", office.to_owned())],
    });
    plan.warnings.sort();
}

/// The reader's cause with the objects its text names.
fn no_plan(error: &ReadError, whole: Option<u64>) -> Rejected {
    let cause = Rejected::new(error.code());
    let cause = match error.line() {
        Some(line) => cause.with("line", line),
        None => cause,
    };
    let cause = match error {
        ReadError::FileTooLarge { bytes, limit } => {
            cause.with("bytes", whole.unwrap_or(*bytes as u64)).with("limit", limit)
        }
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

async fn submit(
    device: &mut Device,
    plan: &PlanDocument,
    year: i16,
    bytes: &[u8],
) -> Result<u64, ClientError> {
    let commands = commands(plan, year, Sha256::digest(bytes).into());
    let commands = commands.into_iter().map(|command| (Command::Plan(command), Texts::default())).collect();
    let receipts = ask(device, commands).await?;
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
            year_target: measure.year_target,
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
        if let Some(stated) = measure.year_target {
            object["year_target"] = json!(stated.plain());
        }
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
    let column = |head: &str| Column::new(text::say(&format!("column.{head}")), Align::Left);
    let mut columns = vec![column("code"), column("indicator").comfortable(22), column("unit").drop(2)];
    columns.extend(Quarter::ALL.map(|quarter| Column::new(quarter.to_string(), Align::Right)));
    columns.push(column("kind").drop(1));
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

fn tree_rows(plan: &PlanDocument) -> Vec<render::Row> {
    let mut rows = Vec::new();
    let heading = |code: String, name: &str| render::Row::Wide(code, name.to_owned());
    let measured = |code: String, measure: &Measure| {
        let doubt = if measure.proposal.uncertain { " ?" } else { "" };
        let mut row = vec![code, measure.indicator.clone(), measure.unit.clone().unwrap_or_default()];
        row.extend(measure.targets.iter().map(render::target));
        row.push(format!("{}{doubt}", text::term("kind", measure.proposal.kind.name())));
        render::Row::Cells(row)
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
