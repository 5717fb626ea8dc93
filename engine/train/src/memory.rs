//! The memory that the process holds and the most that it has held, for setting `rlvr plan`'s estimate beside what a run then used.
//!
//! Linux keeps the figures (`VmRSS`, `VmHWM`) and can be asked to start the second anew; elsewhere there are none.

use std::sync::OnceLock;

static RELEASE: OnceLock<fn()> = OnceLock::new();

/// Says how the program's allocator gives free memory back to the system; only the first call counts.
pub fn set_release(release: fn()) {
    RELEASE.get_or_init(|| release);
}

/// Gives free memory back to the system, where [`set_release`] has said how: at the borders between what needs much memory of one
/// kind and what needs much of another.
pub fn release() {
    if let Some(release) = RELEASE.get() {
        release();
    }
}

/// Starts the figure anew from what is held now.
pub fn reset_peak() {
    // without the right to it the peak of earlier stages stays in the figure, which is then too large
    let _ = std::fs::write("/proc/self/clear_refs", "5");
}

/// The most bytes of physical memory held since [`reset_peak`], or since the process began.
pub fn peak_bytes() -> Option<u64> {
    status("VmHWM:")
}

/// The bytes of physical memory held now.
pub fn held_bytes() -> Option<u64> {
    status("VmRSS:")
}

/// The bytes of physical memory that the process may hold: the machine's, or fewer where its control group has a limit.
pub fn total_bytes() -> Option<u64> {
    let machine = figure("/proc/meminfo", "MemTotal:")?;
    let limit = std::fs::read_to_string("/sys/fs/cgroup/memory.max").ok();
    let limit = limit.and_then(|text| text.trim().parse().ok());
    Some(limit.map_or(machine, |limit: u64| limit.min(machine)))
}

fn status(field: &str) -> Option<u64> {
    figure("/proc/self/status", field)
}

fn figure(file: &str, field: &str) -> Option<u64> {
    let text = std::fs::read_to_string(file).ok()?;
    let line = text.lines().find_map(|line| line.strip_prefix(field))?;
    line.trim().strip_suffix(" kB")?.trim().parse::<u64>().ok().map(|kilobytes| kilobytes * 1024)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    #[cfg(target_os = "linux")]
    fn the_peak_follows_what_is_held_and_can_start_anew() {
        const SIZE: usize = 200 << 20;
        let before = peak_bytes().unwrap();
        let held = std::hint::black_box(vec![1u8; SIZE]);
        let with = peak_bytes().unwrap();
        assert!(with >= before && with as usize >= SIZE, "{before} {with}");
        drop(held);
        reset_peak();
        assert!(peak_bytes().unwrap() < with);
    }
}
