//! `demo`: one office's year in one command, on a real server of its own with a clock that is played.

use std::path::PathBuf;
use std::time::Instant;

use clap::Args;
use rust_i18n::t;
use serde_json::json;

use crate::context::{Context, Done};
use crate::error::{ClientError, Rejected};

mod stage;
mod story;
mod summary;

use stage::{Stage, largest_child_peak_kb};

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
pub async fn run(ctx: &Context, args: DemoArgs) -> Result<Done, ClientError> {
    if let Some(code) = stage::play_under_cargo(ctx)? {
        // What there is to say is said.
        std::process::exit(code);
    }
    let started = Instant::now();
    let dir =
        args.dir.unwrap_or_else(|| std::env::temp_dir().join(format!("renaksi-demo-{}", std::process::id())));
    let mut stage = Stage::new(ctx, dir.clone())?;
    stage.say(&t!("demo.title"));
    let told = story::play(&mut stage)?;
    let lines = summary::check(&stage, &told)?;
    let client = largest_child_peak_kb();
    let server = stage.stop_server()?;
    let seconds = started.elapsed().as_secs_f64();
    let megabytes = |kb: Option<u64>| kb.map_or("?".to_owned(), |kb| format!("{:.1}", kb as f64 / 1024.0));
    let cost = t!(
        "demo.cost",
        server = megabytes(server),
        client = megabytes(client),
        seconds = format!("{seconds:.1}")
    );
    stage.say(&format!("  {cost}"));
    stage.say(&format!("  {}", t!("demo.kept", folder = dir.display())));
    let holds = lines.iter().all(|line| line.holds);
    if ctx.json {
        ctx.print_json(&json!({
            "ok": holds,
            "summary": lines.iter().map(|line| json!({ "text": line.text, "holds": line.holds })).collect::<Vec<_>>(),
            "server_peak_kb": server,
            "client_peak_kb": client,
            "seconds": format!("{seconds:.1}"),
            "folder": dir.display().to_string(),
            "rehearsal": true,
        }));
        if !holds {
            // The object above is the answer; a second one would leave no one to read.
            std::process::exit(1);
        }
    }
    match holds {
        true => Ok(Done::Well),
        false => Err(ClientError::Failed(Rejected::new("DEMO_DOES_NOT_HOLD"))),
    }
}
