//! `audit log`: what happened, record by record.

#[cfg(test)]
mod tests;

use clap::Args;
use renaksi_domain::command::Record;
use renaksi_domain::ids::Position;
use renaksi_domain::time::{Date, Timestamp, Zone};
use renaksi_proto::log;
use serde_json::Value;

use super::{Event, Narrator, Stored, each_of, to_look_at, trail, words};
use crate::context::{self, Context, Done, Stdout};
use crate::device::{About, Device, LogReader, ReplayTo, Trail};
use crate::error::ClientError;
use crate::find;
use crate::render;

/// Where a summary goes on that is longer than its line.
const SUMMARY_INDENT: usize = 26;
/// Most names fit; longer ones push their own line only.
const ACTOR_WIDTH: usize = 12;

/// Which records to tell.
#[derive(Clone, Debug, Default, Args)]
pub struct LogArgs {
    /// An indicator's code or words of its name
    #[arg(long)]
    pub indicator: Option<String>,
    /// An entry's id
    #[arg(long)]
    pub entry: Option<String>,
    /// Who did it, by name
    #[arg(long)]
    pub actor: Option<String>,
    /// From a position, a date or a time on
    #[arg(long)]
    pub from: Option<String>,
    /// Up to a position, a date (the end of that day) or a time
    #[arg(long)]
    pub to: Option<String>,
}

/// What `audit log` was asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Asked {
    pub about: About,
    pub first: Position,
    pub last: Position,
}

/// What `audit log` tells.
pub(super) enum Told<'a> {
    Event(&'a Record, Event),
    /// A record of a newer release: its place and bytes.
    Unread(Position, &'a [u8]),
}

pub(super) fn run(ctx: &Context, args: &LogArgs) -> Result<Done, ClientError> {
    let device = ctx.device()?;
    let asked = read(&device, ctx, args)?;
    let name_of = |person| device.name_of(person);
    let state = &device.view().confirmed;
    let mut narrator = Narrator::new(state, &name_of);
    let zone = state.zone();
    let actor_of = Narrator::new(state, &name_of);
    // Only a question that leaves something out is answered quicker.
    let wanted = asked.about.names_anything() || asked.first > 1;
    let trail = wanted.then(|| trail(ctx, &device)).flatten();
    let texts_of = |message: &log::Record, aside: &[u8]| device.texts_of(message, aside);
    tell(&device.replica(), trail.as_ref(), asked, &mut narrator, &texts_of, &mut |told| {
        match told {
            Told::Unread(position, leaf) => print_unread(ctx, position, leaf),
            Told::Event(_, event) if ctx.json => ctx.print_json(&Value::Object(event.fields)),
            Told::Event(record, event) => print(ctx, zone, &actor_of.actor(record), record, &event),
        }
        // Whoever closed the pipe has read enough.
        context::stdout() == Stdout::Open
    })?;
    Ok(Done::Well)
}

fn read(device: &Device, ctx: &Context, args: &LogArgs) -> Result<Asked, ClientError> {
    let state = &device.view().confirmed;
    let zone = state.zone();
    let point = |text: &str, day: fn(Zone, Date) -> Timestamp| match Date::parse(text) {
        Some(date) => Ok(ReplayTo::Time(day(zone, date))),
        None => find::position_or_time(text, zone),
    };
    let indicator = match &args.indicator {
        Some(text) => Some(find::indicator(state, ctx.year(state, device.now())?, text)?),
        None => None,
    };
    let about = About {
        indicator,
        entry: args.entry.as_deref().map(|text| find::entry(device, text)).transpose()?,
        actor: args.actor.as_deref().map(|name| find::person(device, name)).transpose()?,
    };
    let from = args.from.as_deref().map(|text| point(text, Zone::start_of)).transpose()?;
    let to = args.to.as_deref().map(|text| point(text, Zone::end_of)).transpose()?;
    let size = device.replica().head().size;
    let first = match from {
        Some(ReplayTo::Position(position)) => position.max(1),
        Some(ReplayTo::Time(time)) => device.first_at(time)?,
        Some(ReplayTo::Head) => size + 1,
        None => 1,
    };
    let last = match to {
        Some(ReplayTo::Position(position)) => position.min(size),
        Some(time @ ReplayTo::Time(_)) => device.position_of(time)?,
        Some(ReplayTo::Head) | None => size,
    };
    Ok(Asked { about, first, last })
}

/// Tells the records that were asked for, with an index or by reading all of them. `visit` answers false to stop.
pub(super) fn tell(
    reader: &LogReader,
    trail: Option<&Trail>,
    asked: Asked,
    narrator: &mut Narrator<'_>,
    texts_of: &dyn Fn(&log::Record, &[u8]) -> Option<log::Texts>,
    visit: &mut dyn FnMut(Told<'_>) -> bool,
) -> Result<(), ClientError> {
    let Asked { about, first, last } = asked;
    each_of(reader, to_look_at(trail, &about, first, last), &mut |stored| {
        let Stored { position, leaf, aside, record } = stored;
        let Some((record, message)) = &record else {
            let told = position >= first && !about.names_anything();
            return Ok(!told || visit(Told::Unread(position, leaf)));
        };
        if position < first {
            narrator.pass(record);
            return Ok(true);
        }
        let event = narrator.tell(record, message, texts_of(message, aside).as_ref());
        Ok(!admits(&about, &event) || visit(Told::Event(record, event)))
    })
}

fn admits(about: &About, event: &Event) -> bool {
    about.indicator.is_none_or(|id| event.indicators.contains(&id))
        && about.entry.is_none_or(|key| event.entry == Some(key))
        && about.actor.is_none_or(|person| event.author == Some(person))
}

fn print(ctx: &Context, zone: Zone, actor: &str, record: &Record, event: &Event) {
    let clock = words::office_time(zone, record.time);
    let actor = render::printable(actor);
    let start = format!("{:>6}  {clock}  {actor:<ACTOR_WIDTH$}  ", record.position);
    let summary = render::short_ids(&render::printable(&event.summary));
    let width = render::terminal_width().unwrap_or(usize::MAX);
    ctx.print(&render::wrapped(&start, &summary, SUMMARY_INDENT, width));
}

/// A record of a newer release: its bytes are kept and counted, its meaning is not known here.
fn print_unread(ctx: &Context, position: Position, leaf: &[u8]) {
    let fields = serde_json::json!({
        "position": position,
        "type": "record.newer",
        "summary": words::say("audit.event.record.newer", &serde_json::Map::new()),
        "bytes": leaf.len(),
    });
    match ctx.json {
        true => ctx.print_json(&fields),
        false => ctx.print(&format!("{position:>6}  {}", fields["summary"].as_str().unwrap_or_default())),
    }
}
