//! The command line: global options, which command, and how a run ends. This file only dispatches.

mod usage;

use std::ffi::OsString;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::{CommandFactory, FromArgMatches, Parser, Subcommand, ValueEnum};
use serde_json::{Map, Value, json};

use crate::commands::{
    audit, complete, config, demo, enroll, entry, held, indicator, narrative, outbox, people, plan, quarter,
    report, revision, status, sync,
};
use crate::context::{self, Context, Done, Stdout};
use crate::error::{ClientError, Rejected};
use crate::render;
use crate::text::{self, Language};

/// What the process was given beside its arguments.
#[derive(Clone, Debug, Default)]
pub struct Environment {
    /// `RENAKSI_HOME`.
    pub home: Option<PathBuf>,
    /// `RENAKSI_LANG`.
    pub language: Option<String>,
    /// The machine's locale.
    pub locale: Option<String>,
    /// `NO_COLOR`.
    pub no_color: bool,
    /// `RENAKSI_CLOCK`.
    pub clock: Option<String>,
    /// `RENAKSI_LOG`: a filter for the log on stderr.
    pub log: Option<String>,
    /// Stdout is a terminal.
    pub terminal: bool,
}

/// Action plans of a local-government office: record in the field, measure every quarter, answer to auditors
#[derive(Clone, Debug, Parser)]
#[command(name = "renaksi", version, arg_required_else_help = true)]
struct Cli {
    /// The device's folder
    #[arg(long, global = true, value_name = "DIR")]
    home: Option<PathBuf>,
    /// Print one JSON object
    #[arg(long, global = true)]
    json: bool,
    /// Language of what is printed
    #[arg(long, global = true, value_parser = ["id", "en"])]
    lang: Option<String>,
    /// When to use colours
    #[arg(long, global = true, value_enum, default_value_t = Colors::Auto)]
    color: Colors,
    /// The plan's year; without it the current one, or the latest that has a plan
    #[arg(long, global = true)]
    year: Option<i16>,
    #[command(subcommand)]
    command: CommandLine,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Colors {
    Auto,
    Always,
    Never,
}

#[derive(Clone, Debug, Subcommand)]
enum CommandLine {
    /// A whole year of an office in one run, on a server of its own
    Demo(demo::DemoArgs),
    /// Makes this folder a device of yours, with the operator's invite
    Enroll(enroll::EnrollArgs),
    /// The plan: import, establish, approve, show
    #[command(subcommand)]
    Plan(plan::PlanCommandLine),
    /// One indicator's whole story; its settings
    #[command(subcommand)]
    Indicator(indicator::IndicatorCommandLine),
    /// What is recorded: add, list, amend, verify
    #[command(subcommand)]
    Entry(entry::EntryCommandLine),
    /// Sends what waits on this device and fetches what is new
    Sync(sync::SyncArgs),
    /// Where this device stands and what needs a person
    Status(status::StatusArgs),
    /// What the rules of its day did not admit, until somebody decides
    #[command(subcommand)]
    Held(held::HeldCommandLine),
    /// Approved changes of the plan (perubahan)
    #[command(subcommand)]
    Revision(revision::RevisionCommandLine),
    /// Quarters: due dates and locks
    #[command(subcommand)]
    Quarter(quarter::QuarterCommandLine),
    /// What drove an indicator, what stood in its way, what follows
    #[command(subcommand)]
    Narrative(narrative::NarrativeCommandLine),
    /// The quarterly report
    Report(report::ReportArgs),
    /// The audit trail: read, replay, verify
    #[command(subcommand)]
    Audit(audit::AuditCommandLine),
    /// People and their roles
    #[command(subcommand)]
    User(people::UserCommandLine),
    /// Enrolled devices
    #[command(subcommand)]
    Device(people::DeviceCommandLine),
    /// Organisational units
    #[command(subcommand)]
    Unit(people::UnitCommandLine),
    /// Unsent work as a file, for another device to bring
    #[command(subcommand)]
    Outbox(outbox::OutboxCommandLine),
    /// Takes the device out of this folder; refused while something was not sent
    Reset(outbox::ResetArgs),
    /// Bands of the ratings, holidays, due days
    #[command(subcommand)]
    Config(config::ConfigCommandLine),
    /// A shell's completion script
    Completions(complete::CompletionsArgs),
    /// The manual page
    Man,
}

/// Runs one command and tells how it ended.
pub fn run(arguments: Vec<OsString>, environment: Environment) -> ExitCode {
    let language = early_language(&arguments, &environment);
    text::set_language(language);
    start_log(environment.log.as_deref());
    let parsed =
        command().try_get_matches_from(&arguments).and_then(|matches| Cli::from_arg_matches(&matches));
    let cli = match parsed {
        Ok(cli) => cli,
        Err(error) => {
            let json = arguments.iter().any(|argument| argument == "--json");
            let color = environment.terminal && !environment.no_color;
            return end_usage(&error, json, color);
        }
    };
    let Some(home) = cli.home.or(environment.home).or_else(default_home) else {
        let cause = Rejected::new("NOT_ENROLLED").with("home", "");
        return end_failed(&ClientError::NotUnderstood(cause), cli.json, false);
    };
    let color = match cli.color {
        Colors::Always => true,
        Colors::Never => false,
        Colors::Auto => environment.terminal && !environment.no_color,
    };
    let ctx = Context {
        home,
        json: cli.json,
        year: cli.year,
        color,
        played_clock: environment.clock,
        ..Context::default()
    };
    match dispatch(&ctx, cli.command) {
        // An answer that was not written was not given.
        Ok(_) if context::stdout() == Stdout::Failed => ExitCode::FAILURE,
        Ok(Done::Well) => ExitCode::SUCCESS,
        Ok(Done::NeedsAPerson) => ExitCode::from(3),
        Err(error) => end_failed(&error, ctx.json, color),
    }
}

fn dispatch(ctx: &Context, command: CommandLine) -> Result<Done, ClientError> {
    match command {
        CommandLine::Demo(args) => wait(demo::run(ctx, args)),
        CommandLine::Enroll(args) => wait(enroll::run(ctx, args)),
        CommandLine::Plan(line) => wait(plan::run(ctx, line)),
        CommandLine::Indicator(line) => wait(indicator::run(ctx, line)),
        CommandLine::Entry(line) => wait(entry::run(ctx, line)),
        CommandLine::Sync(args) => wait(sync::run(ctx, args)),
        CommandLine::Status(args) => status::run(ctx, &args),
        CommandLine::Held(line) => wait(held::run(ctx, line)),
        CommandLine::Revision(line) => wait(revision::run(ctx, line)),
        CommandLine::Quarter(line) => wait(quarter::run(ctx, line)),
        CommandLine::Narrative(line) => wait(narrative::run(ctx, line)),
        CommandLine::Report(args) => wait(report::run(ctx, args)),
        CommandLine::Audit(line) => wait(audit::run(ctx, line)),
        CommandLine::User(line) => wait(people::run_user(ctx, line)),
        CommandLine::Device(line) => wait(people::run_device(ctx, line)),
        CommandLine::Unit(line) => wait(people::run_unit(ctx, line)),
        CommandLine::Outbox(line) => wait(outbox::run(ctx, line)),
        CommandLine::Reset(args) => outbox::reset(ctx, &args),
        CommandLine::Config(line) => wait(config::run(ctx, line)),
        CommandLine::Completions(args) => complete::completions(ctx, &args),
        CommandLine::Man => complete::man(ctx),
    }
}

/// Runs a command that may talk to the server on this thread.
fn wait(command: impl Future<Output = Result<Done, ClientError>>) -> Result<Done, ClientError> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let runtime = runtime.map_err(|error| {
        ClientError::Failed(Rejected::new("IO_FAILED").with("path", "tokio").with("cause", error))
    })?;
    runtime.block_on(command)
}

