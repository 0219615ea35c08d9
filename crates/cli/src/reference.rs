//! docs/reference/cli.md: what --help says, of every verb.

use std::{env, fs};

use clap::{Command, CommandFactory};

use crate::Arguments;

/// Columns of the page's texts.
const WIDTH: usize = 110;

/// `make docs` sets `WHIPSNAKE_WRITE_DOCS` to write the page instead of checking it.
#[test]
fn the_reference_page_is_current() {
    let mut command = Arguments::command().term_width(WIDTH);
    command.build();
    let mut page = String::from(
        "# The whipsnake command\n\nGenerated from `crates/cli/src` by `make docs`: what `--help` says. Colours appear on terminals \
         alone, and not with `NO_COLOR`.\nThe exit code is 0, 1 when the function failed, 2 when the command could not do its work.\n",
    );
    describe(&mut command, "whipsnake", &mut page);
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/reference/cli.md");
    if env::var_os("WHIPSNAKE_WRITE_DOCS").is_some() {
        fs::write(path, &page).expect("docs/reference can be written");
    }
    let committed = fs::read_to_string(path).unwrap_or_default();
    assert!(committed == page, "docs/reference/cli.md is not what --help says: run `make docs`");
}

fn describe(command: &mut Command, name: &str, page: &mut String) {
    let help = command.clone().term_width(WIDTH).render_long_help().to_string();
    let lines: Vec<&str> = help.lines().map(str::trim_end).collect();
    page.push_str(&format!("\n## {name}\n\n```text\n{}\n```\n", lines.join("\n").trim_end()));
    for verb in command.get_subcommands_mut() {
        let name = format!("{name} {}", verb.get_name());
        describe(verb, &name, page);
    }
}
