//! The story: one office's year 2024, told by the commands that its people run.

use rust_i18n::t;
use serde_json::Value;

use super::stage::{Stage, Step};
use crate::error::{ClientError, Rejected};

/// The metrology officer's inspections: row `1.1.2.2` of the plan.
pub const UTTP: &str = "1.1.2.2";
/// The cooperative inspector's: a running total.
pub const COOPERATIVES: &str = "2.2.1.2";
/// Civil servants paid: a reading, never a sum.
const PAID_STAFF: &str = "4.1.1.7";
/// The unit of metrology, as the plan names its responsible post.
pub const METROLOGY_UNIT: &str = "Kepala Bidang Perdagangan";

const OPERATOR: &str = "operator-1";
pub const ADMINISTRATOR: &str = "perencana-1";
pub const OFFICER: &str = "petugas-1";
const INSPECTOR: &str = "petugas-2";
const UNIT_HEAD: &str = "kabid-1";
const OFFICE_HEAD: &str = "kadis-1";
pub const AUDITOR: &str = "auditor-1";

/// The day before the revision was approved.
pub const BEFORE_REVISION: &str = "2024-07-09";

/// What the story collects on its way for the summary to check.
#[derive(Debug, Default)]
pub struct Told {
    /// The JSON of every sync, with who ran it.
    pub syncs: Vec<(String, Value)>,
    /// The report of the first quarter, at its lock.
    pub report_at_lock: String,
    /// Entries that were held, and how each was decided.
    pub held: Vec<String>,
}

/// Plays the year.
pub fn play(stage: &mut Stage) -> Result<Told, ClientError> {
    let mut told = Told::default();
    found_office(stage)?;
    establish_plan(stage)?;
    first_quarter(stage, &mut told)?;
    revision_while_offline(stage, &mut told)?;
    second_half(stage, &mut told)?;
    Ok(told)
}

fn heading(stage: &Stage, time: &str, key: &str) -> Result<(), ClientError> {
    stage.set_clock(time)?;
    stage.say(&format!("\n── {} · {}", &time[..10], t!(key)));
    Ok(())
}

fn found_office(stage: &mut Stage) -> Result<(), ClientError> {
    heading(stage, "2024-01-08T01:00:00Z", "demo.found")?;
    let office = "Dinas Perdagangan, Koperasi, Usaha Kecil Menengah dan Perindustrian";
    let init = ["init", "--office", office, "--operator", OPERATOR, "--rehearsal", "--json"];
    server(stage, &init)?;
    let address = stage.start_server()?;
    stage.say(&t!("demo.serving", address = address));
    let people = [
        (OPERATOR, "operator", None),
        (ADMINISTRATOR, "administrator", None),
        (OFFICE_HEAD, "head-of-office", None),
        (UNIT_HEAD, "head-of-unit", Some(METROLOGY_UNIT)),
        (OFFICER, "officer", Some(METROLOGY_UNIT)),
        (INSPECTOR, "officer", Some("Kepala Bidang Koperasi")),
        (AUDITOR, "auditor", None),
    ];
    for (name, role, unit) in people {
        let mut invite = vec!["invite", "--user", name, "--role", role, "--json"];
        unit.into_iter().for_each(|unit| invite.extend(["--unit", unit]));
        let answer = json(&server(stage, &invite)?.stdout);
        let text = answer["invite"].as_str().unwrap_or_default().to_owned();
        ask(stage, name, &["enroll", &text])?;
        stage.say(&t!("demo.enrolled", name = name, role = crate::text::term("role", role)));
    }
    Ok(())
}

