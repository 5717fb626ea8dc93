//! Which pages of a guest's memory were written, and putting them back.
//!
//! A memory is mapped copy-on-write from the snapshot's image. Linux 6.7 and later name the pages that a process has copied
//! (`PAGEMAP_SCAN`, Documentation/admin-guide/mm/pagemap.rst); putting those back is far cheaper than a new instance.

use rustix::ioctl::{Opcode, Updater, ioctl, opcode};
use std::fs::File;

/// Bytes of a page that the scan counts in.
pub(super) const PAGE: usize = 4096;

/// Ranges that one scan reports at most; a memory in more pieces counts as too dirty.
const RANGES: usize = 8192;

const FILE: u64 = 1 << 2;
const PRESENT: u64 = 1 << 3;
const SWAPPED: u64 = 1 << 4;
const ZERO: u64 = 1 << 5;

/// `struct pm_scan_arg` of linux/fs.h.
#[repr(C)]
#[derive(Default)]
struct ScanArguments {
    size: u64,
    flags: u64,
    start: u64,
    end: u64,
    walk_end: u64,
    ranges: u64,
    ranges_length: u64,
    most_pages: u64,
    inverted: u64,
    mask: u64,
    any_of: u64,
    report: u64,
}

/// `struct page_region` of linux/fs.h.
#[repr(C)]
#[derive(Clone, Copy, Default)]
struct Range {
    start: u64,
    end: u64,
    categories: u64,
}

const SCAN: Opcode = opcode::read_write::<ScanArguments>(b'f', 16);

/// Finds written pages.
pub(super) struct PageScanner {
    pagemap: File,
    ranges: Vec<Range>,
}

impl PageScanner {
    /// A scanner of this process, or none where the kernel cannot scan.
    pub fn new() -> Option<Self> {
        let pagemap = File::open("/proc/self/pagemap").ok()?;
        let mut scanner = PageScanner { pagemap, ranges: vec![Range::default(); RANGES] };
        let probe = vec![1u8; 2 * PAGE];
        let start = (probe.as_ptr() as usize).next_multiple_of(PAGE);
        scanner.scan(start, PAGE).is_some().then_some(scanner)
    }

    /// Ranges of private pages in `start..start + length` (page-aligned addresses), or none when there are too many or the
    /// kernel refuses.
    fn scan(&mut self, start: usize, length: usize) -> Option<&[Range]> {
        let end = (start + length) as u64;
        let mut arguments = ScanArguments {
            size: size_of::<ScanArguments>() as u64,
            start: start as u64,
            end,
            ranges: self.ranges.as_mut_ptr() as u64,
            ranges_length: RANGES as u64,
            // neither of the image nor the shared zero page; a written page that is swapped out counts too
            inverted: FILE | ZERO,
            mask: FILE | ZERO,
            any_of: PRESENT | SWAPPED,
            ..ScanArguments::default()
        };
        // SAFETY: PAGEMAP_SCAN reads and writes `ScanArguments` and writes at most `ranges_length` ranges at `ranges`, which
        // this scanner owns; it changes no page, as no flag asks it to. It returns the number of ranges written.
        let count =
            unsafe { ioctl(&self.pagemap, ScanCall(Updater::<SCAN, _>::new(&mut arguments))) }.ok()?;
        (arguments.walk_end == end).then(|| &self.ranges[..count.min(RANGES)])
    }

    /// Makes `memory` equal to `image` again, reading no more than the pages that were written. Both are page-aligned and of the
    /// same length. The number of pages put back, or none when the memory cannot be put back.
    pub fn restore(&mut self, memory: &mut [u8], image: &[u8], most_pages: usize) -> Option<usize> {
        let base = memory.as_ptr() as usize;
        if memory.len() != image.len() || !base.is_multiple_of(PAGE) {
            return None;
        }
        let ranges = self.scan(base, memory.len())?;
        let pages = ranges.iter().map(|r| (r.end - r.start) as usize / PAGE).sum();
        if pages > most_pages {
            return None;
        }
        for range in ranges {
            let (from, to) = (range.start as usize - base, range.end as usize - base);
            memory[from..to].copy_from_slice(&image[from..to]);
        }
        Some(pages)
    }

    /// Where `memory`, which is page-aligned, has pages of its own, as offsets in bytes; none when there are too many pieces.
    pub fn private(&mut self, memory: &[u8]) -> Option<Vec<std::ops::Range<usize>>> {
        let base = memory.as_ptr() as usize;
        if !base.is_multiple_of(PAGE) {
            return None;
        }
        let ranges = self.scan(base, memory.len())?;
        Some(ranges.iter().map(|r| r.start as usize - base..r.end as usize - base).collect())
    }

    /// Bytes of private pages in `memory`.
    pub fn written(&mut self, memory: &[u8]) -> Option<u64> {
        let ranges = self.scan(memory.as_ptr() as usize, memory.len())?;
        Some(ranges.iter().map(|r| r.end - r.start).sum())
    }
}

/// The call, with the count that it returns.
struct ScanCall<'a>(Updater<'a, SCAN, ScanArguments>);

// SAFETY: hands on what `Updater` says of the call, and the return value as it is.
unsafe impl rustix::ioctl::Ioctl for ScanCall<'_> {
    type Output = usize;
    const IS_MUTATING: bool = true;

    fn opcode(&self) -> Opcode {
        SCAN
    }

    fn as_ptr(&mut self) -> *mut std::ffi::c_void {
        self.0.as_ptr()
    }

    unsafe fn output_from_ptr(
        returned: rustix::ioctl::IoctlOutput,
        _: *mut std::ffi::c_void,
    ) -> rustix::io::Result<usize> {
        Ok(returned as usize)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn written_memory_is_put_back_and_too_many_pages_are_refused() {
        let Some(mut scanner) = PageScanner::new() else {
            eprintln!("skipped: this kernel has no PAGEMAP_SCAN");
            return;
        };
        let mut raw = vec![0u8; 18 * PAGE];
        let start = raw.as_ptr().align_offset(PAGE);
        let memory = &mut raw[start..start + 16 * PAGE];
        let image = vec![7u8; 16 * PAGE];
        memory[3 * PAGE + 5] = 1;
        memory[9 * PAGE..11 * PAGE].fill(2);
        assert_eq!(scanner.restore(memory, &image, 2), None);
        let restored = scanner.restore(memory, &image, 16).unwrap();
        assert!((3..=16).contains(&restored), "{restored}");
        assert!(memory[3 * PAGE..4 * PAGE].iter().chain(&memory[9 * PAGE..11 * PAGE]).all(|b| *b == 7));
    }
}
