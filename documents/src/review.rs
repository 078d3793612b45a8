//! What a careful reader would ask about the finished tree.

use std::collections::HashMap;

use crate::plan::{Measure, Objective, Row};
use crate::warning::{self, Warning};

pub(crate) fn review(objectives: &[Objective], warnings: &mut Vec<Warning>) {
    for objective in objectives {
        for (nth, strategic) in objective.indicators.iter().enumerate() {
            review_measure(&strategic.measure, warnings);
            without_post(&strategic.measure, warnings);
            if nth > 0 && reads_like_objective(&strategic.measure.indicator) {
                warnings.push(like_objective(&strategic.measure, objective));
            }
            if strategic.programs.is_empty() {
                warnings.push(nothing_below(&strategic.measure, "program"));
            }
            for program in &strategic.programs {
                review_measure(&program.measure, warnings);
                without_post(&program.measure, warnings);
                if program.rows.is_empty() {
                    warnings.push(nothing_below(&program.measure, "activity"));
                }
                for row in &program.rows {
                    review_measure(&row.measure, warnings);
                    review_post(row, warnings);
                }
            }
        }
    }
    review_spellings(objectives, warnings);
}

fn review_measure(measure: &Measure, warnings: &mut Vec<Warning>) {
    let indicator = &measure.indicator;
    if measure.unit.is_none() {
        let message = format!("\"{indicator}\" has no unit");
        warnings
            .push(Warning::new(warning::UNIT_MISSING, measure.line, message).with("indicator", indicator));
    }
    let proposal = measure.proposal;
    if proposal.uncertain {
        let names: Vec<&str> = proposal.alternatives.iter().map(|kind| kind.name()).collect();
        let figures = measure.targets.each_ref().map(|target| target.label()).join(", ");
        let message = format!(
            "\"{indicator}\" is proposed as {}, but {figures} may be meant as {}",
            proposal.kind.name(),
            names.join(" or ")
        );
        let warning =
            Warning::new(warning::KIND_UNCERTAIN, measure.line, message).with("kind", proposal.kind.name());
        let warning = warning.with("alternatives", names.join(",")).with("reason", proposal.reason);
        warnings.push(warning.with("indicator", indicator));
    }
}

fn review_post(row: &Row, warnings: &mut Vec<Warning>) {
    if row.responsible.is_none() {
        let message = format!("\"{}\" has a blank cell for its responsible post", row.name);
        warnings.push(
            Warning::new(warning::RESPONSIBLE_MISSING, row.measure.line, message).with("name", &row.name),
        );
        without_post(&row.measure, warnings);
    }
}

fn without_post(measure: &Measure, warnings: &mut Vec<Warning>) {
    let message =
        format!("\"{}\" has no responsible post and goes to the administrator's unit", measure.indicator);
    let warning = Warning::new(warning::NO_RESPONSIBLE, measure.line, message);
    warnings.push(warning.with("indicator", &measure.indicator));
}

fn nothing_below(measure: &Measure, what: &str) -> Warning {
    let message = format!("no {what} stands below \"{}\"", measure.indicator);
    Warning::new(warning::NOTHING_BELOW, measure.line, message).with("indicator", &measure.indicator)
}

fn like_objective(measure: &Measure, objective: &Objective) -> Warning {
    let message = format!(
        "\"{}\" is worded like an objective, but its objective cell is blank; it is read as an indicator of \"{}\"",
        measure.indicator, objective.name
    );
    let warning = Warning::new(warning::READS_LIKE_OBJECTIVE, measure.line, message);
    warning.with("indicator", &measure.indicator).with("objective", &objective.name)
}

/// Objectives begin with a state reached: Meningkatnya, Terwujudnya, Berkurangnya. Indicators begin with what is
/// counted: Jumlah, Persentase, Indeks.
fn reads_like_objective(indicator: &str) -> bool {
    let first = indicator.split_whitespace().next().unwrap_or_default().to_lowercase();
    first.ends_with("nya") && ["me", "ter", "ber"].iter().any(|prefix| first.starts_with(prefix))
}

/// Posts that differ in case and blanks only are one post; its most frequent spelling, the first of equals, is taken
/// for right.
fn review_spellings(objectives: &[Objective], warnings: &mut Vec<Warning>) {
    let strategic = objectives.iter().flat_map(|objective| &objective.indicators);
    let programs = strategic.flat_map(|strategic| &strategic.programs);
    let posts: Vec<(u32, &str)> = programs
        .flat_map(|program| &program.rows)
        .filter_map(|row| Some((row.measure.line, row.responsible.as_deref()?)))
        .collect();
    let mut uses: HashMap<String, Vec<(&str, u32)>> = HashMap::new();
    for (_, post) in &posts {
        let spellings = uses.entry(fold(post)).or_default();
        match spellings.iter_mut().find(|(spelling, _)| spelling == post) {
            Some((_, count)) => *count += 1,
            None => spellings.push((post, 1)),
        }
    }
    for (line, post) in posts {
        // `max_by_key` gives the last of equals, so look from the end.
        let usual = uses.get(&fold(post)).and_then(|all| all.iter().rev().max_by_key(|(_, count)| *count));
        let Some((usual, _)) = usual.filter(|(usual, _)| *usual != post) else { continue };
        let message = format!("the post \"{post}\" is written \"{usual}\" elsewhere; both are one unit");
        let warning = Warning::new(warning::RESPONSIBLE_SPELLING, line, message);
        warnings.push(warning.with("responsible", post).with("usual", usual));
    }
}

fn fold(post: &str) -> String {
    post.split_whitespace().collect::<String>().to_lowercase()
}