/// The whole command line with its help in the chosen language.
pub fn command() -> clap::Command {
    let mut command = Cli::command();
    // Clap's own options and its `help` command have texts too.
    command.build();
    with_help(command, "help")
}

/// Help texts are kept under `help.<command>.<subcommand>`: `about`, and one for each argument.
fn with_help(command: clap::Command, key: &str) -> clap::Command {
    let about = format!("{key}.about");
    let command = if text::has(&about) { command.about(text::say(&about)) } else { command };
    let command = command.mut_args(|argument| {
        let id = argument.get_id().to_string();
        let own = format!("{key}.{id}");
        let shared = argument.is_global_set() || matches!(id.as_str(), "help" | "version");
        let help = if shared && !text::has(&own) { format!("help.{id}") } else { own };
        match id.as_str() {
            "help" => argument.help(text::say("help.print_help")),
            "version" => argument.help(text::say("help.print_version")),
            _ if text::has(&help) => argument.help(text::say(&help)),
            _ => argument,
        }
    });
    usage::with_headings(command).mut_subcommands(|subcommand| {
        if subcommand.get_name() == "help" {
            return subcommand.about(text::say("help.help.about"));
        }
        let key = format!("{key}.{}", subcommand.get_name().replace('-', "_"));
        with_help(subcommand, &key)
    })
}

/// The language is needed before the arguments are understood: their errors and their help are said in it.
fn early_language(arguments: &[OsString], environment: &Environment) -> Language {
    let arguments: Vec<&str> = arguments.iter().filter_map(|argument| argument.to_str()).collect();
    let spaced = arguments.windows(2).find(|pair| pair[0] == "--lang").map(|pair| pair[1]);
    let joined = || arguments.iter().find_map(|argument| argument.strip_prefix("--lang="));
    let option = spaced.or_else(joined);
    Language::choose(option, environment.language.as_deref(), environment.locale.as_deref())
}

