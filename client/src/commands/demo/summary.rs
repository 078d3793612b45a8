//! The end of the demo: what must be true, each line asked of the programs again.

use rust_i18n::t;
use serde_json::Value;

use super::stage::Stage;
use super::story::{AUDITOR, BEFORE_REVISION, COOPERATIVES, OFFICER, Told, UTTP, ask, report};
use crate::error::ClientError;
use crate::render::number;

/// One line of the summary.
#[derive(Debug)]
pub struct Line {
    pub text: String,
    pub holds: bool,
}

/// Checks and prints every line.
pub fn check(stage: &Stage, told: &Told) -> Result<Vec<Line>, ClientError> {
    stage.say(&format!("\n── {}", t!("demo.summary")));
    let mut lines = vec![counts_add_up(told)];
    lines.push(hashes_agree(stage)?);
    lines.extend(targets(stage)?);
    lines.push(report_is_the_same(stage, told)?);
    lines.push(held_was_decided(stage, told)?);
    lines.push(verified(stage)?);
    for line in &lines {
        stage.say(&format!("  {} {}", if line.holds { "✓" } else { "✗" }, line.text));
    }
    Ok(lines)
}

fn counts_add_up(told: &Told) -> Line {
    let count = |value: &Value| {
        value.as_array().map_or_else(|| value.as_u64().unwrap_or(0), |list| list.len() as u64)
    };
    let sum = |key: &str| told.syncs.iter().map(|(_, report)| count(&report[key])).sum::<u64>();
    let holds = told.syncs.iter().all(|(_, report)| {
        let parts = ["recorded", "held", "refused", "duplicate"];
        count(&report["pushed"]) == parts.iter().map(|key| count(&report[*key])).sum::<u64>()
    });
    let text = t!(
        "demo.check_counts",
        pushed = sum("pushed"),
        recorded = sum("recorded"),
        held = sum("held"),
        refused = sum("refused"),
        duplicate = sum("duplicate")
    );
    Line { text: text.into_owned(), holds: holds && sum("pushed") > 0 }
}

fn hashes_agree(stage: &Stage) -> Result<Line, ClientError> {
    let server: Value =
        serde_json::from_str(&stage.server_command(&["check", "--json"])?.stdout).unwrap_or_default();
    let mut hashes = vec![server["state_hash"].clone()];
    for who in [OFFICER, AUDITOR] {
        ask(stage, who, &["sync"])?;
        hashes.push(ask(stage, who, &["audit", "replay"])?["state_hash"].clone());
    }
    let first = hashes[0].as_str().unwrap_or_default();
    let text =
        t!("demo.check_hashes", position = server["position"], hash = first.get(..16).unwrap_or(first));
    Ok(Line {
        text: text.into_owned(),
        holds: !first.is_empty() && hashes.iter().all(|hash| *hash == hashes[0]),
    })
}

fn targets(stage: &Stage) -> Result<Vec<Line>, ClientError> {
    let now = row(&ask(stage, AUDITOR, &["plan", "show", "--quarter", "4"])?, UTTP);
    let then =
        row(&ask(stage, AUDITOR, &["plan", "show", "--quarter", "4", "--as-of", BEFORE_REVISION])?, UTTP);
    let cooperatives = row(&ask(stage, AUDITOR, &["plan", "show", "--quarter", "4"])?, COOPERATIVES);
    let year = |row: &Value, key: &str| row["year"][key].as_str().unwrap_or_default().to_owned();
    let revised = (year(&then, "target"), year(&now, "target"), year(&now, "target_original"));
    let text = t!("demo.check_targets", before = revised.0, after = revised.1, day = BEFORE_REVISION);
    let uttp = Line {
        text: text.into_owned(),
        holds: revised == ("945".to_owned(), "1025".to_owned(), "945".to_owned()),
    };
    let (realised, achieved) = (year(&now, "realised_verified"), year(&now, "achievement"));
    let reached = t!("demo.check_realised", realised = number(&realised), achievement = number(&achieved));
    let reached = Line { text: reached.into_owned(), holds: realised == "1039" && achieved == "101.37" };
    let (target, total) = (year(&cooperatives, "target"), year(&cooperatives, "realised"));
    let text = t!("demo.check_cumulative", target = target, realised = total);
    let cumulative = Line { text: text.into_owned(), holds: target == "156" && total == "157" };
    Ok(vec![uttp, reached, cumulative])
}

fn row(plan: &Value, code: &str) -> Value {
    let rows = plan["rows"].as_array().into_iter().flatten();
    rows.clone().find(|row| row["code"] == code).cloned().unwrap_or_default()
}

fn report_is_the_same(stage: &Stage, told: &Told) -> Result<Line, ClientError> {
    let now = report(stage, AUDITOR, "1")?;
    let text = t!("demo.check_report", bytes = now.len()).into_owned();
    Ok(Line { text, holds: !now.is_empty() && now == told.report_at_lock })
}

fn held_was_decided(stage: &Stage, told: &Told) -> Result<Line, ClientError> {
    let held =
        told.syncs.iter().flat_map(|(_, report)| report["held"].as_array().cloned().unwrap_or_default());
    let held: Vec<String> =
        held.map(|held| held["entry_id"].as_str().unwrap_or_default().to_owned()).collect();
    let waiting = ask(stage, AUDITOR, &["status"])?["held"].clone();
    let open = waiting.as_u64().unwrap_or_else(|| waiting.as_array().map_or(0, |list| list.len() as u64));
    let text = t!("demo.check_held", held = held.len(), open = open).into_owned();
    Ok(Line { text, holds: held == told.held && open == 0 })
}

fn verified(stage: &Stage) -> Result<Line, ClientError> {
    let verified = ask(stage, AUDITOR, &["audit", "verify"])?;
    let (records, signatures) = (&verified["checked_records"], &verified["checked_signatures"]);
    let text = t!("demo.check_verified", records = records, signatures = signatures).into_owned();
    Ok(Line { text, holds: verified["ok"] == true && signatures.as_u64().is_some_and(|count| count > 0) })
}
