//! `narrative`: what drove an indicator in a quarter, what stood in its way, and what follows from it.

use clap::{Args, Subcommand};
use renaksi_domain::State;
use renaksi_domain::command::{Command, Outcome};
use renaksi_domain::ids::IndicatorId;
use renaksi_domain::narrative::{SetNarrative, Texts};
use renaksi_domain::time::{Quarter, Timestamp};
use serde_json::{Value, json};

use super::audit::each_record;
use super::audit::words::office_time;
use super::revision::{ask, fresh};
use crate::as_of::Known;
use crate::context::{Context, Done};
use crate::device::Device;
use crate::error::ClientError;
use crate::render;
use crate::{find, text};

/// `renaksi narrative …`
#[derive(Clone, Debug, Subcommand)]
pub enum NarrativeCommandLine {
    /// Writes it, each text one paragraph; what is not named stays, an empty text takes it away (head of unit, administrator)
    Set(SetArgs),
    /// What is written of a quarter
    Show(ShowArgs),
}

/// What to write.
#[derive(Clone, Debug, Args)]
pub struct SetArgs {
    /// An indicator's code or words of its name
    #[arg(value_name = "CODE|TEXT")]
    pub indicator: String,
    /// 1 to 4
    #[arg(long, value_name = "N")]
    pub quarter: u32,
    #[command(flatten)]
    pub written: Written,
}

/// The texts, one at least.
#[derive(Clone, Debug, Args)]
#[group(required = true, multiple = true)]
pub struct Written {
    /// What drove it (faktor pendorong)
    #[arg(long, value_name = "TEXT")]
    pub driver: Option<String>,
    /// What stood in its way (faktor penghambat)
    #[arg(long, value_name = "TEXT")]
    pub obstacle: Option<String>,
    /// What follows from it (tindak lanjut)
    #[arg(long, value_name = "TEXT")]
    pub follow_up: Option<String>,
}

/// What to show.
#[derive(Clone, Debug, Args)]
pub struct ShowArgs {
    /// An indicator's code or words of its name
    #[arg(value_name = "CODE|TEXT")]
    pub indicator: String,
    /// The quarter, 1 to 4; without it the one that runs
    #[arg(long, value_name = "N")]
    pub quarter: Option<u32>,
    /// As it was at a position, at the end of a day or at a time
    #[arg(long, value_name = "POSITION|TIME", conflicts_with = "history")]
    pub as_of: Option<String>,
    /// Every version, oldest first, with who wrote it
    #[arg(long)]
    pub history: bool,
}

/// Runs a `narrative` command.
///
/// # Errors
/// Exit 2 for an unknown indicator, 4 for a locked quarter or what somebody else wrote meanwhile, 6 for another unit's.
pub async fn run(ctx: &Context, command: NarrativeCommandLine) -> Result<Done, ClientError> {
    match command {
        NarrativeCommandLine::Set(args) => set(ctx, &args).await,
        NarrativeCommandLine::Show(args) => show(ctx, &args),
    }
}

async fn set(ctx: &Context, args: &SetArgs) -> Result<Done, ClientError> {
    let quarter = find::quarter(args.quarter)?;
    let said = [
        paragraph("--driver", args.written.driver.as_deref())?,
        paragraph("--obstacle", args.written.obstacle.as_deref())?,
        paragraph("--follow-up", args.written.follow_up.as_deref())?,
    ];
    let mut device = fresh(ctx).await?;
    let state = &device.view().confirmed;
    let indicator = find::indicator(state, ctx.year(state, device.now())?, &args.indicator)?;
    let current = state.narrative(indicator, quarter);
    let mut texts = current.map(|current| current.texts.clone()).unwrap_or_default();
    let parts = [&mut texts.driver, &mut texts.obstacle, &mut texts.follow_up];
    for (part, said) in parts.into_iter().zip(said) {
        if let Some(said) = said {
            *part = said.into();
        }
    }
    let base = current.map_or(0, |current| current.position);
    let command = Command::Narrative(SetNarrative { indicator, quarter, base, texts });
    ask(&mut device, vec![(command, renaksi_proto::log::Texts::default())]).await?;
    let state = &device.view().confirmed;
    tell(ctx, &device, state, indicator, quarter);
    Ok(Done::Well)
}

/// What was said, as the one paragraph that a cell of the report holds: line ends and runs of blanks become one blank.
fn paragraph(option: &str, text: Option<&str>) -> Result<Option<String>, ClientError> {
    let one_line = |text: &str| text.split_whitespace().collect::<Vec<_>>().join(" ");
    text.map(|text| find::said(option, &one_line(text))).transpose()
}

fn show(ctx: &Context, args: &ShowArgs) -> Result<Done, ClientError> {
    let device = ctx.device()?;
    let known = Known::figures_at(&device, args.as_of.as_deref())?;
    let state = &*known.state;
    let year = known.year(ctx)?;
    let quarter = known.quarter(year, args.quarter)?;
    let indicator = find::indicator(state, year, &args.indicator)?;
    match args.history {
        true => history(ctx, &device, state, indicator, quarter)?,
        false => tell(ctx, &device, state, indicator, quarter),
    }
    Ok(Done::Well)
}