fn establish_plan(stage: &Stage) -> Result<(), ClientError> {
    heading(stage, "2024-01-09T02:00:00Z", "demo.import")?;
    let file = stage.path("rencana-aksi-2024.txt");
    std::fs::write(&file, renaksi_seeds::PLAN_2024_TXT).map_err(|error| {
        ClientError::Failed(Rejected::new("IO_FAILED").with("path", file.display()).with("cause", error))
    })?;
    let file = file.display().to_string();
    let imported = ask(stage, ADMINISTRATOR, &["plan", "import", &file])?;
    let counts = &imported["counts"];
    let warnings = imported["warnings"].as_array().map_or(0, Vec::len);
    stage.say(&t!(
        "demo.imported",
        indicators = counts["indicators"],
        cells = counts["target_cells"],
        missing = counts["missing"],
        warnings = warnings
    ));
    show(stage, ADMINISTRATOR, &["indicator", "set", UTTP, "--kind", "sum"])?;
    show(stage, ADMINISTRATOR, &["indicator", "set", COOPERATIVES, "--kind", "cumulative"])?;
    show(stage, ADMINISTRATOR, &["indicator", "set", PAID_STAFF, "--kind", "latest"])?;
    show(
        stage,
        ADMINISTRATOR,
        &["plan", "establish", "--basis", "Keputusan Kepala Dinas Nomor 188/01/2024"],
    )?;
    show(stage, OFFICE_HEAD, &["plan", "approve"])?;
    for name in [OFFICER, INSPECTOR, UNIT_HEAD] {
        ask(stage, name, &["sync"])?;
    }
    Ok(())
}

fn first_quarter(stage: &Stage, told: &mut Told) -> Result<(), ClientError> {
    heading(stage, "2024-03-26T09:00:00Z", "demo.offline")?;
    record(stage, OFFICER, UTTP, "12", "2024-01-16", "Pasar Baru")?;
    let mistyped = record(stage, OFFICER, UTTP, "52", "2024-02-06", "Pasar Induk")?;
    record(stage, OFFICER, UTTP, "20", "2024-03-05", "Pasar Wage")?;
    let doubled = record(stage, OFFICER, UTTP, "20", "2024-03-05", "Pasar Wage")?;
    record(stage, OFFICER, UTTP, "15", "2024-03-26", "SPBU Utara")?;
    let reason = t!("demo.reason_typed");
    show(stage, OFFICER, &["entry", "amend", &mistyped[..8], "--quantity", "25", "--reason", &reason])?;
    let reason = t!("demo.reason_doubled");
    show(stage, OFFICER, &["entry", "void", &doubled[..8], "--reason", &reason])?;
    record(stage, INSPECTOR, COOPERATIVES, "20", "2024-02-20", "Kecamatan Utara")?;
    record(stage, INSPECTOR, COOPERATIVES, "21", "2024-03-19", "Kecamatan Selatan")?;
    show(stage, OFFICER, &["status"])?;

    heading(stage, "2024-04-02T02:00:00Z", "demo.synchronise")?;
    sync(stage, told, OFFICER, &[0])?;
    sync(stage, told, INSPECTOR, &[0])?;
    show(stage, UNIT_HEAD, &["entry", "verify", "--all", "--quarter", "1"])?;

    heading(stage, "2024-04-10T02:00:00Z", "demo.lock")?;
    let late = record(stage, OFFICER, UTTP, "8", "2024-03-28", "Pasar Legi")?;
    told.held.push(late);
    stage.say(&t!("demo.not_synchronised"));
    lock(stage, "1")?;
    told.report_at_lock = report(stage, AUDITOR, "1")?;
    Ok(())
}

