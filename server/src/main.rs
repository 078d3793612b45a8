//! `renaksid`: init, serve, invite, check, office, backup, restore.

mod console;

use std::net::SocketAddr;
use std::num::NonZeroU16;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Args, Parser, Subcommand};
use renaksi_proto::agreed::hex;
use renaksi_proto::clock::{CLOCK_VARIABLE, Clock};
use renaksi_server::data::{Data, ServerFile};
use renaksi_server::error::ServerError;
use renaksi_server::founding::{Founding, new_id};
use renaksi_server::office::Office;
use renaksi_server::offices::{OPEN_MAX_DEFAULT, Offices, Settings};
use renaksi_server::people::Invited;
use renaksi_server::serve::Addresses;
use renaksi_server::{authority, catalog, check, serve, web};
use serde_json::json;
use uuid::Uuid;

const DEFAULT_ADDRESS: &str = "127.0.0.1:7443";
const DEFAULT_ZONE: &str = "Asia/Jakarta";

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
    /// Writes everything that cannot be rebuilt into one file, also while the server runs, and reads it back.
    Backup(console::backup::Args),
    /// Restores a backup into an empty folder, or mends a damaged or short log of the same office.
    Restore(console::restore::Args),
    /// What to do where signed records are lost and nobody has them.
    #[command(subcommand)]
    Epoch(console::epoch::Command),
    /// Several offices on one server.
    #[command(subcommand)]
    Office(OfficeCommand),
}

#[derive(Debug, Subcommand)]
enum OfficeCommand {
    /// Adds an office to the folder and prints its first invite.
    Add(OfficeAdd),
    /// Lists the folder's offices.
    List(OfficeList),
}

#[derive(Debug, Args)]
struct OfficeAdd {
    #[arg(long)]
    data: PathBuf,
    /// The office's name.
    #[arg(long)]
    office: String,
    /// Its time zone: Asia/Jakarta, Asia/Pontianak, Asia/Makassar or Asia/Jayapura.
    #[arg(long, default_value = DEFAULT_ZONE)]
    tz: String,
    /// The name of its first operator.
    #[arg(long)]
    operator: String,
    /// A training office: says so everywhere, and may play its clock.
    #[arg(long)]
    rehearsal: bool,
    #[arg(long)]
    json: bool,
}

#[derive(Debug, Args)]
struct OfficeList {
    #[arg(long)]
    data: PathBuf,
    #[arg(long)]
    json: bool,
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
    #[arg(long, default_value = DEFAULT_ZONE)]
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
    /// Health over plain HTTP, on this machine only: /healthz and /readyz. Nothing listens without it.
    #[arg(long)]
    web: Option<SocketAddr>,
    /// Offices open at once; the others are opened when somebody needs them.
    #[arg(long, default_value_t = OPEN_MAX_DEFAULT)]
    open_offices: NonZeroU16,
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
    /// The office, by its id or name; needed where the folder has several.
    #[arg(long)]
    office: Option<String>,
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
    /// The office, by its id or name; needed where the folder has several.
    #[arg(long)]
    office: Option<String>,
    #[arg(long)]
    json: bool,
}

#[tokio::main(flavor = "multi_thread", worker_threads = 2)]
async fn main() -> ExitCode {
    let filter = tracing_subscriber::EnvFilter::try_from_env("RENAKSI_LOG").unwrap_or_else(|_| "warn".into());
    tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr).init();
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        Err(error) => return not_understood(&error),
    };
    let as_json = match &cli.command {
        Command::Init(args) => args.json,
        Command::Serve(args) => args.json,
        Command::Invite(args) => args.json,
        Command::Check(args) => args.json,
        Command::Office(OfficeCommand::Add(args)) => args.json,
        Command::Office(OfficeCommand::List(args)) => args.json,
        Command::Backup(args) => args.json,
        Command::Restore(args) => args.json,
        Command::Epoch(console::epoch::Command::New(args)) => args.json,
    };
    let done = match cli.command {
        Command::Init(args) => init(args).await,
        Command::Serve(args) => run_server(args).await,
        Command::Invite(args) => invite(args).await,
        Command::Check(args) => run_check(args).await,
        Command::Office(OfficeCommand::Add(args)) => add_office(args).await,
        Command::Office(OfficeCommand::List(args)) => list_offices(args).await,
        Command::Backup(args) => console::backup::run(args).await,
        Command::Restore(args) => match console::restore::run(&args) {
            Ok(exit) => return ExitCode::from(exit),
            Err(error) => Err(error),
        },
        Command::Epoch(console::epoch::Command::New(args)) => console::epoch::run(args).await,
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => report(&error, as_json),
    }
}

/// Options that are not understood; `--help` and `--version` too.
fn not_understood(error: &clap::Error) -> ExitCode {
    let as_json = error.use_stderr() && std::env::args_os().any(|argument| argument == "--json");
    if as_json {
        let told = error.render().to_string();
        let told = told.split("\n\nUsage:").next().unwrap_or(&told).trim();
        let message = told.strip_prefix("error: ").unwrap_or(told).to_owned();
        return report(&ServerError::Usage(message), true);
    }
    error.exit()
}

