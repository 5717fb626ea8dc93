//! `report.html`: a run as one page that stands alone. No file beside it, no network: it can be mailed, archived and read
//! years later, on a phone as on a screen.
//!
//! | module | is about |
//! | --- | --- |
//! | `run` | reading a run's folder |
//! | `samples` | which of the ledger's samples are shown |
//! | `steps` | how a sample's verdict came about |
//! | `results`, `training`, `timings` | the sections |
//! | `chart` | drawings |
//! | `page` | the frame around them, its style and script |
//! | `html` | escaping, numbers as text |

mod chart;
mod html;
mod page;
mod results;
mod run;
mod samples;
mod steps;
#[cfg(test)]
mod tests;
mod timings;
mod training;

use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use rlvr_verdict::Registry;

/// Writes `report.html` into a run's folder and returns its path. The run may still be going on, or have been stopped. Verdicts are
/// explained by the registry's verifiers as the run's config sets them up.
///
/// # Errors
/// The folder is no run's, one of its files cannot be understood, or the page cannot be written.
pub fn write(folder: &Path, registry: &Registry) -> Result<PathBuf> {
    let run = run::Run::read(folder)?;
    let samples = samples::choose(folder, &run, &steps::Explainer::new(folder, registry))?;
    let path = folder.join("report.html");
    let partial = folder.join(format!("report.html.partial-{}", std::process::id()));
    let page = page::render(&run, &samples);
    std::fs::write(&partial, page)
        .and_then(|()| std::fs::rename(&partial, &path))
        .with_context(|| format!("{}: cannot be written", path.display()))?;
    Ok(path)
}
