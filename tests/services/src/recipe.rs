//! The programs in `docs/recipes.md`.

const DOCUMENT: &str = include_str!("../../../docs/recipes.md");

/// Returns the names of all recipes, which are the headings above them.
#[must_use]
pub fn recipes() -> Vec<&'static str> {
    let lines = DOCUMENT.lines();
    lines.filter_map(|line| line.strip_prefix("### ")).collect()
}

/// Returns the program of a recipe.
///
/// # Panics
///
/// Panics if there is no such recipe, or if it is longer than 20 lines.
#[must_use]
pub fn recipe(name: &str) -> String {
    let mut lines = DOCUMENT.lines();
    let heading = format!("### {name}");
    assert!(lines.any(|line| line == heading), "no recipe {name:?}");
    let block = lines.skip_while(|line| !line.starts_with("```")).skip(1);
    let program: Vec<_> = block.take_while(|line| *line != "```").collect();
    assert!(program.len() <= 20, "{name}: {} lines", program.len());
    program.join("\n") + "\n"
}