fn default_home() -> Option<PathBuf> {
    directories::ProjectDirs::from("", "", "renaksi").map(|folders| folders.data_dir().to_owned())
}

fn start_log(filter: Option<&str>) {
    let Some(filter) = filter else { return };
    let filter = tracing_subscriber::EnvFilter::new(filter);
    tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr).init();
}

/// Help and version are no errors; everything else clap says is exit 2.
fn end_usage(error: &clap::Error, json: bool, color: bool) -> ExitCode {
    let ctx = Context { json, color, ..Context::default() };
    let said = error.render();
    let said = if color { said.ansi().to_string() } else { said.to_string() };
    if !error.use_stderr() {
        ctx.print(said.trim_end());
        return if context::stdout() == Stdout::Failed { ExitCode::FAILURE } else { ExitCode::SUCCESS };
    }
    let cause = usage::cause(error);
    if !json && error.kind() == clap::error::ErrorKind::DisplayHelpOnMissingArgumentOrSubcommand {
        ctx.notice(said.trim_end());
        return ExitCode::from(2);
    }
    if !json && let Some(usage) = usage::usage(error) {
        let (message, hint) = text::error(&cause);
        let label = render::paint(color, render::Paint::Red, &text::say("common.error"));
        ctx.notice(&format!("{label}: {message}\n\n{usage}\n\n{}: {hint}", text::say("common.hint")));
        return ExitCode::from(2);
    }
    end_failed(&ClientError::NotUnderstood(cause), json, color)
}

fn end_failed(error: &ClientError, json: bool, color: bool) -> ExitCode {
    let ctx = Context { json, color, ..Context::default() };
    match json {
        true => ctx.print_json(&error_json(error.cause())),
        false => ctx.notice(&render::error(color, error.cause())),
    }
    ExitCode::from(error.exit_code())
}

/// The contract's error object.
pub fn error_json(cause: &Rejected) -> Value {
    let (message, hint) = text::error(cause);
    let detail = |(key, value): &(String, String)| match key.as_str() {
        "candidates" => (key.clone(), Value::from_iter(value.split(text::BETWEEN_CANDIDATES))),
        "errors" | "warnings" => {
            (key.clone(), serde_json::from_str(value).unwrap_or_else(|_| Value::from(value.as_str())))
        }
        _ => (key.clone(), Value::from(value.as_str())),
    };
    let details: Map<String, Value> = cause.details.iter().map(detail).collect();
    json!({ "error": { "code": cause.code, "message": message, "hint": hint, "details": details } })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_command_line_holds_together() {
        Cli::command().debug_assert();
    }

    /// English help is the doc comments; the Indonesian one is kept in `locales/help.yml`.
    #[test]
    fn every_command_and_option_has_help_in_both_languages() {
        let mut missing = Vec::new();
        let mut command = Cli::command();
        command.build();
        collect(&command, "help", &mut missing);
        assert!(missing.is_empty(), "no help for:\n{}", missing.join("\n"));
    }

    fn collect(command: &clap::Command, key: &str, missing: &mut Vec<String>) {
        let indonesian = |key: &str| crate::_rust_i18n_backend().translate("id", key).is_some();
        let mut check = |key: String, english: bool| {
            if !english {
                missing.push(format!("en {key}"));
            }
            if !indonesian(&key) {
                missing.push(format!("id {key}"));
            }
        };
        check(format!("{key}.about"), command.get_about().is_some());
        for argument in command.get_arguments() {
            let shared = argument.is_global_set() && key != "help";
            if !shared && !matches!(argument.get_id().as_str(), "help" | "version") {
                check(format!("{key}.{}", argument.get_id()), argument.get_help().is_some());
            }
        }
        for subcommand in command.get_subcommands().filter(|subcommand| subcommand.get_name() != "help") {
            collect(subcommand, &format!("{key}.{}", subcommand.get_name().replace('-', "_")), missing);
        }
    }

    #[test]
    fn the_language_is_known_before_the_arguments_are() {
        let early = |arguments: &[&str]| {
            let environment = Environment { language: Some("en".into()), ..Environment::default() };
            early_language(&arguments.iter().map(OsString::from).collect::<Vec<_>>(), &environment)
        };
        assert_eq!(early(&["renaksi", "--lang", "id", "status"]), Language::Indonesian);
        assert_eq!(early(&["renaksi", "status", "--lang=id"]), Language::Indonesian);
        assert_eq!(early(&["renaksi", "status"]), Language::English);
    }
}