fn report(error: &ServerError, as_json: bool) -> ExitCode {
    let (message, hint) = (error.whole(), error.hint());
    if as_json {
        let details: serde_json::Map<String, serde_json::Value> =
            error.details().into_iter().map(|(key, value)| (key.to_owned(), value.into())).collect();
        let error = json!({ "code": error.code(), "message": message, "hint": hint, "details": details });
        println!("{}", json!({ "error": error }));
    } else {
        eprintln!("error: {message}");
        eprintln!("hint: {hint}");
    }
    ExitCode::from(error.exit_code())
}

async fn init(args: Init) -> Result<(), ServerError> {
    let data = Data::new(&args.data);
    let cut = match data.server_file() {
        Ok(file) if data.is_founded(&file)? => return Err(ServerError::OfficeExists(args.data)),
        Ok(file) if file.founded => return Err(data.no_records(&file)),
        Ok(file) => Some(file),
        Err(ServerError::NoOffice(_)) if data.has_log() => {
            let cause = "it is missing, and the folder has a log".to_owned();
            return Err(ServerError::Unreadable {
                path: data.server_path(),
                what: "the office's settings",
                cause,
            });
        }
        Err(ServerError::NoOffice(_)) => None,
        Err(error) => return Err(error),
    };
    let founding = Founding::read(&args.office, &args.tz, &args.operator, args.rehearsal)?;
    let host = certified_host(&args.address)?;
    let mut file = prepare(&data, &args, host, &founding, cut)?;
    let office = Office::create(&data, clock(args.rehearsal)?)?;
    // From here on the log's lock is ours, so whatever is in the folder is this run's.
    let invited = founding.found(&office, file.office).await;
    tokio::task::block_in_place(|| office.close());
    let invited = invited.inspect_err(|_| remove_what_was_made(&data))?;
    // If we crash before it is written: the log has records, and the next opening writes it.
    file.founded = true;
    data.write_server_file(&file)?;
    print_invite(args.json, &invited, Some(file.office), args.rehearsal);
    Ok(())
}

/// The host that the server's certificate names.
fn certified_host(address: &str) -> Result<&str, ServerError> {
    let host = address.rsplit_once(':').map(|(host, _)| host.trim_matches(['[', ']']));
    let host = host.filter(|host| !host.is_empty());
    host.ok_or_else(|| ServerError::Usage(format!("--address `{address}` is not HOST:PORT")))
}

/// Makes the authority and `server.json`. An `init` that was cut before its first record is gone on with, under its
/// office id. If we crash in here, `init` may be run again.
fn prepare(
    data: &Data,
    args: &Init,
    host: &str,
    founding: &Founding,
    cut: Option<ServerFile>,
) -> Result<ServerFile, ServerError> {
    // Its authority was whole before its file was. One for another address is made anew: no invite names it yet.
    let kept = cut.as_ref().filter(|cut| cut.address == args.address);
    if kept.is_none() {
        authority::create(&data.authority(), &founding.name, host)?;
    }
    let id = cut.map_or_else(new_id, |cut| Ok(cut.office))?;
    let file =
        ServerFile { office: id, rehearsal: args.rehearsal, address: args.address.clone(), founded: false };
    data.write_server_file(&file)?;
    Ok(file)
}

/// Leaves no half office behind. Its work first, so that what remains if we crash in between is an `init` to go on with.
fn remove_what_was_made(data: &Data) {
    let removed = std::fs::remove_dir_all(data.office(""))
        .and_then(|()| std::fs::remove_file(data.server_path()))
        .and_then(|()| std::fs::remove_dir_all(data.authority()));
    if let Err(error) = removed {
        eprintln!("{} could not be cleared: {error}", data.dir().display());
    }
}

async fn run_server(args: Serve) -> Result<(), ServerError> {
    if args.store.is_some() {
        return Err(ServerError::Usage(
            "--store is not in this release; leave it out to keep the log in files".into(),
        ));
    }
    web::on_this_machine(args.web)?;
    let data = Data::new(&args.data);
    let mut file = data.server_file()?;
    let played = match clock(true) {
        Ok(played) => played,
        Err(error) if catalog::offices(&data)?.iter().any(|office| office.rehearsal) => return Err(error),
        Err(_) => Clock::System,
    };
    let settings = Settings { open_max: args.open_offices, played, ..Settings::default() };
    let offices = Offices::new(&data, settings)?;
    if let Some(address) = args.address {
        file.address = address.clone();
        data.write_server_file(&file)?;
        offices.set_address(address);
    } else if args.listen.port() == 0 {
        // A free port is for this run only: what is written stays.
        offices.set_address(String::new());
    }
    let count = offices.count();
    let ready = move |bound: Addresses, first: Option<&Office>| {
        let web = bound.web.map(|web| web.to_string());
        let name = first.map(|first| first.name.as_str());
        if args.json {
            let mut value = json!({
                "listening": bound.network.to_string(),
                "office": name,
                "rehearsal": file.rehearsal,
                "offices": count,
            });
            if let Some(web) = web {
                value["web"] = web.into();
            }
            println!("{value}");
        } else {
            say_rehearsal(file.rehearsal);
            let name = name.unwrap_or("an office that cannot be opened");
            let others = if count > 1 { format!(" and {} more", count - 1) } else { String::new() };
            eprintln!("{name}{others}: listening on {}", bound.network);
            web.into_iter().for_each(|web| eprintln!("health on http://{web}/healthz and /readyz"));
        }
    };
    serve::serve(&data, offices, Addresses { network: args.listen, web: args.web }, ready).await
}

