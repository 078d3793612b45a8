//! `renaksid restore`.

use std::path::PathBuf;

use renaksi_proto::agreed::hex;
use renaksi_server::data::Data;
use renaksi_server::error::ServerError;
use renaksi_server::restore::{self, How, Mended, Restored};
use serde_json::{Value, json};

use crate::say_rehearsal;

/// The options.
#[derive(Debug, clap::Args)]
pub struct Args {
    #[arg(long)]
    data: PathBuf,
    /// The backup; with --from-replica the folder of a device.
    file: PathBuf,
    /// Take what is missing from a device's copy of the office's log.
    #[arg(long)]
    from_replica: bool,
    #[arg(long)]
    pub json: bool,
}

/// Restores or mends, and tells what was done.
pub fn run(args: &Args) -> Result<(), ServerError> {
    let data = Data::new(&args.data);
    let restored = tokio::task::block_in_place(|| match args.from_replica {
        true => restore::from_replica(&args.file, &data),
        false => restore::restore(&args.file, &data),
    })?;
    match args.json {
        true => println!("{}", as_json(&restored)),
        false => tell(&restored),
    }
    Ok(())
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
