//! `config`: what the office sets for itself: bands of the ratings, holidays, due days.

use clap::{Args, Subcommand};
use renaksi_domain::State;
use renaksi_domain::command::Command;
use renaksi_domain::config::{Band, Bands, Config, ConfigCommand};
use renaksi_domain::quantity::Quantity;
use renaksi_domain::quarter::PlanQuarter;
use renaksi_domain::time::{Date, Quarter};
use renaksi_proto::log::Texts;
use serde_json::{Value, json};

use super::audit::band_json;
use super::revision::{ask, fresh};
use crate::as_of::Known;
use crate::context::{Context, Done};
use crate::error::{ClientError, Rejected};
use crate::render::{self, Align};
use crate::{find, text};

/// `renaksi config …`
#[derive(Clone, Debug, Subcommand)]
pub enum ConfigCommandLine {
    /// Bands of the ratings, holidays, due days and the dates they give
    Show {
        /// As it was at a position, at the end of a day or at a time
        #[arg(long, value_name = "POSITION|TIME")]
        as_of: Option<String>,
    },
    /// Sets them; what is not named stays as it is (administrator)
    Set(SetArgs),
}

/// What to set.
#[derive(Clone, Debug, Args)]
#[group(id = "setting", required = true, multiple = true, args = ["band", "standard_bands", "due_days", "holiday", "working_day"])]
pub struct SetArgs {
    /// A band of the ratings, above FROM up to and including TO; all of them are given together. The lowest has no FROM, the highest no TO: "Rendah=..75"
    #[arg(long, value_name = "NAME=FROM..TO", conflicts_with = "standard_bands")]
    pub band: Vec<String>,
    /// The bands of Permendagri 86/2017 again
    #[arg(long)]
    pub standard_bands: bool,
    /// How many working days after a quarter its entries are due
    #[arg(long, value_name = "N")]
    pub due_days: Option<u32>,
    /// A day on which nobody works
    #[arg(long, value_name = "DATE")]
    pub holiday: Vec<String>,
    /// A day on which the office works, whatever the calendar says
    #[arg(long, value_name = "DATE")]
    pub working_day: Vec<String>,
}

/// Runs a `config` command.
///
/// # Errors
/// Exit 2 for a band or date that is not understood, 4 for bands with gaps or overlaps.
pub async fn run(ctx: &Context, command: ConfigCommandLine) -> Result<Done, ClientError> {
    match command {
        ConfigCommandLine::Show { as_of } => {
            let device = ctx.device()?;
            let known = Known::figures_at(&device, as_of.as_deref())?;
            show(ctx, &known.state, year(ctx, &known.state, known.now));
            Ok(Done::Well)
        }
        ConfigCommandLine::Set(args) => {
            let commands = commands(&args)?;
            let mut device = fresh(ctx).await?;
            let asked = commands.into_iter().map(|command| (Command::Config(command), Texts::default()));
            ask(&mut device, asked.collect()).await?;
            let state = &device.view().confirmed;
            show(ctx, state, year(ctx, state, device.now()));
            Ok(Done::Well)
        }
    }
}

/// Before the first plan there is a calendar, too.
fn year(ctx: &Context, state: &State, now: renaksi_domain::time::Timestamp) -> i16 {
    ctx.year.or_else(|| state.default_year(now)).unwrap_or_else(|| state.day(now).year())
}

fn commands(args: &SetArgs) -> Result<Vec<ConfigCommand>, ClientError> {
    let mut commands = Vec::new();
    if args.standard_bands {
        commands.push(ConfigCommand::SetBands(Bands::standard().iter().cloned().collect()));
    }
    if !args.band.is_empty() {
        let bands = args.band.iter().map(|text| band(text)).collect::<Result<_, _>>()?;
        commands.push(ConfigCommand::SetBands(bands));
    }
    commands.extend(args.due_days.map(ConfigCommand::SetDueDays));
    let days = |texts: &[String]| texts.iter().map(|text| find::date(text)).collect::<Result<Vec<_>, _>>();
    let (holidays, working_days) = (days(&args.holiday)?, days(&args.working_day)?);
    if !holidays.is_empty() || !working_days.is_empty() {
        commands.push(ConfigCommand::SetDays { holidays, working_days });
    }
    Ok(commands)
}

/// `Tinggi=75..90`: above 75, up to and including 90.
fn band(text: &str) -> Result<Band, ClientError> {
    let unclear = || ClientError::NotUnderstood(Rejected::new("BAD_BAND").with("text", text));
    let (name, span) = text.rsplit_once('=').ok_or_else(unclear)?;
    let (above, up_to) = span.split_once("..").ok_or_else(unclear)?;
    let bound = |text: &str| match text.trim() {
        "" => Ok(None),
        number => find::quantity(number).map(Some),
    };
    Ok(Band { name: find::said("--band", name)?.into(), above: bound(above)?, up_to: bound(up_to)? })
}

/// Holidays of the year, fixed ones included, and working days that the calendar would not give.
fn days(config: &Config, year: i16) -> (Vec<Date>, Vec<Date>) {
    let all = || {
        let first = Quarter::Q1.first_day(year);
        (0..=365).map(move |day| first.plus_days(day)).take_while(move |day| day.year() == year)
    };
    let holidays = all().filter(|day| config.is_holiday(*day));
    let working = all().filter(|day| !day.is_weekday() && config.is_working_day(*day));
    (holidays.collect(), working.collect())
}

