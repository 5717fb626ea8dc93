//! Gives back the stack that a deep recursion of a guest has used: a worker's thread lives on, and would keep its pages.

use super::engine::THREAD_STACK;
use std::ffi::c_void;

/// Bytes below the caller that stay: what ordinary checks use.
const KEPT: usize = 512 << 10;

/// Bytes at the lower end of the stack that are left alone, more than its guard and what lies above the first frame.
const MARGIN: usize = 1 << 20;

/// The stack of a thread that runs guests, of [`THREAD_STACK`] bytes.
pub(crate) struct Stack {
    top: usize,
}

impl Stack {
    /// The stack of this thread, seen from its first function.
    #[inline(never)]
    pub fn of_this_thread() -> Stack {
        Stack { top: address() }
    }

    /// Gives back what is far below the caller. To be called on the thread whose stack it is.
    #[inline(never)]
    pub fn release(&self) {
        const PAGE: usize = 4096;
        let start = (self.top - THREAD_STACK + MARGIN).next_multiple_of(PAGE);
        let end = (address() - KEPT) / PAGE * PAGE;
        if start < end {
            // where the system refuses, the pages stay
            // SAFETY: the range lies within this thread's own stack, below all of its frames, where nothing is alive; a page that
            // is used again reads as zeros.
            let _ = unsafe {
                rustix::mm::madvise(start as *mut c_void, end - start, rustix::mm::Advice::LinuxDontNeed)
            };
        }
    }
}

/// An address in the caller's frame, or just below.
#[inline(never)]
fn address() -> usize {
    let here = 0_u8;
    std::hint::black_box(&raw const here) as usize
}
