//! What clap says, in the reader's language: the headings of its help, and why a command line is not understood.

use std::sync::OnceLock;

use clap::error::{ContextKind, ContextValue, ErrorKind};

use crate::error::Rejected;
use crate::text::{self, Language};

/// Clap borrows its headings for ever.
static HEADINGS: OnceLock<Headings> = OnceLock::new();

struct Headings {
    template: String,
    arguments: String,
    options: String,
    commands: String,
    command: String,
}

impl Headings {
    fn say() -> Self {
        let usage = text::say("usage.heading.usage");
        Self {
            template: format!("{{about-with-newline}}\n{usage}: {{usage}}\n\n{{all-args}}"),
            arguments: text::say("usage.heading.arguments"),
            options: text::say("usage.heading.options"),
            commands: text::say("usage.heading.commands"),
            command: text::say("usage.heading.command"),
        }
    }
}

/// The help of a command with headings in the chosen language. English ones are clap's own.
pub(super) fn with_headings(command: clap::Command) -> clap::Command {
    if text::language() == Language::English {
        return command;
    }
    let headings = HEADINGS.get_or_init(Headings::say);
    let heading = |positional: bool| if positional { &headings.arguments } else { &headings.options };
    command
        .help_template(headings.template.clone())
        .subcommand_help_heading(headings.commands.as_str())
        .subcommand_value_name(headings.command.as_str())
        .mut_args(|argument| {
            let argument = with_values(argument);
            let positional = argument.is_positional();
            argument.help_heading(heading(positional).as_str())
        })
}

/// The values that an argument may have, behind its help.
fn with_values(argument: clap::Arg) -> clap::Arg {
    let values: Vec<String> =
        argument.get_possible_values().iter().map(|value| value.get_name().to_owned()).collect();
    if values.is_empty() || argument.is_hide_possible_values_set() || !argument.get_action().takes_values() {
        return argument;
    }
    let help = argument.get_help().map(ToString::to_string).unwrap_or_default();
    let listed = text::with("usage.values", &[("values", &values.join(", "))]);
    argument.hide_possible_values(true).help(format!("{help} {listed}"))
}

/// Why the command line is not understood, as the contract's `USAGE`.
pub(super) fn cause(error: &clap::Error) -> Rejected {
    let cause = Rejected::new("USAGE").with("cause", sentence(error));
    match of(error, ContextKind::InvalidArg) {
        Some(argument) => cause.with("argument", argument),
        None => cause,
    }
}

/// `renaksi entry void --reason <REASON> <ID>`, where clap knows which command was meant.
pub(super) fn usage(error: &clap::Error) -> Option<String> {
    let usage = of(error, ContextKind::Usage)?;
    let usage = usage.split_once(':').map_or(usage.as_str(), |(_, usage)| usage).trim();
    let usage = usage.lines().map(str::trim).collect::<Vec<_>>().join(" ");
    Some(format!("{}: {usage}", text::say("usage.heading.usage")))
}

fn of(error: &clap::Error, kind: ContextKind) -> Option<String> {
    match error.get(kind)? {
        ContextValue::String(text) => Some(text.clone()),
        ContextValue::Strings(texts) => Some(texts.join(", ")),
        ContextValue::StyledStr(text) => Some(text.to_string()),
        ContextValue::StyledStrs(texts) => {
            Some(texts.iter().map(ToString::to_string).collect::<Vec<_>>().join(", "))
        }
        ContextValue::Number(number) => Some(number.to_string()),
        _ => None,
    }
    .filter(|text| !text.is_empty())
}

fn sentence(error: &clap::Error) -> String {
    let argument = of(error, ContextKind::InvalidArg).unwrap_or_default();
    let value = of(error, ContextKind::InvalidValue);
    let said = match error.kind() {
        ErrorKind::MissingRequiredArgument => {
            text::with("usage.missing_argument", &[("arguments", &argument)])
        }
        ErrorKind::UnknownArgument => text::with("usage.unexpected_argument", &[("argument", &argument)]),
        ErrorKind::InvalidValue | ErrorKind::ValueValidation => match &value {
            Some(value) => text::with("usage.invalid_value", &[("value", value), ("argument", &argument)]),
            None => text::with("usage.value_missing", &[("argument", &argument)]),
        },
        ErrorKind::TooFewValues | ErrorKind::WrongNumberOfValues | ErrorKind::NoEquals => {
            text::with("usage.value_missing", &[("argument", &argument)])
        }
        ErrorKind::TooManyValues => text::with(
            "usage.invalid_value",
            &[("value", &value.clone().unwrap_or_default()), ("argument", &argument)],
        ),
        ErrorKind::InvalidSubcommand => {
            let command = of(error, ContextKind::InvalidSubcommand).unwrap_or_default();
            text::with("usage.unknown_command", &[("command", &command)])
        }
        ErrorKind::MissingSubcommand | ErrorKind::DisplayHelpOnMissingArgumentOrSubcommand => {
            text::say("usage.missing_command")
        }
        ErrorKind::ArgumentConflict => match of(error, ContextKind::PriorArg) {
            Some(other) if other != argument => {
                text::with("usage.conflict", &[("argument", &argument), ("other", &other)])
            }
            _ => text::with("usage.repeated", &[("argument", &argument)]),
        },
        ErrorKind::InvalidUtf8 => text::say("usage.not_utf8"),
        _ => clap_says(error),
    };
    let valid = of(error, ContextKind::ValidValue).or_else(|| of(error, ContextKind::ValidSubcommand));
    let suggested =
        [ContextKind::SuggestedArg, ContextKind::SuggestedSubcommand, ContextKind::SuggestedValue]
            .into_iter()
            .find_map(|kind| of(error, kind));
    let more = match (valid, suggested) {
        (Some(values), _) => format!(" {}", text::with("usage.values", &[("values", &values)])),
        (None, Some(suggested)) => format!(" {}", text::with("usage.perhaps", &[("suggested", &suggested)])),
        (None, None) => String::new(),
    };
    format!("{said}{more}")
}

/// Clap's own words, in English: what is not met often.
fn clap_says(error: &clap::Error) -> String {
    let said = error.render().to_string();
    let lines = said.lines().take_while(|line| !line.trim().is_empty()).map(str::trim);
    lines.collect::<Vec<_>>().join(" ").trim_start_matches("error: ").to_owned()
}
