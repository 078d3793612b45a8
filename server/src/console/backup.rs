//! `renaksid backup`.

use std::path::{Path, PathBuf};

use renaksi_domain::time::Timestamp;
use renaksi_proto::agreed::hex;
use renaksi_server::backup;
use renaksi_server::data::Data;
use renaksi_server::error::ServerError;
use serde_json::json;

use crate::say_rehearsal;

/// The options.
#[derive(Debug, clap::Args)]
pub struct Args {
    #[arg(long)]
    data: PathBuf,
    /// The file to write, which must not be there yet; or a folder, in which the backup gets a name of its own.
    file: PathBuf,
    /// In a folder: how many backups of this office stay, the new one counted.
    #[arg(long)]
    keep: Option<u32>,
    #[arg(long)]
    pub json: bool,
}

/// Backs up, and tells what the backup holds.
pub async fn run(args: Args) -> Result<(), ServerError> {
    let made = backup::backup(&Data::new(&args.data), &args.file, args.keep).await?;
    let contents = &made.contents;
    let shown = |path: &Path| path.display().to_string();
    let made_at = Timestamp(contents.made_at_us).rfc3339();
    if args.json {
        let value = json!({
            "file": shown(&made.file),
            "bytes": contents.bytes,
            "office": contents.office.to_string(),
            "name": contents.office_name,
            "rehearsal": contents.rehearsal,
            "made_at": made_at,
            "position": contents.head.size,
            "root": hex(&contents.head.root),
            "epoch": contents.head.epoch,
            "files": contents.files,
            "removed": made.removed.iter().map(|path| shown(path)).collect::<Vec<_>>(),
        });
        println!("{value}");
        return Ok(());
    }
    say_rehearsal(contents.rehearsal);
    println!("{}", shown(&made.file));
    println!(
        "{}: {} records and {} files in {} bytes, read back and verified",
        contents.office_name,
        contents.head.size,
        contents.files.len(),
        contents.bytes
    );
    println!("made at     {made_at}");
    println!("tree root   {}", hex(&contents.head.root));
    made.removed.iter().for_each(|path| println!("removed     {}", shown(path)));
    eprintln!("it has the server's keys: keep it where only those who may run the server can read it");
    Ok(())
}
