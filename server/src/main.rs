//! `renaksid`: init, serve, invite, check.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Args, Parser, Subcommand};
use renaksi_domain::people::{FoundOffice, PeopleCommand};
use renaksi_domain::time::Zone;
use renaksi_proto::clock::{CLOCK_VARIABLE, Clock};
use renaksi_server::data::{Data, ServerFile};
use renaksi_server::error::ServerError;
use renaksi_server::invites::hex;
use renaksi_server::office::Office;
use renaksi_server::people::Invited;
use renaksi_server::{authority, check, people, serve};
use serde_json::json;
use uuid::Uuid;

const DEFAULT_ADDRESS: &str = "127.0.0.1:7443";

/// The server of an office's action plan.
#[derive(Debug, Parser)]
#[command(name = "renaksid", version)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Makes a data folder with an office in it and prints the first invite.
    Init(Init),
    /// Serves the office until SIGTERM.
    Serve(Serve),
    /// Invites a person into a role and prints the invite.
    Invite(Invite),
    /// Verifies the whole store and prints its state hash.
    Check(Check),
}

#[derive(Debug, Args)]
struct Init {
    /// The data folder to make.
    #[arg(long)]
    data: PathBuf,
    /// The office's name.
    #[arg(long)]
    office: String,
    /// Its time zone: Asia/Jakarta, Asia/Pontianak, Asia/Makassar or Asia/Jayapura.
    #[arg(long, default_value = "Asia/Jakarta")]
    tz: String,
    /// The name of the first operator.
    #[arg(long)]
    operator: String,
    /// A training office: says so everywhere, and may play its clock.
    #[arg(long)]
    rehearsal: bool,
    /// The address that invites name.
    #[arg(long, default_value = DEFAULT_ADDRESS)]
    address: String,
    #[arg(long)]
    json: bool,
}

#[derive(Debug, Args)]
struct Serve {
    #[arg(long)]
    data: PathBuf,
    /// Where to listen; port 0 takes a free one.
    #[arg(long, default_value = DEFAULT_ADDRESS)]
    listen: SocketAddr,
    /// The address that invites name from now on; the bound one when left out and `--listen` has port 0.
    #[arg(long)]
    address: Option<String>,
    /// A PostgreSQL store; not in this release.
    #[arg(long)]
    store: Option<String>,
    /// One JSON object when ready.
    #[arg(long)]
    json: bool,
}

#[derive(Debug, Args)]
struct Invite {
    #[arg(long)]
    data: PathBuf,
    /// The person's name; a new one is added.
    #[arg(long)]
    user: String,
    /// officer, head-of-unit, administrator, head-of-office, auditor or operator.
    #[arg(long)]
    role: String,
    /// The unit, as the plan names the responsible post.
    #[arg(long)]
    unit: Option<String>,
    #[arg(long)]
    json: bool,
}

#[derive(Debug, Args)]
struct Check {
    #[arg(long)]
    data: PathBuf,
    #[arg(long)]
    json: bool,
}

#[tokio::main(flavor = "multi_thread", worker_threads = 2)]
async fn main() -> ExitCode {
    let filter = tracing_subscriber::EnvFilter::try_from_env("RENAKSI_LOG").unwrap_or_else(|_| "warn".into());
    tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr).init();
    let cli = Cli::parse();
    let as_json = match &cli.command {
        Command::Init(args) => args.json,
        Command::Serve(args) => args.json,
        Command::Invite(args) => args.json,
        Command::Check(args) => args.json,
    };
    let done = match cli.command {
        Command::Init(args) => init(args).await,
        Command::Serve(args) => run_server(args).await,
        Command::Invite(args) => invite(args).await,
        Command::Check(args) => run_check(args).await,
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => report(&error, as_json),
    }
}

fn report(error: &ServerError, as_json: bool) -> ExitCode {
    let mut message = error.to_string();
    let mut source = std::error::Error::source(error);
    while let Some(cause) = source {
        message.push_str(&format!(": {cause}"));
        source = cause.source();
    }
    let hint = error.hint();
    if as_json {
        println!(
            "{}",
            json!({ "error": { "code": error.code(), "message": message, "hint": hint, "details": {} } })
        );
    } else {
        eprintln!("error: {message}");
        hint.into_iter().for_each(|hint| eprintln!("hint: {hint}"));
    }
    ExitCode::from(error.exit_code())
}

