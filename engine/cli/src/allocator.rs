//! The allocator, and what it owes the system: memory that a run holds is what it uses, so that `rlvr plan` can say how much that is.

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// Sets the allocator up; to be called once, before anything large is allocated.
///
/// Huge pages are not asked for: a tensor of a few megabytes would hold up to two more, and products of matrices, which read packed
/// panels, gain nothing from them.
pub fn set_up() {
    // without the right to it the process holds some more memory
    #[cfg(target_os = "linux")]
    let _ = rustix::thread::disable_transparent_huge_pages(true);
    rlvr_train::memory::set_release(release);
}

/// Gives memory that is free back to the system at once, rather than when the allocator would.
fn release() {
    // SAFETY: the call may come at any time, from any thread.
    unsafe { libmimalloc_sys::mi_collect(true) }
}
