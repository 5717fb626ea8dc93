//! Which modules a guest can import, for tests that would need others.

/// Top-level modules of the guest, one a line; written by `guest/build.sh`.
static MODULES: &str = include_str!("../guest/modules.txt");

/// What files of tests call the program that they test.
const SOLUTION: &str = "solution";

/// The first module that tests import at the beginning of a line and that the guest does not have.
pub(crate) fn missing_module(code: &str) -> Option<String> {
    code.lines()
        .flat_map(imported)
        .find(|name| *name != SOLUTION && !MODULES.lines().any(|known| known == *name))
        .map(str::to_owned)
}

/// Top-level names of the modules that a line imports.
fn imported(line: &str) -> Vec<&str> {
    let line = line.trim_start();
    if let Some(rest) = line.strip_prefix("import ") {
        return rest.split(',').filter_map(top_level).collect();
    }
    match line.strip_prefix("from ").and_then(|rest| rest.split_once(" import ")) {
        Some((module, _)) if !module.starts_with('.') => top_level(module).into_iter().collect(),
        _ => Vec::new(),
    }
}

/// `a` of `a.b as c`, where that is a name.
fn top_level(module: &str) -> Option<&str> {
    let name = module.split_whitespace().next()?.split('.').next()?;
    let name = name.trim_end_matches(';');
    (!name.is_empty() && name.chars().all(|c| c.is_alphanumeric() || c == '_')).then_some(name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn modules_that_the_guest_lacks_are_found_by_their_top_level_name() {
        assert_eq!(missing_module("import math, numpy.linalg as la\n"), Some("numpy".into()));
        assert_eq!(missing_module("def f():\n    from pandas.core import x\n"), Some("pandas".into()));
        assert_eq!(missing_module("import os.path, re as r\nfrom collections import Counter\n"), None);
        assert_eq!(missing_module("from . import x\nx = 'we import what is from here'\n"), None);
    }
}
