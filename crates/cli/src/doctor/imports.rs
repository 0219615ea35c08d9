//! What `python -X importtime` says, as a tree.

use std::fmt::Write;

/// Nothing quicker is drawn, in microseconds; and nothing that is less than this part of the whole.
const LEAST: u64 = 1_000;
const LEAST_PART: u64 = 50;
/// Deeper than this nothing is drawn.
const DEPTH: usize = 4;

/// One module's import.
#[derive(Debug, PartialEq, Eq)]
pub struct Import {
    pub module: String,
    /// Microseconds of its own.
    pub own: u64,
    /// Microseconds with those that it imported first.
    pub whole: u64,
    pub imports: Vec<Import>,
}

/// The imports of a start that no other import asked for.
pub struct Imports(Vec<Import>);

impl Imports {
    /// Reads a log. A module's line comes after those of what it imports, which are indented by two more.
    pub fn parse(log: &str) -> Imports {
        let mut levels: Vec<Vec<Import>> = vec![Vec::new()];
        for line in log.lines() {
            let Some(fields) = line.strip_prefix("import time:") else { continue };
            let mut fields = fields.split('|');
            let numbers = (fields.next().and_then(number), fields.next().and_then(number));
            let (Some(own), Some(whole), Some(name)) = (numbers.0, numbers.1, fields.next()) else { continue };
            let module = name.trim_start();
            let depth = (name.len() - module.len()).saturating_sub(1) / 2;
            levels.resize_with(levels.len().max(depth + 2), Vec::new);
            let imports = std::mem::take(&mut levels[depth + 1]);
            levels[depth].push(Import { module: module.trim_end().to_owned(), own, whole, imports });
        }
        Imports(levels.swap_remove(0))
    }

    /// Those of the function's module, which the runtime imports in a way that CPython does not time.
    pub fn of_function(self, module: String) -> Import {
        let imports: Vec<Import> = self.0.into_iter().skip_while(|import| is_of_runtime(&import.module)).collect();
        Import { module, own: 0, whole: imports.iter().map(|import| import.whole).sum(), imports }
    }
}

/// Whether a module is imported before the function's.
fn is_of_runtime(module: &str) -> bool {
    let package = module.split('.').next().unwrap_or_default();
    ["_frozen_importlib_external", "zipimport", "encodings", "_signal", "site", "whipsnake", "awslambdaric", "gc"]
        .contains(&package)
}

impl Import {
    /// This one and all below.
    pub fn all(&self) -> Vec<&Import> {
        let mut all = vec![self];
        let mut next = 0;
        while let Some(import) = all.get(next) {
            all.extend(&import.imports);
            next += 1;
        }
        all
    }
}

fn number(text: &str) -> Option<u64> {
    text.trim().parse().ok()
}

/// Draws the slow part of the tree, the slowest first.
pub fn draw(root: &Import, told: &mut String) {
    let least = LEAST.max(root.whole / LEAST_PART);
    draw_below(root, 0, least, told);
}

fn draw_below(import: &Import, depth: usize, least: u64, told: &mut String) {
    let milliseconds = |microseconds: u64| microseconds as f64 / 1_000.0;
    let (whole, own) = (milliseconds(import.whole), milliseconds(import.own));
    _ = writeln!(told, "  {whole:>8.1} {own:>8.1}  {}{}", "  ".repeat(depth), import.module);
    if depth == DEPTH {
        return;
    }
    let mut imports: Vec<&Import> = import.imports.iter().filter(|import| import.whole >= least).collect();
    imports.sort_by_key(|import| std::cmp::Reverse(import.whole));
    for import in imports {
        draw_below(import, depth + 1, least, told);
    }
}

#[cfg(test)]
mod tests {
    use super::{Imports, draw};

    const LOG: &str = "import time: self [us] | cumulative | imported package
import time:       100 |        100 |   time
import time:       100 |        200 | site
printed by the function
import time:      2000 |       2000 |     json.decoder
import time:       500 |        500 |     json.encoder
import time:      1000 |       3500 |   json
import time:      4000 |       4000 |   slow
import time:       200 |       7700 | package
import time:        90 |         90 | gc
";

    #[test]
    fn lines_become_a_tree() {
        let app = Imports::parse(LOG).of_function("app".to_owned());
        let all: Vec<_> = app.all().iter().map(|import| import.module.as_str()).collect();
        assert_eq!(all, ["app", "package", "gc", "json", "slow", "json.decoder", "json.encoder"]);
        let mut told = String::new();
        draw(&app, &mut told);
        assert_eq!(
            told,
            "       7.8      0.0  app\n       7.7      0.2    package\n       4.0      4.0      slow\n       3.5      1.0      json\n       2.0      2.0        json.decoder\n"
        );
    }
}
