//! `completions SHELL` and `man`: made from the command line's own description.

use clap::Args;
use clap_complete::Shell;

use crate::cli;
use crate::context::{Context, Done};
use crate::error::{ClientError, Rejected};

/// Which shell.
#[derive(Clone, Debug, Args)]
pub struct CompletionsArgs {
    /// The shell
    shell: Shell,
}

/// Prints a shell's completion script.
pub fn completions(ctx: &Context, args: &CompletionsArgs) -> Result<Done, ClientError> {
    let mut script = Vec::new();
    clap_complete::generate(args.shell, &mut cli::command(), "renaksi", &mut script);
    ctx.print(String::from_utf8_lossy(&script).trim_end());
    Ok(Done::Well)
}

/// Prints the manual page.
pub fn man(ctx: &Context) -> Result<Done, ClientError> {
    let mut page = Vec::new();
    clap_mangen::Man::new(cli::command()).render(&mut page).map_err(|error| {
        ClientError::Failed(Rejected::new("IO_FAILED").with("path", "stdout").with("cause", error))
    })?;
    ctx.print(String::from_utf8_lossy(&page).trim_end());
    Ok(Done::Well)
}
