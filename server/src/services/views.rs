//! Read-only views for tools that keep no replica.

use std::sync::PoisonError;

use renaksi_domain::Outcome;
use renaksi_domain::achievement::{NoFigure, two_decimals};
use renaksi_domain::figures::{Line, Period, Realised, line};
use renaksi_domain::hash::state_hash;
use renaksi_domain::indicator::Indicator;
use renaksi_domain::quarter::PlanQuarter;
use renaksi_domain::quotient::Quotient;
use renaksi_domain::revision::Revision;
use renaksi_domain::time::Quarter;
use renaksi_domain::{FOLD_VERSION, State};
use renaksi_proto::convert::decode_record;
use renaksi_proto::wire;
use renaksi_proto::wire::views_server::Views;
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;
use tonic::{Request, Response, Status};

use super::{Door, SEND_WAIT, in_background, send};
use crate::office::{Office, Shared};
use crate::status::Fault;

/// Lines under way to one reader.
const LINES_UNDERWAY: usize = 256;
/// Bytes read from the log at once.
const READ_BYTES: u64 = 256 << 10;

type Lines = mpsc::Sender<Result<wire::LogLine, Status>>;

/// The service.
#[derive(Debug)]
pub struct ViewsService(pub Door);

/// Looks at the durable state. The writer holds it back while a disk is written, so this thread of the runtime hands its
/// other calls on first.
fn view<T>(office: &Office, look: impl FnOnce(&State) -> Result<T, Fault>) -> Result<T, Fault> {
    tokio::task::block_in_place(|| look(&office.shared.durable()?.state))
}

#[tonic::async_trait]
impl Views for ViewsService {
    async fn get_plan(
        &self,
        request: Request<wire::GetPlanRequest>,
    ) -> Result<Response<wire::PlanView>, Status> {
        let (office, caller) = self.0.admit_unrevoked(request.metadata()).await?;
        let now = office.shared.clock.now();
        let wanted = request.into_inner();
        let view = view(&office, |state| {
            let year = known_year(state, wanted.year, now)?;
            let quarter = match wanted.quarter {
                0 => state.default_quarter(year, now),
                number => Quarter::from_number(number).ok_or_else(|| Fault::invalid("BAD_QUARTER"))?,
            };
            let plan = state.plan(year).ok_or_else(|| Fault::not_found("UNKNOWN_PLAN"))?;
            let indicators = plan.indicators.iter().filter_map(|id| state.indicator(*id));
            Ok(wire::PlanView {
                year: i32::from(year),
                state: plan.state.name().to_owned(),
                position: state.position,
                rows: indicators.map(|indicator| row(state, indicator, quarter)).collect(),
            })
        })?;
        Ok(caller.stamp(Response::new(view)))
    }

    async fn list_revisions(
        &self,
        request: Request<wire::ListRevisionsRequest>,
    ) -> Result<Response<wire::ListRevisionsResponse>, Status> {
        let (office, caller) = self.0.admit_unrevoked(request.metadata()).await?;
        let revisions = view(&office, |state| Ok((1..).zip(&state.revisions).map(revision).collect()))?;
        Ok(caller.stamp(Response::new(wire::ListRevisionsResponse { revisions })))
    }

    async fn list_quarters(
        &self,
        request: Request<wire::ListQuartersRequest>,
    ) -> Result<Response<wire::ListQuartersResponse>, Status> {
        let (office, caller) = self.0.admit_unrevoked(request.metadata()).await?;
        let now = office.shared.clock.now();
        let wanted = request.into_inner().year;
        let quarters = view(&office, |state| {
            let year = known_year(state, wanted, now)?;
            Ok(Quarter::ALL.map(|quarter| {
                let cell = PlanQuarter { year, quarter };
                wire::QuarterView {
                    year: i32::from(year),
                    quarter: u32::from(quarter.number()),
                    state: state.quarter_state(cell).name().to_owned(),
                    due: state.config.due_date(cell).to_string(),
                }
            }))
        })?;
        Ok(caller.stamp(Response::new(wire::ListQuartersResponse { quarters: quarters.to_vec() })))
    }

    async fn list_devices(
        &self,
        request: Request<wire::ListDevicesRequest>,
    ) -> Result<Response<wire::ListDevicesResponse>, Status> {
        let (office, caller) = self.0.admit_unrevoked(request.metadata()).await?;
        let devices = view(&office, |state| {
            Ok(office.sightings.lock().unwrap_or_else(PoisonError::into_inner).list(state))
        })?;
        Ok(caller.stamp(Response::new(wire::ListDevicesResponse { devices })))
    }

    type ReadLogStream = ReceiverStream<Result<wire::LogLine, Status>>;

    async fn read_log(
        &self,
        request: Request<wire::ReadLogRequest>,
    ) -> Result<Response<Self::ReadLogStream>, Status> {
        let (office, caller) = self.0.admit_unrevoked(request.metadata()).await?;
        let wanted = request.into_inner();
        let (lines, stream) = mpsc::channel(LINES_UNDERWAY);
        tokio::spawn(async move {
            if let Err(fault) = send_lines(&office.shared, wanted.from, wanted.to, &lines).await {
                // Whoever hung up needs no more.
                let _ = lines.try_send(Err(fault.into()));
            }
            // Until here the stream holds the office open.
            drop(office);
        });
        Ok(caller.stamp(Response::new(ReceiverStream::new(stream))))
    }