async fn init(args: Init) -> Result<(), ServerError> {
    let data = Data::new(&args.data);
    if data.server_file().is_ok() {
        return Err(ServerError::OfficeExists(args.data));
    }
    let zone = Zone::from_name(&args.tz).ok_or_else(|| {
        let names = Zone::ALL.map(Zone::name).join(", ");
        ServerError::Usage(format!(
            "unknown time zone `{}`; an Indonesian office is in one of {names}",
            args.tz
        ))
    })?;
    if args.office.trim().is_empty() {
        return Err(ServerError::Usage("--office needs the office's name".into()));
    }
    let host = args.address.rsplit_once(':').map(|(host, _)| host.trim_matches(['[', ']']));
    let host = host
        .filter(|host| !host.is_empty())
        .ok_or_else(|| ServerError::Usage(format!("--address `{}` is not HOST:PORT", args.address)))?;
    let mut random = [0; 16];
    getrandom::fill(&mut random).map_err(|error| ServerError::Running(format!("no randomness: {error}")))?;
    let id = uuid::Builder::from_random_bytes(random).into_uuid();
    authority::create(&data.authority(), args.office.trim(), host)?;
    // If we crash before this is whole, `init` may be run again: there is no office yet.
    data.write_server_file(&ServerFile { office: id, rehearsal: args.rehearsal, address: args.address })?;
    let office = Office::open(&data, clock(args.rehearsal)?)?;
    let invited = found(&office, id, args.office.trim(), zone, args.rehearsal, &args.operator).await;
    tokio::task::block_in_place(|| office.close());
    let invited = match invited {
        Ok(invited) => invited,
        Err(error) => {
            // Nothing was founded: leave no half office behind.
            let _ = std::fs::remove_file(args.data.join("server.json"));
            return Err(error);
        }
    };
    print_invite(args.json, &invited, Some(id));
    Ok(())
}

async fn found(
    office: &Office,
    id: Uuid,
    name: &str,
    zone: Zone,
    rehearsal: bool,
    operator: &str,
) -> Result<Invited, ServerError> {
    let found = FoundOffice { office: id, name: name.into(), zone, rehearsal };
    let act = Box::new(move |_: &renaksi_domain::State| vec![PeopleCommand::FoundOffice(found)]);
    office.host(act).await.map_err(people::host_error)?;
    people::invite(office, operator, "operator", None).await
}

async fn run_server(args: Serve) -> Result<(), ServerError> {
    if args.store.is_some() {
        return Err(ServerError::Usage(
            "--store is not in this release; leave it out to keep the log in files".into(),
        ));
    }
    let data = Data::new(&args.data);
    let mut file = data.server_file()?;
    let mut office = Office::open(&data, clock(file.rehearsal)?)?;
    if let Some(address) = args.address.clone() {
        file.address = address;
        data.write_server_file(&file)?;
        office.file = file.clone();
    } else if args.listen.port() == 0 {
        // A free port is for this run only: what is written stays.
        office.file.address = String::new();
    }
    let name = office.name.clone();
    let ready = move |bound: SocketAddr| {
        if args.json {
            println!(
                "{}",
                json!({ "listening": bound.to_string(), "office": name, "rehearsal": file.rehearsal })
            );
        } else {
            let rehearsal = if file.rehearsal { " (rehearsal)" } else { "" };
            eprintln!("{name}{rehearsal}: listening on {bound}");
        }
    };
    serve::serve(&data, office, args.listen, ready).await
}

async fn invite(args: Invite) -> Result<(), ServerError> {
    let data = Data::new(&args.data);
    let file = data.server_file()?;
    let clock = clock(file.rehearsal)?;
    let invited = check::invite(&data, clock, &args.user, &args.role, args.unit.as_deref()).await?;
    print_invite(args.json, &invited, None);
    Ok(())
}

fn print_invite(as_json: bool, invited: &Invited, office: Option<Uuid>) {
    let expires = invited.expires.rfc3339();
    if as_json {
        let mut value = json!({ "invite": invited.text, "person": invited.person.0, "expires": expires });
        if let Some(office) = office {
            value["office"] = json!(office.to_string());
        }
        println!("{value}");
    } else {
        println!("{}", invited.text);
        eprintln!("valid once, until {expires}: on the person's device run `renaksi enroll INVITE`");
    }
}

async fn run_check(args: Check) -> Result<(), ServerError> {
    let checked = check::check(&Data::new(&args.data)).await?;
    let (root, hash) = (hex(&checked.root), hex(&checked.state_hash));
    if args.json {
        let value = json!({
            "ok": true,
            "office": checked.office.to_string(),
            "name": checked.office_name,
            "position": checked.position,
            "root": root,
            "epoch": checked.epoch,
            "state_hash": hash,
            "live_entries": checked.live_entries,
        });
        println!("{value}");
    } else {
        println!(
            "{}: {} records, {} live entries, all in order",
            checked.office_name, checked.position, checked.live_entries
        );
        println!("tree root   {root}");
        println!("state hash  {hash}");
    }
    Ok(())
}

/// Only a rehearsal office's server looks at the played clock.
fn clock(rehearsal: bool) -> Result<Clock, ServerError> {
    match std::env::var(CLOCK_VARIABLE) {
        Ok(value) if rehearsal => {
            Clock::played(&value).map_err(|error| ServerError::Usage(error.to_string()))
        }
        _ => Ok(Clock::System),
    }
}
