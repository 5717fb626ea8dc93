//! Which modules a guest can import, for tests that would need others.

/// Modules of the guest, one a line; written by `guest/build.sh`.
static MODULES: &str = include_str!("../guest/modules.txt");

/// What files of tests call the program that they test.
const SOLUTION: &str = "solution";

/// The first module that tests import at the beginning of a line and that the guest does not have: the package where that is
/// missing, else the module in it.
pub(crate) fn missing_module(code: &str) -> Option<String> {
    code.lines().flat_map(imported).find_map(missing).map(str::to_owned)
}

fn missing(name: &str) -> Option<&str> {
    let known = |name: &str| MADE.contains(&name) || MODULES.lines().any(|known| known == name);
    let top = name.split('.').next().unwrap_or(name);
    [top, name].into_iter().find(|name| top != SOLUTION && !known(name))
}

/// Modules without a file of their own, which their parents make.
const MADE: [&str; 2] = ["collections.abc", "os.path"];

/// Names of the modules that a line imports.
fn imported(line: &str) -> Vec<&str> {
    let line = line.trim_start();
    if let Some(rest) = line.strip_prefix("import ") {
        return rest.split(',').filter_map(module_name).collect();
    }
    match line.strip_prefix("from ").and_then(|rest| rest.split_once(" import ")) {
        Some((module, _)) if !module.starts_with('.') => module_name(module).into_iter().collect(),
        _ => Vec::new(),
    }
}

/// `a.b` of `a.b as c`, where that is a name.
fn module_name(module: &str) -> Option<&str> {
    let name = module.split_whitespace().next()?.trim_end_matches(';');
    let is_name = |part: &str| !part.is_empty() && part.chars().all(|c| c.is_alphanumeric() || c == '_');
    name.split('.').all(is_name).then_some(name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn modules_that_the_guest_lacks_are_found_by_package_or_name() {
        assert_eq!(missing_module("import math, numpy.linalg as la\n"), Some("numpy".into()));
        assert_eq!(missing_module("def f():\n    from pandas.core import x\n"), Some("pandas".into()));
        assert_eq!(missing_module("import os.path, re as r\nfrom collections import Counter\n"), None);
        assert_eq!(
            missing_module("import unittest.mock, asyncio, subprocess\nfrom xml.etree import ElementTree"),
            None
        );
        assert_eq!(missing_module("from solution import f\nimport solution"), None);
        assert_eq!(missing_module("import xml.parsers.expat"), Some("xml.parsers.expat".into()));
        assert_eq!(missing_module("from . import x\nx = 'we import what is from here'\n"), None);
    }
}