async fn invite(args: Invite) -> Result<(), ServerError> {
    let data = catalog::choose(&Data::new(&args.data), args.office.as_deref())?;
    let file = data.server_file()?;
    let clock = clock(file.rehearsal)?;
    let invited = check::invite(&data, clock, &args.user, &args.role, args.unit.as_deref()).await?;
    if invited.unit_added {
        say_unit_added(args.unit.as_deref().unwrap_or_default().trim(), invited.unit_idle.as_deref());
    }
    print_invite(args.json, &invited, None, file.rehearsal);
    Ok(())
}

/// `idle`: with a plan, none of whose indicators belongs to the unit, the names that may have been meant.
fn say_unit_added(unit: &str, idle: Option<&[String]>) {
    eprintln!("unit added: {unit}");
    if let Some(near) = idle {
        let meant = match near {
            [] => String::new(),
            near => format!("; did you mean {}?", near.join(", or ")),
        };
        eprintln!("warning: no indicator of the plan is assigned to {unit}{meant}");
    }
}

/// Nobody should take a training office's output for the real one's.
fn say_rehearsal(rehearsal: bool) {
    if rehearsal {
        eprintln!("REHEARSAL: this office is for training, and its clock may be played");
    }
}

fn print_invite(as_json: bool, invited: &Invited, office: Option<Uuid>, rehearsal: bool) {
    let expires = invited.expires.rfc3339();
    if as_json {
        let mut value = json!({
            "invite": invited.text,
            "person": invited.person.0,
            "expires": expires,
            "rehearsal": rehearsal,
            "unit_added": invited.unit_added,
            "waiting_for_confirmation": invited.grant.is_some(),
        });
        if let Some(grant) = invited.grant {
            value["grant"] = json!(grant.0);
        }
        if let Some(office) = office {
            value["office"] = json!(office.to_string());
        }
        println!("{value}");
    } else {
        say_rehearsal(rehearsal);
        println!("{}", invited.text);
        if let Some(grant) = invited.grant {
            eprintln!("the role holds once the head of office confirms it: `renaksi user confirm {grant}`");
        }
        eprintln!("valid once, until {expires}: on the person's device run `renaksi enroll INVITE`");
    }
}

async fn add_office(args: OfficeAdd) -> Result<(), ServerError> {
    let founding = Founding::read(&args.office, &args.tz, &args.operator, args.rehearsal)?;
    let (id, invited) = check::add(&Data::new(&args.data), clock(args.rehearsal)?, &founding).await?;
    print_invite(args.json, &invited, Some(id), args.rehearsal);
    Ok(())
}

async fn list_offices(args: OfficeList) -> Result<(), ServerError> {
    let offices = check::list(&Data::new(&args.data)).await?;
    if args.json {
        let offices = offices.iter().map(|office| {
            json!({
                "office": office.id.to_string(),
                "name": office.name,
                "rehearsal": office.rehearsal,
                "state": office.state,
            })
        });
        println!("{}", json!({ "offices": offices.collect::<Vec<_>>() }));
    } else {
        for office in offices {
            let rehearsal = if office.rehearsal { "  (rehearsal)" } else { "" };
            println!("{}  {:<12}  {}{rehearsal}", office.id, office.state, office.name);
        }
    }
    Ok(())
}

async fn run_check(args: Check) -> Result<(), ServerError> {
    let data = catalog::choose(&Data::new(&args.data), args.office.as_deref())?;
    let checked = check::check(&data).await?;
    let rehearsal = checked.rehearsal == Some(true);
    let tail = checked.tail_bytes;
    let (root, hash) = (hex(&checked.root), hex(&checked.state_hash));
    if args.json {
        let value = json!({
            "ok": true,
            "office": checked.office.to_string(),
            "name": checked.office_name,
            "rehearsal": rehearsal,
            "position": checked.position,
            "root": root,
            "epoch": checked.epoch,
            "state_hash": hash,
            "live_entries": checked.live_entries,
            "tail_bytes": tail,
        });
        println!("{value}");
    } else {
        say_rehearsal(rehearsal);
        println!(
            "{}: {} records, {} live entries, all in order",
            checked.office_name, checked.position, checked.live_entries
        );
        println!("tree root   {root}");
        println!("state hash  {hash}");
        if tail > 0 {
            println!(
                "{tail} bytes behind the last whole commit: an unfinished one, not yet acknowledged unless the file was \
                 damaged otherwise; the next start keeps them in a file beside the log"
            );
        }
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
