//! `renaksid epoch new`.

use std::path::PathBuf;

use renaksi_proto::agreed::hex;
use renaksi_server::catalog;
use renaksi_server::data::Data;
use renaksi_server::epoch;
use renaksi_server::error::ServerError;
use serde_json::json;

use crate::{clock, say_rehearsal};

/// What may be done with epochs.
#[derive(Debug, clap::Subcommand)]
pub enum Command {
    /// Goes on without records that are lost, for a reason that the log keeps
    New(Args),
}

/// The options.
#[derive(Debug, clap::Args)]
pub struct Args {
    #[arg(long)]
    data: PathBuf,
    /// The office, by its id or name; needed where the folder has several.
    #[arg(long)]
    office: Option<String>,
    /// Why; everybody who reads the log will read it.
    #[arg(long)]
    reason: String,
    #[arg(long)]
    pub json: bool,
}

/// Begins an epoch, and tells what it goes on from.
pub async fn run(args: Args) -> Result<(), ServerError> {
    let data = catalog::choose(&Data::new(&args.data), args.office.as_deref())?;
    let file = data.server_file()?;
    let begun = epoch::begin(&data, clock(file.rehearsal)?, &args.reason).await?;
    if args.json {
        let seen =
            begun.seen.map(|seen| json!({ "epoch": seen.epoch, "size": seen.size, "root": hex(&seen.root) }));
        let value = json!({
            "office": file.office.to_string(),
            "rehearsal": file.rehearsal,
            "epoch": begun.epoch,
            "reason": begun.reason,
            "size": begun.size,
            "root": hex(&begun.root),
            "seen": seen,
        });
        println!("{value}");
        return Ok(());
    }
    say_rehearsal(file.rehearsal);
    println!("epoch {} begins after record {}", begun.epoch, begun.size);
    println!("tree root   {}", hex(&begun.root));
    if let Some(seen) = begun.seen {
        println!("missing     what was signed up to position {} of epoch {}", seen.size, seen.epoch);
        println!("devices that have it offer their own part again at their next synchronisation");
    }
    Ok(())
}