fn revision_while_offline(stage: &Stage, told: &mut Told) -> Result<(), ClientError> {
    heading(stage, "2024-06-25T09:00:00Z", "demo.offline_again")?;
    for (quantity, on, place) in [
        ("150", "2024-04-23", "Pasar Induk"),
        ("160", "2024-05-14", "Pasar Baru"),
        ("274", "2024-06-20", "Pasar Wage"),
    ] {
        record(stage, OFFICER, UTTP, quantity, on, place)?;
    }
    record(stage, INSPECTOR, COOPERATIVES, "38", "2024-06-11", "Kecamatan Barat")?;

    heading(stage, "2024-07-08T02:00:00Z", "demo.revision")?;
    let draft = [
        "revision",
        "draft",
        "--number",
        "01/2024",
        "--reason",
        &t!("demo.reason_revision"),
        "--basis",
        "Keputusan Kepala Dinas",
        "--basis-number",
        "188/27/2024",
        "--basis-date",
        "2024-07-05",
        "--effective",
        "3",
    ];
    show(stage, ADMINISTRATOR, &draft)?;
    show(stage, ADMINISTRATOR, &["revision", "add", "01/2024", UTTP, "--target", "3=200"])?;
    show(stage, ADMINISTRATOR, &["revision", "preview", "01/2024"])?;
    show(stage, ADMINISTRATOR, &["revision", "submit", "01/2024"])?;
    stage.set_clock("2024-07-10T02:00:00Z")?;
    show(stage, OFFICE_HEAD, &["revision", "approve", "01/2024"])?;

    heading(stage, "2024-07-12T02:00:00Z", "demo.held")?;
    sync(stage, told, OFFICER, &[3])?;
    sync(stage, told, INSPECTOR, &[0])?;
    show(stage, ADMINISTRATOR, &["sync"])?;
    show(stage, ADMINISTRATOR, &["held", "list"])?;
    let held = told.held[0][..8].to_owned();
    let reason = t!("demo.reason_release");
    show(stage, ADMINISTRATOR, &["held", "release", &held, "--count-in", "2", "--reason", &reason])?;
    show(stage, UNIT_HEAD, &["entry", "verify", "--all", "--quarter", "2"])?;
    lock(stage, "2")?;
    Ok(())
}

fn second_half(stage: &Stage, told: &mut Told) -> Result<(), ClientError> {
    heading(stage, "2024-12-20T09:00:00Z", "demo.second_half")?;
    record(stage, OFFICER, UTTP, "203", "2024-08-13", "Pasar Induk")?;
    record(stage, OFFICER, UTTP, "172", "2024-11-26", "Pasar Baru")?;
    record(stage, INSPECTOR, COOPERATIVES, "40", "2024-09-10", "Kecamatan Timur")?;
    record(stage, INSPECTOR, COOPERATIVES, "38", "2024-12-03", "Kecamatan Utara")?;
    sync(stage, told, OFFICER, &[0])?;
    sync(stage, told, INSPECTOR, &[0])?;
    stage.set_clock("2025-01-06T02:00:00Z")?;
    show(stage, UNIT_HEAD, &["entry", "verify", "--all"])?;
    lock(stage, "3")?;
    lock(stage, "4")?;

    heading(stage, "2025-01-09T02:00:00Z", "demo.figures")?;
    for name in [OFFICE_HEAD, OFFICER, AUDITOR] {
        ask(stage, name, &["sync"])?;
    }
    show_start(stage, OFFICE_HEAD, &["plan", "show", "--quarter", "4", "--unit", METROLOGY_UNIT], 28)?;
    show(stage, OFFICE_HEAD, &["indicator", "show", UTTP])?;
    let file = stage.path("laporan-tw2.csv").display().to_string();
    show(stage, OFFICE_HEAD, &["report", "--quarter", "2", "--format", "csv", "-o", &file])?;

    stage.say(&format!("\n── {}", t!("demo.audit")));
    show(stage, AUDITOR, &["audit", "log", "--indicator", UTTP])?;
    show(stage, AUDITOR, &["audit", "replay", "--to", BEFORE_REVISION])?;
    show(stage, AUDITOR, &["audit", "verify"])?;
    Ok(())
}

fn lock(stage: &Stage, quarter: &str) -> Result<(), ClientError> {
    show(stage, ADMINISTRATOR, &["quarter", "lock", quarter])?;
    show(stage, OFFICE_HEAD, &["quarter", "approve-lock", quarter])
}