/// The three texts as JSON has them: null where nothing is written.
pub(super) fn texts_json(texts: Option<&Texts>) -> Value {
    let part = |of: fn(&Texts) -> &str| texts.map(of).filter(|text| !text.is_empty());
    json!({
        "driver": part(|texts| &texts.driver),
        "obstacle": part(|texts| &texts.obstacle),
        "follow_up": part(|texts| &texts.follow_up),
    })
}

/// The three texts for people, with their headings.
pub(super) fn pairs(texts: &Texts) -> Vec<(String, String)> {
    let parts = [("driver", &texts.driver), ("obstacle", &texts.obstacle), ("follow_up", &texts.follow_up)];
    let shown = |text: &str| if text.is_empty() { "–".to_owned() } else { text.to_owned() };
    parts.map(|(key, text)| (text::say(&format!("narrative.{key}")), shown(text))).to_vec()
}

fn about_json(state: &State, indicator: IndicatorId, quarter: Quarter) -> Value {
    let known = state.indicator(indicator);
    json!({
        "code": known.map(|known| &known.code),
        "indicator": known.map(|known| &known.facet_in(quarter).measure),
        "year": known.map(|known| known.year),
        "quarter": quarter.number(),
    })
}

fn tell(ctx: &Context, device: &Device, state: &State, indicator: IndicatorId, quarter: Quarter) {
    let narrative = state.narrative(indicator, quarter);
    if ctx.json {
        let mut answer = about_json(state, indicator, quarter);
        for (key, value) in
            texts_json(narrative.map(|narrative| &narrative.texts)).as_object().into_iter().flatten()
        {
            answer[key] = value.clone();
        }
        answer["version"] = json!(narrative.map_or(0, |narrative| narrative.version));
        answer["author"] = json!(narrative.map(|narrative| device.name_of(narrative.author)));
        answer["time"] = json!(narrative.map(|narrative| narrative.time.rfc3339()));
        answer["position"] = json!(narrative.map(|narrative| narrative.position));
        return ctx.print_json(&answer);
    }
    let code = state.indicator(indicator).map_or("", |known| &known.code);
    match narrative {
        None => ctx.print(&text::with("narrative.none", &[("code", &code), ("quarter", &quarter.number())])),
        Some(narrative) => {
            let when = office_time(state.zone(), narrative.time);
            ctx.print(&text::with(
                "narrative.version",
                &[
                    ("code", &code),
                    ("quarter", &quarter.number()),
                    ("version", &narrative.version),
                    ("author", &device.name_of(narrative.author)),
                    ("when", &when),
                ],
            ));
            ctx.print(&render::pairs(&pairs(&narrative.texts)));
        }
    }
}

/// One version as its record says it.
struct Version {
    position: u64,
    time: Timestamp,
    author: String,
    texts: Texts,
}

fn history(
    ctx: &Context,
    device: &Device,
    state: &State,
    indicator: IndicatorId,
    quarter: Quarter,
) -> Result<(), ClientError> {
    let mut versions = Vec::new();
    each_record(device, &mut |stored| {
        if let Some((record, _)) = &stored.record
            && let (Command::Narrative(set), Outcome::Recorded(_)) =
                (&record.envelope.command, &record.outcome)
            && (set.indicator, set.quarter) == (indicator, quarter)
        {
            versions.push(Version {
                position: record.position,
                time: record.time,
                author: device.name_of(record.envelope.author),
                texts: set.texts.clone(),
            });
        }
        Ok(true)
    })?;
    if ctx.json {
        let one = |(number, version): (u32, &Version)| {
            let mut one = texts_json(Some(&version.texts));
            one["version"] = json!(number);
            one["author"] = json!(version.author);
            one["time"] = json!(version.time.rfc3339());
            one["position"] = json!(version.position);
            one
        };
        let mut answer = about_json(state, indicator, quarter);
        answer["versions"] = Value::from_iter((1..).zip(&versions).map(one));
        ctx.print_json(&answer);
        return Ok(());
    }
    for (number, version) in (1..).zip(&versions) {
        ctx.print(&format!("{number}.  {}  {}", office_time(state.zone(), version.time), version.author));
        ctx.print(&render::pairs(&pairs(&version.texts)));
    }
    if versions.is_empty() {
        tell(ctx, device, state, indicator, quarter);
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_is_one_paragraph_and_nothing_that_a_terminal_obeys() {
        assert_eq!(paragraph("--driver", None).unwrap(), None);
        let told = paragraph("--driver", Some(" Pasar Baru\r\n\tdan  Pasar Lama ")).unwrap();
        assert_eq!(told.as_deref(), Some("Pasar Baru dan Pasar Lama"));
        assert_eq!(paragraph("--driver", Some("")).unwrap().as_deref(), Some(""));
        let refused = paragraph("--obstacle", Some("a \u{1b}[31m")).unwrap_err();
        let cause = refused.cause();
        assert_eq!((cause.code.as_str(), refused.exit_code()), ("TEXT_UNPRINTABLE", 2));
        assert_eq!(paragraph("--driver", Some(&"x".repeat(4_001))).unwrap_err().cause().code, "TOO_LARGE");
    }

    #[test]
    fn json_has_null_where_nothing_is_written() {
        let texts = Texts { driver: "Pasar Baru".into(), ..Texts::default() };
        let written = json!({ "driver": "Pasar Baru", "obstacle": null, "follow_up": null });
        assert_eq!(texts_json(Some(&texts)), written);
        assert_eq!(texts_json(None), json!({ "driver": null, "obstacle": null, "follow_up": null }));
    }
}