    async fn get_head(
        &self,
        request: Request<wire::GetHeadRequest>,
    ) -> Result<Response<wire::HeadView>, Status> {
        let (office, caller) = self.0.admit_unrevoked(request.metadata()).await?;
        let shared = &office.shared;
        let (position, hash) = view(&office, |state| Ok((state.position, state_hash(state))))?;
        let root = tokio::task::block_in_place(|| shared.reader.root_at(position));
        let root = root.map_err(|error| shared.log_failed(error))?;
        Ok(caller.stamp(Response::new(wire::HeadView {
            position,
            root: root.unwrap_or_default().to_vec(),
            epoch: shared.reader.head().epoch,
            state_hash: hash.to_vec(),
            fold_version: FOLD_VERSION,
        })))
    }
}

/// Sends the records from `from` to `to` (0: the head), page by page.
async fn send_lines(shared: &Shared, from: u64, to: u64, lines: &Lines) -> Result<(), Fault> {
    let head = shared.reader.head().size;
    let (first, last) = (from.max(1), if to == 0 { head } else { to.min(head) });
    let mut next = first;
    while next <= last {
        let (reader, from) = (shared.reader.clone(), next);
        let page = in_background(move || reader.read_from(from, READ_BYTES)).await?;
        for commit in page.map_err(|error| shared.log_failed(error))? {
            next = commit.size_after + 1;
            for (position, entry) in (commit.first..).zip(commit.entries) {
                if (first..=last).contains(&position) {
                    send(lines, log_line(entry.leaf), SEND_WAIT).await?;
                }
            }
        }
    }
    Ok(())
}

fn revision((id, revision): (u32, &Revision)) -> wire::RevisionView {
    let basis = &revision.draft.basis;
    wire::RevisionView {
        id,
        year: i32::from(revision.draft.year),
        number: revision.draft.number.to_string(),
        state: revision.state.name().to_owned(),
        reason: revision.draft.reason.to_string(),
        basis: format!("{} {} ({})", basis.title, basis.number, basis.date),
        effective: u32::from(revision.draft.effective.number()),
        changes: u32::try_from(revision.changes.len()).unwrap_or(u32::MAX),
    }
}

fn known_year(state: &State, wanted: i32, now: renaksi_domain::time::Timestamp) -> Result<i16, Fault> {
    let year = match wanted {
        0 => state.default_year(now),
        year => i16::try_from(year).ok().filter(|year| state.plan(*year).is_some()),
    };
    year.ok_or_else(|| Fault::not_found("UNKNOWN_PLAN").with("year", wanted))
}

fn row(state: &State, indicator: &Indicator, quarter: Quarter) -> wire::PlanRow {
    let over = |period| figures(&line(state, indicator, period));
    wire::PlanRow {
        code: indicator.code.to_string(),
        level: indicator.level.name().to_owned(),
        name: indicator.name.to_string(),
        measure: indicator.facet_in(quarter).measure.to_string(),
        unit: indicator.satuan.as_deref().unwrap_or_default().to_owned(),
        kind: indicator.settings_in(quarter).kind.name().to_owned(),
        responsible: indicator.facet_in(quarter).responsible.as_deref().unwrap_or_default().to_owned(),
        quarters: Quarter::ALL.iter().map(|quarter| over(Period::Quarter(*quarter))).collect(),
        to_date: Some(over(Period::ToDate(quarter))),
        year: Some(over(Period::Year)),
    }
}

fn figures(line: &Line) -> wire::Line {
    let percent = |figure: &Result<Quotient, NoFigure>| figure.as_ref().ok().map(two_decimals);
    wire::Line {
        target: line.target.label(),
        target_original: line.target_original.label(),
        realised: realised(&line.realised),
        realised_verified: realised(&line.realised_verified),
        achievement: percent(&line.achievement),
        achievement_reported: percent(&line.achievement_reported),
        rating: line.rating.as_deref().map(str::to_owned),
        reason: line.achievement.as_ref().err().map(|reason| reason.name().to_owned()),
    }
}

fn realised(realised: &Realised) -> Option<String> {
    match realised {
        Realised::Number(number) => Some(number.plain()),
        Realised::Text(text) => Some(text.to_string()),
        Realised::NotReported | Realised::DenominatorZero => None,
    }
}

fn log_line(leaf: Vec<u8>) -> Result<wire::LogLine, Status> {
    let (record, _) = decode_record(&leaf).map_err(|error| Fault::internal(&error))?;
    let outcome = match &record.outcome {
        Outcome::Recorded(_) => "recorded".to_owned(),
        Outcome::Held(cause) => format!("held {}", cause.code.name()),
        Outcome::Refused(cause) => format!("refused {}", cause.code.name()),
    };
    Ok(wire::LogLine {
        position: record.position,
        time_us: record.time.0,
        author: record.envelope.author.0,
        r#type: record.envelope.command.name().to_owned(),
        outcome,
        leaf,
    })
}
