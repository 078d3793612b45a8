//! `renaksi`: reads the environment, everything else is in the library.

use std::io::IsTerminal;
use std::process::ExitCode;

use renaksi_client::cli::{self, Environment};

fn main() -> ExitCode {
    let variable = |name: &str| std::env::var(name).ok().filter(|value| !value.is_empty());
    cli::run(
        std::env::args_os().collect(),
        Environment {
            home: std::env::var_os("RENAKSI_HOME").filter(|home| !home.is_empty()).map(Into::into),
            language: variable("RENAKSI_LANG"),
            locale: sys_locale::get_locale(),
            no_color: variable("NO_COLOR").is_some(),
            clock: variable(renaksi_proto::clock::CLOCK_VARIABLE),
            log: variable("RENAKSI_LOG"),
            terminal: std::io::stdout().is_terminal(),
        },
    )
}
