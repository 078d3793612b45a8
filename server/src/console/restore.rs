//! `renaksid restore`.

use std::path::PathBuf;

use renaksi_proto::agreed::hex;
use renaksi_server::catalog;
use renaksi_server::data::Data;
use renaksi_server::error::ServerError;
use renaksi_server::restore::{self, How, Mended, Outcome, Restored};
use serde_json::{Value, json};

use crate::say_rehearsal;

/// The options.
#[derive(Debug, clap::Args)]
pub struct Args {
    #[arg(long)]
    data: PathBuf,
    /// The backup; with --from-replica the folder of a device.
    file: PathBuf,
    /// Only this office, by its id or name; without it all that the backup has. With --from-replica, the office to mend.
    #[arg(long)]
    office: Option<String>,
    /// Take what is missing from a device's copy of the office's log.
    #[arg(long)]
    from_replica: bool,
    #[arg(long)]
    pub json: bool,
}

/// Restores or mends, and tells what was done; answers the exit code. Of several offices each is told of, also one that
/// failed, and the first such decides the exit code.
pub fn run(args: &Args) -> Result<u8, ServerError> {
    let (data, office) = (Data::new(&args.data), args.office.as_deref());
    let outcomes = tokio::task::block_in_place(|| match args.from_replica {
        true => {
            let restored = restore::from_replica(&args.file, &catalog::choose(&data, office)?)?;
            let (office, name) = (restored.checked.office, restored.checked.office_name.clone());
            Ok(vec![Outcome { office, name, restored: Ok(restored) }])
        }
        false => restore::restore(&args.file, &data, office),
    })?;
    let several = match <[Outcome; 1]>::try_from(outcomes) {
        Ok([one]) => {
            let restored = one.restored?;
            match args.json {
                true => println!("{}", as_json(&restored)),
                false => tell(&restored),
            }
            return Ok(0);
        }
        Err(several) => several,
    };
    match args.json {
        true => println!("{}", json!({ "offices": several.iter().map(outcome_json).collect::<Vec<_>>() })),
        false => several.iter().for_each(tell_outcome),
    }
    let failed = several.iter().find_map(|outcome| outcome.restored.as_ref().err());
    Ok(failed.map_or(0, ServerError::exit_code))
}

fn outcome_json(outcome: &Outcome) -> Value {
    match &outcome.restored {
        Ok(restored) => as_json(restored),
        Err(error) => json!({
            "done": "failed",
            "office": outcome.office.to_string(),
            "name": outcome.name,
            "error": { "code": error.code(), "message": error.whole(), "hint": error.hint() },
        }),
    }
}

fn tell_outcome(outcome: &Outcome) {
    match &outcome.restored {
        Ok(restored) => tell(restored),
        Err(error) => {
            eprintln!("error: {}: {}", outcome.name, error.whole());
            eprintln!("hint: {}", error.hint());
        }
    }
}

fn as_json(restored: &Restored) -> Value {
    let (checked, none) = (&restored.checked, Mended::default());
    let (how, mended) = match &restored.how {
        How::Fresh => ("restored", &none),
        How::AlreadyWhole => ("already_whole", &none),
        How::Mended(mended) => ("mended", mended),
    };
    let set_aside = mended.log_set_aside.to_string_lossy();
    json!({
        "done": how,
        "office": checked.office.to_string(),
        "name": checked.office_name,
        "rehearsal": checked.rehearsal,
        "position": checked.position,
        "root": hex(&checked.root),
        "epoch": checked.epoch,
        "state_hash": hex(&checked.state_hash),
        "records_kept": mended.kept,
        "records_restored": mended.restored,
        "damage": mended.damage,
        "files_restored": mended.files,
        "log_set_aside": (!set_aside.is_empty()).then_some(set_aside),
        "still_missing_to": restored.gap.map(|gap| gap.seen.size),
    })
}

fn tell(restored: &Restored) {
    let checked = &restored.checked;
    say_rehearsal(checked.rehearsal == Some(true));
    match &restored.how {
        How::Fresh => println!("{}: {} records restored", checked.office_name, checked.position),
        How::AlreadyWhole => {
            println!("{}: the log is whole and has all of it; nothing was changed", checked.office_name);
        }
        How::Mended(mended) => {
            println!(
                "{}: {} records, {} of them from the log that was there and {} from what was given",
                checked.office_name, checked.position, mended.kept, mended.restored
            );
            mended.damage.iter().for_each(|damage| println!("damaged     {damage}"));
            mended.files.iter().for_each(|file| println!("restored    {file}"));
            if !mended.log_set_aside.as_os_str().is_empty() {
                println!("set aside   {}", mended.log_set_aside.display());
            }
        }
    }
    if let Some(gap) = restored.gap {
        println!("missing     a checkpoint was signed at {}: the office still takes no writes", gap.seen);
    }
    println!("tree root   {}", hex(&checked.root));
    println!("state hash  {}", hex(&checked.state_hash));
}
