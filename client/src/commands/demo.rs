//! `demo`: one office's year in one command, on a real server of its own with a clock that is played.

use std::path::PathBuf;
use std::time::Instant;

use clap::Args;
use rust_i18n::t;

use crate::context::{Context, Done};
use crate::error::{ClientError, Rejected};

mod stage;
mod story;
mod summary;

use stage::{Stage, largest_child_peak_kb, say};

/// Where to play.
#[derive(Clone, Debug, Args)]
pub struct DemoArgs {
    /// A new or empty folder; it is kept, so that you can look around in it
    #[arg(long, value_name = "DIR")]
    pub dir: Option<PathBuf>,
}

/// Runs `demo`.
///
/// # Errors
/// Exit 1 when a step fails or a line of the summary does not hold.
pub async fn run(_ctx: &Context, args: DemoArgs) -> Result<Done, ClientError> {
    let started = Instant::now();
    let dir =
        args.dir.unwrap_or_else(|| std::env::temp_dir().join(format!("renaksi-demo-{}", std::process::id())));
    let mut stage = Stage::new(dir.clone())?;
    say(&t!("demo.title"));
    let told = story::play(&mut stage)?;
    let holds = summary::check(&stage, &told)?;
    let client = largest_child_peak_kb();
    let server = stage.stop_server()?;
    let megabytes =
        |kilobytes: Option<u64>| kilobytes.map_or("?".to_owned(), |kb| format!("{:.1}", kb as f64 / 1024.0));
    let (server, client) = (megabytes(server), megabytes(client));
    let seconds = format!("{:.1}", started.elapsed().as_secs_f64());
    say(&format!("  {}", t!("demo.cost", server = server, client = client, seconds = seconds)));
    say(&format!("  {}", t!("demo.kept", folder = dir.display())));
    match holds {
        true => Ok(Done::Well),
        false => Err(ClientError::Failed(Rejected::new("DEMO_DOES_NOT_HOLD"))),
    }
}
