//! `renaksid backup`.

use std::path::{Path, PathBuf};

use renaksi_domain::time::Timestamp;
use renaksi_proto::agreed::hex;
use renaksi_server::backup::{self, Contents, Made};
use renaksi_server::data::Data;
use renaksi_server::error::ServerError;
use serde_json::{Value, json};

use crate::say_rehearsal;

/// The options.
#[derive(Debug, clap::Args)]
pub struct Args {
    #[arg(long)]
    data: PathBuf,
    /// The file to write, which must not be there yet; or a folder, in which the backup gets a name of its own.
    file: PathBuf,
    /// Only this office, by its id or name; without it all that the folder has.
    #[arg(long)]
    office: Option<String>,
    /// In a folder: how many backups of the same offices stay, the new one counted.
    #[arg(long)]
    keep: Option<u32>,
    #[arg(long)]
    pub json: bool,
}

/// Backs up, and tells what the backup holds.
pub async fn run(args: Args) -> Result<(), ServerError> {
    let data = Data::new(&args.data);
    let made = backup::backup(&data, args.office.as_deref(), &args.file, args.keep).await?;
    match args.json {
        true => println!("{}", as_json(&made)),
        false => tell(&made),
    }
    Ok(())
}

fn shown(path: &Path) -> String {
    path.display().to_string()
}

/// Of one office everything in one object; of several an object each.
fn as_json(made: &Made) -> Value {
    let office = |contents: &Contents| {
        json!({
            "office": contents.office.to_string(),
            "name": contents.office_name,
            "rehearsal": contents.rehearsal,
            "made_at": Timestamp(contents.made_at_us).rfc3339(),
            "position": contents.head.size,
            "root": hex(&contents.head.root),
            "epoch": contents.head.epoch,
            "files": contents.files,
        })
    };
    let mut value = match made.offices.as_slice() {
        [one] => office(one),
        several => json!({ "offices": several.iter().map(office).collect::<Vec<_>>() }),
    };
    value["file"] = shown(&made.file).into();
    value["bytes"] = made.bytes.into();
    value["removed"] = made.removed.iter().map(|path| shown(path)).collect();
    value
}

fn tell(made: &Made) {
    say_rehearsal(made.offices.iter().all(|office| office.rehearsal));
    println!("{}", shown(&made.file));
    for contents in &made.offices {
        let (records, files) = (contents.head.size, contents.files.len());
        println!("{}: {records} records and {files} files", contents.office_name);
        println!("made at     {}", Timestamp(contents.made_at_us).rfc3339());
        println!("tree root   {}", hex(&contents.head.root));
    }
    println!("{} bytes, read back and verified", made.bytes);
    made.removed.iter().for_each(|path| println!("removed     {}", shown(path)));
    eprintln!("it has the server's keys: keep it where only those who may run the server can read it");
}