/// The report of a quarter as JSON, after a sync.
pub fn report(stage: &Stage, who: &str, quarter: &str) -> Result<String, ClientError> {
    ask(stage, who, &["sync"])?;
    let step = stage.person(who, &["report", "--quarter", quarter, "--format", "json"])?;
    expect(&step, &[0], who, &["report"])?;
    Ok(step.stdout)
}

fn record(
    stage: &Stage,
    who: &str,
    code: &str,
    quantity: &str,
    on: &str,
    place: &str,
) -> Result<String, ClientError> {
    let arguments = ["entry", "add", code, "--quantity", quantity, "--on", on, "--place", place];
    echo(stage, who, &arguments);
    let answer = ask(stage, who, &arguments)?;
    Ok(answer["entry_id"].as_str().unwrap_or_default().to_owned())
}

fn sync(stage: &Stage, told: &mut Told, who: &str, codes: &[i32]) -> Result<(), ClientError> {
    echo(stage, who, &["sync"]);
    let step = stage.person(who, &["--json", "sync"])?;
    expect(&step, codes, who, &["sync"])?;
    let report = json(&step.stdout);
    stage.say(&format!(
        "  {}",
        t!(
            "demo.synchronised",
            pushed = report["pushed"],
            recorded = report["recorded"],
            held = report["held"].as_array().map_or(0, Vec::len),
            pulled = report["pulled"]
        )
    ));
    for held in report["held"].as_array().into_iter().flatten() {
        stage.say(&format!("  {}", held["message"].as_str().unwrap_or_default()));
    }
    told.syncs.push((who.to_owned(), report));
    Ok(())
}

/// Runs a person's command and shows what it printed.
fn show(stage: &Stage, who: &str, arguments: &[&str]) -> Result<(), ClientError> {
    show_start(stage, who, arguments, usize::MAX)
}

/// The same, of a long answer only so many lines.
fn show_start(stage: &Stage, who: &str, arguments: &[&str], lines_max: usize) -> Result<(), ClientError> {
    echo(stage, who, arguments);
    let step = stage.person(who, arguments)?;
    expect(&step, &[0], who, arguments)?;
    let lines: Vec<&str> = step.stdout.trim_end().lines().collect();
    lines.iter().take(lines_max).for_each(|line| stage.say(&format!("  {line}")));
    if lines.len() > lines_max {
        stage.say(&format!("  {}", t!("demo.more_lines", lines = lines.len() - lines_max)));
    }
    Ok(())
}

/// Runs a person's command and reads its JSON.
pub fn ask(stage: &Stage, who: &str, arguments: &[&str]) -> Result<Value, ClientError> {
    let step = stage.person(who, &[&["--json"], arguments].concat())?;
    expect(&step, &[0], who, arguments)?;
    Ok(json(&step.stdout))
}

fn server(stage: &Stage, arguments: &[&str]) -> Result<Step, ClientError> {
    let step = stage.server_command(arguments)?;
    expect(&step, &[0], "renaksid", arguments)?;
    Ok(step)
}

fn json(text: &str) -> Value {
    serde_json::from_str(text).unwrap_or_default()
}

fn echo(stage: &Stage, who: &str, arguments: &[&str]) {
    let quoted = arguments.iter().map(|word| match word.contains(' ') {
        true => format!("\"{word}\""),
        false => (*word).to_owned(),
    });
    stage.say(&format!("{who}$ renaksi {}", quoted.collect::<Vec<_>>().join(" ")));
}

fn expect(step: &Step, codes: &[i32], who: &str, arguments: &[&str]) -> Result<(), ClientError> {
    if codes.contains(&step.code) {
        return Ok(());
    }
    Err(ClientError::Failed(
        Rejected::new("DEMO_STEP_FAILED")
            .with("step", format!("{who}: {}", arguments.join(" ")))
            .with("cause", format!("exit {}: {}{}", step.code, step.stdout, step.stderr)),
    ))
}