fn show(ctx: &Context, state: &State, year: i16) {
    let config = &state.config;
    let (holidays, working_days) = days(config, year);
    let due = Quarter::ALL.map(|quarter| config.due_date(PlanQuarter { year, quarter }));
    if ctx.json {
        let texts = |days: &[Date]| Value::from_iter(days.iter().map(Date::to_string));
        ctx.print_json(&json!({
            "year": year,
            "bands": config.bands().iter().map(band_json).collect::<Vec<_>>(),
            "due_days": config.due_working_days,
            "due": due.map(|day| day.to_string()),
            "holidays": texts(&holidays),
            "working_days": texts(&working_days),
            "as_of": { "position": state.position, "time": state.time.rfc3339() },
        }));
        return;
    }
    let heads = ["column.rating", "config.above", "config.up_to"].map(text::say);
    let columns = [
        (heads[0].as_str(), Align::Left),
        (heads[1].as_str(), Align::Right),
        (heads[2].as_str(), Align::Right),
    ];
    let bound = |bound: Option<Quantity>| bound.map_or_else(|| "–".to_owned(), Quantity::indonesian);
    let rows =
        config.bands().iter().map(|band| vec![band.name.to_string(), bound(band.above), bound(band.up_to)]);
    ctx.print(&render::table(ctx.color, &columns, rows));
    let listed = |days: &[Date]| match days {
        [] => "–".to_owned(),
        days => days.iter().map(Date::to_string).collect::<Vec<_>>().join(", "),
    };
    let due = Quarter::ALL.iter().zip(due).map(|(quarter, day)| format!("{quarter} {day}"));
    ctx.print(&render::pairs(&[
        (text::say("config.due_days"), config.due_working_days.to_string()),
        (text::say("config.due"), due.collect::<Vec<_>>().join(", ")),
        (text::with("config.holidays", &[("year", &year)]), listed(&holidays)),
        (text::with("config.working_days", &[("year", &year)]), listed(&working_days)),
    ]));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_band_is_a_name_and_a_span_in_indonesian_notation() {
        let read = |text| {
            band(text).map(|band| {
                let bound = |bound: Option<Quantity>| bound.map(Quantity::plain).unwrap_or_default();
                format!("{}|{}|{}", band.name, bound(band.above), bound(band.up_to))
            })
        };
        assert_eq!(read("Sangat Tinggi=90,5..").unwrap(), "Sangat Tinggi|90.5|");
        assert_eq!(read("Rendah=..50").unwrap(), "Rendah||50");
        assert_eq!(read("a=b=50 .. 60").unwrap(), "a=b|50|60");
        for wrong in ["Rendah", "Rendah=50", "=", "Rendah=50-60"] {
            assert_eq!(read(wrong).unwrap_err().cause().code, "BAD_BAND", "{wrong}");
        }
        assert_eq!(read("Rendah=..1.234").unwrap_err().cause().code, "AMBIGUOUS_NUMBER");
    }

    #[test]
    fn each_kind_of_setting_is_one_command() {
        let texts = |texts: &[&str]| texts.iter().map(|text| (*text).to_owned()).collect();
        let args = SetArgs {
            band: texts(&["Kurang=..50", "Baik=50.."]),
            standard_bands: false,
            due_days: Some(7),
            holiday: texts(&["2024-04-10", "2024-04-11"]),
            working_day: texts(&["2024-04-13"]),
        };
        let day = |text| Date::parse(text).unwrap();
        let [ConfigCommand::SetBands(bands), rest @ ..] = &*commands(&args).unwrap() else {
            panic!("bands first")
        };
        assert_eq!(bands.len(), 2);
        let days = ConfigCommand::SetDays {
            holidays: vec![day("2024-04-10"), day("2024-04-11")],
            working_days: vec![day("2024-04-13")],
        };
        assert_eq!(rest, [ConfigCommand::SetDueDays(7), days]);
        let wrong = SetArgs { holiday: texts(&["10 April"]), ..args };
        assert_eq!(commands(&wrong).unwrap_err().cause().code, "BAD_DATE");
    }

    #[test]
    fn the_days_of_a_year_are_those_that_differ_from_the_week() {
        let mut config = Config::default();
        let day = |text| Date::parse(text).unwrap();
        config.days.extend([
            (day("2024-04-10"), true),
            (day("2024-04-13"), false),
            (day("2025-01-01"), false),
        ]);
        let (holidays, working) = days(&config, 2024);
        let texts = |days: Vec<Date>| days.iter().map(Date::to_string).collect::<Vec<_>>();
        // 1 June and 17 August 2024 are Saturdays, and holidays all the same.
        let fixed_and_set =
            ["2024-01-01", "2024-04-10", "2024-05-01", "2024-06-01", "2024-08-17", "2024-12-25"];
        assert_eq!(texts(holidays), fixed_and_set);
        assert_eq!(texts(working), ["2024-04-13"]);
        assert_eq!(days(&config, 2025).0.len(), 4);
    }
}
